"""Who drives the loop, and how much it bears (rules 3, 4 and 9)."""

import asyncio
import contextlib
import os
import threading
import time

import pytest
from four_tools import DEBUG, fails, failures_of, returns

from aioutils import Group, OrderedYielder, Pool, Yielder

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
MANY = 10_000 if DEBUG else 100_000


def result_and_thread(task):
    """The task returns who drives it at its end: here, or elsewhere?"""
    return task.result(), threading.get_ident()


def test_four_threads_feed_while_a_fifth_joins_and_joins_once_more(in_thread):
    count, each = [], MANY // 10

    async def run():
        count.append(1)

    def feed():
        for _ in range(each):
            group.spawn(run())

    with Group() as group:
        feeders = [in_thread(feed) for _ in range(4)]
        joiner = in_thread(group.join)
        for feeder in feeders:
            feeder(20)
        assert joiner(20) is True
        assert in_thread(group.join)(20) is True
        assert len(count) == 4 * each


def test_threads_that_feed_and_wait_for_their_own_results(in_thread):
    async def double(n):
        await asyncio.sleep(0)
        return 2 * n

    def use(start):
        return [pool.spawn(double(n)).result() for n in range(start, start + 200)]

    with Pool(3) as pool:
        users = [in_thread(use, start) for start in range(0, 800, 200)]
        results = [result for use in users for result in use(15)]
    assert results == [2 * n for n in range(800)]


def test_the_one_who_waits_longest_takes_over(in_thread):
    release = threading.Event()

    async def until_released():
        while not release.is_set():
            await asyncio.sleep(0.001)
        return threading.get_ident()

    with Group() as group:
        task = group.spawn(until_released())
        short = [in_thread(group.join, timeout=0.005 * n) for n in range(1, 4)]
        last = in_thread(result_and_thread, task)
        assert [wait() for wait in short] == [False] * 3
        release.set()
        driver, waiter = last()
        assert driver == waiter


def test_when_the_driver_has_what_it_came_for_another_takes_over(in_thread):
    async def wait(event):
        while not event.is_set():
            await asyncio.sleep(0.001)
        return event

    events = [threading.Event() for _ in range(5)]
    with Group() as group:
        tasks = [group.spawn(wait(event)) for event in events]
        waits = [in_thread(task.result) for task in tasks]
        for event, task, result in zip(events, tasks, waits, strict=True):
            event.set()
            assert result() is event and task.done()
        assert len(group) == 0


@pytest.mark.parametrize("way", ["break", "close", "error"])
def test_when_the_driver_leaves_his_iteration_another_takes_over(in_thread, way):
    release, others = threading.Event(), []

    async def until_released():
        while not release.is_set():
            await asyncio.sleep(0.001)
        return threading.get_ident()

    async def has_another_wait(n):
        if not others:
            others.append(in_thread(result_and_thread, task))
            while not pool._scheduler.loop._waiting:  # as it does while this thread drives
                await asyncio.sleep(0.001)
        return n

    def leave(stream):
        for n in stream:
            assert n == 0
            if way == "error":
                raise ZeroDivisionError
            break
        if way == "close":
            stream.close()

    with Pool(2) as pool:
        task = pool.spawn(until_released())
        with contextlib.suppress(ZeroDivisionError):
            leave(pool.imap(has_another_wait, range(1000)))
        release.set()
        driver, waiter = others[0]()
        assert driver == waiter


def test_each_of_several_joiners_gets_the_failures(in_thread):
    release = threading.Event()

    async def fail():
        while not release.is_set():
            await asyncio.sleep(0.001)
        raise ValueError("for all")

    with Group() as group:
        group.spawn(fail())
        good = group.spawn(returns(1))
        good.result()
        joins = [in_thread(group.join) for _ in range(4)]
        time.sleep(0.02)  # all of them wait by now
        release.set()
        messages = []
        for join in joins:
            with pytest.raises(ExceptionGroup) as caught:
                join()
            assert [str(error) for error in caught.value.exceptions] == ["for all"]
            messages.append(caught.value.message)
        assert group.errors == []
    assert len(set(messages)) == 1 and "1 of 2 tasks failed" in messages[0]


@pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
def test_two_threads_that_iterate_share_the_results(kind, in_thread):
    async def work(n):
        await asyncio.sleep(0)
        return n

    with kind(10) as y:
        for n in range(500):
            y.spawn(work(n))
        halves = [in_thread(list, y), in_thread(list, y)]
        got = [result for half in halves for result in half()]
    assert sorted(got) == list(range(500))


