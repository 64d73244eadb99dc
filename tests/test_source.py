"""Where items come from: pulled as there is room, in the consumer's thread."""

import asyncio
import itertools
import queue
import sqlite3
import threading
import time

import pytest

from aioutils import Group, Pool

both = pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])
methods = pytest.mark.parametrize("method", ["imap", "imap_unordered"])


async def double(n):
    await asyncio.sleep(0)
    return 2 * n


class Items:
    """A generator that counts what was pulled, and knows that it was closed."""

    def __init__(self, end=None, error=None):
        self.pulled, self.closed, self.threads = 0, False, set()
        self._end, self._error = end, error

    def __iter__(self):
        try:
            while self.pulled != self._end:
                self.threads.add(threading.get_ident())
                self.pulled += 1
                yield self.pulled - 1
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True


class AsyncItems(Items):
    async def __aiter__(self):
        try:
            while self.pulled != self._end:
                self.pulled += 1
                yield self.pulled - 1
                await asyncio.sleep(0)
            if self._error is not None:
                raise self._error
        finally:
            await asyncio.sleep(0)
            self.closed = True

    __iter__ = None


sources = pytest.mark.parametrize("source", [Items, AsyncItems], ids=["plain", "async"])

# ---- laziness --------------------------------------------------------------------------


@both
@methods
@sources
@pytest.mark.parametrize("buffer", [None, 1, 2, 20])
def test_never_more_than_size_and_buffer_ahead_of_the_consumer(method, source, buffer, isolate):
    items, ahead = source(), []
    room = 4 + (buffer or 4)

    async def run(n):
        ahead.append(items.pulled - taken)
        await asyncio.sleep(0)
        return n

    taken = 0
    with Pool(4) as pool:
        for _ in getattr(pool, method)(run, items, buffer=buffer, isolate=isolate):
            taken += 1
            ahead.append(items.pulled - taken)
            if taken == 100:
                break
        # An async source is asked for its next item when there is room for it.
        assert max(ahead) <= room
        assert items.closed


@both
@sources
@pytest.mark.parametrize("buffer", [None, 1, 20])
def test_not_even_while_the_first_item_of_imap_is_slow(source, buffer, isolate):
    items, started = source(), []
    room = 4 + (buffer or 4)

    async def run(n):
        started.append(n)
        if n == 0:
            for _ in range(200):
                await asyncio.sleep(0)
                most.append(items.pulled)
        return n

    most = []
    with Pool(4) as pool:
        stream = pool.imap(run, items, buffer=buffer, isolate=isolate)
        assert next(stream) == 0
        assert 1 < max(most) <= room
        assert len(started) <= room
        stream.close()


@both
@methods
@sources
def test_the_first_result_comes_before_more_than_size_and_buffer_were_pulled(
    method, source, isolate
):
    items = source()
    with Pool(3) as pool:
        stream = getattr(pool, method)(double, items, buffer=2, isolate=isolate)
        assert items.pulled == 0
        next(stream)
        assert 1 <= items.pulled <= 5
        stream.close()


@both
@methods
def test_a_group_takes_a_thousand_at_most(method, isolate):
    items = Items()

    async def wait(n):
        if n == 0:
            for _ in range(10):
                await asyncio.sleep(0)
            return n
        await asyncio.Event().wait()

    stream = getattr(Group(), method)(wait, items, isolate=isolate)
    assert next(stream) == 0
    assert items.pulled <= 2000
    stream.close()


@both
@methods
def test_plain_sources_are_pulled_outside_of_the_loop_in_the_consumers_thread(method, isolate):
    def source():
        for n in range(20):
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            yield n

    items = Items(20)
    got = list(getattr(Pool(3), method)(double, source(), isolate=isolate))
    assert sorted(got) == [2 * n for n in range(20)]
    list(getattr(Pool(3), method)(double, items, isolate=isolate))
    assert items.threads == {threading.get_ident()}


# ---- kinds -----------------------------------------------------------------------------


@both
@methods
@sources
def test_an_empty_source_ends_at_once(method, source, isolate):
    assert list(getattr(Pool(2), method)(double, source(0), isolate=isolate)) == []
    assert Pool(2).map(double, source(0), isolate=isolate) == []


@both
@sources
def test_an_infinite_source_can_be_left(source, isolate):
    items = source()
    with Pool(2) as pool:
        got = list(itertools.islice(pool.imap(double, items, isolate=isolate), 50))
        assert got == [2 * n for n in range(50)]
    assert items.closed


