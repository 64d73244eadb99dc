"""Group: any number of tasks, joined together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any

from . import _joining
from ._eventloop import LoopFactory
from ._failures import OnError
from ._hand import Tasks
from ._mapping import Mapper
from ._options import OnExit, Options
from ._order import CompletionOrder
from ._stream import Stream
from ._tool import Tool
from .errors import DeadlockError
from .task import Task, check_timeout

__all__ = ["Group"]


class Group(Mapper):
    """Runs everything that was spawned into it, at any depth, while `join()` waits.

    ::

        >>> import asyncio
        >>> from aioutils import Group
        >>> async def visit(n):
        ...     await asyncio.sleep(0.01)
        ...     if n:
        ...         group.spawn(visit(n - 1))
        >>> group = Group()
        >>> for n in range(3):
        ...     task = group.spawn(visit(n))
        >>> group.join()
        True

    Plain functions run in at most `threads` worker threads at once. A group serves any number
    of joins, and what is bound to its loop lives from one to the next. In async code the same
    group runs on the running loop: ``async with Group() as g``, ``await g.wait()``.

    `on_error="continue"` lets the others go on when a task fails, and raises all failures
    together at the end; with "cancel" the first one cancels the rest and is raised as itself,
    the others as its notes; a function is called with each failed task, and nothing is kept: a
    plain function, and what it raises ends the rest, as with "cancel", and the wait.

    `on_exit` says what the end of a ``with`` block does to unfinished tasks: "wait" for them,
    "cancel" them, or "refuse" to leave them, with an `UnfinishedError` that names each. The group
    is closed then. `within` shares the loop of another tool: joining one lets the tasks of the
    other go on.

    `executor`, any `concurrent.futures.Executor`, runs the plain functions instead of those
    threads, and stays yours to shut down; `aioutils.on` names one for a single function.
    `loop_factory` makes the event loop, `uvloop.new_event_loop` for example.
    """

    def __init__(
        self,
        *,
        threads: int = 32,
        on_error: OnError = "continue",
        on_exit: OnExit = "wait",
        within: Tool | None = None,
        executor: Executor | None = None,
        loop_factory: LoopFactory | None = None,
    ) -> None:
        options = Options(
            self,
            threads=threads,
            on_error=on_error,
            on_exit=on_exit,
            executor=executor,
            loop_factory=loop_factory,
        )
        self._set_up(options, within)

    def join(self, timeout: float | None = None, *, raise_error: bool = True) -> bool:
        """Waits until every task has ended, those spawned meanwhile too, and returns True.

        Returns False if `timeout` seconds of wall time passed first: the tasks stay, and the
        next `join()` goes on; 0 does what can be done without waiting. Tools that the tasks
        dropped are closed by then, if the time allows. Raises the failures that nobody has seen
        as one `ExceptionGroup`, unless `raise_error` is False: then they stay in `errors`.
        Raises `DeadlockError` inside one of its own tasks. On Ctrl-C all tasks are cancelled and
        clean up, and `KeyboardInterrupt` leaves the call.
        """
        scheduler = self._opened()
        check_timeout(self, timeout)
        try:
            ended = _joining.join(scheduler, timeout)
            if ended is not None:
                ended.raise_all(raise_error=raise_error)
            return ended is not None
        finally:
            del self  # the frames of a failure lead to this one

    async def wait(self, timeout: float | None = None, *, raise_error: bool = True) -> bool:
        """`join` in async code, on the loop that runs there.

        If it is cancelled, the tasks stay; leaving ``async with`` cancels them.
        """
        scheduler = self._opened()
        check_timeout(self, timeout)
        ended = await _joining.wait(scheduler, timeout)
        if ended is not None:
            ended.raise_all(raise_error=raise_error)
            if not raise_error and scheduler.body is not None:
                scheduler.body.forgive()
        return ended is not None

    def apply(
        self,
        function: Callable[..., Any],
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls the function as a task of this tool, and returns its result.

        Raises what `Task.result` raises; where it may not wait, nothing is called.
        """
        task = self.spawn(function, *args, **(kwargs or {}))
        try:
            return task.result()
        except DeadlockError:
            task.cancel()  # nobody would wait for it; or it failed so itself
            raise
        finally:
            del self, task  # as in `join`

    def as_completed(self) -> Stream[Task[Any]]:
        """Returns an iterator over the unfinished tasks as they finish, later ones too.

        ::

            >>> from aioutils import Group
            >>> async def double(n):
            ...     return 2 * n
            >>> group = Group()
            >>> tasks = {group.spawn(double(n)): n for n in range(3)}
            >>> for task in group.as_completed():
            ...     print(tasks[task], task.result())
            0 0
            1 2
            2 4

        Failures stay with the tasks, and `join()` raises those that you did not ask for. Leaving
        early cancels nothing.
        """
        scheduler, order = self._opened(), CompletionOrder()
        stream: Stream[Task[Any]] = Stream(self, order, Tasks(scheduler, order))
        scheduler.listeners.append(order)
        scheduler.let_in()
        return stream

    def __iter__(self) -> Iterator[Task[Any]]:
        """The unfinished tasks, as they are now."""
        return iter([job for job in self._scheduler.unfinished() if isinstance(job, Task)])
