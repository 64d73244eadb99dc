"""Signal handlers that a task adds to its loop: they hear what comes while that stands still, too.

asyncio has signals written to a descriptor, which is the loop's only for as long as it runs. Here
Python calls a handler of ours, at once, and the loop calls the task's as soon as it runs.

Handlers are added and removed in the main thread only, and called there, between any two bytecodes;
loops are closed in any.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
import weakref
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from types import FrameType
from typing import TypeVarTuple, Unpack

Ts = TypeVarTuple("Ts")


class Handlers(asyncio.AbstractEventLoop):
    """To be mixed into the class of a loop."""

    def prepare(self) -> None:
        """Of a loop that is new."""
        self._added: dict[int, tuple[Relay, Callable[[], object]]] = {}

    def add_signal_handler(
        self, sig: int, callback: Callable[[Unpack[Ts]], object], *args: *Ts
    ) -> None:
        if inspect.iscoroutine(callback) or inspect.iscoroutinefunction(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        _check(sig)
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        before, relay = self._added.copy(), Relay(self)
        call = partial(self.call_soon_threadsafe, callback, *args, context=copy_context())
        self._added[sig] = relay, call
        try:
            # No `siginterrupt`, as asyncio has it: who sleeps for a lock must wake to call this.
            signal.signal(sig, relay)
        except (ValueError, OSError) as error:
            self._added = before
            raise RuntimeError(f"signal {sig} can't be handled here: {error}") from None

    def remove_signal_handler(self, sig: int) -> bool:
        _check(sig)
        if sig not in self._added:
            return super().remove_signal_handler(sig)  # one of who made the loop
        self._added[sig][0].give_way(sig)
        del self._added[sig]
        return True

    def has_signal_handlers(self) -> bool:
        return bool(self._added)

    def hear(self, number: int) -> bool:
        """False if it is closed, and will never run."""
        try:
            self._added[number][1]()
        except KeyError:
            return False
        except RuntimeError:
            if not self.is_closed():
                raise  # a RecursionError
            return False
        return True

    def close(self) -> None:
        try:
            super().close()
        finally:
            added, self._added = self._added, {}
            with contextlib.suppress(ValueError):  # in another thread: the relay does it
                for number, (relay, _) in added.items():
                    relay.give_way(number)


class Relay:
    """What Python calls. It does not keep the loop, and acts as if it were not there where the
    loop is gone: or in a child of the process, which would ignore what is to end it."""

    __slots__ = ("_loop", "_pid")

    def __init__(self, loop: Handlers) -> None:
        self._loop = weakref.ref(loop)
        self._pid = os.getpid()

    def is_heard(self) -> bool:
        """False if it raises what the default raises, Ctrl-C say."""
        loop = self._loop()
        return loop is not None and self._pid == os.getpid() and not loop.is_closed()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        loop = self._loop()
        if loop is None or self._pid != os.getpid() or not loop.hear(number):
            _back_to_default(number)
            signal.raise_signal(number)

    def give_way(self, number: int) -> None:
        """Unless somebody else has taken its place."""
        if signal.getsignal(number) is self:
            _back_to_default(number)


def _back_to_default(number: int) -> None:
    """As asyncio does it: what was there before is not kept."""
    is_ctrl_c = number == signal.SIGINT
    signal.signal(number, signal.default_int_handler if is_ctrl_c else signal.SIG_DFL)


def _check(sig: object) -> None:
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"{sig!r} is not the number of a signal")
