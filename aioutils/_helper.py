"""Who drives for a blocking call inside another running loop: a notebook's cell, say."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ._signals import Signals, held
from ._waiting import Wait, Waitable

if TYPE_CHECKING:
    from ._election import Election


class NoHelper(RuntimeError):
    """It could not begin; nothing was touched."""


class Seat:
    """A thread that drives for one helper after the other: what can't leave its thread, as the
    greenlets of SQLAlchemy, goes on from wait to wait.

    Either a helper has it or, between two waits, the loop, or nobody; then it ends.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread: threading.Thread = threading.Thread(
            target=_serve, args=(self._calls,), daemon=True
        )
        self.thread.name = "aioutils helper"

    def call(self, function: Callable[[], None]) -> None:
        self._calls.put(function)
        if self.thread.ident is None:
            self.thread.start()

    def end(self) -> None:
        """After what it runs."""
        self._calls.put(None)

    def __del__(self) -> None:
        if hasattr(self, "_calls"):  # pragma: no branch: else a signal came as it was made
            self.end()


def _serve(calls: SimpleQueue[Callable[[], None] | None]) -> None:
    while (call := calls.get()) is not None:
        call()
        del call


class Helper(Waitable):
    """Drives for one whose own thread runs another loop, in its context, but in another thread."""

    def __init__(self, loop: Election, caller: Wait) -> None:
        self._error: BaseException | None = None
        self._loop, self._target, self._caller = loop, caller.target, caller
        self._wait = Wait(loop, self)
        self._over = False
        self._pid = os.getpid()
        self._seat: Seat | None = None
        self._thread: threading.Thread | None = None  # unless that stays, and waits for the next
        self._left = threading.Lock()  # locked until it has
        self._left.acquire()
        self._has_left = False
        self._to_begin = [True]  # popped by whoever is first: the thread, or `end`
        caller.open_mailbox()

    def start(self) -> None:
        call = partial(contextvars.copy_context().run, self._run)
        with held():  # not in the midst of it: it must be known to run, to be ended
            self._seat = seat = self._loop.take_seat() or Seat()
            self._thread = seat.thread
            try:
                seat.call(call)
            except RuntimeError as error:  # there are too many
                self._caller.helper = None
                raise NoHelper(f"{error}, to drive for code that blocks a running loop") from None

    def _begins(self) -> bool:
        try:
            return self._to_begin.pop()
        except IndexError:
            return False

    def _run(self) -> None:
        target, self._wait.thread = self._target, threading.get_ident()
        if target is None or not self._begins():
            return
        target.watch(self._wait.notify)
        try:
            with Signals(self._wait.wake) as nothing:  # not the main thread: no signals here
                self._loop._wait(self._wait, None, nothing)
        except BaseException as error:
            self._error = error
        finally:
            target.unwatch(self._wait.notify)
            self._leave_seat()
            self._target = None
            self._has_left = True
            self._left.release()
            self._caller.wake()

    def _leave_seat(self) -> None:
        seat, self._seat = self._seat, None
        # Not in the child of a fork from a task, where nobody comes back to it.
        if seat is None or (self._pid == os.getpid() and self._loop.keep_seat(seat)):
            self._thread = None
        else:
            seat.end()  # a frame may hold it, with which it is not gone yet

    def is_gone(self) -> bool:
        """True if it drives no more, although its caller waits: what came was taken by another
        thread. Or a signal handler forked, and this is the child."""
        return self._target is None or self._pid != os.getpid()

    def gives_way(self, caller: Wait) -> bool:
        """True if its seat is free; else it wakes this caller, whom it has not helped, then."""
        self._caller = caller
        return self.is_gone()

    def check(self) -> None:
        """Raises what it was left by, once it has ended."""
        self.join()
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error

    def end(self) -> None:
        self._over = True
        if self._begins():  # it has not, and never will: a signal came as it was about to
            self._leave_seat()
            self._target, self._has_left = None, True
        self._wait.wake()

    def join(self, timeout: float | None = None) -> None:
        """Waits until it has left, and its thread has ended, if it is to end."""
        if self._pid != os.getpid():
            return  # a signal handler forked: the thread is the parent's
        if not self._has_left:
            self._left.acquire(timeout=-1 if timeout is None else timeout)
        if self._has_left and self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout)

    def reached(self) -> bool:
        target = self._target
        return self._over or target is None or target.reached()
