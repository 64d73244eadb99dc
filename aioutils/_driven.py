"""What a loop does while it runs, and how work comes into it.

`_drive` is called by the one whom `Loop` elected, in one thread at a time; `wake` by any thread,
in any state; what is called from the event loop is on it. Each run begins with a call of `_pump`,
for which everybody counts as due; what is left over from an earlier run does nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from functools import partial

from ._clock import Standing
from ._eventloop import LoopFactory
from ._owner import Owner
from ._signals import Signals
from ._waiting import Wait, now


def _raise(error: BaseException) -> None:
    raise error


class Driven(Owner):
    """An event loop that runs now and then, and the schedulers that it has pump."""

    def __init__(
        self,
        running: asyncio.AbstractEventLoop | None = None,
        factory: LoopFactory | None = None,
    ) -> None:
        super().__init__(running, factory)
        self.admits: bool = not self.private  # False until a pass over I/O was made
        self._running: bool = not self.private
        self._run: int = 0  # how many there were
        self._pumps: bool = False  # the next call of _pump() is on its way
        # Of our own callbacks: that of a task would keep the task alive until they ran.
        self._context: contextvars.Context = contextvars.Context()
        self._raised: BaseException | None = None
        self._heeded: BaseException | None = None  # for which everything cleans up just now
        self._left: bool = False  # by a fork: the child is still inside of what the parent runs

    def is_here(self) -> bool:
        """True if this loop runs in the calling thread, now."""
        if not self.private:
            return asyncio._get_running_loop() is self._event_loop
        return self._running and self.thread == threading.get_ident()

    def was_left_here(self) -> bool:
        """True in the child of a fork, in the task that forked, until that pauses or ends."""
        return self._left

    def _forked(self, here: bool) -> None:
        super()._forked(here)
        self._left = here

    # Work comes in. From any thread, in any state.

    def wake(self) -> None:
        """Has those pump that are due, soon; a loop that stands still does so when it starts.

        Whoever is due says so before he comes here, and `_pump` takes back that it is on its way
        before it asks who is: nobody is missed, though two calls may be on their way.
        """
        if not self._running or self._pumps:
            return
        if self.is_here():
            self.event_loop.call_soon(self._pump, self._run, context=self._context)
            self._pumps = True
            return
        with self._lock:
            # Not: it came to a stop just now.
            if self._running and self._event_loop is not None:  # pragma: no branch
                try:
                    self._pumps = True
                    self._event_loop.call_soon_threadsafe(
                        self._pump, self._run, context=self._context
                    )
                except RuntimeError:
                    pass  # a host's loop that was closed: nothing runs there any more
                except BaseException:  # a signal: nothing may be on its way
                    self._pumps = False
                    raise

    def _pump(self, run: int) -> None:
        if run != self._run:
            return  # left over from an earlier one; a run has its own as it begins
        self._pumps = False
        try:
            for scheduler in tuple(self.schedulers):
                if scheduler._due:
                    scheduler.pump()
        except BaseException:  # a signal: those that come after it are still due
            self.wake()
            raise

    def interrupt(self, error: BaseException) -> None:
        """Makes whoever drives raise `error`, once every task was cancelled. On the loop."""
        if error is self._heeded:
            pass  # of one task, through a function that waits for it: that is no second one
        elif self.private:
            if self._raised is None:  # the first of two in one pass, or two: uvloop makes one more
                self._raised = error
            if not self._left:
                self.stop()
        else:
            self.event_loop.call_soon(_raise, error)  # the host knows what it does with it

    def stop(self) -> None:
        """On the loop. Not in the context of a task that ends: where two do so at once, uvloop
        keeps what stops it a second time, and all that its context leads to."""
        contextvars.Context().run(self.event_loop.stop)

    def _drive(self, wait: Wait, deadline: float | None, signals: Signals) -> bool:
        """Until the wait is over, then True, or something else is to be done first."""
        loop = self.event_loop
        assert isinstance(loop, Standing)
        timer: asyncio.TimerHandle | None = None
        first = self._enter_thread()
        for scheduler in tuple(self.schedulers):
            scheduler.wake()  # all are due then
        self._run += 1
        self._pumps = self._running = True
        if first:
            self.admits = True
            loop.call_soon(self._pump, self._run, context=self._context)
        else:
            # A loop that stood still reads what came meanwhile before it begins anything new: a
            # connection that the peer closed must not be used again.
            self.admits = False
            loop.look_first(self._admit, partial(self._pump, self._run), self._context)
        descriptor = loop.wakeup_fd()
        wakes = descriptor >= 0 and signals.wakes_through(descriptor)
        try:
            while not (wait.is_over() or signals.noted):
                if deadline is not None:
                    if timer is not None:
                        timer.cancel()  # it may have been a little early
                    left = max(0.0, deadline - now())
                    timer = loop.call_later(left, loop.stop, context=self._context)
                loop.run_forever()
                more = self._raised is None and not self._left and loop.has_ready(self._pumps)
                if more and wait.is_over() and self.is_idle():
                    loop.run_once()  # with more under way, the next wait does it
                if self._raised is not None:
                    raise self._raised
                if self._left or (deadline is not None and now() >= deadline):
                    return False
            return not signals.noted
        finally:
            self._raised = None  # also if what a callback raised came before it
            if self._left:
                self._left = wakes = False
                signals.__enter__()  # in the child the handlers are the user's again
            else:
                self._running = False
            if wakes:
                signals.wakes_through(-1)
            loop.go_on()
            if timer is not None:
                timer.cancel()

    def _admit(self) -> None:
        self.admits = True
