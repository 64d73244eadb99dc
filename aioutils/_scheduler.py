"""The scheduler of a tool: what can be asked of it, in which thread, and how its work is given up.

It knows no threads and starts no loop. Who may call what:

- from any thread, at any time: `submit`, `post`, `cancel`, `cancel_all`, and looking;
- on the loop, or where nobody runs it and nobody can: everything else.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from functools import partial
from threading import get_ident

from ._cancelling import Cancelling
from ._job import CANCELLED, RUNNING, WAITING, Job, at_once
from ._options import Options
from ._order import Order
from ._runner import forget
from ._warnings import users_line
from .errors import ClosedError


class Scheduler(Cancelling):
    __slots__ = ("_stopping", "dropped", "origins", "thread")

    def __init__(self, options: Options, within: Scheduler | None, order: Order | None) -> None:
        super().__init__(options, order)
        # Where jobs were spawned, if somebody wants to know.
        self.origins: weakref.WeakKeyDictionary[Job, str] | None = None
        if options.on_exit == "refuse":
            self.origins = weakref.WeakKeyDictionary()
        self.thread: int = get_ident()  # that made it
        self.dropped: bool = False  # by whoever held the tool, and did not close it
        self._stopping = 0
        _all.add(self)
        if within is not None:
            self.join_family(within)

    # From any thread.

    def submit(self, job: Job) -> None:
        if self.origins is not None:
            self.origins[job] = users_line()
        failures = self.failures
        if failures.failing and not failures and self.is_idle():
            failures.failing = False
        if job._order is not None:
            job._order.spawn(job)
        job._lane.waiting.append(job)
        if not self._due:
            self.wake()
        if failures.failing or self._stopping or self.closed:
            self.cancel_late(job)
            if at_once.calling:  # whose task may have come the same way: it would never end
                raise ClosedError(
                    f"{self!r} is ending and starts nothing any more: a done-callback that "
                    "spawns with itself again asks task.cancelled() first"
                )

    def park(self, job: Job) -> None:
        """Starts a job that takes no slot and is no task: it enters, stays, and leaves."""
        self.parked.append(job)
        job.watch(partial(self._unpark, job))
        self.post(partial(self._start_parked, job))
        if self.closed:  # by another thread, just now
            self.cancel(job)

    def _unpark(self, job: Job) -> None:
        with contextlib.suppress(ValueError):  # another thread closes, and has cleared them
            self.parked.remove(job)

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
            while lane.returning:  # whose jobs have ended: they need no slot any more
                lane.returning.popleft().tell()
            lane.held = lane.dead = 0
        self._tell()

    def _forget_unfinished(self) -> None:
        for job in self.unfinished() + self.parked:
            runner, job._runner = job._runner, None
            if job._state is WAITING:
                self.cancel(job)
                continue
            if job._state is RUNNING:
                job._state = CANCELLED
                if runner is not None:
                    forget(runner)
            job.tell()  # what was parked may have ended with the loop
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


_all: weakref.WeakSet[Scheduler] = weakref.WeakSet()


def _after_fork() -> None:
    """After their loops, if they have any."""
    for scheduler in tuple(_all):
        loop = scheduler.loop
        scheduler.forked(loop is not None and loop.was_left_here())


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
