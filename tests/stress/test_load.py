"""Load: a million that wait, and tasks that spawn for ever. Who waits has control back in time.

Of several waits the least late one counts: who shares the machine may be slow for a moment, and
what takes long by itself is late each time.
"""

import asyncio
import os
import signal
import statistics
import time
import tracemalloc

import pytest
from four_tools import DEBUG

from aioutils import Group, Pool, Yielder

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
MANY = 1_000_000 if LONG else 3_000 if DEBUG else 10_000
WAITS = 5 if LONG else 3
SHORT = 0.01  # seconds that they wait
LATE = 2.0 if DEBUG else 0.1  # asyncio's debug mode takes a millisecond to start a task

pytestmark = pytest.mark.timeout(300 if LONG else 30)


async def returns(value):
    return value


def spawn_many(tool):
    """Returns how many bytes each takes that waits, with its coroutine."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for n in range(2000):
            tool.spawn(returns(n))
        each = (tracemalloc.get_traced_memory()[0] - before) / 2000
    finally:
        tracemalloc.stop()
    for n in range(2000, MANY):
        tool.spawn(returns(n))
    return each


def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def test_a_million_that_wait_are_small_and_all_run():
    with Pool(100) as pool:
        each, spawning = timed(lambda: spawn_many(pool))
        assert len(pool) == MANY
        assert each < 1000 or DEBUG  # where coroutines keep the stack that made them
        done, joining = timed(pool.join)
        assert done and len(pool) == 0
    print(f"{MANY:,} waiting: {each:.0f} bytes and {spawning / MANY * 1e6:.1f} µs each to spawn,")
    print(f"{joining / MANY * 1e6:.1f} µs each to run")


@pytest.mark.parametrize("how", ["cancel", "close", "break"])
def test_a_million_that_wait_are_cancelled(how):
    y = Yielder(10)
    tasks = [y.spawn(returns(n)) for n in range(MANY)]
    start = time.perf_counter()
    if how == "cancel":
        y.cancel()
    elif how == "break":
        for _ in y:
            break
    y.close()
    took = time.perf_counter() - start
    assert len(y) == 0 and all(task.done() for task in tasks)
    assert sum(task.cancelled() for task in tasks) > MANY - 2000
    print(f"{MANY:,} waiting: ended by {how} in {took:.2f} s")


def test_a_wait_for_a_million_ends_in_time():
    with Pool(100) as pool:
        for _ in range(MANY):
            pool.spawn(asyncio.sleep, 3600)
        assert mostly_late(lambda: pool.join(timeout=SHORT)) < LATE
        pool.cancel()


def mostly_late(wait):
    """The median of the waits, each of which must end because its time is up; the machine may be
    late with one."""
    late = []
    for _ in range(WAITS):
        done, took = timed(wait)
        assert done is False
        late.append(took - SHORT)
    print(f"late by {min(late) * 1000:.1f} ms at least, {max(late) * 1000:.1f} ms at most")
    return statistics.median(late)


def for_ever(tool):
    """Tasks that spawn tasks, in each way."""

    async def coroutine():
        tool.spawn(coroutine())

    async def two():
        if len(tool) < 1000:
            tool.spawn(two)
            tool.spawn(two)
        await asyncio.sleep(0)
        tool.spawn(two)

    def function():
        tool.spawn(function)

    async def clean_up():
        try:
            await asyncio.sleep(0)
        finally:
            tool.spawn(clean_up)

    def callback(task):
        if not task.cancelled():
            tool.spawn(returns, 1).add_done_callback(callback)

    return {
        "a coroutine": lambda: tool.spawn(coroutine()),
        "two": lambda: tool.spawn(two),
        "a function": lambda: tool.spawn(function),
        "a clean-up": lambda: tool.spawn(clean_up),
        "a callback": lambda: tool.spawn(returns, 1).add_done_callback(callback),
    }


WAYS = list(for_ever(None))


@pytest.mark.parametrize("size", [None, 1, 10] if LONG else [None, 1])
@pytest.mark.parametrize("way", WAYS)
def test_a_wait_for_what_spawns_for_ever_ends_in_time(size, way):
    with Pool(size) if size else Group() as group:
        for_ever(group)[way]()
        assert mostly_late(lambda: group.join(timeout=SHORT)) < LATE
        group.close()
        assert len(group) == 0


@pytest.mark.parametrize("way", WAYS)
def test_an_iteration_over_what_spawns_for_ever_ends_in_time(way):
    def iterate():
        with pytest.raises(TimeoutError):
            for _ in y.yielding(timeout=SHORT):
                pass
        return False

    with Yielder(2) as y:
        for_ever(y)[way]()
        assert mostly_late(iterate) < LATE
        y.close()
        assert len(y) == 0


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_ends_what_spawns_for_ever(way):
    async def interrupt():
        await asyncio.sleep(SHORT)
        os.kill(os.getpid(), signal.SIGINT)

    with Group() as group:
        for_ever(group)[way]()
        group.spawn(interrupt)
        with pytest.raises(KeyboardInterrupt):
            group.join()
        assert len(group) == 0
