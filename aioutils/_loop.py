"""Who drives a loop, and for how long.

`Loop` owns one event loop and the right to run it. Any thread may call `wait()` at any time.
Of the threads that wait on one loop, one drives; the others sleep until the driver tells them
that what they wait for has come, or until it leaves and one of them takes over:

- `_driver` and `_waiting` change under `_lock`, which nobody holds while running or sleeping;
- whoever is elected looks once more at what it waits for before it runs the loop: from then on
  that can change in its own thread only, where `notify()` stops the loop;
- whoever leaves, in whatever way, wakes the first sleeper if nobody drives; a sleeper that no
  longer needs to wait does the same when it leaves, so that somebody always takes over.

A loop that is run by others (`Loop(running)`) has no driver of ours: all sleep.
"""

import asyncio
import threading
from collections.abc import Iterable
from time import monotonic

from . import _eventloop
from ._driven import Driven
from ._eventloop import LoopFactory
from ._owner import Worker, winding_down
from ._signals import Signals, held
from ._waiting import AllOf, Helper, Hold, Passes, Wait, Waitable, way
from ._warnings import warn_blocked, warn_dropped
from .errors import DeadlockError

_LOOK = 0.1  # seconds, after which a finalizer asks whether anything can still happen
_BELIEF = 10.0  # seconds, for which it waits where it gets no answer
_PATIENCE = 1.0  # seconds, with a helper whose loop may be blocked for ever


