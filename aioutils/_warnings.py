"""What aioutils warns of, with the line of the user's that it is about."""

from __future__ import annotations

import asyncio
import os
import sys
import warnings
import weakref

_HERE = os.path.dirname(__file__)
_warned: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def warn_blocked() -> None:
    """Once for each running loop that sync code blocks; a notebook means to."""
    loop = asyncio._get_running_loop()
    ipython = sys.modules.get("IPython")
    if loop is None or loop in _warned or (ipython is not None and ipython.get_ipython()):
        return
    _warned.add(loop)
    _warn(
        "this call blocks the event loop that runs in its thread until it is done; in async code "
        "write 'async with', 'await tool.wait()', 'await task', 'await f()', 'async for'",
        RuntimeWarning,
    )


def warn_dropped(who: str) -> None:
    if not sys.is_finalizing():  # pragma: no branch: nothing is measured any more then
        message = f"{who} was dropped where it could not clean up: close it, or use 'with'"
        _warn(message, ResourceWarning)


def warn_lost(description: str) -> None:
    """A host closed its loop."""
    _warn(
        f"{description} lost what was unfinished: the loop that it ran on was closed. Await its "
        "wait() or aclose(), or leave its 'async with', before that loop ends",
        ResourceWarning,
    )


def users_line() -> str:
    """The line that called us, as file and number."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _warn(message: str, category: type[Warning]) -> None:
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
