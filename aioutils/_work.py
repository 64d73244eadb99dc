"""What can be spawned, and what it becomes: something to await, or a call for a worker thread.

Everything else is refused here, at the user's line, and a coroutine that is refused is closed.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from typing import Any

_FLAGS = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

_STREAM = "spawn a coroutine for each item, or into a yielder the async iterable itself"


class Call:
    """A plain function with its arguments, to be called by an executor: a thread of the tool's,
    unless another one is named."""

    __slots__ = ("args", "executor", "function", "kwargs")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        executor: Executor | None = None,
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.executor = executor

    def __call__(self) -> Any:
        try:
            return self.function(*self.args, **self.kwargs)
        finally:
            del self  # the frames of a failure lead to this one


class Placed:
    """A plain function that is bound to an executor; called, it waits for it there."""

    def __init__(self, executor: Executor, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.executor: Executor = executor
        self.function: Callable[..., Any] = function

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.executor.submit(self.function, *args, **kwargs).result()

    def __repr__(self) -> str:
        return f"<{name_of(self.function)} on {self.executor!r}>"


def placed(work: Any) -> tuple[Any, Executor | None]:
    """The function itself, and the executor that it is bound to, if it is."""
    if isinstance(work, Placed):
        return work.function, work.executor
    if isinstance(work, functools.partial):
        function, executor = placed(work.func)
        if executor is not None:
            return functools.partial(function, *work.args, **work.keywords), executor
    return work, None


def prepare(work: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any] | Call:
    """Returns what is to be awaited or called; raises TypeError or ValueError for the rest."""
    if type(work) is types.CoroutineType:
        if args or kwargs:
            work.close()
            raise TypeError(f"{work!r} takes no arguments: give the function, or call it yourself")
        if work.cr_frame is None or work.cr_suspended or work.cr_running:
            raise ValueError(
                f"{work!r} already ran: a coroutine runs once, call its function again"
            )
        return work  # pragma: no cover: on no version yet is there doubt about a new one
    if asyncio.isfuture(work):
        raise TypeError(f"{work!r} belongs to an event loop already: await it inside a coroutine")
    if is_awaitable(work):
        if args or kwargs:
            close(work)
            raise TypeError(f"{work!r} takes no arguments: give the function, or call it yourself")
        return work  # type: ignore[no-any-return]
    if not callable(work):
        hint = _STREAM if is_stream(work) else "give a coroutine or a function"
        raise TypeError(f"{work!r} can't be spawned: {hint}")
    if is_async(work):
        return work(*args, **kwargs)  # type: ignore[no-any-return]
    function, executor = placed(work)
    return Call(function, args, kwargs, executor)


def is_awaitable(what: object) -> bool:
    """By its type: a proxy may fail if it is asked for its class."""
    kind = type(what)
    if kind is types.GeneratorType:
        return inspect.isawaitable(what)  # `types.coroutine` makes some
    return hasattr(kind, "__await__")


def is_stream(what: object) -> bool:
    return type(what) is types.AsyncGeneratorType  # by its type, too


def is_async(function: Any) -> bool:
    """True for what gives a coroutine when it is called; TypeError if it can't be spawned."""
    if not callable(function):
        close(function)
        raise TypeError(f"{function!r} can't be called: give a function, and its arguments apart")
    flags = _flags(function)
    if flags & ~inspect.CO_COROUTINE:
        raise TypeError(
            f"{function!r} is a generator function: it gives many results, a task gives one; "
            + _STREAM
        )
    return bool(flags)


def check_callback(what: str, callback: Any) -> None:
    """Raises TypeError for a function that would not run when it is called."""
    try:
        flags = _flags(callback)
    except Exception:
        return  # a proxy of what is not there yet: its call will tell
    if flags:
        raise TypeError(
            f"{what} is called as a task ends, and nobody would await {callback!r}: give it a "
            "plain function, which may spawn"
        )


def call_back(callback: Callable[[Any], object], task: object) -> None:
    """Raises what it raises; TypeError if it gives a coroutine."""
    given = callback(task)
    if type(given) is types.CoroutineType:
        given.close()
        raise TypeError(
            f"{callback!r} gave {given!r}, which nobody awaits: give a plain function, which may "
            "spawn it"
        )


def name_of(work: Any) -> str:
    """The function's name, for the task's."""
    if type(work) is types.CoroutineType:
        return work.__qualname__
    if type(work) is Call:
        work = work.function
    while isinstance(work, functools.partial):
        work = work.func
    name = getattr(work, "__qualname__", None)
    return name if isinstance(name, str) else type(work).__qualname__


def explain(error: RuntimeError, work: object) -> None:
    """Of what awaiting a coroutine has raised, and no code in it."""
    trace = error.__traceback__
    inside = trace is None or trace.tb_next is not None or error.__cause__ is not None
    if type(work) is types.CoroutineType and not inside:
        error.add_note(
            f"{work!r} was spawned twice, or awaited elsewhere: a coroutine runs once, call its "
            "function again"
        )


def close(work: Any) -> None:
    """Ends work that will never start, without a warning that nobody awaited it."""
    if isinstance(work, Coroutine):
        try:
            work.close()
        except BaseException:
            pass  # a foreign class; nothing of it ever ran


def _flags(function: Any) -> int:
    """Which kind of function it is, through partials, methods and objects with __call__."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.iscoroutinefunction(function):  # knows functions that were marked as such
        return inspect.CO_COROUTINE
    if inspect.ismethod(function):
        return _flags(function.__func__)
    code = getattr(function, "__code__", None)
    if isinstance(code, types.CodeType):
        marked = code.co_flags & inspect.CO_ITERABLE_COROUTINE  # by `types.coroutine`
        return inspect.CO_COROUTINE if marked else code.co_flags & _FLAGS
    call = inspect.getattr_static(type(function), "__call__", None)
    if isinstance(function, type) or not isinstance(call, types.FunctionType):
        return 0
    return _flags(call)
