"""The asyncio task that runs a job: how it starts, and how one ends that nobody will run again."""

from __future__ import annotations

import asyncio
import sys
import types
import weakref
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._job import Job

current: ContextVar[Job | None] = ContextVar("aioutils.current", default=None)  # whose code runs

# Tasks that asyncio takes for unfinished, but whose coroutine was closed: they can't be cancelled.
forgotten: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

# Before 3.12 a task takes its first step a pass later.
LAZY = sys.version_info < (3, 12)

_PATIENCE = 5.0  # seconds, for the clean-up of a task that the end of its host has cancelled


class Hosted(asyncio.Task[None]):
    """On the loop of a host. As he ends, he cancels every task that is left: those of a tool, and
    the one that would end it. What the one has cancelled the other need not cancel once more."""

    _by_host = False

    def cancel(self, msg: Any | None = None) -> bool:
        if not self.get_loop().is_running():  # users cancel while it runs
            self._by_host = True
        return super().cancel(msg)

    def uncancel(self) -> int:
        requests = super().uncancel()
        self._by_host = self._by_host and requests > 0
        return requests

    def ask(self) -> None:
        """Cancels it; if the host did so, and it has not ended by then, only after a while."""
        if self._by_host:
            timer = self.get_loop().call_later(_PATIENCE, self.cancel)
            self.add_done_callback(lambda _: timer.cancel())  # it keeps what the task has
        else:
            self.cancel()


if sys.version_info >= (3, 12):  # pragma: no cover: each version has one of the two
    # Makes an asyncio task, and takes its first step at once. On the running loop. The class
    # itself, with `eager_start=True` at the call: a partial costs a fifth of the start.
    start: Callable[..., asyncio.Task[None]] = asyncio.Task
    start_hosted: Callable[..., asyncio.Task[None]] = Hosted

    async def started() -> None:
        """The first that `run` awaits."""

else:  # pragma: no cover

    def start(
        run: Coroutine[Any, Any, None],
        *,
        loop: asyncio.AbstractEventLoop | None,
        context: Context | None,
        name: str,
        eager_start: bool,
    ) -> asyncio.Task[None]:
        run.send(None)  # into its `try`, so that not even an early cancellation misses the end
        return asyncio.Task(run, loop=loop, name=name, context=context)

    def start_hosted(
        run: Coroutine[Any, Any, None],
        *,
        loop: asyncio.AbstractEventLoop | None,
        context: Context | None,
        name: str,
        eager_start: bool,
    ) -> asyncio.Task[None]:
        run.send(None)  # again, for a partial costs a twelfth of a spawn
        return Hosted(run, loop=loop, name=name, context=context)

    @types.coroutine
    def started() -> Generator[None, None, None]:
        yield


def disown(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Private because who owns the task says what is to be said if the collector finds it
    pending; asyncio would, in words that mean nothing to the user."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    return task


def forget(task: asyncio.Task[Any]) -> None:
    """Ends a task that will never be run again, as far as that is possible without its loop."""
    forgotten.add(task)
    exhaust(task.get_coro())


def exhaust(work: object) -> None:
    for _ in range(100):  # each `await` in a `finally` swallows one
        try:
            if isinstance(work, Coroutine):
                work.close()
            return
        except BaseException:
            pass  # it would not be closed; whoever gives up on it has said so already