@both
@methods
def test_a_queue_that_another_thread_feeds(method, in_thread, isolate):
    todo, seen = queue.Queue(), queue.Queue()

    def feed():
        for n in range(10):
            todo.put(n)
            if n >= 4:
                seen.get(timeout=5)  # results come while the queue is still fed
        todo.put(None)

    call, got = in_thread(feed), []
    for result in getattr(Pool(2), method)(double, iter(todo.get, None), isolate=isolate):
        got.append(result)
        seen.put(result)
    call()
    assert sorted(got) == [2 * n for n in range(10)]


@both
@methods
@pytest.mark.parametrize("tools", [1, 2], ids=["same pool", "another pool"])
def test_imap_over_imap(method, tools, isolate):
    pools = [Pool(2), Pool(2)][:tools]
    inner = getattr(pools[0], method)(double, range(30), isolate=isolate)
    outer = getattr(pools[-1], method)(double, inner, isolate=isolate)
    assert sorted(outer) == [4 * n for n in range(30)]


@both
@pytest.mark.parametrize("tools", [1, 2], ids=["same pool", "another pool"])
def test_leaving_the_outer_imap_ends_the_inner_one_and_its_source(tools, isolate):
    pools, items, ended = [Pool(2), Pool(2)][:tools], Items(), []

    async def slow(n):
        try:
            await (asyncio.Event().wait() if n > 3 else asyncio.sleep(0))
        finally:
            ended.append(n)

    inner = pools[0].imap(slow, items, isolate=isolate)
    for _ in pools[-1].imap(asyncio.sleep, (0 for _ in inner), isolate=isolate):
        break
    inner.close()
    assert items.closed and len(pools[0]) == 0

    items = Items()
    for _ in pools[-1].imap(slow, pools[0].imap(double, items, isolate=isolate), isolate=isolate):
        break
    assert items.closed
    assert [len(pool) for pool in pools] == [0] * tools


@both
@methods
def test_rows_of_a_database_cursor(method, isolate):
    connection = sqlite3.connect(":memory:")
    connection.execute("create table numbers (n)")
    connection.executemany("insert into numbers values (?)", [(n,) for n in range(50)])

    async def first(row):
        await asyncio.sleep(0)
        return row[0]

    rows = connection.execute("select n from numbers order by n")
    assert sorted(getattr(Pool(3), method)(first, rows, isolate=isolate)) == list(range(50))
    connection.close()


@both
@methods
def test_several_async_iterables_are_taken_one_of_each(method, isolate):
    async def add(a, b):
        return a + b

    long, short = AsyncItems(), AsyncItems(5)
    got = sorted(getattr(Pool(2), method)(add, long, short, isolate=isolate))
    assert got == [0, 2, 4, 6, 8]
    assert long.closed and short.closed


def test_plain_and_async_iterables_in_one_call_are_refused():
    with pytest.raises(TypeError, match="both"):
        Pool(2).imap(double, AsyncItems(), [1])


@both
def test_a_source_may_spawn_into_the_pool_and_wait(isolate):
    def source():
        for n in range(10):
            yield pool.spawn(double, n).result()

    pool = Pool(2)
    assert list(pool.imap(double, source(), isolate=isolate)) == [4 * n for n in range(10)]


@both
@methods
@pytest.mark.parametrize("world", ["sync", "async", "sync in a loop"])
@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
def test_what_a_slow_source_has_given_begins_before_the_next_is_pulled(method, world, isolate):
    pulled = begun = behind = 0

    def slow():
        nonlocal pulled, behind
        for n in range(6):
            time.sleep(0.005)
            behind = max(behind, pulled - begun)
            pulled += 1
            yield n

    async def work(n):
        nonlocal begun
        begun += 1
        return n

    async def in_async_code():
        pool = Pool(10)
        got = [n async for n in getattr(pool, method)(work, slow(), isolate=isolate)]
        await pool.aclose()
        return got

    async def in_a_loop():
        return in_sync_code()

    def in_sync_code():
        with Pool(10) as pool:
            return list(getattr(pool, method)(work, slow(), isolate=isolate))

    if world == "sync":
        got = in_sync_code()
    else:
        got = asyncio.run(in_async_code() if world == "async" else in_a_loop())
    assert sorted(got) == list(range(6))
    assert behind <= 1
