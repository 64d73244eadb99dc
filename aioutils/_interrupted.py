"""Whose code a signal found: ours and asyncio's comes back by itself, a user's may not."""

from __future__ import annotations

from types import CodeType, FrameType

from ._raised import attributes

_MARK = "_raised_in_a_signal"
# With users, of asyncio and of uvloop; the last two in debug mode, which notes who calls.
_SHARED = ("selectors", "signal", "socket", "traceback", "linecache")


def _module(frame: FrameType | None) -> str:
    return "" if frame is None else str(frame.f_globals.get("__name__"))


def is_callback(frame: FrameType | None) -> bool:
    """True where the interpreter calls by itself, and prints what is raised."""
    return _module(frame) in ("weakref", "_weakrefset")


def comes_back(frame: FrameType | None, handler: CodeType) -> bool:
    """True of code that lets others go on when it was woken; `handler` is what signals call."""
    while _module(frame) in _SHARED:
        frame = frame.f_back  # type: ignore[union-attr]
    ours = False
    while frame is not None and _module(frame).partition(".")[0] in ("aioutils", "asyncio"):
        ours, within = True, frame.f_code is handler
        frame = frame.f_back
        if within:  # the handler of the first signal, which came just now
            return comes_back(frame, handler)
    return ours


def mark(error: BaseException) -> None:
    """As raised from within a signal."""
    attributes(error)[_MARK] = True


def leaves_by_itself(error: BaseException | None) -> bool:
    """True of what a handler raised from within a signal, wherever it hit: it ends the wait."""
    return error is not None and _MARK in attributes(error)
