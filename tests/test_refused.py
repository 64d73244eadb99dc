"""What is refused, because it would wait for itself or on another loop, changes nothing."""

import asyncio
import contextlib
import time

import pytest
from four_tools import MAKERS
from on_a_loop import on_a_loop

from aioutils import DeadlockError, Group, OrderedYielder, Pool, WrongLoopError, Yielder

pytestmark = pytest.mark.timeout(5)
yielders = pytest.mark.parametrize("kind", [Yielder, OrderedYielder])


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


async def give(value):
    return value


async def slowly(value):
    await asyncio.sleep(0.02)
    return value


@contextlib.asynccontextmanager
async def context(left):
    yield
    left.append("left")


def begin(tool, task):
    """On a loop of its own, in the thread that calls."""
    while "running=0" in repr(tool):
        with pytest.raises(TimeoutError):
            task.result(timeout=0.001)


@on_a_loop
async def test_a_tool_that_runs_on_another_loop_is_not_closed_from_here(make):
    tool = make()
    task = tool.spawn(slowly(1))
    await asyncio.to_thread(begin, tool, task)
    with pytest.raises(WrongLoopError, match="within="):
        await tool.aclose()
    assert await asyncio.to_thread(task.result) == 1
    await tool.aclose()


@on_a_loop
async def test_a_task_can_not_close_its_tool_which_goes_on(make):
    async def close():
        with pytest.raises(DeadlockError):
            await tool.aclose()
        return await tool.spawn(give("goes on"))

    tool = make()
    assert await tool.spawn(close()) == "goes on"
    await tool.aclose()


def test_nor_does_the_close_of_an_idle_tool_leave_its_contexts_where_that_is_refused(make):
    """In a task of another tool on its loop, or on another loop."""

    async def close():
        with pytest.raises(DeadlockError):
            tool.close()

    left = []
    with make() as tool, Group(within=tool) as group:
        tool.enter_async_context(context(left))
        group.spawn(close).result()
        with pytest.raises(WrongLoopError):
            asyncio.run(tool.aclose())
        assert left == [] and tool.spawn(give(1)).result() == 1
    assert left == ["left"]


@yielders
@on_a_loop
async def test_an_iteration_on_the_wrong_loop_leaves_the_tasks_alone(kind):
    y = kind()
    task = y.spawn(slowly(1))
    await asyncio.to_thread(begin, y, task)
    with pytest.raises(WrongLoopError, match="within="):
        await anext(aiter(y))
    assert await asyncio.to_thread(list, y) == [1]
    await y.aclose()


@yielders
def test_an_iteration_inside_of_a_task_leaves_the_others_alone(kind):
    async def iterate():
        with pytest.raises(DeadlockError):
            next(iter(y))
        return "iterated"

    y = kind()
    y.spawn(iterate())
    y.spawn(slowly(1))
    assert sorted(map(str, y)) == ["1", "iterated"]


async def given_to(results, got):
    """Notes what is handed out before the refusal."""
    with pytest.raises(DeadlockError):
        async for result in results:
            got.append(result)


@yielders
def test_a_task_is_given_none_of_its_own_tools_results_before_it_is_refused(kind):
    """Others could give some, but the last one would be its own."""
    y, got = kind(), []
    y.spawn(slowly(1))
    y.spawn(given_to, y, got)
    assert list(y) == [1] and got == []


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_nor_is_an_item_any_of_its_own_calls(method, isolate):
    async def item(n):
        await (given_to(results, got) if n == 1 else slowly(n))

    got = []
    with Pool(3) as pool:
        results = getattr(pool, method)(item, range(3), isolate=isolate)
        list(results)
    assert got == []


@on_a_loop
async def test_a_map_on_the_wrong_loop_never_starts_its_items():
    pool, started = Pool(2), []

    async def run(n):
        started.append(n)

    def source():
        with contextlib.closing(numbers):
            yield from numbers

    numbers = (n for n in range(10))
    task = pool.spawn(slowly(1))
    await asyncio.to_thread(begin, pool, task)
    with pytest.raises(WrongLoopError, match="within="):
        await anext(pool.imap(run, source()))
    assert numbers.gi_frame is None  # closed
    assert await asyncio.to_thread(pool.join)
    assert not started
    await pool.aclose()


@pytest.mark.usefixtures("quick_pulls")
def test_an_iteration_that_is_closed_on_the_wrong_loop_goes_on():
    async def item(n):
        if n > 0:
            await gate.wait()
        return n

    async def opens():
        gate.set()

    gate = asyncio.Event()
    with Pool(4) as pool:
        results = pool.imap(item, range(3))
        assert next(results) == 0
        with pytest.raises(WrongLoopError, match="within="):
            asyncio.run(results.aclose())
        pool.spawn(opens)
        assert list(results) == [1, 2]


@pytest.mark.parametrize("pause", [0, 0.02])
@on_a_loop
async def test_what_failed_goes_before_the_refusal_to_wait_for_the_rest(pause):
    async def run(n):
        if n == 1:
            raise KeyError(n)
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)

    def source():
        yield 1
        while not results._order.ready():
            time.sleep(0.001)
        time.sleep(pause)
        yield 2

    pool = Pool(2)
    task = pool.spawn(asyncio.sleep, 3600)
    await asyncio.to_thread(begin, pool, task)
    driver = asyncio.create_task(asyncio.to_thread(pool.join))
    while not pool._scheduler.loop.runs_now():
        await asyncio.sleep(0)
    results = pool.imap(run, source())
    with pytest.raises(KeyError):
        await anext(results)
    task.cancel()
    assert await driver
    await pool.aclose()
