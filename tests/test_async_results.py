"""Results one by one in async code: `async for` over yielders, `imap*` and `as_completed`."""

import asyncio

import pytest
from four_tools import MAKERS, fails, returns
from on_a_loop import afinish, on_a_loop, start_all

from aioutils import OrderedYielder, Pool, Yielder


@pytest.fixture(params=["Group", "Pool"])
def make_group(request):
    return MAKERS[request.param]


@pytest.fixture(params=[*MAKERS][2:])
def make_yielder(request):
    return MAKERS[request.param]


def later(tool, names):
    """Spawns one task for each name; they end one after the other, the last one first."""
    doors = [asyncio.Event() for _ in range(len(names) + 1)]
    doors[-1].set()

    async def after(n):
        await doors[n + 1].wait()
        doors[n].set()
        return names[n]

    for n in range(len(names)):
        tool.spawn(after(n))


@on_a_loop
async def test_async_for_hands_results_out_as_they_complete_or_in_spawn_order():
    for kind, expected in ((Yielder, "cba"), (OrderedYielder, "abc")):
        async with kind() as y:
            later(y, "abc")
            assert [name async for name in y] == list(expected)


@on_a_loop
async def test_async_for_hands_out_what_tasks_spawn_and_put(make_yielder):
    async def work(n):
        y.put(f"put {n}")
        if n:
            y.spawn(work(n - 1))
        return n

    async with make_yielder() as y:
        y.spawn(work(3))
        results = await afinish(y)
    assert sorted(map(str, results)) == ["0", "1", "2", "3", "put 0", "put 1", "put 2", "put 3"]


@on_a_loop
async def test_async_for_gives_every_result_and_then_the_first_failure(make_yielder):
    results = []
    async with make_yielder() as y:
        y.spawn(fails(ValueError("first")))
        y.spawn(fails(KeyError("second")))
        y.spawn(returns(1))
        with pytest.raises(ValueError, match="first") as caught:
            async for result in y:
                results.append(result)
    assert results == [1]
    assert "KeyError('second')" in caught.value.__notes__[0]


@on_a_loop
async def test_results_that_a_timeout_left_come_with_the_next_iteration(make_yielder):
    async with make_yielder() as y:
        door = asyncio.Event()
        y.spawn(door.wait())
        with pytest.raises(TimeoutError):
            async for _ in y.yielding(timeout=0.01):
                raise AssertionError("there is nothing yet")
        door.set()
        assert await afinish(y) == [True]


@on_a_loop
async def test_imap_keeps_the_order_and_imap_unordered_does_not():
    async def wait(n):
        if n < 2:
            await doors[n + 1].wait()
        doors[n].set()
        return n

    async with Pool(3) as pool:
        doors = [asyncio.Event() for _ in range(3)]
        assert [n async for n in pool.imap(wait, range(3))] == [0, 1, 2]
        doors = [asyncio.Event() for _ in range(3)]
        assert [n async for n in pool.imap_unordered(wait, range(3))] == [2, 1, 0]


@on_a_loop
async def test_imap_pulls_an_endless_source_no_further_than_it_may():
    def endless():
        nonlocal pulled
        while True:
            pulled += 1
            yield pulled

    pulled = 0
    async with Pool(2) as pool:
        stream = pool.imap(returns, endless(), buffer=3)
        for n in range(1, 20):
            assert await anext(stream) == n
            await start_all()
            assert pulled <= n + 2 + 3
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@on_a_loop
async def test_imap_takes_an_async_source_and_closes_it():
    async def source():
        try:
            for n in range(100):
                yield n
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    closed = []
    async with Pool(2) as pool:
        stream = pool.imap(returns, source())
        assert [await anext(stream), await anext(stream)] == [0, 1]
        assert not closed
        await stream.aclose()
        assert closed


@on_a_loop
async def test_imap_raises_a_failure_where_its_result_would_have_been():
    async def divide(n):
        return 1 / n

    async with Pool(2) as pool:
        stream = pool.imap(divide, [1, 0, 2])
        assert await anext(stream) == 1.0
        with pytest.raises(ZeroDivisionError):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        outcomes = [x async for x in pool.imap(divide, [0, 2], return_exceptions=True)]
        assert isinstance(outcomes[0], ZeroDivisionError) and outcomes[1] == 0.5


# ---- failures that would be taken for the end ---------------------------------------------


class Awaitable:
    """It may fail with a StopIteration, which a coroutine can't."""

    def __init__(self, error):
        self.error = error

    def __await__(self):
        raise self.error


class Source(Awaitable):
    __aiter__ = Awaitable.__await__


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
@on_a_loop
async def test_a_stop_async_iteration_of_an_item_does_not_end_the_iteration_in_silence(method):
    error = StopAsyncIteration("of an item")
    async with Pool(1) as pool:
        with pytest.raises(RuntimeError, match="raised StopAsyncIteration") as caught:
            [x async for x in getattr(pool, method)(fails, [error])]
    assert caught.value.__cause__ is error


@on_a_loop
async def test_a_stop_async_iteration_of_a_task_does_not_end_a_yielder_in_silence(make_yielder):
    results = []
    async with make_yielder() as y:
        for n in range(3):
            y.spawn(fails(StopAsyncIteration()) if n == 1 else returns(n))
        with pytest.raises(RuntimeError, match="raised StopAsyncIteration"):
            async for result in y:
                results.append(result)
        assert y.errors == []
    assert sorted(results) == [0, 2]


@on_a_loop
async def test_a_stop_async_iteration_of_the_source_does_not_end_imap_in_silence():
    async with Pool(1) as pool:
        with pytest.raises(RuntimeError, match="raised StopAsyncIteration"):
            [x async for x in pool.imap(returns, Source(StopAsyncIteration()))]


def test_a_stop_iteration_of_a_task_does_not_end_a_plain_for_in_silence(make_yielder):
    y, error = make_yielder(), StopIteration("of a task")
    y.spawn(Awaitable(error))
    with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
        list(y)
    assert caught.value.__cause__ is error
    y.close()


# ---- as_completed ------------------------------------------------------------------------


@on_a_loop
async def test_as_completed_hands_out_the_tasks(make_group):
    async with make_group() as group:
        later(group, "abc")
        failed = group.spawn(fails(ValueError()))
        names = [
            "failed" if task is failed else task.result() async for task in group.as_completed()
        ]
        assert sorted(names) == ["a", "b", "c", "failed"]
        assert [name for name in names if name != "failed"] == ["c", "b", "a"]
        assert isinstance(failed.exception(), ValueError)