def test_whoever_looks_once_ends_the_loop_of_a_tool_that_another_thread_closes(in_thread):
    async def work():
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: in_thread(group.close)())
        return loop

    group = Group(loop_factory=asyncio.SelectorEventLoop)  # no other tool gets it
    task = group.spawn(work())
    assert group.join(timeout=0) is True
    assert task.result().is_closed()


@pytest.mark.parametrize("interrupt", [False, True])
def test_whoever_drives_ends_the_loop_of_a_tool_that_another_thread_closes_just_then(
    interrupt, in_thread
):
    async def work():
        loop = asyncio.get_running_loop()
        end = loop.create_future()
        loop.call_soon(last, loop, end)
        await end
        return loop

    def last(loop, end):
        end.set_result(None)
        loop.call_soon(close)  # in the pass in which the task ends

    def close():
        in_thread(group.close)()
        if interrupt:
            raise KeyboardInterrupt

    group = Group(loop_factory=asyncio.SelectorEventLoop)  # no other tool gets it
    task = group.spawn(work())
    with pytest.raises(KeyboardInterrupt) if interrupt else contextlib.nullcontext():
        group.join()
    assert task.result().is_closed()


def test_work_that_another_thread_spawns_wakes_a_sleeping_loop(in_thread):
    """Nothing else would: the one task waits for ever."""
    running = threading.Event()

    async def stay():
        running.set()
        await asyncio.Event().wait()

    with Group() as group:
        stays = group.spawn(stay())
        join = in_thread(group.join)
        assert running.wait(5)
        assert group.spawn(returns(5)).result() == 5
        stays.cancel()
        assert join() is True


def test_a_put_from_another_thread_wakes_a_sleeping_consumer(in_thread):
    running = threading.Event()

    async def stay():
        running.set()
        await asyncio.Event().wait()

    with Yielder() as y:
        stays = y.spawn(stay())
        first = in_thread(next, iter(y))
        assert running.wait(5)
        y.put("put")
        assert first() == "put"
        stays.cancel()


def test_cancelling_from_another_thread_while_tasks_finish(in_thread):
    for _ in range(100):
        with Group() as group:
            tasks = [group.spawn(asyncio.sleep, 0) for _ in range(20)]
            join = in_thread(group.join)
            for task in tasks:
                task.cancel()
            assert join() is True
            assert all(task.done() for task in tasks)


BLOCKS = pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")


@BLOCKS
def test_a_wait_inside_another_running_loop_is_driven_by_a_helper_thread():
    async def who():
        return threading.get_ident(), asyncio.get_running_loop()

    async def main():
        with Group() as group:
            return group.spawn(who()).result(), asyncio.get_running_loop()

    (ident, loop), host = asyncio.run(main())
    assert ident != threading.get_ident() and loop is not host


@BLOCKS
def test_failures_and_timeouts_come_through_the_helper_thread():
    async def main():
        with Group() as group:
            group.spawn(fails(ValueError("inner")))
            assert [str(error) for error in failures_of(group)] == ["inner"]
            task = group.spawn(asyncio.sleep, 3600)
            with pytest.raises(TimeoutError):
                task.result(0.01)
            assert group.join(timeout=0.01) is False
            task.cancel()

    asyncio.run(main())


def test_a_chain_of_many_spawns():
    length, ended = 1_000_000 if LONG else MANY, 0

    async def link(left):
        nonlocal ended
        ended += 1
        if left:
            group.spawn(link(left - 1))

    with Group() as group:
        group.spawn(link(length - 1))
        group.join()
    assert ended == length


@pytest.mark.parametrize("make", [Group, lambda: Pool(100)], ids=["Group", "Pool"])
def test_a_tree_of_many_nodes(make):
    nodes = 0

    async def node(first, last):
        nonlocal nodes
        nodes += 1
        while first < last:
            middle = (first + last + 1) // 2
            tool.spawn(node(first + 1, middle))
            first = middle

    with make() as tool:
        tool.spawn(node(0, MANY - 1))
        tool.join()
    assert nodes == MANY


def test_a_chain_of_plain_functions():
    ended = 0

    def link(left):
        nonlocal ended
        ended += 1
        if left:
            pool.spawn(link, left - 1)

    with Pool(2) as pool:
        pool.spawn(link, 1_999)
        pool.join()
    assert ended == 2_000
