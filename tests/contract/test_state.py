"""What a tool tells about itself, what it refuses, and how it is subclassed."""

import sys
import threading

import pytest
from four_tools import MAKERS, fails, failure_of, finish, forever, returns, start

import aioutils
from aioutils import Group, OrderedYielder, Yielder


def test_len_counts_unfinished_tasks(tool):
    assert len(tool) == 0
    tool.spawn(returns(1))
    tool.spawn(returns, 2)
    tool.spawn(int)
    assert len(tool) == 3
    finish(tool)
    assert len(tool) == 0


def test_len_counts_the_running_too(tool):
    tool.spawn(forever())
    start(tool)
    tool.spawn(returns(1))
    assert len(tool) == 2
    tool.cancel()


def test_an_empty_tool_is_true(tool):
    assert tool


def test_a_tool_contains_its_unfinished_tasks_only(tool, make):
    other = make()
    task, stranger = tool.spawn(returns(1)), other.spawn(returns(2))
    assert task in tool and stranger not in tool and task not in other
    assert None not in tool and 1 not in tool
    finish(tool)
    assert task not in tool
    other.close()


def test_a_running_task_is_in_its_tool(tool):
    task = tool.spawn(forever())
    start(tool)
    assert task in tool
    tool.cancel()
    finish(tool)
    assert task not in tool


@pytest.mark.parametrize("kind", ["Group", "Pool"])
def test_iterating_a_group_gives_its_unfinished_tasks_as_they_are_now(kind):
    with MAKERS[kind]() as group:
        running, done = group.spawn(forever()), group.spawn(returns(1))
        done.result()
        waiting = group.spawn(returns(2))
        tasks = iter(group)
        group.spawn(returns(3))
        assert set(tasks) == {running, waiting}
        group.cancel()


def test_without_a_limit_a_tool_is_never_full():
    for tool in (Group(), Yielder(), OrderedYielder()):
        for _ in range(10):
            tool.spawn(returns(1))
        assert (tool.full(), tool.free_count()) == (False, sys.maxsize)
        tool.close()


def test_free_count_is_what_would_start_at_once(make_limited):
    with make_limited(2) as tool:
        assert (tool.full(), tool.free_count()) == (False, 2)
        tool.spawn(returns(1))
        assert (tool.full(), tool.free_count()) == (False, 1)
        tool.spawn(returns(1))
        tool.spawn(returns(1))
        assert (tool.full(), tool.free_count()) == (True, 0)
        finish(tool)
        assert (tool.full(), tool.free_count()) == (False, 2)


def test_running_tasks_take_from_the_free_count(make_limited):
    with make_limited(2) as tool:
        tool.spawn(forever())
        start(tool)
        assert tool.free_count() == 1
        tool.cancel()


def test_a_waiting_task_that_is_cancelled_gives_its_place_back(make_limited):
    with make_limited(1) as tool:
        task = tool.spawn(forever())
        assert tool.full()
        task.cancel()
        assert (tool.full(), len(tool)) == (False, 0)


def test_repr_tells_the_live_state(make_limited):
    tool = make_limited(2)
    kind = type(tool).__name__
    assert repr(tool) == f"<{kind} size=2 running=0 waiting=0>"
    for _ in range(3):
        tool.spawn(forever())
    assert repr(tool) == f"<{kind} size=2 running=0 waiting=3>"
    start(tool)
    assert repr(tool) == f"<{kind} size=2 running=2 waiting=1>"
    tool.cancel()
    finish(tool)
    assert repr(tool) == f"<{kind} size=2 running=0 waiting=0>"
    tool.close()
    assert repr(tool) == f"<{kind} size=2 closed>"


def test_repr_tells_of_failures_that_nobody_has_seen(tool):
    task = tool.spawn(fails(ValueError()))
    while not task.done():
        tool.spawn(returns(1)).result()
    assert "failed=1" in repr(tool)
    tool.take_errors()
    assert "failed" not in repr(tool)


def test_repr_tells_of_lent_slots(make_limited):
    seen = []

    async def look():
        seen.append(repr(tool))

    async def wait():
        await tool.spawn(look())

    with make_limited(1) as tool:
        tool.spawn(wait())
        finish(tool)
    assert "running=1 waiting=0 lent=1" in seen[0]


def test_cancel_ends_what_runs_and_what_waits(tool):
    ran = []

    async def run():
        ran.append("started")
        await forever()

    running = tool.spawn(run())
    start(tool)
    waiting = tool.spawn(run())
    tool.cancel()
    assert waiting.cancelled()
    finish(tool)
    assert running.cancelled() and ran == ["started"]


def test_after_cancel_the_tool_goes_on(tool):
    tool.spawn(forever())
    tool.cancel()
    task = tool.spawn(returns(1))
    finish(tool)
    assert task.result() == 1


def test_what_has_not_started_never_will(tool):
    """Not even if it was on its way: it was to start in the same pass."""
    started = []

    async def first():
        others[0].cancel()
        others[1].cancel()

    async def second():
        started.append("coroutine")

    tool.spawn(first())
    others = [tool.spawn(second()), tool.spawn(started.append, "function")]
    finish(tool)
    assert started == [] and all(task.cancelled() for task in others)


def test_a_task_may_cancel_its_tool_and_so_itself(tool):
    cleaned = []

    async def cancel():
        tool.cancel()
        try:
            await forever()
        finally:
            cleaned.append(1)

    task, other = tool.spawn(cancel()), tool.spawn(forever())
    finish(tool)
    assert task.cancelled() and other.cancelled() and cleaned == [1]


def test_cancel_from_another_thread_ends_a_wait(tool, in_thread):
    running = threading.Event()

    async def run():
        running.set()
        await forever()

    task = tool.spawn(run())
    wait = in_thread(finish, tool)
    assert running.wait(5)
    tool.cancel()
    wait()
    assert task.cancelled()


def test_the_tools_are_exported():
    for name in ("Group", "Pool", "Yielder", "OrderedYielder"):
        assert getattr(aioutils, name).__module__.startswith("aioutils")


def test_a_failing_wait_leaves_the_tool_usable(tool):
    tool.spawn(fails(ValueError()))
    failure_of(tool)
    assert tool.spawn(returns(2)).result() == 2
