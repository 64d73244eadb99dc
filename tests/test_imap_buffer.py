"""No item of `imap` starts while `buffer` results wait; and what is held back holds nobody up."""

import asyncio
import sys
import threading

import pytest
from on_a_loop import on_a_loop, start_all

from aioutils import Group, Pool, Yielder

pytestmark = pytest.mark.timeout(10)
methods = pytest.mark.parametrize("method", ["imap", "imap_unordered"])
isolate = pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])


async def same(n):
    return n


class Counting:
    """A function that ends at once, or after so many passes; it counts whose results wait."""

    def __init__(self, buffer, passes=lambda n: 0):
        self.buffer, self.passes = buffer, passes
        self.waiting = self.started = 0
        self.too_many = []

    async def __call__(self, n):
        self.started += 1
        if self.waiting >= self.buffer:
            self.too_many.append(n)
        for _ in range(self.passes(n)):
            await asyncio.sleep(0)
        self.waiting += 1
        return n

    def taken(self):
        self.waiting -= 1


@methods
@isolate
@pytest.mark.parametrize(("size", "buffer"), [(3, 1), (4, 2), (8, 1), (3, 3), (2, 5)])
def test_no_item_starts_while_the_buffer_is_full(method, isolate, size, buffer):
    run = Counting(buffer)
    for _ in getattr(Pool(size), method)(run, range(40), buffer=buffer, isolate=isolate):
        run.taken()
    assert run.started == 40 and run.too_many == []


@methods
@isolate
@pytest.mark.skipif(sys.version_info < (3, 12), reason="one may end just before another one starts")
@pytest.mark.parametrize(("size", "buffer"), [(3, 1), (8, 2), (4, 4), (None, 3)])
@pytest.mark.parametrize("others", [True, False], ids=["others", "alone"])
def test_nor_while_some_end_at_once_and_some_do_not(method, isolate, size, buffer, others):
    run = Counting(buffer, lambda n: n * 7 % 5)
    pool = Group() if size is None else Pool(size)
    for n in getattr(pool, method)(run, range(100), buffer=buffer, isolate=isolate):
        run.taken()
        if others and n % 10 == 0:
            pool.spawn(same(n))
    assert run.started == 100 and run.too_many == []


@methods
@on_a_loop
async def test_nor_in_async_code(method):
    run = Counting(2)
    async with Pool(5) as pool:
        async for _ in getattr(pool, method)(run, range(40), buffer=2):
            run.taken()
            await asyncio.sleep(0)
    assert run.started == 40 and run.too_many == []


@methods
@pytest.mark.parametrize("buffer", [None, 1, 3])
def test_a_small_buffer_leaves_no_slot_unused(method, buffer):
    most = running = 0

    async def run(n):
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    list(getattr(Pool(5), method)(run, range(20), buffer=buffer))
    assert most == 5


@methods
@pytest.mark.parametrize("size", [1, 3])
def test_who_consumes_may_join(method, size):
    pool, got = Pool(size), []
    for n in getattr(pool, method)(same, range(20), buffer=1):
        got.append(n)
        assert pool.join() is True
        assert len(pool) == 0
    assert got == list(range(20))


@methods
def test_who_consumes_may_join_a_pass_at_a_time(method):
    pool, got = Pool(3), []
    for n in getattr(pool, method)(same, range(20), buffer=1):
        got.append(n)
        while not pool.join(timeout=0):
            pass
    assert got == list(range(20))


@methods
@pytest.mark.parametrize("timeout", [None, 0])
@pytest.mark.parametrize("passes", [0, 5])
@on_a_loop
async def test_who_consumes_in_async_code_may_wait_for_the_end(method, timeout, passes):
    got = []
    async with Pool(3) as pool:
        async for n in getattr(pool, method)(same, range(20), buffer=1):
            got.append(n)
            await start_all(passes)  # until what was pulled has no room any more
            while not await pool.wait(timeout):
                pass
            assert len(pool) == 0
    assert got == list(range(20))


