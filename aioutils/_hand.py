"""What is handed out of a finished job, and what becomes of failures: strategies side by side."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from ._failures import note, passes_unseen, raise_itself, shown
from ._flow import Flow, Put
from ._job import CANCELLED, DONE, FAILED, Job
from ._lease import current, heed
from ._order import Order
from ._raised import is_a
from ._waiting import Moment
from .errors import ClosedError, cancelled

if TYPE_CHECKING:
    from ._scheduler import Scheduler

SKIP = object()  # nothing is handed out of this one


class Hand:
    """Of `map` and `imap`: results; a failure is raised where the result would have been."""

    plain = True  # what is done is handed out as it is
    raises = True  # the failure of another task that ended the rest, and this call with it
    tells = True  # of it
    failed: bool = False  # it did
    failed_fast: bool = False  # and ends the rest of the tool just now

    def __init__(self, scheduler: Scheduler, order: Order) -> None:
        self._scheduler = scheduler
        self._order = order

    def check(self) -> None:
        """Before each: raises what ends the iteration at once."""
        failures = self._scheduler.failures
        if self.raises and failures.failing and self._scheduler.is_idle():
            failures.raise_of(failures.jobs(), self._scheduler)

    def fails(self) -> bool:
        """True if there is something that `check` raises."""
        failures = self._scheduler.failures
        fails = self.raises and failures.failing and len(failures) > 0
        return fails and self._scheduler.is_idle()

    def give(self, job: Job) -> Any:
        if job._state is DONE:
            return job._outcome
        try:
            raise_itself(self._error(job))
        finally:
            del job

    def end(self, error: BaseException | None) -> None:
        """After the last; `error` is what the source raised. If it was cancelled, those who
        iterate were not: asyncio's own exception would end their task as if they had been."""
        try:
            if is_a(error, asyncio.CancelledError):
                raise CancelledError("the source was cancelled from within") from error
            if error is not None:
                raise_itself(error)
        finally:
            del error  # else the traceback, this frame and the exception are a cycle

    def end_early(self) -> None:
        """Before its end; failures that were not handed out stay among the tool's errors."""

    def make_room(self) -> None:
        """After something was taken: what was held back goes on."""

    def restore(self) -> None:
        """After a timeout: what was taken and kept goes back."""

    def needs(self, job: Job) -> bool:
        """True if the iteration can't end before this job does."""
        return job._order is self._order

    def ride(self, error: BaseException) -> None:
        """What failed beside `error` in the same call becomes its notes; or it stays among the
        tool's errors, if nobody would read them."""
        failures = self._scheduler.failures
        if passes_unseen(error):
            return
        others = failures.take() if self.failed_fast else failures.take_of(self._order)
        failed = f"{self._scheduler!r}: another one failed: "
        note(error, *(f"{failed}{shown(other)}" for other in others if other is not error))

    def _error(self, job: Job) -> BaseException:
        failures = self._scheduler.failures
        if job._state is CANCELLED:
            heed(job)  # who iterates may be cancelled with it
            cause = self._order.causes.get(job)
            if cause is None or not self.raises or self._asks_for_task():
                if self._scheduler.closer is None:
                    return cancelled(f"{job!r}")
                return ClosedError(f"{job!r}: {self._scheduler!r} was closed meanwhile")
            self.failed, self.failed_fast = True, failures.cause is cause
            job = cause
        failures.see(job)
        return job.error()

    def _asks_for_task(self) -> bool:
        """True inside a task of the tool, one of the rest: whoever waits outside gets the failure
        that ended it."""
        job = current.get()
        return job is not None and job._lane.scheduler is self._scheduler


class Outcomes(Hand):
    """With `return_exceptions`: failures are items like results."""

    raises = tells = False

    def give(self, job: Job) -> Any:
        return job._outcome if job._state is DONE else self._error(job)


class Collected(Outcomes):
    """The same for `map`: if it ends with an error, its list reaches nobody."""

    def __init__(self, scheduler: Scheduler, order: Order) -> None:
        super().__init__(scheduler, order)
        self._failed: list[Job] = []

    def give(self, job: Job) -> Any:
        if job._state is FAILED:
            self._failed.append(job)
        return super().give(job)

    def ride(self, error: BaseException) -> None:
        for job in self._failed:
            self._scheduler.failures.add(job)  # as if nobody had seen it
        super().ride(error)


class Tasks(Hand):
    """Of `as_completed`: the tasks themselves."""

    plain = raises = False

    def give(self, job: Job) -> Any:
        return job

    def end(self, error: BaseException | None) -> None:
        self.end_early()

    def needs(self, job: Job) -> bool:
        """Not what takes no slot: the source of an iteration, say, may be what it is for."""
        lane = job._lane
        return lane.scheduler is self._scheduler and lane is not self._scheduler.parking

    def end_early(self) -> None:
        # Gone: another thread iterates too, and came to the end at the same moment.
        if self._order in self._scheduler.listeners:  # pragma: no branch
            self._scheduler.listeners.remove(self._order)

    def ride(self, error: BaseException) -> None:
        """Failures stay with their tasks."""


class Results(Hand):
    """Of yielders: every result but None, then the first failure, the others as its notes."""

    plain = False

    def __init__(self, scheduler: Scheduler, order: Order, keep_none: bool, room: Moment) -> None:
        super().__init__(scheduler, order)
        self._keep_none = keep_none
        self._room = room
        self._failed: list[Job] = []

    def make_room(self) -> None:
        if self._room.is_watched():
            self._scheduler.post(self._room.tell)
        elif self._scheduler.main.buffer is not None:
            self._scheduler.wake()

    def give(self, job: Job) -> Any:
        self.make_room()
        if self._scheduler.failures.failing:
            return SKIP
        if job._state is FAILED:
            self._failed.append(job)
        elif job._state is DONE and not isinstance(job, Flow):
            result = job._outcome
            if result is not None or self._keep_none or isinstance(job, Put):
                return result
        return SKIP

    def end(self, error: BaseException | None) -> None:
        failed, self._failed = self._failed, []
        try:
            self._scheduler.failures.raise_of(failed, self._scheduler)
        finally:
            del failed

    def restore(self) -> None:
        self._order.restore(self._failed)

    def ride(self, error: BaseException) -> None:
        """Has been done in `end`."""
