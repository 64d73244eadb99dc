"""Yielder and OrderedYielder: results handed out one by one, while the rest still runs."""

from collections.abc import Iterable, Iterator
from contextvars import copy_context
from time import monotonic
from typing import Any

from ._ending import drop_iteration, stop_iterating
from ._job import DONE, FAILED, Job
from ._lease import block, current
from ._order import CompletionOrder, Order, SpawnOrder
from ._scheduler import Scheduler
from ._tool import Tool
from ._waiting import Waitable
from .task import Task, check_timeout

__all__ = ["OrderedYielder", "Yielder", "ordered_yielding", "yielding"]

_FIX = "Iterate outside of the tasks; inside of them write 'await task'."


class Yielder(Tool):
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
    it is given. After every result the first failure is raised as itself, the others are its
    notes. Leaving the iteration early cancels what is unfinished.
    """

    _order: type[Order] = CompletionOrder

    def __init__(
        self, size: int | None = None, *, threads: int = 32, keep_none: bool = False
    ) -> None:
        self._set_up(size, threads, self._order())
        self._keep_none = keep_none

    def put(self, item: Any) -> None:
        """Adds an item to be handed out, None too; from any thread, and from inside tasks."""
        scheduler = self._opened()
        task: Task[Any] = Task(scheduler.main, None, copy_context(), "put")
        task._context = None
        task._outcome, task._state = item, DONE
        assert scheduler.order is not None
        scheduler.order.spawned(task)
        scheduler.wake()

    def yielding(self, timeout: float | None = None) -> "Results":
        """Returns an iterator over the results, for ``yield from``.

        Raises `TimeoutError` if `timeout` seconds of wall time passed before its end; the tasks
        stay, and another iteration hands out what is left.
        """
        self._opened()
        check_timeout(self, timeout)
        return Results(self, timeout)

    def __iter__(self) -> "Results":
        return self.yielding()

    def _leave(self) -> None:
        failures = self._scheduler.failures
        if failures:
            failures.raise_all(failures.errors(), self)


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


class Results(Iterator[Any]):
    """The iteration of a yielder: drives the loop until there is something to hand out.

    `close()`, or letting it go before its end, cancels what is unfinished and cleans up.
    """

    def __init__(self, yielder: Yielder, timeout: float | None) -> None:
        self._yielder = yielder
        self._timeout = timeout
        self._deadline: float | None = None
        self._begun = self._over = False
        self._failed: list[Job] = []

    def __next__(self) -> Any:
        if not self._begun:
            self._begun = True
            self._deadline = None if self._timeout is None else monotonic() + self._timeout
        order = self._yielder._scheduler.order
        assert order is not None
        while not self._over:
            job = order.take()
            if job is None:
                self._wait(order)
            elif job._state is FAILED:
                self._failed.append(job)
            elif job._state is DONE:
                result = job._outcome
                if result is not None or self._yielder._keep_none or job._name == "put":
                    return result
        raise StopIteration

    def close(self) -> None:
        """Ends the iteration: what is unfinished is cancelled, and its clean-up runs."""
        if self._begun and not self._over:
            self._over = True
            stop_iterating(self._yielder._scheduler)

    def __del__(self) -> None:
        if self._begun and not self._over:
            self._over = True
            drop_iteration(self._yielder._scheduler)

    def _wait(self, order: Order) -> None:
        scheduler = self._yielder._opened()
        following = Following(scheduler)
        left = None if self._deadline is None else max(0.0, self._deadline - monotonic())
        if scheduler.is_idle() and not order.ready():
            self._end()
        elif not block(scheduler.bound(), following, left, _FIX):
            self._over = True
            order.restore(self._failed)
            raise TimeoutError(f"{scheduler!r}: not all results within {self._timeout} s")

    def _end(self) -> None:
        self._over = True
        failed, self._failed = self._failed, []
        self._yielder._scheduler.failures.raise_first(failed, self._yielder)


class Following(Waitable):
    """The moment at which there is something to hand out, or nothing more to wait for."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.watch = scheduler.watch  # type: ignore[method-assign]
        self.unwatch = scheduler.unwatch  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"the next result of {self._scheduler!r}"

    def reached(self) -> bool:
        order = self._scheduler.order
        return (order is not None and order.ready()) or self._scheduler.is_idle()

    def blockers(self) -> Iterable[Waitable]:
        """Any task can give the next result; but not the one that waits for it itself."""
        return [job for job in (current.get(),) if job in self._scheduler.running]
