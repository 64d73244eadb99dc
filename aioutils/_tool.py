"""What all four tools have in common: spawning, counting, cancelling, failures, closing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from gc import get_referents
from inspect import CO_COROUTINE
from types import CoroutineType, FunctionType, TracebackType
from typing import Any, NoReturn, ParamSpec, Self, TypeVar, overload

from . import _dropping, _ending, _work
from ._body import Body
from ._job import NO_VARIABLES, Job
from ._later import Later
from ._options import OnExit, Options
from ._order import Order
from ._scheduler import Scheduler
from ._stay import entering
from ._steps import run
from .errors import ClosedError
from .task import Task

P = ParamSpec("P")
T = TypeVar("T")

_FIX = "In async code write 'async with' yourself; else enter it outside of the tasks."


class Tool:
    """The base of Group, Pool, Yielder and OrderedYielder; not to be made itself."""

    _scheduler: Scheduler

    def _set_up(
        self, options: Options, within: Tool | None = None, order: Order | None = None
    ) -> None:
        if within is not None and not isinstance(within, Tool):
            raise TypeError(f"{options.kind}(within=...) is another tool, not {within!r}")
        if within is not None and options.loop_factory is not None:
            raise TypeError(f"{options.kind}: within= shares a loop, so loop_factory= has no use")
        self._on_exit: OnExit = options.on_exit
        self._body: Body | None = None
        self._scheduler = Scheduler(options, None if within is None else within._opened(), order)

    # Overlapping by intent: what returns an awaitable gives the task what that gives.
    @overload
    def spawn(self, work: Awaitable[T], /) -> Task[T]: ...
    @overload
    def spawn(
        self, work: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Task[T]: ...
    @overload
    def spawn(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Task[T]: ...
    def spawn(self, work: Any, /, *args: Any, **kwargs: Any) -> Task[Any]:
        """Adds work, and returns its `Task`; it runs while somebody waits for the tool.

        `work` is a coroutine or anything else that can be awaited, except futures, an async
        function, or a plain function, which runs in a worker thread::

            >>> import time
            >>> from aioutils import Group
            >>> group = Group()
            >>> task = group.spawn(time.strftime, "%Y", time.gmtime(0))
            >>> task.result()
            '1970'

        May be called from any thread and from inside tasks; the task sees the context variables
        of this moment. Raises `TypeError` for what can't be spawned, `ValueError` for a
        coroutine that already ran, `ClosedError` after `close()`.
        """
        scheduler = self._scheduler
        kind = type(work)
        if (
            kind is CoroutineType
            and not (args or kwargs or work.cr_suspended or work.cr_running)
            # One that ended refers to its names and its code only. `cr_frame` says more, but leaves
            # a frame with each that waits; `prepare` asks it where there is doubt.
            and len(get_referents(work)) > 3
        ):
            lane, name = scheduler.main, work.__qualname__
        elif kind is FunctionType and work.__code__.co_flags & CO_COROUTINE:
            lane, name, work = scheduler.main, work.__qualname__, work(*args, **kwargs)
        else:
            work = _work.prepare(work, args, kwargs)
            lane = scheduler.calls if type(work) is _work.Call else scheduler.main
            name = _work.name_of(work)
        if scheduler.closed:
            _work.close(work)
            raise ClosedError(f"{scheduler!r} takes no more work: make a new one")
        task: Task[Any] = Task(lane, work, copy_context() or NO_VARIABLES, name, scheduler.order)
        scheduler.submit(task)
        return task

    def enter_async_context(self, manager: AbstractAsyncContextManager[T, Any]) -> T:
        """Enters an async context manager on the tool's loop, until the tool closes.

        For what is bound to a loop and shall serve all tasks, such as a client session::

            >>> import contextlib
            >>> from aioutils import Pool
            >>> @contextlib.asynccontextmanager
            ... async def session():
            ...     yield "a session"
            ...     print("left")
            >>> with Pool(10) as pool:
            ...     pool.enter_async_context(session())
            'a session'
            left

        Contexts are left last in first out, each in the task that entered it, after the last
        task of the tool ended; what they raise then, `close()` raises. What the entering
        raises is raised here. In async code write ``async with`` yourself.
        """
        kind = type(manager)
        if not (hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__")):
            _work.close(manager)
            raise TypeError(f"{manager!r} is no async context manager (it has no __aenter__)")
        scheduler = self._opened()
        try:
            return run(entering(scheduler, manager), scheduler, _FIX)  # type: ignore[no-any-return]
        finally:
            del self  # the frames of a failure lead to this one

    def cancel(self) -> None:
        """Asks all unfinished tasks to end; what has not started never will.

        Returns at once: `join()`, or closing, lets the others run their ``finally`` blocks.
        """
        self._scheduler.cancel_all()

    def close(self) -> None:
        """Cancels what is unfinished, waits for its clean-up, leaves the contexts, ends the loop.

        A tool that was used in a ``with`` block is closed at its end. Closing again does
        nothing, or waits, while another thread is still at it. Raises an `ExceptionGroup` of what
        failed in cleaning up; failures from before that nobody has seen are logged (logger
        ``aioutils``). A task that swallows its cancellation is waited for; a second Ctrl-C gives
        up on it.
        """
        _ending.close(self._scheduler)

    @property
    def errors(self) -> list[BaseException]:
        """The exceptions of failed tasks that nobody has seen yet, in order of failing."""
        return self._scheduler.failures.errors()

    def take_errors(self) -> list[BaseException]:
        """Returns what `errors` holds; from now on it counts as seen."""
        return self._scheduler.failures.take()

    def full(self) -> bool:
        """Returns True if a task that is spawned now has to wait for another one's end."""
        return self.free_count() == 0

    def free_count(self) -> int:
        """Returns how many tasks spawned now would start without waiting; `sys.maxsize`: all."""
        lane = self._scheduler.main
        if lane.size is None:
            return sys.maxsize
        taken = lane.held + len(lane.returning) + self._scheduler.waiting
        return max(0, lane.size - taken)

    def __len__(self) -> int:
        """The number of unfinished tasks."""
        return self._scheduler.count()

    def __bool__(self) -> bool:
        return True  # an empty tool is a tool

    def __contains__(self, task: object) -> bool:
        """True for an unfinished task of this tool."""
        if not isinstance(task, Job) or task._lane.scheduler is not self._scheduler:
            return False
        return not task.reached()

    def __repr__(self) -> str:
        return repr(self._scheduler)

    async def aclose(self) -> None:
        """`close` in async code, on the loop that runs there."""
        await _ending.aclose(self._scheduler)

    def __enter__(self) -> Self:
        self._opened()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Does what `on_exit` says, and closes the tool; an exception cancels, and leaves.

        Raises `DeadlockError` where the end would wait for itself, in a coroutine on the tool's
        loop, say. An exception goes before that: then the tasks are cancelled, and nobody waits.
        """
        if _ending.is_refused(self._scheduler, error):
            return
        try:
            _ending.leave(self._scheduler, self._on_exit, error)
        finally:
            self.close()  # a subclass may have more to close

    async def __aenter__(self) -> Self:
        """Binds the tool to the running loop.

        With `on_error="cancel"` a failure ends the block too: where the block awaits the tool,
        it is raised there; where it awaits something else, the block is cancelled.
        """
        self._opened().bind_running(self)
        if self._body is not None:
            raise RuntimeError(f"{self!r} was entered already: make another one")
        self._body = Body(self._scheduler)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        body, self._body = self._body, None
        if body is None:
            raise RuntimeError(f"{self!r} was not entered with 'async with'")
        by_us = body.leave()
        by_cancelling = kind is not None and issubclass(kind, asyncio.CancelledError)
        on_exit, error = ("cancel", None) if by_cancelling else (self._on_exit, error)
        try:
            await body.clean_up(_ending.aleave(self._scheduler, on_exit, error), error)
        except GeneratorExit:  # given up: nothing can be awaited any more
            raise
        except BaseException:
            await self.aclose()
            raise
        await self.aclose()  # as in `__exit__`
        return by_us if by_cancelling else None

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} can't be copied or pickled: make another one")

    def _opened(self) -> Scheduler:
        if self._scheduler.closed:
            raise ClosedError(f"{self!r} can't be used any more: make a new one")
        return self._scheduler

    def __del__(self) -> None:
        scheduler = getattr(self, "_scheduler", None)
        del self  # the frames of what fails in a clean-up lead here
        if scheduler is not None and not scheduler.closed:
            with Later():
                _dropping.drop(scheduler)
