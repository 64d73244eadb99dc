"""The tools in async code, on the loop that runs there (rule 22)."""

import asyncio
import threading
from contextvars import ContextVar

import pytest
from four_tools import MAKERS, fails, forever, returns
from on_a_loop import Together, afinish, on_a_loop, start_all

from aioutils import DeadlockError, Group, Pool
from aioutils._lease import pause
from aioutils._waiting import Event


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


@pytest.fixture(params=["Group", "Pool"])
def make_group(request):
    return MAKERS[request.param]


# ---- the loop ---------------------------------------------------------------------------


@on_a_loop
async def test_tasks_run_on_the_running_loop(make):
    async def where():
        loops.append(asyncio.get_running_loop())

    loops = []
    async with make() as tool:
        tool.spawn(where())
        await afinish(tool)
    assert loops == [asyncio.get_running_loop()]


@on_a_loop
async def test_other_tasks_of_the_loop_go_on_meanwhile(make):
    async def open_it():
        door.set()

    door = asyncio.Event()
    async with make() as tool:
        tool.spawn(door.wait())
        stranger = asyncio.create_task(open_it())
        await afinish(tool)
    assert stranger.done()


@on_a_loop
async def test_a_tool_works_without_async_with(make):
    tool = make()
    task = tool.spawn(returns(1))
    await afinish(tool)
    assert task.result() == 1
    await tool.aclose()


@on_a_loop
async def test_what_comes_as_it_is_about_to_be_watched_is_not_missed():
    class Coming(Event):
        def watch(self, notify):
            self.come()  # in another thread
            super().watch(notify)

    assert await asyncio.wait_for(pause(Coming(), ""), 5)


def test_an_idle_tool_serves_one_loop_after_the_other(make):
    tool = make()
    for n in range(3):
        task = tool.spawn(returns(n))
        asyncio.run(afinish(tool))
        assert task.result() == n
        assert tool.spawn(returns(n)).result() == n  # and its own loop in between
    tool.close()


@pytest.mark.parametrize("end", ["close", "with", "join"])
def test_a_tool_that_served_async_code_goes_on_and_ends_in_sync_code(make_group, end):
    group = make_group()
    asyncio.run(group.wait())
    task = group.spawn(returns(1))
    if end == "join":
        assert group.join() is True and task.result() == 1
    elif end == "with":
        with group:
            assert task.result() == 1
    group.close()
    assert task.done()


def test_between_two_runs_of_its_loop_a_tool_has_its_own(make_group):
    group = make_group()
    with asyncio.Runner() as runner:
        for n in range(3):
            task = group.spawn(returns(n))
            runner.run(group.wait())
            assert task.result() == n
            assert group.spawn(returns(n)).result() == n
    group.close()


@on_a_loop
async def test_many_tools_share_the_running_loop(make):
    async with make() as one, make() as other, Group() as group:
        first = one.spawn(returns(1))

        async def add():
            return await first + await other.spawn(returns(2))

        assert await group.spawn(add()) == 3


@on_a_loop
async def test_what_another_thread_spawns_is_collected(make, in_thread):
    async with make() as tool:
        door = asyncio.Event()
        tool.spawn(door.wait())
        loop, tasks = asyncio.get_running_loop(), []

        def work():
            tasks.append(tool.spawn(returns("from a thread")))
            loop.call_soon_threadsafe(door.set)

        thread = in_thread(work)
        await afinish(tool)
        thread()
        assert tasks[0].result() == "from a thread"


@on_a_loop
async def test_a_plain_function_runs_in_a_thread_with_the_context(make):
    variable = ContextVar("variable", default="default")
    async with make() as tool:
        variable.set("mine")
        task = tool.spawn(lambda: (variable.get(), threading.current_thread()))
        value, thread = await task
    assert value == "mine" and thread is not threading.current_thread()


# ---- wait and await ---------------------------------------------------------------------


