"""The event loop that a tool owns: how it is made, how it ends, and its clock.

The only file that makes and closes event loops, and the only one that looks into asyncio's
private parts: each place says why.
"""

import asyncio
import atexit
import os
import sys
import threading
import types
from collections.abc import Coroutine, Generator
from contextvars import Context
from time import monotonic
from typing import Any

if sys.platform == "win32":  # pragma: no cover
    _Base = asyncio.ProactorEventLoop
else:
    _Base = asyncio.SelectorEventLoop

# Loops that came through a fork. They share the parent's epoll descriptor: closing one would
# take the parent's wake-up descriptor out of it, and so would the garbage collector.
_inherited: list[object] = []


# The wake-up sockets of the loops that are open. The collector finalizes what it finds in a cycle
# in any order: a tool whose loop it has robbed of its sockets could not clean up.
_wakeups: dict[int, object] = {}


class EventLoop(_Base):
    """An event loop whose clock stands still while it does not run.

    Otherwise a pause between two runs would let timeouts expire whose data arrived in time:
    asyncio looks at both in one pass, and the timer wins.
    """

    _behind = 0.0  # seconds for which the clock stood still, all in all
    _stopped_at: float | None = None

    def __init__(self) -> None:
        super().__init__()
        _wakeups[id(self)] = (getattr(self, "_ssock", None), getattr(self, "_csock", None))

    def close(self) -> None:
        super().close()
        _wakeups.pop(id(self), None)

    def __del__(self) -> None:
        """Whose tool it is closes it, and the collector may have come here first."""

    def time(self) -> float:
        now = self._stopped_at
        return (monotonic() if now is None else now) - self._behind

    def run_forever(self) -> None:
        """Runs until `stop()`, and lets the clock go on for as long."""
        if self._stopped_at is not None:
            self._behind += monotonic() - self._stopped_at
            self._stopped_at = None
        try:
            super().run_forever()
        finally:
            self._stopped_at = monotonic()

    def wakeup_fd(self) -> int:
        """What `signal.set_wakeup_fd` writes to, as asyncio has it for its own handlers.

        Private because asyncio gives it only to those who add signal handlers to the loop.
        """
        wakeup = getattr(self, "_csock", None)
        return -1 if wakeup is None else int(wakeup.fileno())

    def run_once(self) -> None:
        """Looks at what is ready, without waiting for more."""
        self.stop()
        self.run_forever()


class _Kept:
    """Holds the one clean loop that a thread keeps; closes it when the thread goes away."""

    __slots__ = ("loop", "pid")

    def __init__(self, loop: EventLoop) -> None:
        self.loop: EventLoop | None = loop
        self.pid = os.getpid()

    def __del__(self) -> None:
        if self.loop is None:
            pass
        elif self.pid == os.getpid():
            self.loop.close()
        else:
            _inherited.append(self.loop)


_thread = threading.local()


def take() -> EventLoop:
    """Returns the loop that this thread kept, or a new one."""
    kept: _Kept | None = _thread.__dict__.pop("kept", None)
    if kept is None or kept.pid != os.getpid():
        return EventLoop()
    loop, kept.loop = kept.loop, None
    return loop or EventLoop()


def give_back(loop: EventLoop, keep: bool) -> None:
    """Ends the use of a loop that does not run: kept if provably clean, else shut and closed.

    Safe means: no other loop runs in this thread, and the interpreter is not on its way out.
    """
    if keep and "kept" not in _thread.__dict__ and _is_clean(loop):
        _thread.kept = _Kept(loop)
        return
    try:
        _shut(loop)
    finally:
        loop.close()


@atexit.register
def _close_kept() -> None:
    """Of the main thread, which ends when half of the interpreter is gone."""
    _thread.__dict__.pop("kept", None)


def inherit(what: object) -> None:
    """Keeps a loop or task that came through a fork referenced for ever, and never ends it."""
    if isinstance(what, asyncio.Task):
        what._log_destroy_pending = False  # type: ignore[attr-defined]
    _inherited.append(what)


# Before 3.12 a task takes its first step a pass later.
LAZY = sys.version_info < (3, 12)

if sys.version_info >= (3, 12):

    def start(
        run: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, context: Context
    ) -> "asyncio.Task[None]":
        """Makes an asyncio task, and takes its first step at once. On the running loop.

        Private because who owns the task says what is to be said if the collector finds it
        pending; asyncio would, in words that mean nothing to the user.
        """
        task = asyncio.Task(run, loop=loop, context=context, eager_start=True)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        try:
            return task
        finally:
            del task, run, context  # the frames of a failure lead to this one

    async def started() -> None:
        """The first that `run` awaits."""

else:

    def start(
        run: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, context: Context
    ) -> "asyncio.Task[None]":
        run.send(None)  # into its `try`, so that not even an early cancellation misses the end
        task = loop.create_task(run, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        return task

    @types.coroutine
    def started() -> Generator[None, None, None]:
        yield


def abandon(loop: asyncio.AbstractEventLoop) -> None:
    """Closes a loop on which nothing may be run any more, and ends what users left on it."""
    strays = asyncio.all_tasks(loop)
    loop.close()  # first, or async generators would want it to run
    for stray in strays:
        stray._log_destroy_pending = False  # type: ignore[attr-defined]
        forget(stray)


def forget(task: "asyncio.Task[Any]") -> None:
    """Ends a task that will never be run again, as far as that is possible without its loop."""
    coroutine = task.get_coro()
    for _ in range(100):  # each `await` in a `finally` swallows one
        try:
            if coroutine is not None:
                coroutine.close()
            return
        except BaseException:
            pass  # it would not be closed; whoever gives up on it has said so already


def _shut(loop: EventLoop) -> None:
    """Cancels what users left on the loop, ends async generators and the default executor."""
    for _ in range(3):  # a stray may leave a stray, but not for ever
        strays = asyncio.all_tasks(loop)
        if not strays:
            break
        for stray in strays:
            stray.cancel()
        loop.run_until_complete(asyncio.wait(strays))
        for stray in strays:
            if not stray.cancelled() and (failure := stray.exception()) is not None:
                context = {"message": "a task failed as its loop was closed", "task": stray}
                loop.call_exception_handler({**context, "exception": failure})
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())


def is_empty(loop: Any) -> bool:
    """True if there is nothing that the loop could run or wait for. Private: no other way."""
    try:
        return not (loop._ready or loop._scheduled or len(loop._selector.get_map()) > 1)  # its own
    except AttributeError:
        return False


def _is_clean(loop: Any) -> bool:
    """True if nothing is left on the loop: then its next user cannot tell it from a new one.

    Private because asyncio has no public way to ask; where an attribute is missing (another
    version, another kind of loop), the answer is no.
    """
    try:
        if loop._ready or loop._scheduled:
            loop.run_once()  # handles and timers that were cancelled go in one pass
        return is_empty(loop) and not (
            loop._asyncgens
            or loop._asyncgens_shutdown_called
            or loop._default_executor
            or loop._executor_shutdown_called
            or loop._signal_handlers
            or loop._exception_handler
            or loop._task_factory
            or loop.get_debug()
            or loop.slow_callback_duration != 0.1
            or asyncio.all_tasks(loop)
        )
    except AttributeError:
        return False
