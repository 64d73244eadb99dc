"""One piece of work: its state, its outcome, and who wants to know.

The state goes from waiting to running to one of the three ends, or from waiting to cancelled;
it leaves *waiting* under the scheduler's lock, and *running* on the loop. Watchers are told once,
by whoever takes them off the list: the loop at the end of the work, or the one that came too
late for it.
"""

from __future__ import annotations

import enum
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._raised import trace_of
from ._waiting import Waitable, goes_on

if TYPE_CHECKING:
    import asyncio

    from ._graph import Lease
    from ._lane import Lane
    from ._order import Order


class State(enum.Enum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING, RUNNING = State.WAITING, State.RUNNING
DONE, FAILED, CANCELLED = State.DONE, State.FAILED, State.CANCELLED

# The context of all that wait and were spawned where no variable was set: each starts in one of
# its own, but a million that wait are a third less for the collector to look at.
NO_VARIABLES = Context()

_watching = threading.RLock()  # two who watch a job for the first time; a signal handler,
# or a finalizer, may be the second


class Job(Waitable):
    __slots__ = (
        "__weakref__",
        "_context",  # that of the spawn, until it starts
        "_lane",
        "_lease",  # the slot that it lent, and what it waits for
        "_name",
        "_order",  # in which its result is handed out
        "_outcome",  # the result, or the exception
        "_runner",  # the asyncio task, while it runs
        "_state",
        "_traceback",
        "_watchers",
        "_work",  # what is to be awaited or called, until it starts
    )

    items: deque[Job] | None = None  # of a job that has many results
    _lane: Lane
    _order: Order | None
    _work: Any
    _context: Context | None
    _name: str
    _outcome: Any
    _traceback: TracebackType | None
    _runner: asyncio.Task[None] | None
    _lease: Lease | None
    _watchers: list[Callable[[], object]] | None

    def __init__(
        self,
        lane: Lane,
        work: Any,
        context: Context | None,
        name: str,
        order: Order | None = None,
    ) -> None:
        self._lane = lane
        self._work = work
        self._context = context
        self._name = name
        self._order = order
        self._state = WAITING
        self._runner = self._lease = self._watchers = None

    def reached(self) -> bool:
        state = self._state
        return state is not RUNNING and state is not WAITING

    def watch(self, notify: Callable[[], object]) -> None:
        if self._watchers is None:
            with _watching:
                if self._watchers is None:  # pragma: no branch: another thread was quicker
                    self._watchers = []
        self._watchers.append(notify)

    def unwatch(self, notify: Callable[[], object]) -> bool:
        """Returns True if it was still on the list, and so had not been told."""
        try:
            self._watchers.remove(notify)  # type: ignore[union-attr]
        except (ValueError, AttributeError):
            return False
        return True

    def forget_others(self) -> None:
        if self._watchers is not None:
            self._watchers = [notify for notify in self._watchers if goes_on(notify)]

    def tell(self) -> None:
        while self._watchers:
            try:
                notify = self._watchers.pop(0)
            except IndexError:  # pragma: no cover: another thread took the last, just now
                return
            notify()

    def wanted(self, now: bool, by: Job | None = None) -> None:
        lane = self._lane
        if lane.wanted is None or (by is not None and by._order is self._order):
            return
        if now:
            lane.wanted.append(self)
            lane.look()
        elif self in lane.wanted:  # pragma: no branch: else a fork came in between
            lane.wanted.remove(self)

    def blockers(self) -> Iterable[Waitable]:
        """What must happen before this job can end, or those are told who wait for it."""
        if self._lease is not None and not self.reached():
            yield from tuple(self._lease.targets)
        yield from self._lane.scheduler.blocked()

    def is_told(self) -> bool:
        return self.reached() and not self._watchers

    def tells_failure(self) -> bool:
        return self._state is FAILED

    def __repr__(self) -> str:
        return f"<{self._name} {self._state.value}>"

    def fail(self, error: BaseException) -> None:
        """Keeps the exception with the traceback of the work."""
        self._outcome, self._traceback = error, trace_of(without_ours(error))
        self._state = FAILED

    def error(self) -> BaseException:
        """The exception that it failed with, to be raised: with the same traceback each time."""
        error: BaseException = self._outcome
        return BaseException.with_traceback(error, self._traceback)


def without_ours(error: BaseException) -> BaseException:
    """The exception, which is to be kept, without our own frames, which lead to who keeps it."""
    trace = trace_of(error)
    while trace is not None and trace.tb_next is not None and _is_ours(trace):
        trace = trace.tb_next
    return BaseException.with_traceback(error, trace)  # its own may do anything


def _is_ours(trace: TracebackType) -> bool:
    return trace.tb_frame.f_globals.get("__package__") == __package__


class AtOnce(threading.local):
    """What this thread is in."""

    calling = False  # a done-callback of a task that had ended before the callback was added


at_once = AtOnce()


def _after_fork() -> None:
    """A thread that the child does not have may have held it."""
    global _watching
    _watching = threading.RLock()


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