@on_a_loop
async def test_wait_collects_nested_spawns_at_any_depth(make_group):
    async def nested(depth):
        await asyncio.sleep(0)
        depths.append(depth)
        if depth:
            group.spawn(nested(depth - 1))

    depths = []
    async with make_group() as group:
        group.spawn(nested(500))
        assert await group.wait() is True
        assert len(depths) == 501 and len(group) == 0


@on_a_loop
async def test_wait_returns_false_after_the_timeout_and_the_tasks_stay(make_group):
    async with make_group() as group:
        door = asyncio.Event()
        task = group.spawn(door.wait())
        assert await group.wait(timeout=0.01) is False
        assert not task.done() and len(group) == 1
        door.set()
        assert await group.wait(timeout=60) is True
        assert await task is True


@on_a_loop
async def test_a_timeout_of_0_does_what_can_be_done_without_waiting(make_group):
    async with make_group() as group:
        task = group.spawn(returns(1))
        assert await group.wait(timeout=0) is True
        assert task.done()
        blocked = group.spawn(forever())
        assert await group.wait(timeout=0) is False
        blocked.cancel()


@on_a_loop
async def test_wait_raises_all_failures_as_one_group_unless_told_not_to(make_group):
    async with make_group() as group:
        for n in range(3):
            group.spawn(fails(KeyError(n)))
        assert await group.wait(raise_error=False) is True
        with pytest.raises(ExceptionGroup) as caught:
            await group.wait()
        assert [str(error) for error in caught.value.exceptions] == ["0", "1", "2"]
        assert await group.wait() is True


@on_a_loop
async def test_awaiting_a_task_gives_its_result_or_raises_its_failure(make):
    async with make() as tool:
        assert await tool.spawn(returns("value")) == "value"
        error = ValueError("mine")
        with pytest.raises(ValueError) as caught:
            await tool.spawn(fails(error))
        assert caught.value is error and tool.errors == []


@on_a_loop
async def test_awaiting_a_cancelled_task_leaves_who_awaits_alone(make):
    async with make() as tool:
        task = tool.spawn(forever())
        await start_all()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.current_task().cancelling() == 0


@on_a_loop
async def test_a_task_goes_on_though_who_awaits_it_is_cancelled(make):
    async with make() as tool:
        door = asyncio.Event()
        task = tool.spawn(door.wait())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await task
        assert not task.done()
        door.set()
        assert await task is True


@on_a_loop
async def test_the_tasks_stay_if_wait_is_cancelled(make_group):
    async with make_group() as group:
        door = asyncio.Event()
        task = group.spawn(door.wait())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await group.wait()
        assert asyncio.current_task().cancelling() == 0
        door.set()
        assert await group.wait() is True and task.result() is True


# ---- limits -----------------------------------------------------------------------------


@on_a_loop
async def test_a_pool_keeps_its_limit_and_its_order():
    async def visit(n):
        order.append(n)
        await together.stay()

    together, order = Together(), []
    async with Pool(3) as pool:
        for n in range(20):
            pool.spawn(visit(n))
    assert together.most == 3 and order == list(range(20))


@on_a_loop
async def test_a_full_pool_lends_the_slot_of_a_task_that_awaits_another_one():
    async def wait_for(n):
        return await asyncio.wait_for(down(n), 60)

    async def down(n):
        with together:
            pass
        if n == 0:
            return 1
        two = [pool.spawn(wait_for(n - 1)) for _ in range(2)]
        return sum(await asyncio.gather(*two))

    together = Together()
    async with Pool(1) as pool:
        assert await pool.spawn(down(5)) == 2**5
    assert together.most == 1


@on_a_loop
async def test_tasks_that_await_each_other_in_a_circle_are_refused():
    async def other(key):
        return await tasks[key]

    async with Pool(2) as pool:
        tasks = {}
        tasks["a"], tasks["b"] = pool.spawn(other("b")), pool.spawn(other("a"))
        await pool.wait(raise_error=False)
        with pytest.raises(DeadlockError, match="would wait for itself"):
            await tasks["b"]
        pool.take_errors()
