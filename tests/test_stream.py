"""Handing out: leaving early, timeouts, several threads, and iterating again."""

import asyncio
import copy
import gc
import itertools
import pickle
import threading
import time
import weakref

import pytest
from four_tools import forever

from aioutils import OrderedYielder, Pool, Yielder

both = pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])
methods = pytest.mark.parametrize("method", ["imap", "imap_unordered"])
yielders = pytest.mark.parametrize("kind", [Yielder, OrderedYielder])


async def give(n):
    await asyncio.sleep(0)
    return n


async def wait_for_ever():
    await asyncio.Event().wait()


class Bodies:
    """An async function that counts its starts and ends; it never ends by itself after `last`."""

    def __init__(self, last):
        self.last, self.started, self.ended = last, 0, 0

    async def __call__(self, n):
        self.started += 1
        try:
            await (asyncio.sleep(0) if n <= self.last else wait_for_ever())
            return n
        finally:
            try:
                await asyncio.sleep(0)
            finally:  # it may be cancelled here
                self.ended += 1


# ---- leaving early ---------------------------------------------------------------------


@both
@methods
@pytest.mark.parametrize("how", ["break", "close", "exception", "drop"])
@pytest.mark.parametrize("last", [3, 10**9], ids=["waiting", "busy"])
def test_after_leaving_not_one_more_body_starts(method, how, last, isolate):
    bodies, pool = Bodies(last), Pool(10)
    stream = getattr(pool, method)(bodies, itertools.count(), isolate=isolate)
    if how == "exception":
        with pytest.raises(LookupError):
            leave_by_exception(stream)
        del stream
        gc.collect()
    elif how == "close":
        next(stream)
        before = bodies.started
        stream.close()
        assert bodies.started == before
        assert list(stream) == []
    else:
        for _ in stream:
            before = bodies.started
            break
        del stream
        assert bodies.started == before
    assert bodies.started == bodies.ended and len(pool) == 0

    before = bodies.started
    assert pool.apply(give, [1]) == 1 and pool.join()
    assert bodies.started == before


def leave_by_exception(stream):
    for _ in stream:
        raise LookupError


@yielders
@pytest.mark.parametrize("how", ["break", "close", "with"])
def test_after_leaving_a_yielder_not_one_more_body_starts(kind, how):
    bodies = Bodies(3)
    y = kind(5)
    for n in range(100):
        y.spawn(bodies, n)
    if how == "with":
        with y:
            next(iter(y))
            before = bodies.started
    else:
        stream = iter(y)
        next(stream)
        before = bodies.started
        if how == "close":
            stream.close()
        else:
            del stream
    assert bodies.started == bodies.ended == before
    assert len(y) == 0


# ---- spawning into the pool inside of its loop -----------------------------------------


@both
@methods
def test_spawning_into_the_pool_inside_the_loop_over_its_imap(method, isolate):
    pool, got = Pool(2), []
    for n in getattr(pool, method)(give, range(20), isolate=isolate):
        got.append(pool.spawn(give(n)).result())
        got.append(pool.apply(give, [n]))
    assert sorted(got) == sorted([*range(20), *range(20)])


@both
@methods
def test_items_may_spawn_into_the_full_pool_and_wait(method, isolate):
    async def parent(n):
        return await pool.spawn(give(n))

    with Pool(2) as pool:
        results = getattr(pool, method)(parent, range(20), isolate=isolate)
        assert sorted(results) == list(range(20))


# ---- several threads -------------------------------------------------------------------


@both
@methods
def test_several_threads_get_each_result_once(method, in_thread, isolate):
    with Pool(5) as pool:
        stream = getattr(pool, method)(give, range(500), isolate=isolate)
        calls = [in_thread(list, stream) for _ in range(4)]
        results = [call() for call in calls]
    assert sorted(itertools.chain(*results)) == list(range(500))
    if method == "imap":
        assert all(part == sorted(part) for part in results)


@yielders
def test_several_threads_may_iterate_one_yielder(kind, in_thread):
    with kind(5) as y:
        for n in range(200):
            y.spawn(give(n))
        calls = [in_thread(list, y) for _ in range(3)]
        results = [call() for call in calls]
    assert sorted(itertools.chain(*results)) == list(range(200))


