"""What a type checker makes of `on`, `executor=` and `loop_factory=`."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import assert_type

import uvloop

from aioutils import Group, Pool, Task, on

executor = ProcessPoolExecutor()


def power(base: int, exponent: int = 2) -> float:
    return float(base**exponent)


with Pool(2, executor=executor, loop_factory=uvloop.new_event_loop) as pool:
    marked = on(executor, power)
    assert_type(marked(2), float)
    assert_type(pool.spawn(marked, 2, exponent=3), Task[float])
    assert_type(pool.map(marked, [1, 2]), list[float])
    pool.spawn(marked, "2")  # type: ignore[call-overload]

on(3, power)  # type: ignore[arg-type]
Group(executor=len)  # type: ignore[arg-type]
Group(loop_factory=3)  # type: ignore[arg-type]
factory: Callable[[], object] = object
Group(loop_factory=factory)  # type: ignore[arg-type]
