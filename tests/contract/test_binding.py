"""Which loop a tool uses, and tasks of one tool that await tasks of another (rule 5)."""

import asyncio
import threading
import time

import pytest
from four_tools import finish, returns, start, until_cancelled

from aioutils import Group, WrongLoopError
from aioutils._bound import Bound

# Blocking calls inside a running loop are what some of this is about.
pytestmark = pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")


async def loop():
    return asyncio.get_running_loop()


def test_a_task_awaits_tasks_of_another_tool(tool, make):
    inner = make()

    async def outer():
        return [await inner.spawn(returns(n)) for n in range(3)]

    assert tool.spawn(outer()).result() == [0, 1, 2]
    inner.close()


def test_they_share_a_loop_then(tool, make):
    inner = make()

    async def outer():
        return await inner.spawn(loop()), asyncio.get_running_loop()

    its, ours = tool.spawn(outer()).result()
    assert its is ours
    inner.close()


def test_either_can_be_waited_for_afterwards(tool, make):
    inner = make()

    async def outer():
        return await inner.spawn(returns(1))

    for _ in range(3):
        outside = inner.spawn(returns(2))
        task = tool.spawn(outer())
        finish(inner)
        finish(tool)
        assert (task.result(), outside.result()) == (1, 2)
    inner.close()


def test_waiting_for_one_lets_the_tasks_of_the_other_go_on(tool, make):
    inner, log = make(), []

    async def outer():
        await inner.spawn(returns(1))
        tool.spawn(until_cancelled(log))

    tool.spawn(outer()).result()
    finish(inner) if isinstance(inner, Group) else list(inner)
    start(tool)
    inner.close()
    tool.close()
    assert log == ["cleaned up"]


def test_closing_one_leaves_the_other_its_loop(tool, make):
    inner = make()

    async def outer():
        return await inner.spawn(loop())

    first = tool.spawn(outer()).result()
    inner.close()
    assert tool.spawn(loop()).result() is first
    inner = make()
    assert tool.spawn(outer()).result() is first
    tool.close()
    assert inner.spawn(loop()).result() is first
    inner.close()


def test_a_tool_that_is_idle_can_be_closed_where_it_was_awaited(make):
    """There is nothing to wait for."""

    async def close(leave):
        tool = make()
        task = tool.spawn(returns(1))
        assert await task == 1
        leave(tool)
        tool.close()

    asyncio.run(close(lambda tool: None))
    asyncio.run(close(lambda tool: tool.__exit__(None, None, None)))


def test_a_tool_that_is_idle_binds_anew(tool, make):
    inner = make()

    async def outer():
        return await inner.spawn(returns(2))

    assert inner.spawn(returns(1)).result() == 1
    assert tool.spawn(outer()).result() == 2
    inner.close()


def test_what_waits_and_never_ran_moves_along(tool, make):
    inner = make()
    inner.spawn(returns(1)).result()
    waiting = [inner.spawn(returns(n)) for n in range(3)]

    async def outer():
        return [await task for task in waiting]

    assert tool.spawn(outer()).result() == [0, 1, 2]
    inner.close()


def test_awaiting_a_task_that_runs_on_another_loop_names_within(tool, make):
    inner, log = make(), []
    running = inner.spawn(until_cancelled(log))
    start(inner)

    async def outer():
        await running

    with pytest.raises(WrongLoopError, match="within="):
        tool.spawn(outer()).result()
    inner.close()
    assert log == ["cleaned up"]


def test_a_tool_with_an_open_context_stays_on_its_loop(tool, make):
    inner = make()

    class Manager:
        async def __aenter__(self):
            return asyncio.get_running_loop()

        async def __aexit__(self, *_):
            left.append(asyncio.get_running_loop())

    left = []
    entered = inner.enter_async_context(Manager())

    async def outer():
        await inner.spawn(returns(1))

    with pytest.raises(WrongLoopError):
        tool.spawn(outer()).result()
    inner.close()
    assert left == [entered]


def test_a_finished_task_may_be_awaited_anywhere(tool, make):
    inner = make()
    done = inner.spawn(returns(1))
    done.result()
    inner.spawn(asyncio.sleep, 3600)
    start(inner)

    async def outer():
        return await done

    assert tool.spawn(outer()).result() == 1
    inner.close()


def test_async_code_that_asyncio_does_not_run_is_told_what_to_do(tool):
    """That of trio, say: here somebody who only knows coroutines."""

    async def awaits():
        await task

    async def enters():
        async with tool:
            raise AssertionError

    async def iterates():
        async for _ in tool.as_completed() if isinstance(tool, Group) else tool:
            raise AssertionError

    task = tool.spawn(returns(1))
    for work in (awaits, enters, iterates):
        with pytest.raises(RuntimeError, match=r"no running event loop.*trio.*in a thread"):
            work().send(None)
    assert tool.spawn(returns(2)).result() == 2


def test_spawning_binds_nothing(tool, make):
    inner = make()

    async def outer():
        return inner.spawn(loop()), asyncio.get_running_loop()

    task, ours = tool.spawn(outer()).result()
    tool.spawn(asyncio.sleep, 3600)
    start(tool)
    assert task.result() is not ours
    inner.close()


def test_a_sync_wait_inside_another_running_loop_works(tool):
    """A notebook cell, or sync code that a coroutine calls."""

    async def main():
        task = tool.spawn(returns(1))
        finish(tool)
        return task.result(), tool.spawn(returns(2)).result()

    assert asyncio.run(main()) == (1, 2)


def test_a_wait_ties_a_tool_to_its_loop_from_its_begin_though_nothing_runs_yet():
    async def wait():
        await group.wait()

    group = Group()
    tie = group._scheduler.tie()  # as a wait in another thread begins
    with pytest.raises(WrongLoopError, match="within="):
        asyncio.run(wait())
    del tie
    asyncio.run(wait())
    assert group.join()


def test_what_is_spawned_just_as_a_tool_moves_begins_on_the_loop_it_moves_to(
    tool, in_thread, monkeypatch
):
    bound, moved, tasks, bind = threading.Event(), threading.Event(), [], Bound._bind

    async def first():
        await tool.spawn(returns(0))
        bound.set()
        while not moved.is_set():
            await asyncio.sleep(0.001)

    def slowly(self, other):
        tasks.append(tool.spawn(loop()))
        time.sleep(0.05)
        bind(self, other)

    async def second():
        async with tool:
            assert await tasks[0] is asyncio.get_running_loop()

    runs = in_thread(lambda: asyncio.run(first()))
    assert bound.wait(5)
    monkeypatch.setattr(Bound, "_bind", slowly)
    try:
        asyncio.run(second())
    finally:
        moved.set()
        runs()
