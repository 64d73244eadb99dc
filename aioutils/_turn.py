"""The way back to a slot that was lent: who waits for it, and whose turn it is.

All of it happens on the loop of the job; a function's thread waits there for its `Return`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ._job import Job
from ._waiting import Moment

if TYPE_CHECKING:
    from ._loan import Loan


class Turn(Moment):
    """The moment at which a job that lent its slot has it again, or needs none any more."""

    __slots__ = ("_granted", "_job")

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job
        self._granted = False

    def grant(self) -> bool:
        """Returns True if the slot was taken; not by a job that has ended, or waits again."""
        lease = self._job._lease
        assert lease is not None
        lease.turn = None
        lease.lent = self._job.reached() or lease.waits > 0
        self._granted = True
        self.tell()
        return not lease.lent

    def reached(self) -> bool:
        return self._granted or self._job.reached()


class Return(Moment):
    """A plain function in a worker thread wants the slot back that it lent; unless it was given
    up: then its tool may be closed, and nobody there to answer."""

    __slots__ = ("_asked", "_job", "_loan", "_turn")

    def __init__(self, loan: Loan) -> None:
        super().__init__()
        self._loan, self._job = loan, loan.job
        self._turn: Turn | None = None
        self._asked = False

    def ask(self) -> None:
        """On the loop."""
        self._turn = self._loan.look()
        self._asked = True
        if self._turn is None:
            self.tell()
        else:
            self._turn.watch(self.tell)

    def reached(self) -> bool:
        granted = self._asked and (self._turn is None or self._turn.reached())
        return granted or self._job.reached()

    def watch(self, notify: Callable[[], None]) -> None:
        super().watch(notify)
        self._job.watch(notify)

    def unwatch(self, notify: Callable[[], None]) -> None:
        self._job.unwatch(notify)
        super().unwatch(notify)
