"""The scheduler of a tool: what can be asked of it, in which thread, and how its work is given up.

It knows no threads and starts no loop. Who may call what:

- from any thread, at any time: `submit`, `post`, `cancel`, `cancel_all`, and looking;
- on the loop, or where nobody runs it and nobody can: everything else.
"""

import contextlib
import os
import weakref
from collections.abc import Callable
from functools import partial

from . import _work
from ._admission import Admission
from ._job import CANCELLED, RUNNING, WAITING, Job, at_once
from ._lease import current
from ._options import Options
from ._order import Order
from ._roster import End
from ._runner import forget
from ._signals import held
from ._waiting import Hold
from .errors import ClosedError


class Scheduler(Admission):
    __slots__ = ("_asked", "_stopping", "forsaken", "origins")

    def __init__(self, options: Options, within: "Scheduler | None", order: Order | None) -> None:
        super().__init__(options, order)
        # Where jobs were spawned, if somebody wants to know.
        self.origins: weakref.WeakKeyDictionary[Job, str] | None = None
        if options.on_exit == "refuse":
            self.origins = weakref.WeakKeyDictionary()
        self.forsaken: frozenset[int] = frozenset()  # ids of jobs that the tool went away before
        self._stopping = 0
        self._asked: weakref.WeakSet[Job] | None = None  # to end
        _all.add(self)
        if within is not None:
            self.join_family(within)

    # From any thread.

    def submit(self, job: Job) -> None:
        failures = self.failures
        if failures.failing and not failures and self.is_idle():
            failures.failing = False
        if job._order is not None:
            job._order.spawn(job)
        job._lane.waiting.append(job)
        if not self._due:
            self.wake()
        if failures.failing or self._stopping or self.closed:
            self.cancel(job)
            if at_once.calling:  # whose task may have come the same way: it would never end
                raise ClosedError(
                    f"{self!r} is ending and starts nothing any more: a done-callback that "
                    "spawns with itself again asks task.cancelled() first"
                )

    def park(self, job: Job) -> None:
        """Starts a job that takes no slot and is no task: it enters, stays, and leaves."""
        self.parked.append(job)
        self.post(partial(self._start_parked, job))
        if self.closed:  # by another thread, just now
            self.cancel(job)

    def unpark(self, job: Job) -> None:
        with contextlib.suppress(ValueError):  # another thread closes, and has cleared them
            self.parked.remove(job)

    def post(self, action: Callable[[], object]) -> None:
        """Has `action` called on the loop."""
        self._inbox.append(action)
        if not self._due:
            self.wake()

    def cancel(self, job: Job) -> bool:
        with held():
            with self._lock:
                if job.reached():
                    return False
                waited = job._state is WAITING
                if waited:
                    job._state = CANCELLED  # but it counts until those who wait for it were told
            if waited:
                _work.close(job._work)
                job._work = job._context = None
            if waited:
                self._touch(End(self._ended_unstarted, job))
            else:
                self._touch(partial(self._cancel_running, job))
            return True

    def cancel_all(self) -> None:
        """Everything that is unfinished, and what that spawns until it takes effect."""
        with held():
            for lane in self.lanes:
                for job in tuple(lane.waiting):
                    self.cancel(job)
            self._touch(self._cancel_unfinished)

    def _cancel_unfinished(self) -> None:
        for job in self.unfinished():
            if job._state is RUNNING or self._is_spawner_of(job):
                self.ask(job)

    def _is_spawner_of(self, job: Job) -> bool:
        """True of a job in the line that a task of this tool spawned."""
        spawner = None if job._context is None else job._context.get(current)
        return spawner is not None and spawner._lane.scheduler is self

    def ask(self, job: Job) -> None:
        """Cancels it, unless it was asked to end before: then it cleans up already."""
        if self._asked is None:
            self._asked = weakref.WeakSet()
        if job not in self._asked:
            self._asked.add(job)
            self.cancel(job)

    def was_asked(self, job: Job | None) -> bool:
        return self._asked is not None and job in self._asked

    def hasten(self) -> None:
        """From now on nothing waits until results are handed out: whoever did that only waits for
        the end."""
        with self._lock:
            self._hasty += 1
        if not self.is_idle():
            self.post(self.tell)  # the gate is open now

    def linger(self) -> None:
        """The opposite, of each `hasten`."""
        with self._lock:
            self._hasty = max(0, self._hasty - 1)

    def stop(self) -> None:
        """Cancels everything; what is spawned until `go_on` never starts."""
        self._stopping += 1
        self.cancel_all()

    def go_on(self) -> None:
        self._stopping = max(0, self._stopping - 1)
        self.linger()

    def _touch(self, action: Callable[[], object]) -> None:
        """Has `action` called where nothing runs beside it: on the loop, or while it stands still.

        A cancellation must not wait for the loop to start: a task whose time has come would run
        before it, and spawn another one that nobody cancels.
        """
        loop = self.loop
        if loop is None or loop.is_here():
            action()
        else:
            hold = Hold(loop, None)
            try:
                held = loop.hold(hold)
                if held:
                    action()
            finally:
                loop.let_go(hold)
            if not held:
                self.post(action)

    # On the loop.

    def _ended_unstarted(self, job: Job) -> None:
        try:
            self._hand_out(job)
            job.tell()
        finally:
            with self._lock:
                job._lane.dead += 1
            self._tell()

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

    def is_calling(self) -> bool:
        return self._threads is not None and self._threads.calls > 0

    def shut(self, *, wait: bool = True) -> None:
        """After the last job: ends the worker threads and what was left in the inbox."""
        while self._inbox:
            self._inbox.popleft()()
        if self.order is not None:
            self.order.reset()
        if self._threads is not None:
            self._threads.shutdown(wait=wait)
            self._threads = None

    def abandon(self) -> None:
        """Gives up on everything unfinished, where it stands."""
        self._stopping += 1  # what callbacks spawn never starts
        try:
            self._forget_unfinished()
            self.shut(wait=False)
        finally:
            self._stopping -= 1
        for lane in self.lanes:
            while lane.waiting:
                self.cancel(lane.waiting.popleft())  # if another thread spawned it just now
                with self._lock:
                    lane.dead -= 1
            lane.returning.clear()
            lane.held = 0
        self._tell()

    def _forget_unfinished(self) -> None:
        for job in self.unfinished() + self.parked:
            runner, job._runner = job._runner, None
            if job._state is not RUNNING:
                self.cancel(job)
                continue
            job._state = CANCELLED
            if runner is not None:
                forget(runner)
            job.tell()
        self.running.clear()
        self.parked.clear()

    def forked(self, here: bool) -> None:
        super().forked(here)
        self._stopping = 0
        self._family.forked()
        if self.order is not None:
            self.order.forked(self.left())
        self.listeners[:] = [each for each in self.listeners if each.forked(self.left())]
        if self._threads is not None:
            self._threads.forked()
            self._threads = None


_all: "weakref.WeakSet[Scheduler]" = weakref.WeakSet()


def _after_fork() -> None:
    """After their loops, if they have any."""
    for scheduler in tuple(_all):
        loop = scheduler.loop
        scheduler.forked(loop is not None and loop.was_left_here())


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