@methods
def test_who_consumes_may_ask_for_tasks_as_they_complete(method):
    pool, got = Pool(3), []
    for n in getattr(pool, method)(same, range(10), buffer=1):
        pool.spawn(same(n))
        got.append(n)
        assert [task.result() for task in pool.as_completed()] == [n]
    assert got == list(range(10))


@methods
@isolate
@pytest.mark.parametrize("size", [1, 3, None])
def test_spawned_tasks_pass_what_is_held_back(method, isolate, size):
    pool, got = Group() if size is None else Pool(size), []
    for n in getattr(pool, method)(same, range(20), buffer=1, isolate=isolate):
        got.append(pool.spawn(same(n)).result())
    assert got == list(range(20))


@methods
@pytest.mark.parametrize("size", [1, 2, 5])
def test_several_calls_on_one_pool_go_on_side_by_side(method, size):
    pool = Pool(size)
    calls = [getattr(pool, method)(same, range(20), buffer=1 + n % 2) for n in range(3)]
    assert list(zip(*calls, strict=True)) == [(n, n, n) for n in range(20)]


@methods
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.usefixtures("quick_pulls")
def test_calls_inside_the_body_and_inside_items(method, size):
    async def total(n):
        return sum([m async for m in getattr(pool, method)(same, range(n), buffer=1)])

    pool = Pool(size)
    sums = []
    for n in getattr(pool, method)(total, range(8), buffer=1):
        inner = getattr(pool, method)(same, range(4), buffer=1)
        assert sum(inner) == 6
        sums.append(n)
    assert sums == [sum(range(n)) for n in range(8)]


@methods
@pytest.mark.parametrize("ends", ["close", "break", "cancel", "wait"])
@pytest.mark.usefixtures("quick_pulls")
def test_what_is_held_back_ends_with_its_call_or_its_pool(method, ends):
    run = Counting(100)
    with Pool(4) as pool:
        stream = getattr(pool, method)(run, range(50), buffer=1)
        assert next(stream) == 0 and len(pool) > 0
        if ends == "close":
            stream.close()
        elif ends == "break":
            del stream
        elif ends == "cancel":
            pool.cancel()
        if ends != "wait":
            pool.join()
            assert len(pool) == 0
            assert run.started <= 2
    assert len(pool) == 0 and run.started <= 8


@methods
def test_two_threads_take_from_one_call_and_one_of_them_does_not_come_back(method, in_thread):
    stream = getattr(Pool(4), method)(same, range(20), buffer=1)
    got, has_one, stays = [next(stream)], threading.Event(), threading.Event()

    def take_one():
        got.append(next(stream))
        has_one.set()
        assert stays.wait(10)

    first = in_thread(take_one)
    assert has_one.wait(10)  # or all may be taken before it comes
    got += stream
    stays.set()
    first()
    assert sorted(got) == list(range(20))


@methods
def test_another_thread_joins_meanwhile(method, in_thread):
    pool = Pool(4)
    stream = getattr(pool, method)(same, range(20), buffer=1)
    got = [next(stream)]
    assert in_thread(pool.join)() is True
    assert [*got, *stream] == list(range(20))


@methods
@pytest.mark.parametrize("calls", [abs, lambda n: n], ids=["builtin", "lambda"])
def test_plain_functions_go_on(method, calls):
    for size in (1, 3):
        assert sorted(getattr(Pool(size), method)(calls, range(10), buffer=1)) == list(range(10))


@methods
def test_a_source_may_use_the_same_pool(method):
    def items():
        for n in range(10):
            yield pool.spawn(same(n)).result()

    pool = Pool(2)
    assert list(getattr(pool, method)(same, items(), buffer=1)) == list(range(10))


def test_a_yielder_that_reads_a_call_of_a_pool():
    async def read():
        return [n async for n in pool.imap(same, range(10), buffer=1)]

    y = Yielder(2, buffer=1)
    pool = Pool(2, within=y)
    assert y.spawn(read()).result() == list(range(10))
