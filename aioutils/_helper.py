"""Who drives for a blocking call inside another running loop: a notebook's cell, say."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING

from ._signals import Signals
from ._waiting import Wait, Waitable

if TYPE_CHECKING:
    from ._election import Election


class NoHelper(RuntimeError):
    """It could not begin; nothing was touched."""


class Helper(Waitable):
    """A thread that drives for one whose own thread runs another loop, in its context."""

    def __init__(self, loop: Election, caller: Wait) -> None:
        self._error: BaseException | None = None
        self._loop, self._target, self._caller = loop, caller.target, caller
        self._wait = Wait(loop, self)
        self._over = False
        caller.open_mailbox()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self._thread.name = "aioutils helper"

    def start(self) -> None:
        with Signals():  # not in the midst of it: it must be known to run, to be ended
            try:
                self._thread.start()
            except RuntimeError as error:  # there are too many
                self._caller.helper = None
                raise NoHelper(f"{error}, to drive for code that blocks a running loop") from None

    def _run(self) -> None:
        target, self._wait.thread = self._target, threading.get_ident()
        assert target is not None
        target.watch(self._wait.notify)
        try:
            with Signals(self._wait.wake) as nothing:  # not the main thread: no signals here
                self._loop._wait(self._wait, None, nothing)
        except BaseException as error:
            self._error = error
        finally:
            target.unwatch(self._wait.notify)
            self._target = None
            self._caller.wake()

    def is_gone(self) -> bool:
        """True if it drives no more, although its caller waits: what came was taken by another
        thread. Or a signal handler forked, and this is the child."""
        return self._target is None or not self._thread.is_alive()

    def check(self) -> None:
        """Raises what its thread was left by, once that has ended."""
        self._thread.join()
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error

    def end(self) -> None:
        self._over = True
        self._wait.wake()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def reached(self) -> bool:
        target = self._target
        return self._over or target is None or target.reached()
