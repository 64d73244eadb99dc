"""Admission: who may start, starts. All of it happens on the loop.

Other threads reach this side by two ways only, a lane's line and the inbox, both deques, and then
`wake()`, which has `pump()` called. The lock is held to move jobs out of a line, so that a job is
either started or cancelled, never both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from functools import partial
from itertools import repeat, starmap

from . import _work
from ._completion import Completion
from ._job import CANCELLED, NO_VARIABLES, RUNNING, WAITING, Job
from ._lane import Lane
from ._loop import Loop
from ._options import Options
from ._order import Order
from ._roster import nothing
from ._runner import LAZY, exhaust, start, start_hosted
from ._threads import Threads, call
from ._work import Call

# Jobs that start in one pass over the loop. So few that what they make, and those of the pass
# before still hold, is less than what the collector waits for (700 objects before 3.13, 2,000
# since): else it would come in each pass, to find everything alive.
SLICE = 128 if sys.version_info >= (3, 13) else 64


class Admission(Completion):
    __slots__ = ("_executor", "_threads")

    def __init__(self, options: Options, order: Order | None) -> None:
        super().__init__(options, order)
        self._executor: Executor | None = options.executor  # for plain functions
        self._threads: Threads | None = None

    def pump(self) -> None:
        """Starts as many as there are slots for, a slice at a time."""
        loop = self.loop
        if loop is None or not (loop.admits and loop.is_here()):
            return  # pragma: no cover: it moved to another loop, just now, and stays due there
        self._due = True  # what comes in until the end of this is seen here
        try:
            for _ in range(len(self._inbox)):  # some post themselves again
                self._posted()()
            for lane in self.lanes:
                most = SLICE
                starting: dict[Order, int] = {}
                while lane.waiting and most > 0 and loop._running:  # not: one forked
                    claimed = self._claim(lane, most, loop, starting)
                    most -= len(claimed) or SLICE
                    self._start(claimed)
                    if not LAZY:
                        starting.clear()  # they have started, and may have ended
                    elif lane.buffer is not None:  # pragma: no cover: before 3.12
                        break
        except BaseException:  # a signal: the rest is still to do
            self._due = False
            self.wake()
            raise
        self._due = False
        for lane in self.lanes:
            if len(lane.waiting) > lane.kept and lane.free(1) > 0:
                self.wake()
        if self._inbox:
            self.wake()
        if self._watchers and not self.running:
            self._tell()

    def _posted(self) -> Callable[[], object]:
        try:
            return self._inbox.popleft()
        except IndexError:  # another thread gave up on everything, just now
            return nothing

    def _claim(self, lane: Lane, most: int, loop: Loop, starting: dict[Order, int]) -> list[Job]:
        """Takes those that start now out of the line; the first of them is the last."""
        with self._lock:
            if self.loop is not loop:
                return []  # it moved to another one, just now
            waiting = lane.waiting
            free = min(lane.free(most), len(waiting))
            claimed = self._claiming = []
            # In one step: they are here or there whenever another thread forks.
            claimed.extend(starmap(waiting.popleft, repeat((), free)))
            lane.kept = 1  # first: whoever lets more in meanwhile says so
            kept: list[Job] = []
            roomy = claimed[0]._order if claimed else None
            if not self.has_room(roomy, starting, free):  # as a rule it has, for all of them
                roomy = None
            for job in claimed:
                if job._state is not WAITING:
                    lane.dead -= 1
                    free -= 1
                elif job._order is roomy or self.has_room(job._order, starting):
                    job._state = RUNNING
                else:
                    kept.append(job)
                    if waiting:  # who is behind it may pass
                        claimed.extend(starmap(waiting.popleft, ((),)))
                    else:
                        free -= 1
            if free < len(claimed):
                waiting.extendleft(reversed(kept))
                claimed[:] = [job for job in claimed if job._state is RUNNING]
            lane.kept = 0 if claimed or starting else len(kept)  # else a new look is due
            lane.held += free
            self._claimed += free
            self.running.update(claimed)
        claimed.reverse()
        return claimed

    def _start_parked(self, job: Job) -> None:
        if job._state is WAITING:
            job._state = RUNNING
            self.parking.held += 1
            self._start([job])
        del job  # as in `_start`

    def _start(self, claimed: list[Job]) -> None:
        loop = self.loop._event_loop  # type: ignore[union-attr]
        begin = start if self.loop.private else start_hosted  # type: ignore[union-attr]
        while claimed:
            job = claimed.pop()
            if job._state is not RUNNING:
                continue  # cancelled by one that started just before
            if type(job._work) is Call:
                self._call(job)
            context, job._context = job._context, None
            if context is NO_VARIABLES:
                context = Context()
            run = self._run(job)
            try:
                runner = begin(run, loop=loop, context=context, name=job._name, eager_start=True)
            except BaseException:  # a signal, just now; from 3.14 on, in the child of a fork too
                if job._state is RUNNING:
                    job._state = CANCELLED
                    _work.close(job._work)
                    job._work = None
                    self._ended(job)
                if not self.loop.was_left_here():  # type: ignore[union-attr] # pragma: no branch
                    exhaust(run)
                self._inbox.append(partial(self._start, claimed))
                raise
            if not runner.done():
                # What `disown` does, without the call.
                runner._log_destroy_pending = False  # type: ignore[attr-defined]
                job._runner = runner
            del job, run, runner, context  # the frames of a failure lead to this one

    def _call(self, job: Job) -> None:
        """A plain function becomes something to await."""
        if self._threads is None:
            self._threads = Threads()
        goes_on = partial(self._leave_thread, job)
        job._work = call(job._work, self._executor, self._threads, goes_on)

    def _leave_thread(self, job: Job) -> None:
        """What the function returned is to be awaited, on the loop, where a group has no limit."""
        lane, lease = job._lane, job._lease
        if lane is self.main or lane is not self.calls:
            return  # the slot is its limit; or it is in the child of a fork, and has none
        if lease is not None and lease.lent:
            return  # a thread that it left behind waits for something: that comes back here
        job._lane = self.main
        self.main.held += 1
        lane.release()
        if job._order is not None and job._order is not self.order:
            job._order.leave_thread(job)
