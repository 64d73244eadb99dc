"""Task, the handle of what was spawned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, NoReturn, TypeVar

from . import _work
from ._body import Awaiting
from ._failures import complain, raise_itself
from ._job import CANCELLED, FAILED, Job, at_once
from ._lease import heed, pause
from .errors import cancelled

__all__ = ["Task"]

T_co = TypeVar("T_co", covariant=True)
_FIX = "In async code write 'await task'; else call task.result() outside of the tasks."


class Task(Job, Generic[T_co]):
    """Gives the result of spawned work, in sync code and in async code.

    Made by `spawn()` only::

        >>> from aioutils import Group
        >>> async def double(x):
        ...     return 2 * x
        >>> group = Group()
        >>> task = group.spawn(double(21))
        >>> task.done()
        False
        >>> task.result()
        42

    The tool runs while somebody waits for it, so `done()` changes during `result()`, `join()`
    or an iteration. Keep the tool: with it go its unfinished tasks.
    """

    __slots__ = ()

    heeds = True

    def __dir__(self) -> list[str]:
        """For completion; what it inherits belongs to the engine."""
        own = {"name", *vars(Task), *vars(object)} - {"heeds"}
        return [word for word in super().__dir__() if word in own]

    def done(self) -> bool:
        """Returns True once the task has a result, failed or was cancelled; drives nothing."""
        return self.reached()

    def cancelled(self) -> bool:
        """Returns True if the task ended by cancellation."""
        return self._state is CANCELLED

    def cancel(self) -> bool:
        """Asks the task to end, and returns False if it already had.

        What has not started never will. What runs gets `asyncio.CancelledError` at its `await`
        the next time the tool is driven, and its ``finally`` blocks run. A function in a worker
        thread can't be stopped, but where it waits for a task, a tool or a result, now or the next
        time, it gets `concurrent.futures.CancelledError`, once. Called again, `cancel` ends the
        clean-up of a coroutine too; the end of the tool does not, it waits for that.
        """
        return self._lane.scheduler.cancel(self)

    def result(self, timeout: float | None = None) -> T_co:
        """Returns the result, having driven the tool until it was there.

        `timeout` is in seconds of wall time; 0 drives nothing. Raises the task's own exception
        with its own traceback, `TimeoutError` if the time is up first (the task goes on),
        `concurrent.futures.CancelledError` if it was cancelled (in a running loop one that is
        `asyncio.CancelledError` too), and `DeadlockError` where it would wait for itself. Ctrl-C
        cancels all tasks of the tool, lets them clean up and leaves as `KeyboardInterrupt`.
        """
        self._wait(timeout)
        try:
            return self._get(cancelled)
        finally:
            del self  # else the traceback, this frame and the exception are a cycle

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Returns what the task raised, or None, having driven the tool until it ended.

        Raises what `result()` raises, but for the task's own exception, which is returned.
        """
        self._wait(timeout)
        try:
            if self._state is CANCELLED:
                self._get(cancelled)
            if self._state is not FAILED:
                return None
            self._lane.scheduler.failures.see(self)
            return self.error()
        finally:
            del self  # as in `result`

    def add_done_callback(self, callback: Callable[[Task[T_co]], object]) -> None:
        """Has `callback(task)` called when the task ends, or now if it has.

        It is called on the loop, in the thread that drives, and must not wait: nothing else runs
        meanwhile. What it raises is logged (logger ``aioutils``), but `KeyboardInterrupt` and
        `SystemExit` end the wait, as those of a task. Raises `TypeError` for what is not callable,
        and in `asyncio.wait`, which takes futures.
        """
        if not callable(callback):
            _work.close(callback)
            raise TypeError(f"{self!r}: a callback must be callable, not {callback!r}")
        if getattr(callback, "__module__", None) == asyncio.wait.__module__:
            # It takes whatever has this method; it would lend no slot, and have nobody drive.
            raise TypeError(
                f"{self!r} is no future for asyncio.wait(): await as_completed() of its tool, or "
                "give it asyncio.ensure_future(task)"
            )
        _work.check_callback(f"{self!r}: a callback", callback)
        told = _Callback(self, callback)
        self.watch(told)
        if self.reached() and self.unwatch(told):
            outer = at_once.calling
            try:
                at_once.calling = True
                told()
            finally:
                at_once.calling = outer

    @property
    def name(self) -> str:
        """What `repr()` and messages call the task: its function's name, unless you set one.

        As it starts, asyncio's own task takes it, for `%(taskName)s` in logs and for debuggers.
        """
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = str(name)

    @property
    def _condition(self) -> NoReturn:
        """What `concurrent.futures` takes from each that it waits for; nobody would drive."""
        raise TypeError(
            f"{self!r} is no future for concurrent.futures: iterate as_completed() of its tool, or "
            "ask for result(timeout)"
        )

    def __await__(self) -> Generator[Any, None, T_co]:
        """Waits in async code, on the tool's loop, and lends the awaiting task's slot.

        Cancelling who waits, with a timeout say, leaves the task alone: others may wait for it.
        """
        if not self.reached():
            with Awaiting(self._lane.scheduler, self):
                yield from pause(self, _FIX).__await__()
        try:
            return self._get(asyncio.CancelledError)
        finally:
            del self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} {self._state.value}>"

    def _wait(self, timeout: float | None) -> None:
        if self.reached():
            if self._state is CANCELLED:
                heed(self)  # with the function that asks, perhaps: it is told once
            return
        check_timeout(self, timeout)
        try:
            if timeout == 0 or not self._lane.scheduler.block(self, timeout, _FIX):
                raise TimeoutError(f"{self!r} has no result yet, after {timeout} s")
        finally:
            del self

    def _get(self, kind: Callable[[str], BaseException]) -> T_co:
        if self._state is CANCELLED:
            raise kind(f"{self!r}{self._why()}")
        if self._state is not FAILED:
            return self._outcome  # type: ignore[no-any-return]
        self._lane.scheduler.failures.see(self)
        try:
            raise_itself(self.error())
        finally:
            del self

    def _why(self) -> str:
        """What to say of its cancellation."""
        scheduler = self._lane.scheduler
        gone = f": its {scheduler.kind} was dropped; keep the tool until its tasks have ended"
        return gone if scheduler.dropped else ""

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} can't be copied or pickled: pass on what its result() gives")


class _Callback:
    __slots__ = ("_callback", "_task")

    def __init__(self, task: Task[Any], callback: Callable[[Task[Any]], object]) -> None:
        self._task, self._callback = task, callback

    def __call__(self) -> None:
        try:
            _work.call_back(self._callback, self._task)
        except (KeyboardInterrupt, SystemExit) as error:
            loop = self._task._lane.scheduler.loop
            if loop is None or not loop.is_here():
                raise
            loop.interrupt(error)  # as of a task; the end of this one goes on
        except BaseException as error:
            complain(error, "a callback of %r failed: %r", self._task, self._callback)


def check_timeout(who: object, timeout: object) -> None:
    if timeout is None:
        return
    if not isinstance(timeout, (int, float)) or timeout != timeout:
        raise TypeError(f"{who!r}: timeout is in seconds or None, not {timeout!r}")
    try:
        float(timeout)
    except OverflowError:  # without it in the message: it may be too long for that as well
        raise ValueError(f"{who!r}: timeout is too large; None waits without one") from None
