"""Completion: who has ended, in whatever way, is counted out, handed out and told of.

All of it happens on the loop; `_lost` and `_lose` where that runs no more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from . import _work
from ._interrupted import leaves_by_itself
from ._job import CANCELLED, DONE, RUNNING, WAITING, Job
from ._lease import current
from ._options import Options
from ._order import Order
from ._raised import is_a
from ._roster import End, Roster
from ._runner import LAZY, exhaust, forget, started

if TYPE_CHECKING:
    from ._body import Body


class Completion(Roster):
    __slots__ = ("body", "order")

    def __init__(self, options: Options, order: Order | None) -> None:
        super().__init__(options)
        self.order: Order | None = order  # of what is spawned; a call of imap has one of its own
        self.body: Body | None = None  # told when a failure ends the rest

    async def _run(self, job: Job) -> None:
        """All bookkeeping of a job is here: what asyncio runs is this."""
        work, job._work = job._work, None
        ends_rest = False
        try:
            if LAZY:  # pragma: no cover: before 3.12
                await started()
                while not self.loop.admits:  # type: ignore[union-attr]
                    await started()  # it stood still, and uvloop can't hold this back
            current.set(job)
            job._outcome = await work
        except asyncio.CancelledError:
            _work.close(work)
            job._state = CANCELLED
        except BaseException as error:
            loop = self.loop
            # Not RUNNING: a signal came as it started.
            here = loop is not None and loop.is_here() and job._state is RUNNING
            if loop is None or not (here or loop.was_left_here()):
                self._lost(job)  # given up, or closed by the collector
                exhaust(work)  # it may have swallowed what ended this
                return
            if type(error) is RuntimeError:
                _work.explain(error, work)
            job.fail(error)
            if is_a(error, KeyboardInterrupt, SystemExit):
                loop.interrupt(error)
            elif not leaves_by_itself(error):
                ends_rest = self._failed(job)
        else:
            job._state = DONE
        self._ended(job)
        if ends_rest:  # after it: as_completed() hands out the cause first
            self.cancel_all()
            if self.body is not None:
                self.body.fail()
        del self, job, work  # the frames of a failure lead here: a cycle

    def _lost(self, job: Job) -> None:
        """Ended from outside of the loop; nothing can be run any more."""
        job._runner = None
        if job._state is RUNNING:
            job._state = CANCELLED
        self.running.discard(job)

    def _lose(self) -> bool:
        """No other thread can be at it: that loop runs no more."""
        jobs = [job for job in [*self.running, *self.parked] if job._state is RUNNING]
        for job in jobs:
            job._state = CANCELLED
            self._inbox.append(End(self._end_lost, job))
        self.running.clear()
        self.parked[:] = [job for job in self.parked if job._state is WAITING]
        for lane in self.lanes:
            lane.returning.clear()
            lane.held = 0
        return bool(jobs)

    def _end_lost(self, job: Job) -> None:
        runner, job._runner = job._runner, None
        if runner is not None:  # pragma: no branch: a signal came as it was about to start
            forget(runner)
        _work.close(job._work)  # if it could not even begin
        job._work = job._context = None
        job.tell()
        self._hand_out(job)

    def _failed(self, job: Job) -> bool:
        """Returns True if it ends the rest."""
        self.failures.failed += job._lane is not self.parking
        if job._order is not self.order or job._lane is self.parking:
            self.failures.add(job)  # of a map, or no task: it is raised there, and ends that only
            return False
        return self.failures.arrive(job)

    def _ended(self, job: Job) -> None:
        job._runner = None
        lane, lease = job._lane, job._lease
        if lease is None or not lease.lent:
            if lane.returning:
                lane.release()
            else:
                lane.held -= 1
        if job._watchers or job._order is not None or self.listeners:
            self._telling += 1  # first: no other thread may take it for the end
            try:
                # First: who leaves his iteration while callbacks run must find all that is his.
                if job._order is not None:
                    job._order.end(job)
                elif self.listeners:
                    self._hand_out(job)
                self.running.discard(job)
                if job._watchers:
                    job.tell()
            finally:
                self._telling -= 1
        else:
            self.running.discard(job)
        if self._due:
            return  # pump() sees to it, and tells as well
        if lane.waiting:
            self.wake()
        elif self._watchers and not self.running:
            self._tell()

    def _hand_out(self, job: Job) -> None:
        if job._order is not None:
            job._order.end(job)
        elif job._lane is not self.parking:
            for order in tuple(self.listeners):
                order.end(job)

    def _tell(self) -> None:
        if self._watchers and self.is_idle():
            self.tell()
