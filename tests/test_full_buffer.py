"""A yielder whose `buffer` is full, and whose results nobody takes any more, ends all the same."""

import asyncio
import sys
import time

import pytest
from on_a_loop import on_a_loop

from aioutils import OrderedYielder, Yielder

pytestmark = pytest.mark.timeout(5)
kinds = pytest.mark.parametrize("kind", [Yielder, OrderedYielder])


async def give(value):
    return value


def fill(y, done):
    """Spawns a task whose clean-up fills the buffer, and waits for tasks that it keeps out."""

    async def run():
        try:
            await asyncio.Event().wait()
        finally:
            for n in range(3):
                y.put(n)
            waits = [asyncio.ensure_future(wait_for(y.spawn(give(n)))) for n in range(3)]
            await asyncio.wait(waits)
            done.append(True)

    async def wait_for(task):
        return await task

    y.spawn(run())
    return y.spawn(give("begun"))


@kinds
@pytest.mark.parametrize("how", ["close", "leave", "fail", "interrupt"])
def test_clean_ups_wait_for_tasks_that_the_buffer_would_keep_out(kind, how):
    async def interrupt():
        await began.wait()
        raise KeyboardInterrupt

    y, done, began = kind(4, buffer=1), [], asyncio.Event()
    if how == "interrupt":
        y.spawn(interrupt())
    fill(y, done).result()
    if how == "close":
        y.close()
    elif how == "leave":
        with y:
            pass
    elif how == "fail":
        with pytest.raises(ValueError), y:
            raise ValueError
    else:
        with pytest.raises(KeyboardInterrupt):
            began.set()
            list(y)
    assert done == [True]


@kinds
@on_a_loop
async def test_the_same_in_async_code(kind):
    y, done = kind(4, buffer=1), []
    await fill(y, done)
    await y.aclose()
    assert done == [True]


@kinds
def test_a_block_that_waits_for_the_end_has_all_tasks_run_though_nobody_takes_results(kind):
    ran = []

    async def run(n):
        ran.append(n)

    async def stream():
        for n in range(10):
            yield n
        ran.append("stream")

    with kind(2, buffer=2, on_exit="wait", keep_none=True) as y:
        for n in range(10):
            y.spawn(run(n))
        y.spawn(stream())
    assert sorted(ran, key=str) == [*range(10), "stream"]


def test_after_an_interrupt_the_buffer_counts_again():
    async def interrupt():
        raise KeyboardInterrupt

    async def run(n):
        started.append(n)
        return n

    y, started = Yielder(1, buffer=2), []
    y.spawn(interrupt())
    with pytest.raises(KeyboardInterrupt):
        list(y)
    for n in range(10):
        y.spawn(run(n))
    stream = iter(y)
    next(stream)
    assert len(started) <= 3
    stream.close()


@pytest.mark.parametrize("begun", [True, False])
def test_a_stream_whose_end_the_one_at_the_head_awaits_does_not_pause_for_its_turn(begun):
    async def numbers():
        for n in range(10):
            yield n

    async def head():
        if begun:
            await asyncio.sleep(0.01)
        await task
        return "head"

    async def wait():
        await stream

    y = OrderedYielder(4, buffer=2)
    y.spawn(head())
    stream = y.spawn(numbers())
    task = y.spawn(wait())
    assert list(y) == ["head", *range(10)]


@kinds
@pytest.mark.parametrize("leave", ["break", "close"])
def test_results_that_were_left_behind_do_not_fill_the_buffer(kind, leave):
    async def numbers():
        for n in range(10):
            yield n

    y = kind(3, buffer=2)
    for _ in range(3):
        for n in range(4):
            y.put(n)
        y.spawn(give(4))
        y.spawn(numbers())
        y.spawn(give(5))
        stream = iter(y)
        next(stream), next(stream)
        if leave == "close":
            stream.close()
        del stream
        y.spawn(give(6))
        assert list(y.yielding(timeout=1)) == [6]


@kinds
@pytest.mark.parametrize("size", [None, 2])
def test_who_consumes_may_wait_for_a_task_that_the_buffer_keeps_out(kind, size):
    y, got = kind(size, buffer=2), []
    for n in range(6):
        y.spawn(give(n))
    for result in y:
        got.append(result)
        if result in (0, 5):
            assert y.spawn(give(f"after {result}")).result() == f"after {result}"
    assert sorted(map(str, got)) == sorted([*"012345", "after 0", "after 5"])


@kinds
@on_a_loop
async def test_who_consumes_may_await_a_task_that_the_buffer_keeps_out(kind):
    got = []
    async with kind(buffer=2) as y:
        for n in range(6):
            y.spawn(give(n))
        async for result in y:
            got.append(result)
            if result == 0:
                assert await y.spawn(give("after")) == "after"
    assert sorted(map(str, got)) == sorted([*"012345", "after"])


@pytest.mark.parametrize("buffer", [1, 2, 5])
def test_streams_behind_a_paused_one_do_not_begin_while_the_buffer_is_full(buffer):
    begun = ended = 0

    async def stream(n):
        nonlocal begun, ended
        begun += 1
        for i in range(20):
            yield n, i
        ended += 1

    y, most = OrderedYielder(2, buffer=buffer), 0
    for n in range(30):
        y.spawn(stream(n))
    for _ in y:
        most = max(most, begun - ended)
    assert most <= 3 and ended == 30


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a slice of tasks begins before one ends")
def test_behind_a_function_that_has_not_begun_no_more_than_the_buffer_ends():
    started, most = 0, 0

    async def count(n):
        nonlocal started
        started += 1
        return n

    y = OrderedYielder(buffer=2)
    y.spawn(lambda: time.sleep(0.02) or -1)
    for n in range(200):
        y.spawn(count(n))
    for taken, result in enumerate(y):
        assert result == taken - 1
        most = max(most, started - taken)
    assert most <= 3
