"""Pool: a group of which only so many tasks run at once."""

from __future__ import annotations

from concurrent.futures import Executor

from ._eventloop import LoopFactory
from ._failures import OnError
from ._options import OnExit, Options, check_positive
from ._tool import Tool
from .group import Group

__all__ = ["Pool"]


class Pool(Group):
    """Runs at most `size` of its tasks at once, and starts them in the order of spawning.

    ::

        >>> import asyncio
        >>> from aioutils import Pool
        >>> async def fetch(n):
        ...     await asyncio.sleep(0.01)
        ...     return n * n
        >>> pool = Pool(2)
        >>> tasks = [pool.spawn(fetch(n)) for n in range(5)]
        >>> pool.join()
        True
        >>> [task.result() for task in tasks]
        [0, 1, 4, 9, 16]

    A task that awaits another task of the pool lends its slot for that time, and has it back
    before it goes on: recursion in a full pool can't deadlock. Raises `TypeError` or
    `ValueError` for a `size` that is no positive int. The options are those of `Group`.
    """

    def __init__(
        self,
        size: int,
        *,
        on_error: OnError = "continue",
        on_exit: OnExit = "wait",
        within: Tool | None = None,
        executor: Executor | None = None,
        loop_factory: LoopFactory | None = None,
    ) -> None:
        options = Options(
            self,
            size=check_positive(type(self).__name__, "size", size),
            on_error=on_error,
            on_exit=on_exit,
            executor=executor,
            loop_factory=loop_factory,
        )
        self._set_up(options, within)
