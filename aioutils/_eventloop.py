"""The event loop that a tool owns: how it is made, and how it ends.

The only file that makes and closes event loops. It, `_runner`, `_clock` and `_foreign` look into
private parts, and one line of `_admission` where a call would cost: each place says why.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from ._clock import Standing
from ._foreign import with_clock
from ._raised import is_a
from ._runner import disown, exhaust, forget, forgotten

if sys.platform == "win32":  # pragma: no cover: the tests of coverage run elsewhere
    _Base = asyncio.ProactorEventLoop
else:
    _Base = asyncio.SelectorEventLoop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

# Loops that came through a fork. They share the parent's epoll descriptor: closing one would
# take the parent's wake-up descriptor out of it, and so would the garbage collector.
_inherited: list[object] = []


class EventLoop(Standing, _Base):
    """What a tool runs on, unless it was given a `loop_factory`."""

    def __init__(self) -> None:
        # In a context of its own: what it registers for itself would keep that of the first who
        # waits, a request say, or the task that he is, for as long as it lives.
        Context().run(super().__init__)
        self.debug_when_new: bool = self.get_debug()  # there, or in the environment, it is set
        self.prepare()


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


def take(factory: LoopFactory | None) -> Standing:
    """Returns one from the factory; without, the loop that this thread kept, or a new one."""
    if factory is not None:
        return _from(factory)
    kept: _Kept | None = _thread.__dict__.pop("kept", None)
    if kept is None or kept.pid != os.getpid():
        return EventLoop()
    loop, kept.loop = kept.loop, None
    return loop or EventLoop()


def _from(factory: LoopFactory) -> Standing:
    """It is the user's code, and sees the context variables of who first waits, as any."""
    loop = factory()
    is_loop = isinstance(loop, asyncio.AbstractEventLoop) and not isinstance(loop, Standing)
    if not is_loop or loop.is_running() or loop.is_closed():  # or it is another tool's
        raise TypeError(f"loop_factory={factory!r} gave {loop!r}, not a new event loop")
    return with_clock(loop)


def keep(loop: Standing) -> bool:
    """Keeps a loop that does not run for the thread's next tool, if it is provably clean."""
    try:
        if "kept" in _thread.__dict__ or not (isinstance(loop, EventLoop) and _is_clean(loop)):
            return False
        _thread.kept = _Kept(loop)
        return True
    except BaseException:  # a signal
        loop.close()
        raise


def end(loop: Standing, hang_up: bool) -> None:
    """Shuts and closes it, where no other loop runs, and the interpreter stays.

    `hang_up` cuts the connections that are left, whose users can't know that it ends now.
    """
    try:
        _shut(loop)
        if hang_up:
            _hang_up(loop)
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


def halt(loop: asyncio.AbstractEventLoop) -> None:
    """In the child of a fork that came from inside of it: nothing that is left of this pass runs,
    it is the parent's. Private, but nothing may be lost that only a handle keeps alive."""
    for handle in getattr(loop, "_ready", ()):
        handle._cancelled = True
    # From 3.14 on the task that forked finds, as its step ends, that it is on no running loop.
    loop.set_exception_handler(lambda loop, context: None)
    loop.stop()


