"""Signals that come in a finalizer come again after it."""

from __future__ import annotations

import _thread
import contextlib
import functools
import signal
import sys
import threading
import time
from types import FrameType

from ._interrupted import is_callback
from ._raised import is_a
from ._signals import Signals
from ._waiting import now

_PATIENCE = 1.0  # seconds, with finalizers that follow


class Later:
    """Signals in a finalizer, where nobody gets what a handler raises: the interpreter prints it,
    and that was it. Around all that `__del__` does; outside the main thread nothing happens.

    A signal that comes meanwhile ends the waits in it as any other does, by an exception of our
    own, which ends here. Then it is sent again, a little later, by a thread that does nothing else,
    and that looks whether the next finalizer, perhaps a user's, has ended: at once it would be
    handled in here.
    """

    __slots__ = ("_again", "_signals")

    def __init__(self) -> None:
        self._signals = Signals()
        self._again: set[int] = set()

    def __enter__(self) -> None:
        try:
            self._signals.__enter__()
        except KeyboardInterrupt:  # pragma: no cover: just now, the handlers were not ours yet
            self._again.add(signal.SIGINT)
            self._signals.__enter__()
        users = self._signals._users
        for number in users:
            users[number] = functools.partial(_put_off, self._again)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        try:
            self._signals.__exit__()
        except _PutOff:
            pass
        except KeyboardInterrupt:  # pragma: no cover: just now, the handlers are back
            self._again.add(signal.SIGINT)
        for number in self._again:
            with contextlib.suppress(RuntimeError):  # at exit
                _thread.start_new_thread(_send, (threading.get_ident(), number))
        return is_a(error, _PutOff)


def _send(thread: int, number: int) -> None:  # pragma: no cover: such threads are not measured
    time.sleep(0.01)  # a signal on the brink of its next system call would not end that
    most = now() + _PATIENCE
    while _is_finalizing(sys._current_frames().get(thread)) and now() < most:
        time.sleep(0.001)
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, number)
    else:  # pragma: no cover: Windows
        _thread.interrupt_main(signal.Signals(number))


def _is_finalizing(frame: FrameType | None) -> bool:  # pragma: no cover: called there
    while frame is not None and not (frame.f_code.co_name == "__del__" or is_callback(frame)):
        frame = frame.f_back
    return frame is not None


def _put_off(again: set[int], number: int, frame: FrameType | None) -> None:
    again.add(number)
    raise _PutOff


class _PutOff(KeyboardInterrupt):  # asyncio lets that through
    pass
