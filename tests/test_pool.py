"""What Pool adds to a group: its limit."""

import asyncio
import sys
import threading

import pytest
from four_tools import fails, forever, returns

from aioutils import Group, Pool


def test_a_pool_is_a_group():
    with Pool(1) as pool:
        assert isinstance(pool, Group)


def test_it_starts_in_spawn_order_from_many_threads_one_after_the_other(in_thread):
    started = []

    async def run(n):
        started.append(n)
        await asyncio.sleep(0)

    with Pool(3) as pool:
        for n in range(30):
            in_thread(pool.spawn, run, n)()
        pool.join()
    assert started == list(range(30))


def test_the_limit_holds_while_threads_spawn_and_wait(in_thread):
    now = most = 0

    async def run():
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    def use():
        for _ in range(50):
            pool.spawn(run()).result()

    with Pool(2) as pool:
        users = [in_thread(use) for _ in range(6)]
        for wait in users:
            wait()
    assert 1 <= most <= 2


def test_a_slot_is_free_again_however_its_task_ended():
    with Pool(1) as pool:
        pool.spawn(fails(ValueError()))
        cancelled = pool.spawn(forever())
        pool.spawn(returns(1))
        pool.join(timeout=0.005, raise_error=False)
        cancelled.cancel()
        last = pool.spawn(returns(2))
        pool.join(raise_error=False)
        assert (last.result(), pool.free_count()) == (2, 1)
        pool.take_errors()


def test_the_cancelled_take_no_turn():
    started = []

    async def run(n):
        started.append(n)
        await asyncio.sleep(0)

    with Pool(1) as pool:
        tasks = [pool.spawn(run(n)) for n in range(10)]
        for task in tasks[::2]:
            task.cancel()
        pool.join()
    assert started == [1, 3, 5, 7, 9]


def test_a_task_keeps_its_slot_while_it_awaits_anything_else():
    """Only waits for tasks lend it."""
    log = []

    async def first():
        await asyncio.sleep(0.005)
        await asyncio.to_thread(int)
        log.append("first ends")

    async def second():
        log.append("second starts")

    with Pool(1) as pool:
        pool.spawn(first())
        pool.spawn(second())
        pool.join()
    assert log == ["first ends", "second starts"]


def test_a_large_pool_with_few_tasks():
    with Pool(sys.maxsize) as pool:
        tasks = [pool.spawn(returns(n)) for n in range(3)]
        pool.join()
        assert [task.result() for task in tasks] == [0, 1, 2]


def test_a_producer_can_wait_for_room_with_full(eventually):
    """gevent's idiom: spawn while the pool has room, else wait."""
    done = []

    async def run(n):
        await asyncio.sleep(0)
        done.append(n)

    with Pool(3) as pool:
        for n in range(20):
            while pool.full():
                pool.join(timeout=0)
            pool.spawn(run(n))
            assert len(pool) <= 3
        pool.join()
    assert sorted(done) == list(range(20))


@pytest.mark.parametrize("size", [1, 4])
def test_functions_in_threads_never_exceed_the_limit(size):
    lock, now, most = threading.Lock(), 0, 0

    def run():
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.001)
        with lock:
            now -= 1

    with Pool(size) as pool:
        for _ in range(40):
            pool.spawn(run)
        pool.join()
    assert 1 <= most <= size