def abandon(loop: asyncio.AbstractEventLoop) -> None:
    """Closes a loop on which nothing may be run any more, and ends what users left on it."""
    strays = asyncio.all_tasks(loop)
    for handle in tuple(getattr(loop, "_ready", ())):  # private, as in `halt`; it may grow
        for work in getattr(handle, "_args", None) or ():
            exhaust(work)  # an async generator that was let go, say, as a task: it never starts
    try:
        loop.close()  # first, or async generators would want it to run
    except RuntimeError:
        pass  # a second signal found uvloop about to start or to stop: now it runs for ever
    if loop.get_exception_handler() is None:
        loop.set_exception_handler(_complain)
    for stray in strays:
        forget(disown(stray))


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Unless it is of a second Ctrl-C, which came in the midst of a user's task, and has left
    the wait: nobody can retrieve it from the task."""
    if not is_a(context.get("exception"), KeyboardInterrupt, SystemExit):
        loop.default_exception_handler(context)


def _shut(loop: Standing) -> None:
    """Cancels what users left on the loop, ends async generators and the default executor."""
    loop.run_once()  # what is about to end is no stray
    if given_up := {task for task in asyncio.all_tasks(loop) if _closes_generator(task)}:
        _complete(loop, asyncio.wait(given_up))
    for _ in range(3):  # a stray may leave a stray, but not for ever
        strays = asyncio.all_tasks(loop).difference(forgotten)
        if not strays:
            break
        for stray in strays:
            stray.cancel()
        _complete(loop, asyncio.wait(strays))
        for stray in strays:
            if not stray.cancelled() and (failure := stray.exception()) is not None:
                context = {"message": "a task failed as its loop was closed", "task": stray}
                loop.call_exception_handler({**context, "exception": failure})
    _complete(loop, loop.shutdown_asyncgens())
    try:
        _complete(loop, loop.shutdown_default_executor())
    except RuntimeError:  # pragma: no cover: at exit
        pass  # it starts a thread, which is refused then; its own threads have ended


def _closes_generator(task: asyncio.Task[Any]) -> bool:
    """True of what asyncio starts for an async generator that was let go: its `aclose()`."""
    return type(task.get_coro()).__name__ == "async_generator_athrow"


def _complete(loop: Standing, work: Coroutine[Any, Any, Any]) -> None:
    """A `stop()` that came too late for a wait, from another thread, does not end it."""
    task = disown(asyncio.Task(work, loop=loop))
    task.add_done_callback(lambda _: loop.stop())
    while not task.done():
        loop.run_forever()
    task.result()


def _hang_up(loop: Standing) -> None:
    """Private because nobody else knows which transports a loop has."""
    for transport in tuple(getattr(loop, "_transports", {}).values()):
        transport.abort()
    for _ in range(3):  # what is told of it may tell others
        loop.run_once()


def is_stuck(loop: Any) -> bool | None:
    """True if nothing can happen on a loop that stands still, unless somebody reaches for it from
    outside; None if it does not tell. Private: no other way."""
    timers: Any = getattr(loop, "_scheduled", None) or getattr(loop, "_heap", ())
    if any(not timer.cancelled() for timer in timers):
        return False
    try:
        if loop._ready or len(loop._selector.get_map()) > 1:  # its own
            return False
        executor = loop._default_executor
        return executor is None or executor._idle_semaphore._value >= len(executor._threads)
    except AttributeError:
        return None


def _has_tasks(loop: Any) -> bool:
    """Private, in 3.12 and 3.13: there `all_tasks` walks a set that once may have been large."""
    tasks: Any = asyncio.tasks
    if (3, 12) <= sys.version_info < (3, 14) and not tasks._scheduled_tasks:
        return False
    return bool(asyncio.all_tasks(loop))


def _is_clean(loop: Any) -> bool:
    """True if nothing is left on the loop: then its next user cannot tell it from a new one.

    Private because asyncio has no public way to ask; where an attribute is missing (another
    version, another kind of loop), the answer is no.
    """
    try:
        if loop._ready or loop._scheduled:
            loop.run_once()  # handles and timers that were cancelled go in one pass
        return not (
            loop._ready
            or loop._scheduled
            or len(loop._selector.get_map()) > 1  # its own
            or loop._asyncgens
            or loop._asyncgens_shutdown_called
            or loop._default_executor
            or loop._executor_shutdown_called
            or loop.has_signal_handlers()
            or loop._exception_handler
            or loop._task_factory
            or loop.get_debug() is not loop.debug_when_new
            or loop.slow_callback_duration != 0.1
            or _has_tasks(loop)
        )
    except AttributeError:  # pragma: no cover: no version has been like that yet
        return False