class Loop(Driven):
    """One event loop, the threads that wait on it, and the schedulers whose work it runs."""

    def __init__(
        self,
        running: asyncio.AbstractEventLoop | None = None,
        factory: LoopFactory | None = None,
    ) -> None:
        super().__init__(running, factory)
        self._driver: Wait | None = None
        self._drivers_thread = 0
        self._waiting: list[Wait] = []
        self.blocked_on: Waitable | None = None  # what its thread waits for, on another loop

    def is_taken_here(self) -> bool:
        """True if the calling thread drives it; a signal handler, or a finalizer, may find it
        about to run, or just stopped, and would wait for ever for its own thread to go on."""
        return self._driver is not None and self._drivers_thread == threading.get_ident()

    def runs_now(self) -> bool:
        """True if somebody runs it, in whatever thread."""
        if self.private:
            return self._driver is not None
        return self._event_loop is not None and self._event_loop.is_running()

    def is_driven(self) -> bool:
        if self.private:
            return self._driver is not None and not isinstance(self._driver, Hold)
        return self.runs_now()

    def is_stuck(self, since: float) -> bool:
        """True if nothing can ever happen on it: no handle, timer, descriptor, function in a
        thread. A loop that does not tell is believed for a while after `since`."""
        if self._event_loop is None:  # pragma: no cover: another thread ended it, just now
            return True
        if any(scheduler.is_calling() for scheduler in self.schedulers):
            return False
        stuck = _eventloop.is_stuck(self._event_loop)
        return monotonic() > since + _BELIEF if stuck is None else stuck

    def is_over(self) -> bool:
        """True of a host's loop that was closed."""
        return not self.private and self.event_loop.is_closed()

    def is_of_this_thread(self) -> bool:
        """True if nobody else ever drove it, or this thread was the last to."""
        return self.thread is None or self.thread == threading.get_ident()

    def hold(self, hold: Hold) -> bool:
        """Keeps everybody from driving until `let_go`; False if somebody runs it already."""
        with self._lock:
            if self.private and self._driver is None:
                self._take(hold)
            return isinstance(self._driver, Hold) and self.is_taken_here()

    def let_go(self, hold: Hold) -> None:
        self._resign(hold)
        if not self.schedulers:
            self.release()  # the last one left meanwhile

    def _take(self, wait: Wait) -> None:
        self._drivers_thread = threading.get_ident()  # first, for those who look without a lock
        self._driver = wait

    # Waiting. From any thread.

    def wait(
        self,
        target: Waitable,
        timeout: float | None = None,
        *,
        job: Waitable | None = None,
        last: bool = True,
    ) -> bool:
        """Blocks until `target` is reached, then True, or until `timeout` seconds passed.

        Raises what a signal handler of the user's raises, and KeyboardInterrupt or SystemExit
        of a task, after every task was cancelled and has cleaned up. `job`: the one that calls
        it, if any. Not the `last`: whoever calls it sees to the loop's end himself.
        """
        if self.is_here() or self.is_taken_here():
            # Of a signal handler: whoever else waits here was refused before.
            raise DeadlockError(  # pragma: no cover
                "a blocking call on the loop that is to do the work"
            )
        deadline = None if timeout is None else monotonic() + max(0.0, timeout)
        wait = Wait(self, target)
        del target  # the frames of a failure lead to this one
        signals = Signals(wait.wake)
        interrupt: BaseException | None = None
        wait.begin()
        try:
            with signals:
                signals.take_over()
                reached = self._wait(wait, deadline, signals)
            if wait.helper is not None:
                wait.helper.join()
                wait.helper.check()  # an interrupt may have come with what was waited for
        except BaseException as error:
            interrupt = error
        finally:
            wait.end()
            if interrupt is None and last and self.is_left():
                self.release()  # the last one left while we drove
        if interrupt is None:
            return reached
        # Not while the interrupt is handled, or failures in cleaning up would have it as context.
        if self._clean_up(interrupt, job, wait.helper) and wait.helper is not None:
            wait.helper.join()
        if self.is_left():
            self.release()
        try:
            raise interrupt
        finally:
            del interrupt

    def run_once(self, job: Waitable | None) -> None:
        """Does what can be done without waiting for anything; nothing if another one drives."""
        wait = Wait(self, None)
        signals = Signals(wait.wake)
        try:
            with signals:
                try:
                    if self.private and asyncio._get_running_loop() is None and self._elect(wait):
                        wait.target = Passes(self.event_loop)  # it stops the loop it passes over
                        self._drive(wait, None, signals)
                finally:
                    self._resign(wait)  # while no signal can interrupt that
        except BaseException as error:
            self._clean_up(error, job)
            raise
        finally:
            if self.is_left():  # another thread closed the tool meanwhile
                self.release()

    def _wait(self, wait: Wait, deadline: float | None, signals: Signals) -> bool:
        may_drive = self.private and asyncio._get_running_loop() is None
        try:
            while True:
                signals.deliver()
                if wait.is_over():
                    return True
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    return False
                if may_drive and self._elect(wait):
                    self._drive(wait, deadline, signals)
                    self._resign(wait)
                    continue
                if not may_drive:
                    wait.open_mailbox()
                    if self.private and wait.helper is None:
                        warn_blocked()
                        wait.helper = Helper(self, wait)
                        wait.helper.start()
                    if wait.helper is not None:
                        wait.helper.check()
                if not (wait.is_over() or signals.noted):
                    wait.sleep(left, signals.active)
        finally:
            self._resign(wait)
            if wait.helper is not None:
                wait.helper.end()

    def _elect(self, wait: Wait) -> bool:
        with self._lock:
            if self._driver is None:
                self._take(wait)
                return True
            wait.open_mailbox()
            if wait not in self._waiting:
                self._waiting.append(wait)
            return False

    def _resign(self, wait: Wait) -> None:
        with self._lock:
            if wait in self._waiting:
                self._waiting.remove(wait)
            if self._driver is wait:
                self._driver = None
            if self._driver is None and self._waiting:
                self._waiting[0].notify()

    # Ending.

    def close_orphans(self) -> None:
        gone, begun = AllOf(tuple(self.orphans.values())), monotonic()
        stuck: list[str] = []
        try:
            while not self.wait(gone, _LOOK, last=False):
                if self.is_stuck(begun):
                    stuck += map(repr, self.orphans)
                    break
        finally:
            for orphan in self.take_orphans():  # Ctrl-C, or nothing can end them
                orphan.abandon()
        for who in stuck:
            warn_dropped(who)

    def _clean_up(
        self, interrupt: BaseException, job: Waitable | None, helper: Helper | None = None
    ) -> bool:
        """Cancels every task and waits for its end; True, or False if a second signal came in
        that: then everything is given up. `helper`: who drove until now, and may not know yet."""
        schedulers, helpers = tuple(self.schedulers), [helper]
        if job is not None and way(AllOf(schedulers), job) is not None:
            # It would wait for itself. The interrupt becomes its failure, and goes on from there.
            for scheduler in schedulers:
                scheduler.cancel_all()
            return True
        try:
            self._heeded = interrupt
            del interrupt  # the frames of a cancellation that is kept lead to this one
            for ended in winding_down(schedulers):
                wait = Wait(self, ended)
                wait.begin()
                try:
                    with Signals(wait.wake, patient=False) as signals:
                        signals.take_over()
                        self._wait(wait, None, signals)
                finally:
                    helpers.append(wait.helper)
                    wait.end()
                if wait.helper is not None:
                    wait.helper.join()
            return True
        except BaseException:  # the first is the one that is raised
            pass
        finally:
            self._heeded = None
            for scheduler in schedulers:
                scheduler.go_on()
        try:
            for helper in filter(None, helpers):
                helper.join(_PATIENCE)  # or it would run what is closed now
        finally:
            with held():  # or somebody would wait for what was ended, but never told so
                self._give_up(schedulers)
        return False

    def _give_up(self, schedulers: Iterable[Worker]) -> None:
        jobs = [job for scheduler in schedulers for job in scheduler.unfinished()]
        self._drop_event_loop()
        self.take_orphans()
        try:
            for job in [job for job in jobs if job.reached()]:  # they ended with the loop
                job.tell()
        finally:
            for scheduler in schedulers:
                scheduler.abandon()
