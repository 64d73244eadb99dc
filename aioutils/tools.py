"""Small helpers around the tools."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

from . import _work
from ._options import check_executor

__all__ = ["on"]

P = ParamSpec("P")
T = TypeVar("T")


def on(executor: Executor, function: Callable[P, T], /) -> Callable[P, T]:
    """Returns the plain function bound to the executor, which runs it in any tool.

    So event loop, threads and processes serve side by side in one pool::

        >>> from concurrent.futures import ThreadPoolExecutor
        >>> from aioutils import Pool, on
        >>> with ThreadPoolExecutor(2) as executor, Pool(10) as pool:
        ...     pool.map(on(executor, abs), [-1, 2, -3])
        [1, 2, 3]

    In a `ProcessPoolExecutor` the function, its arguments and its result must be picklable, and
    context variables stay behind. A task that is cancelled while its function waits for its turn
    ends at once; a function that runs can't be stopped, and is waited for. The executor stays
    yours to shut down. Called by itself, what is returned waits for the executor and gives the
    function's result. Raises `TypeError` for what is no executor, or no plain function.
    """
    check_executor("on(executor, ...)", executor)
    if _work.is_async(function):
        raise TypeError(f"{function!r} is async, it runs on the loop: spawn it without on()")
    return _work.Placed(executor, _work.placed(function)[0])
