"""Memory: what a stream of many items needs above its start. `AIOUTILS_STRESS=long`: a million."""

import asyncio
import gc
import os
import tracemalloc

import pytest
from four_tools import DEBUG

from aioutils import Group, Pool, Yielder
from aioutils._graph import Driving

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
ITEMS = 1_000_000 if LONG else 5_000 if DEBUG else 50_000  # there each takes a millisecond
LIMIT = 2_000_000  # bytes

pytestmark = pytest.mark.timeout(1800 if LONG else 60)


@pytest.fixture
def peak():
    """`peak(iterable)` exhausts it; how much more memory it took than there was, and the count."""

    def measure(stream):
        gc.collect()
        tracemalloc.start()
        try:
            start = tracemalloc.get_traced_memory()[0]
            count = sum(1 for _ in stream)
            return tracemalloc.get_traced_memory()[1] - start, count
        finally:
            tracemalloc.stop()

    return measure


async def at_once(n):
    return n


async def one_step(n):
    await asyncio.sleep(0)
    return n


@pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
@pytest.mark.parametrize("work", [at_once, one_step] if LONG else [one_step])
def test_a_long_stream_peaks_under_two_megabytes(peak, method, work, isolate, record_property):
    with Pool(100) as pool:
        list(pool.imap(work, range(1000), isolate=isolate))  # what is made once
        stream = getattr(pool, method)(work, range(ITEMS), isolate=isolate)
        grown, count = peak(stream)
    record_property("peak", grown)
    print(f"{ITEMS:,} items, {method}, {work.__name__}, isolate={isolate}: {grown:,} bytes")
    assert count == ITEMS
    assert grown < LIMIT


@pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])
def test_failures_that_are_handed_out_are_not_kept(peak, isolate):
    async def fail(n):
        raise ValueError(n)

    with Pool(100) as pool:
        stream = pool.imap(fail, range(ITEMS // 10), return_exceptions=True, isolate=isolate)
        grown, count = peak(stream)
    assert count == ITEMS // 10
    assert grown < LIMIT


@pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])
@pytest.mark.parametrize("source", [range, lambda n: (n for n in range(n))], ids=["range", "own"])
def test_map_keeps_the_results_and_nothing_else(peak, source, isolate):
    async def nothing(_):
        await asyncio.sleep(0)

    def all_at_once():
        yield from pool.map(nothing, source(ITEMS), isolate=isolate)

    with Pool(100) as pool:
        pool.map(nothing, range(1000), isolate=isolate)
        grown, count = peak(all_at_once())
    assert count == ITEMS
    assert grown < 16 * ITEMS + LIMIT  # twice the list, as it grows


def test_an_async_stream_of_many_items_is_not_kept(peak):
    async def numbers():
        for n in range(ITEMS):
            yield n

    with Yielder(buffer=100) as y:
        y.spawn(numbers())
        grown, count = peak(iter(y))
    assert count == ITEMS
    assert grown < LIMIT


def test_a_function_that_waits_often_keeps_none_of_its_waits():
    def function():
        for _ in range(20):
            other.spawn(asyncio.sleep, 0).result()
        return sum(type(thing) is Driving for thing in gc.get_objects())

    with Group() as other, Pool(1) as pool:
        assert pool.spawn(function).result() == 0


def test_the_bound_is_one_that_a_list_of_the_results_breaks(peak):
    with Pool(100) as pool:
        results = pool.imap(at_once, range(max(ITEMS, 20_000)), isolate=False)
        grown, _ = peak(kept(results))
    assert grown > LIMIT


def kept(results):
    everything = []
    for result in results:
        everything.append([result])
        yield result
