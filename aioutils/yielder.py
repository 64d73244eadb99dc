"""Yielder and OrderedYielder: results handed out one by one, while the rest still runs."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from concurrent.futures import Executor
from inspect import CO_COROUTINE
from typing import Any, ParamSpec, TypeVar, overload

from . import _work
from ._eventloop import LoopFactory
from ._failures import OnError
from ._flow import Flow, Put
from ._hand import Results
from ._job import Job
from ._options import OnExit, Options, check_positive
from ._order import CompletionOrder, Order
from ._source import Both
from ._spawn_order import SpawnOrder
from ._stream import Stream
from ._tool import Tool
from ._waiting import Moment
from .task import Task, check_timeout

__all__ = ["OrderedYielder", "Yielder", "ordered_yielding", "yielding"]

P = ParamSpec("P")
T = TypeVar("T")


class Yielder(Tool, Both):
    """Hands results out as they complete.

    ::

        >>> import asyncio
        >>> from aioutils import Yielder
        >>> async def wait(seconds):
        ...     await asyncio.sleep(seconds)
        ...     return seconds
        >>> y = Yielder()
        >>> for seconds in (0.03, 0.01, 0.02):
        ...     task = y.spawn(wait(seconds))
        >>> list(y)
        [0.01, 0.02, 0.03]

    The loop runs while the consumer waits for the next result and stands still while it works.
    Results that are None are skipped, unless `keep_none`. At most `size` tasks run at once, if
    it is given; nothing new starts while `buffer` or more results wait to be handed out, if that
    is given. After every result the first failure is raised as itself, the others are its notes.
    Leaving the iteration early cancels what is unfinished. In async code: ``async for``.

    `on_error`, `on_exit`, `within`, `executor` and `loop_factory` are those of `Group`, but for
    the default of `on_exit`: leaving a ``with`` block cancels. With `on_error="cancel"` the first
    failure is raised at once, after the rest was cleaned up.
    """

    _order: type[Order] = CompletionOrder

    def __init__(
        self,
        size: int | None = None,
        *,
        threads: int = 32,
        buffer: int | None = None,
        keep_none: bool = False,
        on_error: OnError = "continue",
        on_exit: OnExit = "cancel",
        within: Tool | None = None,
        executor: Executor | None = None,
        loop_factory: LoopFactory | None = None,
    ) -> None:
        options = Options(
            self,
            size=size,
            threads=threads,
            on_error=on_error,
            on_exit=on_exit,
            executor=executor,
            loop_factory=loop_factory,
        )
        order = self._order()
        self._set_up(options, within, order)
        scheduler = self._scheduler
        self._keep_none = keep_none
        self._room = Moment()
        self._buffer = size or 1000
        if buffer is not None:
            self._buffer = check_positive(type(self).__name__, "buffer", buffer)
        wanted: list[Job] = []
        for lane in scheduler.lanes:
            lane.buffer, lane.wanted, lane.room = buffer, wanted, self._room

    @overload
    def spawn(self, work: AsyncIterable[Any], /) -> Task[None]: ...
    @overload
    def spawn(self, work: Awaitable[T], /) -> Task[T]: ...
    @overload
    def spawn(
        self, work: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Task[T]: ...
    @overload
    def spawn(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Task[T]: ...
    def spawn(self, work: Any, /, *args: Any, **kwargs: Any) -> Task[Any]:
        """Adds work as `Group.spawn` does; or an async iterable, of which each item is handed out.

        ::

            >>> from aioutils import Yielder
            >>> async def count(n):
            ...     for i in range(n):
            ...         yield i
            >>> y = Yielder()
            >>> task = y.spawn(count(3))
            >>> list(y)
            [0, 1, 2]

        So a plain ``for`` reads any async stream, or several merged into one. It is closed
        (`aclose()`) where the iteration ends early. In an `OrderedYielder` its items have the
        place of the spawn; those not at the head pause after `buffer` items (default: `size`).
        While you wait for the task of one, instead of taking its items, it does not pause. What
        can be awaited as well is iterated; an async function is called, even if it has `__aiter__`.
        """
        if _is_stream(work) and not (args or kwargs):
            scheduler = self._opened()
            flow = Flow(scheduler, work, self._room, self._buffer)
            flow._order = scheduler.order
            scheduler.submit(flow)
            return flow
        return super().spawn(work, *args, **kwargs)

    def put(self, item: Any) -> None:
        """Adds an item to be handed out, None too; from any thread, and from inside tasks.

        An iteration ends when no task is left: what puts from a thread of yours is better spawned.
        """
        scheduler = self._opened()
        order = scheduler.order
        assert order is not None
        order.put(Put(scheduler.main, item))
        order.tell()

    def yielding(self, timeout: float | None = None) -> Stream[Any]:
        """Returns an iterator over the results, for ``yield from``.

        Raises `TimeoutError` if `timeout` seconds of wall time passed before its end; the tasks
        stay, and another iteration hands out what is left.
        """
        self._opened()
        check_timeout(self, timeout)
        scheduler = self._scheduler
        assert scheduler.order is not None
        hand = Results(scheduler, scheduler.order, self._keep_none, self._room)
        return Stream(self, scheduler.order, hand, timeout=timeout)

    def __iter__(self) -> Stream[Any]:
        return self.yielding()

    def __aiter__(self) -> Stream[Any]:
        return self.yielding()


class OrderedYielder(Yielder):
    """Hands results out in the order of `spawn()` and `put()`, whoever completes first.

    ::

        >>> import asyncio
        >>> from aioutils import OrderedYielder
        >>> async def wait(seconds):
        ...     await asyncio.sleep(seconds)
        ...     return seconds
        >>> y = OrderedYielder()
        >>> for seconds in (0.03, 0.01, 0.02):
        ...     task = y.spawn(wait(seconds))
        >>> list(y)
        [0.03, 0.01, 0.02]

    In all else like `Yielder`. What tasks spawn and put themselves has its place where it was
    made.
    """

    _order = SpawnOrder


def _is_stream(work: Any) -> bool:
    if not isinstance(work, AsyncIterable):
        return False
    return not (callable(work) and _work._flags(work) == CO_COROUTINE)


def yielding(size: int | None = None, *, keep_none: bool = False) -> Yielder:
    """A `Yielder` for a ``with`` block, whose end cancels and cleans up what was not consumed.

    ::

        >>> from aioutils import yielding
        >>> async def square(n):
        ...     return n * n
        >>> def squares(numbers):
        ...     with yielding(2) as y:
        ...         for n in numbers:
        ...             y.spawn(square(n))
        ...         yield from y
        >>> sorted(squares([3, 1, 2]))
        [1, 4, 9]

    That end raises the failures that nobody has seen as one `ExceptionGroup`.
    """
    return Yielder(size, keep_none=keep_none)


def ordered_yielding(size: int | None = None, *, keep_none: bool = False) -> OrderedYielder:
    """`yielding` in the order of spawning.

    ::

        >>> from aioutils import ordered_yielding
        >>> async def square(n):
        ...     return n * n
        >>> with ordered_yielding() as y:
        ...     for n in (3, 1, 2):
        ...         task = y.spawn(square(n))
        ...     print(list(y))
        [9, 1, 4]
    """
    return OrderedYielder(size, keep_none=keep_none)
