"""Group: any number of tasks, joined together."""

from collections.abc import Iterator
from typing import Any

from . import _ending
from ._mapping import Mapper
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
    of joins, and what is bound to its loop lives from one to the next. ``with Group() as g``
    joins and closes it.
    """

    def __init__(self, *, threads: int = 32) -> None:
        self._set_up(None, threads)

    def join(self, timeout: float | None = None, *, raise_error: bool = True) -> bool:
        """Waits until every task has ended, those spawned meanwhile too, and returns True.

        Returns False if `timeout` seconds of wall time passed first: the tasks stay, and the
        next `join()` goes on; 0 does what can be done without waiting. Raises the failures that
        nobody has seen as one `ExceptionGroup`, unless `raise_error` is False: then they stay
        in `errors`. Raises `RuntimeError` inside one of its own tasks. On Ctrl-C all tasks are
        cancelled and clean up, and `KeyboardInterrupt` leaves the call.
        """
        scheduler = self._opened()
        check_timeout(self, timeout)
        failures = _ending.join(scheduler, timeout)
        if failures and raise_error:
            scheduler.failures.raise_all(failures, self)
        return failures is not None

    def __iter__(self) -> Iterator[Task[Any]]:
        """The unfinished tasks, as they are now."""
        return iter([job for job in self._scheduler.unfinished() if isinstance(job, Task)])

    def _leave(self) -> None:
        self.join()
