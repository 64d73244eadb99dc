"""Who waits for a result of an async source, and who is waited for by that source or its items."""

import asyncio

import pytest

from aioutils import DeadlockError, Group, Pool

pytestmark = pytest.mark.timeout(5)
both = pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])
methods = pytest.mark.parametrize("method", ["imap", "imap_unordered"])


async def numbers(end):
    for n in range(end):
        yield n


async def wait_for(spawned):
    return await spawned[0]


@both
@methods
@pytest.mark.parametrize("size, end", [(4, 2), (1, 9)], ids=["has ended", "has no room"])
def test_a_source_that_gives_nothing_does_not_hide_a_circle(method, isolate, size, end):
    """The items await the consumer over a task of another tool."""

    async def item(n):
        return n if n == 0 else await other.spawn(behind)

    async def behind():
        await asyncio.sleep(0)
        return await spawned[0]

    async def consume():
        return [n async for n in getattr(pool, method)(item, numbers(end), isolate=isolate)]

    with Pool(size) as pool, Group(within=pool) as other:
        spawned = [pool.spawn(consume)]
        assert isinstance(spawned[0].exception(), DeadlockError)
        other.take_errors()


@both
@methods
def test_a_source_that_awaits_the_consumer_is_refused_though_an_item_runs(method, isolate):
    async def source():
        yield 1
        await started.wait()
        with pytest.raises(DeadlockError):
            await spawned[0]
        refused.set()

    async def item(n):
        started.set()
        await refused.wait()
        return n

    async def consume():
        return [n async for n in getattr(pool, method)(item, source(), isolate=isolate)]

    started, refused = asyncio.Event(), asyncio.Event()
    with Pool(3) as pool:
        spawned = [pool.spawn(consume)]
        assert spawned[0].result() == [1]


@both
@methods
def test_an_item_that_awaits_the_consumer_is_refused_though_the_source_may_give(method, isolate):
    async def source():
        yield 1
        await refused.wait()

    async def item(n):
        with pytest.raises(DeadlockError):
            await spawned[0]
        refused.set()
        return n

    async def consume():
        return [n async for n in getattr(pool, method)(item, source(), isolate=isolate)]

    refused = asyncio.Event()
    with Pool(3) as pool:
        spawned = [pool.spawn(consume)]
        assert spawned[0].result() == [1]


@both
def test_what_a_source_may_still_give_is_waited_for_beside_items_that_wait_for_who_waits(isolate):
    async def source():
        yield 0
        await waits.wait()
        yield 1

    async def item(n):
        if n == 0:
            task = other.spawn(wait_for, spawned)  # no part of what must end first
            waits.set()
            await task
        return n

    async def consume():
        return await anext(results)

    waits = asyncio.Event()
    with Pool(3) as pool, Group(within=pool) as other:
        results = pool.imap_unordered(item, source(), isolate=isolate)
        spawned = [pool.spawn(consume)]
        assert spawned[0].result() == 1
        results.close()


@both
def test_what_an_item_gives_is_waited_for_beside_a_source_that_waits_for_who_waits(isolate):
    async def source():
        yield 0
        task = other.spawn(wait_for, spawned)
        waits.set()
        await task

    async def item(n):
        await waits.wait()
        await asyncio.sleep(0.01)
        return n

    async def consume():
        return await anext(results)

    waits = asyncio.Event()
    with Pool(3) as pool, Group(within=pool) as other:
        results = pool.imap_unordered(item, source(), isolate=isolate)
        spawned = [pool.spawn(consume)]
        assert spawned[0].result() == 0
        results.close()


@both
@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.usefixtures("quick_pulls")
def test_an_item_that_ends_the_iteration_that_pulls_it_is_refused_by_name(size, isolate):
    async def item(n):
        await asyncio.sleep(0)
        await results.aclose()

    async def same(n):
        return n

    inner, outer = Pool(size), Pool(2)
    results = outer.imap(same, inner.imap(item, range(1), isolate=isolate))
    with inner, outer, pytest.raises(DeadlockError, match="source running>") as refused:
        list(results)
    assert "object at" not in str(refused.value)


@pytest.mark.usefixtures("quick_pulls")
def test_one_that_waits_for_many_names_three_of_them():
    async def item(n):
        if n == 4:
            results.close()
        await asyncio.sleep(0)

    with Pool(5) as pool:
        results = pool.imap(item, range(5))
        with pytest.raises(DeadlockError) as refused:
            list(results)
    names, _, _ = str(refused.value).partition(" would wait for itself")
    assert names.count("item running>") == 3
    assert names.endswith("> and 2 more")
