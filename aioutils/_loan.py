"""What a function lends while it waits in sync code: its slot, and its thread.

A call on a loop of its own thread (`dual`) is the function's own work, so it keeps both. But what
runs on that loop may wait too, for a task that needs the slot: so who calls there lends for as long
as something waits there. And he runs on a loop himself, whose callers lend with him.

They come and go in any order, in any threads, and nobody holds a lock: a signal handler, a
finalizer, or an executor's own code may come at any line, and wait. Whoever comes or goes has each
loan that this may change look again:

- the slot changes on the loop of the job, one look after the other;
- the thread changes by who has the loan's token; who does not get it is seen to by who has.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from ._job import Job
from ._loop import Loop
from ._signals import held
from ._turn import Return, Turn


class Loan:
    """That of one function, for one wait: for others, or, on `loop`, for its own work.

    Without a `thread`, it blocks `own`, the loop on which it runs, and has nothing to lend itself.
    """

    def __init__(
        self,
        job: Job,
        own: Loop,
        thread: Callable[[], AbstractContextManager[None]] | None,
        loop: Loop | None,
    ) -> None:
        self.job, self._own, self._thread, self._loop = job, own, thread, loop
        self._is_on = False
        self._has_lent = False  # or is about to
        self._roots: list[weakref.ref[Job]] = []  # the functions whose work it may be
        self._turn: Turn | None = None
        self._slot_is_lent = False
        self._lent_thread: AbstractContextManager[None] | None = None
        self._token: list[None] = [None]
        self._returning: list[None] = []  # for each that waits for slots

    def begin(self) -> None:
        own, loop = self._own, self._loop
        with held():
            roots = [root for caller in tuple(own.callers) for root in caller._line()]
            self._roots = _alive(roots or own.tenants) or [weakref.ref(self.job)]
            self._is_on = True
            own.waits.append(self)
            if loop is not None:
                loop.tenants = self._line()
                loop.callers.append(self)
            for loan in self._above():
                loan._look_again()

    def end(self) -> None:
        """Returns when it has its slot again, and so have its callers, whose work goes on now. One
        in the line of a thread may hold a slot: threads are lent until then."""
        above: list[Loan] = []
        with held():
            self._hold_threads(above)
            self._is_on = False
            with suppress(ValueError):  # it never began, or this is the child of a fork
                self._own.waits.remove(self)
            if self._loop is not None:
                with suppress(ValueError):
                    self._loop.callers.remove(self)
            self._hold_threads(above)  # who began to call meanwhile may have found the wait on
            slots = [(loan, slot) for loan in above if (slot := loan._ask()) is not None]
        try:
            for loan, slot in slots:
                loan._own.wait(slot, job=loan.job)
        finally:
            with held():
                for loan in above:
                    loan._returning.pop()
                    loan._lend_thread()

    def _line(self) -> list[weakref.ref[Job]]:
        """The function that calls, and those whose work that is: it may outlive them."""
        return [weakref.ref(self.job), *self._roots]

    def _above(self) -> list[Loan]:
        """Itself, and those for which it may be why they lend."""
        found = [self]
        for loan in found:
            found += [caller for caller in tuple(loan._own.callers) if caller not in found]
        return found

    def _hold_threads(self, above: list[Loan]) -> None:
        """Adds those that may lend for it, and keeps their threads lent."""
        for loan in self._above():
            if loan not in above:
                loan._returning.append(None)
                above.append(loan)

    def _is_needed(self) -> bool:
        return not self.job.reached() and self._is_awaited()

    def _is_awaited(self, above: tuple[Loan, ...] = ()) -> bool:
        """True if the wait is on, and is, or leads to, one for others."""
        if not self._is_on or self in above:  # an iteration may be a call on its own loop
            return False
        loop = self._loop
        return loop is None or any(
            not wait._is_stale() and wait._is_awaited((*above, self)) for wait in tuple(loop.waits)
        )

    def _is_stale(self) -> bool:
        """True of what a function left behind that has ended, on a loop that its thread kept."""
        return all((root := ref()) is None or root.reached() for ref in self._roots)

    def _look_again(self) -> None:
        if self._thread is not None and (self._has_lent or self._is_needed()):
            self._has_lent = True
            self._lend_thread()
            self.job._lane.scheduler.post(self.look)

    def look(self) -> Turn | None:
        """On the loop of the job. The turn to wait for, if there is one."""
        needed, lane = self._is_needed(), self.job._lane
        if needed is not self._slot_is_lent:
            self._slot_is_lent = needed
            if needed:
                lane.lend(self.job)
            else:
                self._turn = lane.take_back(self.job)
        elif self._turn is not None and self._turn.reached():
            self._turn = None
        return None if needed else self._turn

    def _lend_thread(self) -> None:
        while self._thread is not None:
            lends = bool(self._returning) or self._is_needed()
            if lends is (self._lent_thread is not None):
                return
            try:
                token = self._token.pop()
            except IndexError:  # pragma: no cover: another thread changes it, just now
                return
            try:
                lent, self._lent_thread = self._lent_thread, None
                if lent is None:
                    lent = self._thread()
                    lent.__enter__()
                    self._lent_thread = lent
                else:
                    lent.__exit__(None, None, None)
            finally:
                self._token.append(token)

    def _ask(self) -> Return | None:
        slot = Return(self)
        if not self._has_lent or slot.reached():
            return None
        self.job._lane.scheduler.post(slot.ask)
        return slot


def _alive(roots: list[weakref.ref[Job]]) -> list[weakref.ref[Job]]:
    """Each once; if all have ended, one of these."""
    jobs = [(root(), root) for root in roots]
    alive = {id(job): root for job, root in jobs if job is not None and not job.reached()}
    return list(alive.values()) or roots[:1]
