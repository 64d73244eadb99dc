"""Whoever waits for the task of an async stream, and so takes no items, has it pour on."""

import asyncio
import contextlib

import pytest
from on_a_loop import on_a_loop, start_all

from aioutils import DeadlockError, OrderedYielder, Pool, Yielder

pytestmark = [
    pytest.mark.timeout(10),
    pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning"),
]
kinds = pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
buffers = pytest.mark.parametrize("buffer", [None, 1])
ways = pytest.mark.parametrize("waits", [True, False], ids=["waits", "at once"])


async def numbers(end, given=None, waits=True):
    for n in range(end):
        if waits:
            await asyncio.sleep(0)
        if given is not None:
            given.append(n)
        yield n


async def wait_for(task):
    await task
    return "came"


@kinds
@buffers
@ways
@pytest.mark.parametrize("end", [1, 2, 3, 10])
def test_the_result_of_a_stream_comes_and_its_items_stay(kind, buffer, waits, end):
    y = kind(2, buffer=buffer)
    task = y.spawn(numbers(end, waits=waits))
    assert task.result() is None and task.exception() is None
    assert list(y) == list(range(end))


@kinds
@buffers
@ways
@on_a_loop
async def test_it_comes_in_async_code(kind, buffer, waits):
    async with kind(2, buffer=buffer) as y:
        await y.spawn(numbers(10, waits=waits))
        assert [n async for n in y] == list(range(10))


@kinds
@buffers
@pytest.mark.parametrize("consumes", [True, False])
def test_it_comes_over_a_chain_of_tasks(kind, buffer, consumes):
    async def chain(depth):
        return await y.spawn(wait_for(stream) if depth == 0 else chain(depth - 1))

    y = kind(2, buffer=buffer)
    stream = y.spawn(numbers(10))
    task = y.spawn(chain(3))
    items = iter(y)
    if consumes:
        next(items)
    assert task.result() == "came" and stream.done()
    y.close()


@kinds
@buffers
def test_it_comes_to_who_consumes(kind, buffer):
    y = kind(2, buffer=buffer)
    task = y.spawn(numbers(10))
    got = []
    for n in y:
        got.append(n)
        if n == 1:
            assert task.result() is None
    assert got == list(range(10))


@kinds
@buffers
def test_it_comes_to_a_task_of_another_tool(kind, buffer):
    y = kind(2, buffer=buffer)
    pool, task = Pool(1, within=y), y.spawn(numbers(10))
    assert pool.spawn(wait_for(task)).result() == "came"
    assert list(y) == list(range(10))


@kinds
@on_a_loop
async def test_one_that_has_paused_goes_on_when_a_chain_to_it_is_closed(kind):
    async def middle():
        return await wait_for(stream)

    async def last():
        await event.wait()
        return await task

    event = asyncio.Event()
    async with kind(3, buffer=2) as y:
        given = []
        stream = y.spawn(numbers(10, given))
        task = y.spawn(middle())
        end = y.spawn(last())
        waits = asyncio.ensure_future(asyncio.wait_for(end, 5))
        for _ in range(4):
            await start_all()
        assert len(given) <= 3
        event.set()
        assert await waits == "came"
        assert len(given) == 10


@kinds
@on_a_loop
async def test_a_task_that_waits_beside_a_slow_consumer_does_not_lift_the_bound(kind):
    given, ahead = [], []
    async with kind(3, buffer=2) as y:
        task = y.spawn(numbers(20, given))
        y.spawn(wait_for(task))
        async for n in y:
            await start_all()
            if n != "came":
                ahead.append(len(given) - n)
    assert len(ahead) == 20 and max(ahead) <= 4


@kinds
def test_after_a_wait_that_took_too_long_the_bound_holds_again(kind):
    async def endless():
        while True:
            await asyncio.sleep(0.001)
            given.append(len(given))
            yield given[-1]

    y, given = kind(2, buffer=2), []
    task = y.spawn(endless())
    with pytest.raises(TimeoutError):
        task.result(timeout=0.05)
    before = len(given)
    for _ in range(3):
        y.spawn(asyncio.sleep, 0.01).result()
    assert len(given) <= before + 1
    y.close()


async def waits_for(spawned, block, waits=None):
    yield 0
    if waits is not None:
        waits.append(1)
    yield spawned[0].result() if block else await spawned[0]


@kinds
def test_a_function_that_iterates_a_stream_that_waits_for_it(kind):
    """It drives the loop that the stream blocks, and can't take what the stream has given."""

    def consume():
        with contextlib.closing(kind()) as y:
            y.spawn(waits_for(spawned, block=True))
            return list(y)

    with Pool(2) as pool:
        spawned = [pool.spawn(consume)]
        assert isinstance(spawned[0].exception(), DeadlockError)


@kinds
@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("first", ["stream", "consumer"])
def test_a_task_that_iterates_streams_that_await_it(kind, streams, first):
    async def consume():
        waits = []
        for _ in range(streams):
            y.spawn(waits_for(spawned, block=False, waits=waits))
        while first == "stream" and len(waits) < streams:
            await asyncio.sleep(0)
        return [item async for item in y]

    with Pool(2) as pool, contextlib.closing(kind(within=pool)) as y:
        spawned = [pool.spawn(consume())]
        assert isinstance(spawned[0].exception(), DeadlockError)
        y.take_errors()


@kinds
def test_a_stream_that_awaits_the_consumer_does_not_end_what_others_give(kind):
    async def consume():
        y.spawn(asyncio.sleep(0.01, "first"))
        y.spawn(waits_for(spawned, block=False, waits=waits))
        while not waits:
            await asyncio.sleep(0)
        async for item in y:
            if item == "first":
                return item

    waits = []
    with Pool(2) as pool, contextlib.closing(kind(within=pool)) as y:
        spawned = [pool.spawn(consume())]
        assert spawned[0].result() == "first"


@pytest.mark.parametrize("behind", [0.01, 0])
def test_a_task_that_waits_for_the_head_of_the_line_which_awaits_it(behind):
    """What comes behind it does not help."""

    async def consume():
        y.spawn(wait_for(spawned[0]))
        y.spawn(asyncio.sleep(behind, "behind"))
        await asyncio.sleep(0)
        return [item async for item in y]

    with Pool(2) as pool, contextlib.closing(OrderedYielder(within=pool)) as y:
        spawned = [pool.spawn(consume())]
        assert isinstance(spawned[0].exception(), DeadlockError)
        y.take_errors()


@kinds
def test_two_that_give_wait_for_the_consumer_the_one_over_the_other(kind):
    """Each over a task of another tool: the last that begins to wait would do so for ever."""

    async def after(passes, what):
        for _ in range(passes):
            await asyncio.sleep(0)
        return await what

    async def iterate():
        return [item async for item in y]

    async def consume():
        over = pool.spawn(wait_for(spawned[0]))
        one = y.spawn(wait_for(over))
        last = pool.spawn(after(20, one))
        y.spawn(wait_for(last))
        return await after(10, iterate())

    with Pool(3) as pool, contextlib.closing(kind(within=pool)) as y:
        spawned = [pool.spawn(consume())]
        with pytest.raises(ExceptionGroup, match="would wait for itself"):
            pool.join()
        y.take_errors()
