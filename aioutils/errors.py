"""Everything aioutils raises about its own use; each says what to do about it.

What your tasks raise reaches you as itself (or in an ``ExceptionGroup`` from ``join()``); bad
arguments are ``TypeError`` and ``ValueError``. The classes here are all ``RuntimeError``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures

__all__ = ["ClosedError", "DeadlockError", "UnfinishedError", "WrongLoopError"]


class ClosedError(RuntimeError):
    """The tool was closed. Make a new one, or close it later: ``with`` closes it at its end.

    While the tool is ending, a done-callback gets it that spawns with itself again: let it ask
    ``task.cancelled()`` first."""


class DeadlockError(RuntimeError):
    """Somebody would wait for itself, for ever. Inside a task write ``await task``, and let
    the code outside of the tasks call ``join()``; tasks must not await each other in a circle."""


class UnfinishedError(RuntimeError):
    """A ``with`` block of a tool with ``on_exit="refuse"`` ended before its tasks had. Join the
    tool in the block, or cancel the tasks that are named."""


class WrongLoopError(RuntimeError):
    """A task or a tool was awaited on a loop other than the one it runs on. Of two tools make one
    with ``within=`` the other, so that both share one loop; a single one goes to another loop
    when nothing is left to do on the old one."""


class _CancelledError(concurrent.futures.CancelledError, asyncio.CancelledError):
    """Of a cancelled task, where a loop runs: sync code that is called there catches the one, and
    asyncio, if nobody does, the other."""


def cancelled(message: str) -> concurrent.futures.CancelledError:
    """What the result of a cancelled task raises here."""
    here = asyncio._get_running_loop() is not None
    return (_CancelledError if here else concurrent.futures.CancelledError)(message)
