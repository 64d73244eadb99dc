"""Two pools in one pipeline: which loop a tool is bound to (rule 5), and no deadlock (rule 10)."""

import asyncio

import pytest
from four_tools import forever, returns
from on_a_loop import Together, on_a_loop, start_all

from aioutils import DeadlockError, Group, Pool, WrongLoopError, Yielder


def pipeline(fetchers, writers, items):
    """Spawns a fetch for each item; each fetch awaits a write."""
    fetching, writing = Together(), Together()

    async def write(n):
        await writing.stay()
        return n

    async def fetch(n):
        await fetching.stay()
        return await writers.spawn(write(n))

    return [fetchers.spawn(fetch(n)) for n in range(items)], fetching, writing


def test_a_pool_whose_tasks_await_those_of_another_pool_keeps_both_limits():
    fetchers, writers = Pool(5), Pool(2)
    tasks, fetching, writing = pipeline(fetchers, writers, 40)
    fetchers.join()
    writers.join()
    assert [task.result() for task in tasks] == list(range(40))
    assert (fetching.most, writing.most) == (5, 2)


def test_they_may_be_joined_in_the_other_order():
    with Pool(5) as fetchers, Pool(2, within=fetchers) as writers:
        tasks, _, writing = pipeline(fetchers, writers, 40)
        writers.join()  # idle for now: nothing was fetched yet
        fetchers.join()
        writers.join()
        assert sum(task.result() for task in tasks) == sum(range(40)) and writing.ever == 40


def test_the_pipeline_can_be_used_again():
    fetchers, writers = Pool(2), Pool(1)
    for _ in range(3):
        tasks, _, _ = pipeline(fetchers, writers, 5)
        fetchers.join()
        writers.join()
        assert all(task.done() for task in tasks)


def test_two_full_pools_whose_tasks_await_each_other_in_turn_do_not_deadlock():
    pools = Pool(1), Pool(1)
    together = Together()

    async def down(n):
        with together:
            pass
        return 1 + (await pools[n % 2].spawn(down(n - 1)) if n else 0)

    assert pools[0].spawn(down(50)).result() == 51
    for pool in pools:
        pool.join()
        assert pool.free_count() == 1
    assert together.ever == 51


def test_plain_functions_of_a_full_pool_may_block_on_another_full_pool():
    fetchers, writers = Pool(2), Pool(1)
    writing = Together()

    def fetch(n):
        return writers.spawn(writing.stay()).result()

    with fetchers, writers:
        tasks = [fetchers.spawn(fetch, n) for n in range(8)]
        fetchers.join()
        writers.join()
        assert sorted(task.result() for task in tasks) == list(range(1, 9))
    assert writing.most == 1


def test_work_that_nobody_awaits_is_done_when_its_own_pool_is_joined():
    fetchers, writers = Pool(3), Pool(2)
    written = []

    async def fetch(n):
        writers.spawn(written.append, n)

    for n in range(5):
        fetchers.spawn(fetch(n))
    fetchers.join()
    writers.join()
    assert sorted(written) == [0, 1, 2, 3, 4]


def test_an_idle_pool_that_was_joined_by_itself_can_serve_another_one():
    fetchers, writers = Pool(2), Pool(1)
    assert writers.spawn(returns(1)).result() == 1
    assert fetchers.spawn(returns(1)).result() == 1
    tasks, _, _ = pipeline(fetchers, writers, 3)
    fetchers.join()
    assert writers.spawn(returns(2)).result() == 2
    assert tasks[2].result() == 2


def test_a_task_can_enter_another_tool_with_async_with():
    async def work(n):
        async with Pool(2) as pool:
            tasks = [pool.spawn(returns(n * m)) for m in range(3)]
        y = Yielder()
        for task in tasks:
            y.spawn(returns(task.result()))
        return sum([result async for result in y])

    with Group() as group:
        assert [group.spawn(work(n)).result() for n in range(3)] == [0, 3, 6]


# ---- two loops --------------------------------------------------------------------------


def busy(pool):
    """A task that runs on the pool's own loop, and waits there for a door to open."""
    door = asyncio.Event()
    task = pool.spawn(door.wait())
    assert pool.join(timeout=0) is False
    return task, door


def test_awaiting_a_task_that_runs_on_another_loop_is_refused_and_within_is_named():
    async def cross():
        await task

    with Pool(1) as fetchers, Pool(1) as writers:
        task, door = busy(writers)
        with pytest.raises(WrongLoopError, match="within="):
            fetchers.spawn(cross()).result()
        door.set()
        assert task.result() is True


@pytest.mark.parametrize("how", ["await wait()", "async for", "async with"])
def test_waiting_for_a_tool_that_runs_on_another_loop_is_refused(how):
    async def cross():
        if how == "await wait()":
            await writers.wait()
        elif how == "async for":
            async for _ in writers.imap(returns, [1]):
                pass
        else:
            async with writers:
                pass

    with Pool(1) as fetchers, Pool(1) as writers:
        task, door = busy(writers)
        with pytest.raises(WrongLoopError, match="within="):
            fetchers.spawn(cross()).result()
        door.set()
        assert task.result() is True


def test_with_within_the_same_is_fine():
    async def cross():
        return await task

    with Pool(1) as fetchers, Pool(1, within=fetchers) as writers:
        task, door = busy(writers)
        crossing = fetchers.spawn(cross())
        door.set()
        assert crossing.result() is True


def test_a_result_that_is_there_already_can_be_awaited_anywhere():
    async def cross():
        return await task

    with Pool(1) as fetchers, Pool(2) as writers:
        task = writers.spawn(returns("value"))
        assert task.result() == "value"
        running, door = busy(writers)
        assert fetchers.spawn(cross()).result() == "value"
        door.set()
        running.result()


def test_two_pools_within_each_other_may_be_joined_by_two_threads(in_thread):
    with Pool(5) as fetchers, Pool(2, within=fetchers) as writers:
        tasks, fetching, writing = pipeline(fetchers, writers, 40)
        joining = in_thread(fetchers.join)
        writers.join()
        assert joining() is True
        writers.join()
        assert sum(task.result() for task in tasks) == sum(range(40))
        assert (fetching.most, writing.most) == (5, 2)


def test_a_circle_of_tasks_of_two_pools_is_refused_and_named():
    async def other(key):
        return await tasks[key]

    with Pool(1) as one, Pool(1) as two:
        tasks = {}
        tasks["a"] = one.spawn(other("b"))
        tasks["b"] = two.spawn(other("a"))
        tasks["a"].name, tasks["b"].name = "a", "b"
        with pytest.raises(DeadlockError, match=r"<Task [ab] running> -> <Task [ab] running>"):
            tasks["a"].result()
        two.take_errors()
        one.take_errors()


def test_a_plain_function_may_run_a_loop_of_its_own_and_use_a_pool_there():
    """The slot that it holds is one of another loop, and is not lent from there."""

    async def main():
        async with Pool(1) as inner:
            return await inner.spawn(returns("inner"))

    with Pool(1) as pool:
        assert pool.spawn(asyncio.run, main()).result() == "inner"
        assert pool.spawn(returns("outer")).result() == "outer"


@on_a_loop
async def test_what_runs_on_a_hosts_loop_can_not_be_awaited_on_another_one():
    async def wait_for(task):
        await task

    async with Group() as group:
        task = group.spawn(forever())
        await start_all()
        with pytest.raises(WrongLoopError, match="within="):
            await asyncio.to_thread(asyncio.run, wait_for(task))
        assert not task.done()
        task.cancel()
