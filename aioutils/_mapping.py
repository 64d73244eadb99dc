"""`map` and its family: a function over many items, results as a list or one by one."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, TypeVar, overload

from . import _work
from ._async_source import source_of
from ._crew import Crew
from ._each import Each
from ._hand import Collected, Hand, Outcomes
from ._options import check_positive
from ._order import CompletionOrder, Order
from ._spawn_order import SpawnOrder
from ._stream import Stream
from ._tool import Tool

T = TypeVar("T")
_Items = Iterable[Any] | AsyncIterable[Any]


class Mapper(Tool):
    """What Group and Pool have, and yielders do not."""

    @overload
    def map(
        self, function: Callable[..., Awaitable[T]], /, *iterables: _Items, isolate: bool = True
    ) -> list[T]: ...
    @overload
    def map(
        self, function: Callable[..., T], /, *iterables: _Items, isolate: bool = True
    ) -> list[T]: ...
    @overload
    def map(
        self,
        function: Callable[..., Any],
        /,
        *iterables: _Items,
        return_exceptions: bool,
        isolate: bool = True,
    ) -> list[Any]: ...
    def map(
        self,
        function: Callable[..., Any],
        /,
        *iterables: _Items,
        return_exceptions: bool = False,
        isolate: bool = True,
    ) -> list[Any]:
        """Returns the results of `function` for all items, in the order of the items.

        ::

            >>> from aioutils import Pool
            >>> async def double(n):
            ...     return 2 * n
            >>> Pool(8).map(double, range(5))
            [0, 2, 4, 6, 8]

        Takes what `imap` takes, but for the buffer: nothing waits for a consumer here.
        """
        hand = Collected if return_exceptions else Hand
        try:
            return self._stream(
                function, iterables, SpawnOrder(), sys.maxsize, hand, isolate
            ).rest()
        finally:
            del self  # the frames of a failure lead to this one

    @overload
    def starmap(
        self, function: Callable[..., Awaitable[T]], arguments: _Items, /, *, isolate: bool = True
    ) -> list[T]: ...
    @overload
    def starmap(
        self, function: Callable[..., T], arguments: _Items, /, *, isolate: bool = True
    ) -> list[T]: ...
    @overload
    def starmap(
        self,
        function: Callable[..., Any],
        arguments: _Items,
        /,
        *,
        return_exceptions: bool,
        isolate: bool = True,
    ) -> list[Any]: ...
    def starmap(
        self,
        function: Callable[..., Any],
        arguments: _Items,
        /,
        *,
        return_exceptions: bool = False,
        isolate: bool = True,
    ) -> list[Any]:
        """Like `map`, with the arguments of each call in a tuple.

        ::

            >>> from aioutils import Pool
            >>> Pool(8).starmap(pow, [(2, 3), (3, 2)])
            [8, 9]
        """
        hand = Collected if return_exceptions else Hand
        one = (arguments,)
        try:
            return self._stream(
                function, one, SpawnOrder(), sys.maxsize, hand, isolate, star=True
            ).rest()
        finally:
            del self  # as in `map`

    @overload
    def imap(
        self,
        function: Callable[..., Awaitable[T]],
        /,
        *iterables: _Items,
        buffer: int | None = None,
        isolate: bool = True,
    ) -> Stream[T]: ...
    @overload
    def imap(
        self,
        function: Callable[..., T],
        /,
        *iterables: _Items,
        buffer: int | None = None,
        isolate: bool = True,
    ) -> Stream[T]: ...
    @overload
    def imap(
        self,
        function: Callable[..., Any],
        /,
        *iterables: _Items,
        buffer: int | None = None,
        return_exceptions: bool,
        isolate: bool = True,
    ) -> Stream[Any]: ...
    def imap(
        self,
        function: Callable[..., Any],
        /,
        *iterables: _Items,
        buffer: int | None = None,
        return_exceptions: bool = False,
        isolate: bool = True,
    ) -> Stream[Any]:
        """Returns an iterator over the results of `function`, in the order of the items.

        ::

            >>> from itertools import count
            >>> from aioutils import Pool
            >>> async def double(n):
            ...     return 2 * n
            >>> for result in Pool(8).imap(double, count()):
            ...     if result > 4:
            ...         break
            ...     print(result)
            0
            2
            4

        `function` is an async function, or a plain one, which runs in worker threads. The items
        may be endless: they are pulled as there is room, never more than the pool's size plus
        `buffer` (default: the size) ahead of you; a group has the size 1,000 for each call. With
        several iterables one of each is pulled, until the shortest ends. All of them may be async
        iterables as well.

        A failure is raised where its result would have been, and what is left is cancelled; with
        `return_exceptions` exceptions are handed out like results. What the source raises comes
        after the results before it. Leaving early cancels what is unfinished, and closes the
        source if it is a generator.

        Each item is an asyncio task of its own. `isolate=False` lets tasks be reused, several
        times faster for tiny items: what hangs on `asyncio.current_task()` is shared then, and all
        see the context variables of this call.
        """
        hand = Outcomes if return_exceptions else Hand
        return self._stream(function, iterables, SpawnOrder(), buffer, hand, isolate)

    @overload
    def imap_unordered(
        self,
        function: Callable[..., Awaitable[T]],
        /,
        *iterables: _Items,
        buffer: int | None = None,
        isolate: bool = True,
    ) -> Stream[T]: ...
    @overload
    def imap_unordered(
        self,
        function: Callable[..., T],
        /,
        *iterables: _Items,
        buffer: int | None = None,
        isolate: bool = True,
    ) -> Stream[T]: ...
    @overload
    def imap_unordered(
        self,
        function: Callable[..., Any],
        /,
        *iterables: _Items,
        buffer: int | None = None,
        return_exceptions: bool,
        isolate: bool = True,
    ) -> Stream[Any]: ...
    def imap_unordered(
        self,
        function: Callable[..., Any],
        /,
        *iterables: _Items,
        buffer: int | None = None,
        return_exceptions: bool = False,
        isolate: bool = True,
    ) -> Stream[Any]:
        """Like `imap`, with the results as they complete.

        ::

            >>> import asyncio
            >>> from aioutils import Pool
            >>> async def wait(seconds):
            ...     await asyncio.sleep(seconds)
            ...     return seconds
            >>> list(Pool(8).imap_unordered(wait, [0.03, 0.01, 0.02]))
            [0.01, 0.02, 0.03]
        """
        hand = Outcomes if return_exceptions else Hand
        return self._stream(function, iterables, CompletionOrder(), buffer, hand, isolate)

    def _stream(
        self,
        function: Callable[..., Any],
        iterables: tuple[Any, ...],
        order: Order,
        buffer: int | None,
        hand: type[Hand],
        isolate: bool,
        star: bool = False,
    ) -> Stream[Any]:
        scheduler = self._opened()
        if buffer is not None:
            check_positive(f"{type(self).__name__}.imap", "buffer", buffer)
        if not iterables:
            raise TypeError(f"{self!r}: map needs items to map")
        star = star or len(iterables) > 1
        reused = not isolate and _work.is_async(function)
        crew = (Crew if reused else Each)(scheduler, order, function, star, buffer)
        return Stream(self, order, hand(scheduler, order), source_of(scheduler, crew, iterables))