@both
def test_closing_a_stream_wakes_the_thread_that_waits_for_it(in_thread, eventually, isolate):
    running = threading.Event()

    async def hang(_):
        running.set()
        await wait_for_ever()

    with Pool(1) as pool:
        stream = pool.imap(hang, [1], isolate=isolate)
        call = in_thread(list, stream)
        assert running.wait(5)
        stream.close()
        assert call() == []


def test_so_does_the_end_of_its_source_that_another_thread_finds(in_thread, eventually):
    """After a failure nothing is pulled until somebody asks again: the third of three threads
    sleeps while the other two are busy with a result each."""

    async def item(n):
        while n == 0 and len(stream._order._watchers) < 3:
            await asyncio.sleep(0)
        assert n

    def source():
        for n in range(2):
            time.sleep(0.002)  # the loop runs before the next is pulled
            yield n

    def take_all():
        for _ in stream:
            time.sleep(0.01)

    with Pool(2) as pool:
        stream = pool.imap(item, source(), buffer=1, isolate=False, return_exceptions=True)
        calls = [in_thread(take_all)]
        eventually(lambda: stream._order.ended == 1)
        calls += [in_thread(take_all) for _ in range(2)]
        for call in calls:
            call(timeout=5)


# ---- iterating again -------------------------------------------------------------------


@yielders
def test_iterating_again_after_break_hands_out_what_came_since(kind):
    y = kind(2)
    for n in range(10):
        y.spawn(give(n))
    for _ in y:
        break
    assert list(y) == []
    y.spawn(give("spawned"))
    y.put("put")
    assert sorted(y) == ["put", "spawned"]


@yielders
def test_iterating_again_after_a_failure_hands_out_what_came_since(kind):
    async def fail():
        raise ValueError("once")

    y = kind()
    y.spawn(give(1))
    y.spawn(fail())
    y.spawn(give(2))
    got = []
    with pytest.raises(ValueError, match="once"):
        for result in y:
            got.append(result)
    assert sorted(got) == [1, 2]
    y.spawn(give(3))
    assert list(y) == [3]


@yielders
def test_a_timeout_leaves_the_tasks_to_the_next_iteration(kind):
    async def fail():
        raise ValueError("early")

    y, got = kind(), []
    go_on = asyncio.Event()
    y.spawn(fail())
    y.spawn(give(1))
    y.spawn(go_on.wait())
    with pytest.raises(TimeoutError):
        for result in y.yielding(timeout=0.02):
            got.append(result)
    assert got == [1] and len(y) == 1
    go_on.set()
    with pytest.raises(ValueError, match="early"):
        for result in y:
            got.append(result)
    assert got == [1, True]


@both
def test_a_failure_of_imap_leaves_no_reference_cycle(isolate):
    async def fail(n):
        await asyncio.sleep(0)
        raise ValueError(n)

    def source():
        yield 1
        raise LookupError

    def run(call):
        pool = Pool(2)
        pools.append(weakref.ref(pool))
        with pytest.raises((ValueError, LookupError, ZeroDivisionError)):
            call(pool)

    pools = []
    gc.collect()
    gc.disable()
    try:
        run(lambda pool: pool.map(fail, range(3), isolate=isolate))
        run(lambda pool: list(pool.imap_unordered(fail, range(3), isolate=isolate)))
        run(lambda pool: pool.map(give, source(), isolate=isolate))
        run(lambda pool: pool.map(lambda n: 1 // n, [0], isolate=isolate))
        run(lambda pool: pool.apply(fail, [1]))
        assert [pool() for pool in pools] == [None] * 5
    finally:
        gc.enable()


def test_what_an_early_exit_cancelled_is_not_cancelled_again():
    cleaned = []

    async def run(n):
        try:
            if n:
                await forever()
            else:
                await asyncio.sleep(0.001)
        finally:
            if n:
                pool.cancel()
                await asyncio.sleep(0.001)
                cleaned.append(n)

    with Pool(3) as pool:
        for _ in pool.imap(run, range(3)):
            break
        assert sorted(cleaned) == [1, 2]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_one_can_not_be_copied(duplicate):
    """The two would end each other."""
    with Pool(2) as pool:
        results = pool.imap(asyncio.sleep, [0, 0])
        with pytest.raises(TypeError, match=r"an iteration of <Pool.*can't be copied"):
            duplicate(results)
        assert list(results) == [None, None]
