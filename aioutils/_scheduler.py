"""Admission: who waits, who runs, who is done, and which failures nobody has seen.

A scheduler knows no threads and starts no loop. Who may call what:

- from any thread, at any time: `submit`, `post`, `cancel`, `cancel_all`, and looking;
- on the loop, or where nobody runs it and nobody can: everything else.

Other threads reach the loop's side by two ways only, a lane's line and the inbox, both deques,
and then `wake()`, which has `pump()` called. The lock is held to move jobs out of a line, so that
a job is either started or cancelled, never both.
"""

import asyncio
import weakref
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

from . import _eventloop, _work
from ._failures import OnError
from ._job import CANCELLED, DONE, RUNNING, WAITING, Job
from ._lane import Lane
from ._lease import current
from ._order import Order
from ._roster import Roster
from ._threads import Threads, call

SLICE = 256  # jobs that start in one pass over the loop


class Scheduler(Roster):
    def __init__(
        self,
        kind: str,
        size: int | None,
        threads: int | None,
        order: Order | None = None,
        on_error: OnError = "continue",
        within: "Scheduler | None" = None,
    ) -> None:
        super().__init__(kind, size, threads, on_error, within)
        self.order: Order | None = order  # of what is spawned; a call of imap has one of its own
        self.listeners: list[Order] = []  # those who want to know of every task
        self.on_failing: Callable[[], object] | None = None  # told when a failure ends the rest
        # Where jobs were spawned, if somebody wants to know.
        self.origins: weakref.WeakKeyDictionary[Job, str] = weakref.WeakKeyDictionary()
        self._threads: Executor | None = None
        self._stopping = 0
        _all.add(self)

    # From any thread.

    def submit(self, job: Job) -> None:
        if self.failures.failing and not self.failures and self.is_idle():
            self.failures.failing = False
        if job._order is not None:
            job._order.spawn(job)
        job._lane.waiting.append(job)
        if not self._due:
            self.wake()
        if self.closed or self._stopping or self.failures.failing:
            self.cancel(job)

    def park(self, job: Job) -> None:
        """Starts a job that takes no slot and is no task: it enters, stays, and leaves."""
        self.parked.append(job)
        self.post(partial(self._start_parked, job))

    def post(self, action: Callable[[], object]) -> None:
        """Has `action` called on the loop."""
        self._inbox.append(action)
        if not self._due:
            self.wake()

    def cancel(self, job: Job) -> bool:
        with self._lock:
            if job.reached():
                return False
            waited = job._state is WAITING
            if waited:
                job._state = CANCELLED
                job._lane.dead += 1
        if waited:
            _work.close(job._work)
            job._work = job._context = None
        self._touch(partial(self._ended_unstarted if waited else self._cancel_running, job))
        return True

    def cancel_all(self) -> None:
        """Everything that is unfinished when it takes effect, and nothing that comes later."""
        for lane in self.lanes:
            for job in tuple(lane.waiting):
                self.cancel(job)
        self._touch(self._cancel_unfinished)

    def _cancel_unfinished(self) -> None:
        for job in self.unfinished():
            if not job._asked:  # else it cleans up already
                job._asked = True
                self.cancel(job)

    def stop(self) -> None:
        """Cancels everything; what is spawned until `go_on` never starts."""
        self._stopping += 1
        self.cancel_all()

    def go_on(self) -> None:
        self._stopping = max(0, self._stopping - 1)

    def _touch(self, action: Callable[[], object]) -> None:
        """Has `action` called where nothing runs beside it: on the loop, or while it stands still.

        A cancellation must not wait for the loop to start: a task whose time has come would run
        before it, and spawn another one that nobody cancels.
        """
        loop = self.loop
        if loop is None or loop.is_here():
            action()
        elif loop.hold():
            try:
                action()
            finally:
                loop.let_go()
        else:
            self.post(action)

    # On the loop.

    def pump(self) -> None:
        """Starts as many as there are slots for, a slice at a time."""
        self._due = False
        if self.loop is None or not (self.loop.admits and self.loop.is_here()):
            return  # it will be called again when the loop is ready for it
        for _ in range(len(self._inbox)):  # some post themselves again
            self._inbox.popleft()()
        if self._inbox:
            self.wake()
        for lane in self.lanes:
            most = SLICE
            while lane.waiting and most > 0:
                claimed = self._claim(lane, most)
                most -= len(claimed) or SLICE
                while claimed:
                    self._start(claimed.pop())
            if lane.waiting and lane.free(1) > 0:
                self.wake()
        self._tell()

    def _claim(self, lane: Lane, most: int) -> list[Job]:
        claimed: list[Job] = []
        with self._lock:
            free, waiting = lane.free(most), lane.waiting
            while waiting and len(claimed) < free:
                job = waiting.popleft()
                if job._state is WAITING:
                    job._state = RUNNING
                    claimed.append(job)
                else:
                    lane.dead -= 1
            lane.held += len(claimed)
            self.running.update(claimed)
        claimed.reverse()
        return claimed

    def _start_parked(self, job: Job) -> None:
        if job._state is WAITING:
            job._state = RUNNING
            self.parking.held += 1
            self._start(job)

    def _start(self, job: Job) -> None:
        if job._state is not RUNNING:
            return  # cancelled by one that started just before
        if type(job._work) is _work.Call:
            if self._threads is None:
                self._threads = Threads()
            job._work = call(self._threads, job._work)
        context, job._context = job._context, None
        assert self.loop is not None and context is not None
        try:
            runner = _eventloop.start(self._run(job), self.loop.event_loop, context)
        except BaseException:  # a second Ctrl-C, just now
            if job._state is RUNNING:
                job._state = CANCELLED
                self._ended(job)
            raise
        if job._state is RUNNING:
            job._runner = runner
        del job, runner, context  # the frames of a failure lead to this one

    async def _run(self, job: Job) -> None:
        """All bookkeeping of a job is here: what asyncio runs is this."""
        work, job._work = job._work, None
        interrupt: BaseException | None = None
        try:
            if _eventloop.LAZY:
                await _eventloop.started()
            current.set(job)
            result = await work
        except asyncio.CancelledError:
            _work.close(work)
            job._state = CANCELLED
        except BaseException as error:
            if self.loop is None or not self.loop.is_here():
                self._lost(job)  # given up, or closed by the collector
                return
            job.fail(error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                interrupt = error
            else:
                self._failed(job)
        else:
            job._outcome = result
            job._state = DONE
        self._ended(job)
        if interrupt is not None and self.loop is not None:
            self.loop.interrupt(interrupt)
        del self, job, work, interrupt  # the frames of a failure lead here: a cycle

    def _lost(self, job: Job) -> None:
        """Ended from outside of the loop; nothing can be run any more."""
        job._runner = None
        if job._state is RUNNING:
            job._state = CANCELLED
        self.running.discard(job)

    def _failed(self, job: Job) -> None:
        if job._order is not self.order:  # of a map: it is raised there, and ends that call only
            self.failures.add(job)
        elif self.failures.arrive(job):
            self.cancel_all()
            if self.on_failing is not None:
                self.on_failing()

    def _ended(self, job: Job) -> None:
        job._runner = None
        self.running.discard(job)
        self.failures.ended += 1
        lane, lease = job._lane, job._lease
        if lease is None or not lease.lent:
            if lane.returning:
                lane.release()
            else:
                lane.held -= 1
        if job._watchers:
            job.tell()
        self._hand_out(job)
        if lane.waiting:
            if not self._due:
                self.wake()  # pump() tells as well
        elif self._watchers and not self.running:
            self._tell()

    def _hand_out(self, job: Job) -> None:
        if job._order is not None:
            job._order.end(job)
        elif self.listeners and job._lane is not self.parking:
            for order in tuple(self.listeners):
                order.end(job)

    def _tell(self) -> None:
        if self._watchers and self.is_idle():
            self.tell()

    def _ended_unstarted(self, job: Job) -> None:
        job.tell()
        self._hand_out(job)

    def _cancel_running(self, job: Job) -> None:
        if job._runner is not None:
            job._runner.cancel()
        elif job._context is not None:  # about to start
            job._state = CANCELLED
            _work.close(job._work)
            job._work = job._context = None
            self._ended(job)
        elif job._state is RUNNING:  # in its first step
            self.post(partial(self._cancel_running, job))

    # Ending.

    def shut(self, *, wait: bool = True) -> None:
        """After the last job: ends the worker threads and what was left in the inbox."""
        while self._inbox:
            self._inbox.popleft()()
        if self.order is not None:
            self.order.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=wait)
            self._threads = None

    def abandon(self) -> None:
        """Gives up on everything unfinished, where it stands."""
        for job in self.unfinished() + self.parked:
            runner, job._runner = job._runner, None
            if job._state is not RUNNING:
                self.cancel(job)
                continue
            job._state = CANCELLED
            if runner is not None:
                _eventloop.forget(runner)
            job.tell()
        self.running.clear()
        self.parked.clear()
        for lane in self.lanes:
            lane.waiting.clear()
            lane.returning.clear()
            lane.held = lane.dead = 0
        self.shut(wait=False)
        self._tell()

    def forked(self) -> None:
        super().forked()
        self._threads = None


_all: "weakref.WeakSet[Scheduler]" = weakref.WeakSet()
