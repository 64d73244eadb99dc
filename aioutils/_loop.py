"""A loop to wait on: until what is waited for has come, or something else ends the wait.

That is a timeout, what a signal handler raises, or an exit that a task raises: then every task is
cancelled and cleans up first. A second signal gives up whatever has not come to its end.
"""

from __future__ import annotations

import asyncio
import threading

from . import _eventloop
from ._election import Election
from ._graph import way
from ._helper import Helper, NoHelper
from ._job import Job
from ._owner import winding_down
from ._signals import Signals, held
from ._threads import are_there_others
from ._waiting import AllOf, Passes, Wait, Waitable, now
from ._warnings import warn_blocked, warn_dropped
from .errors import DeadlockError

_LOOK = 0.1  # seconds, after which a finalizer asks whether anything can still happen
_BELIEF = 10.0  # seconds, for which it waits where it gets no answer
_PATIENCE = 1.0  # seconds, with a helper whose loop may be blocked for ever


class Loop(Election):
    """One event loop, the threads that wait on it, and the schedulers whose work it runs."""

    def is_stuck(self, since: float) -> bool:
        """True if nothing can ever happen on it: no handle, timer, descriptor, function in a
        thread. It is believed for a while after `since` if it does not tell, or if there are
        threads of others: such a one may call back."""
        if self._event_loop is None:  # pragma: no cover: another thread ended it, just now
            return True
        if any(scheduler.is_calling() for scheduler in self.schedulers):
            return False
        stuck = _eventloop.is_stuck(self._event_loop)
        if stuck is None or (stuck and are_there_others()):
            return now() > since + _BELIEF
        return stuck

    def stands_still_here(self) -> bool:
        """True of a host's loop that only the calling thread would run."""
        return not (self.private or self.runs_now() or self.is_over()) and self.is_of_this_thread()

    def is_of_this_thread(self) -> bool:
        """True if nobody else ever drove it, or this thread was the last to."""
        return self.thread is None or self.thread == threading.get_ident()

    def wait(
        self,
        target: Waitable,
        timeout: float | None = None,
        *,
        job: Job | None = None,
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
        if self.private and asyncio._get_running_loop() is not None:
            if not isinstance(target, Passes):
                warn_blocked()  # first: it may be an error, for which nobody is to be cancelled
        wait = Wait(self, target)
        del target  # the frames of a failure lead to this one
        signals = Signals(wait.wake)
        interrupt: BaseException | None = None
        begun = False
        wait.begin()
        try:
            with signals:
                signals.take_over()
                _ = self.event_loop
                begun, deadline = True, None if timeout is None else now() + timeout
                reached = self._wait(wait, deadline, signals)
            if wait.helper is not None:
                wait.helper.check()  # an interrupt may have come with what was waited for
        except NoHelper:
            raise
        except BaseException as error:
            if not begun:  # it can't be made, and nothing could run on it
                raise
            interrupt = error
        finally:
            wait.end()
            self.rest()
            if interrupt is None and last and self.is_left():
                self.release()  # the last one left while we drove
        if interrupt is None:
            del job  # as `target`
            return reached
        # Not while the interrupt is handled, or failures in cleaning up would have it as context.
        if self._clean_up(interrupt, job, wait.helper) and wait.helper is not None:
            wait.helper.join()
        self.rest()
        if self.is_left():
            self.release()
        try:
            raise interrupt
        finally:
            del interrupt, job

    def run_once(self, job: Job | None) -> None:
        """Does what can be done without waiting for anything; nothing if another one drives."""
        if asyncio._get_running_loop() is not None:
            if self.private and not self.runs_now():
                self.wait(Passes(self), job=job)  # which has a helper do it
            return
        wait = Wait(self, None)
        signals = Signals(wait.wake)
        try:
            with signals:
                try:
                    if self.private and self._elect(wait):
                        wait.target = Passes(self)
                        wait.begin()
                        self._drive(wait, None, signals)
                finally:
                    self._resign(wait)  # while no signal can interrupt that
        except BaseException as error:
            self._clean_up(error, job)
            raise
        finally:
            self.rest()
            if self.is_left():  # another thread closed the tool meanwhile
                self.release()

    def settle(self, timeout: float | None = None) -> bool:
        """Drives until the orphans of this moment are closed; False if nothing can end them any
        more, or `timeout` seconds passed first."""
        gone, begun = AllOf(tuple(self.orphans.values())), now()
        with Signals():  # between the waits nothing may be interrupted: the next one is
            while True:
                left = _LOOK if timeout is None else min(_LOOK, begun + timeout - now())
                if self.wait(gone, max(0.0, left), last=False):
                    return True
                if left <= 0 or self.is_stuck(begun):
                    return False

    def close_orphans(self) -> None:
        stuck: list[str] = []
        try:
            while self.orphans:  # their tasks may drop others
                if not self.settle():
                    stuck += map(repr, self.orphans)
                    break
        finally:
            for orphan in self.take_orphans():  # Ctrl-C, or nothing can end them
                orphan.abandon()
        for who in stuck:
            warn_dropped(who)

    def _clean_up(
        self, interrupt: BaseException, job: Job | None, helper: Helper | None = None
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
                wait = Wait(self, ended, helper)
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
                helper.end()
                helper.join(_PATIENCE)  # or it would run what is closed now
        finally:
            with held():  # or somebody would wait for what was ended, but never told so
                self._give_up()
        return False

    def _give_up(self) -> None:
        schedulers = tuple(self.schedulers)  # those that came during the clean-up too
        jobs = [job for scheduler in schedulers for job in scheduler.unfinished()]
        self._drop_event_loop()
        self.take_orphans()
        try:
            for job in [job for job in jobs if job.reached()]:  # they ended with the loop
                job.tell()
        finally:
            for scheduler in schedulers:
                scheduler.abandon()
