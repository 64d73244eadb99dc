"""Leaving a with block, and dropping a tool (rules 2, 15 and 18)."""

import gc
import weakref

import pytest
from four_tools import MAKERS, fails, finish, forever, returns, start, until_cancelled


def test_with_gives_the_tool_and_closes_it(make):
    with make() as tool:
        task = tool.spawn(returns(1))
        finish(tool)
    assert task.result() == 1 and "closed" in repr(tool)


def test_with_a_group_joins_it():
    for kind in ("Group", "Pool"):
        with MAKERS[kind]() as group:
            task = group.spawn(returns(1))
        assert task.result() == 1


def test_with_a_yielder_cancels_what_was_not_consumed():
    for kind in ("Yielder", "OrderedYielder"):
        log = []
        with MAKERS[kind]() as y:
            y.spawn(returns(1))
            task = y.spawn(until_cancelled(log))
            iterator = iter(y)
            assert next(iterator) == 1 and not task.done()
        assert log == ["cleaned up"]


def test_leaving_with_raises_the_failures_as_one_group(make):
    first, second = ValueError(1), ValueError(2)
    with pytest.raises(ExceptionGroup) as caught, make() as tool:
        tasks = [tool.spawn(fails(first)), tool.spawn(fails(second))]
        while not all(task.done() for task in tasks):
            tool.spawn(returns(1)).result()
    assert caught.value.exceptions == (first, second)
    assert "closed" in repr(tool)


def test_an_exception_in_the_block_cancels_the_tasks_and_leaves_as_itself(make):
    log = []
    with pytest.raises(KeyError, match="in the block"), make() as tool:
        running = tool.spawn(until_cancelled(log))
        start(tool)
        waiting = tool.spawn(forever())
        raise KeyError("in the block")
    assert log == ["cleaned up"] and running.cancelled() and waiting.cancelled()


def test_what_fails_in_closing_rides_on_the_exception_of_the_block(make):
    async def stubborn():
        try:
            await forever()
        finally:
            raise ValueError("in finally")

    with pytest.raises(KeyError) as caught, make() as tool:
        tool.spawn(stubborn())
        start(tool)
        raise KeyError
    assert any("in finally" in note for note in caught.value.__notes__)


def test_a_tool_that_is_dropped_is_cleaned_up(make):
    log = []
    tool = make()
    tool.spawn(until_cancelled(log))
    start(tool)
    del tool
    gc.collect()
    assert log == ["cleaned up"]


def test_a_tool_that_is_done_with_is_freed_at_once(make):
    """Without the help of the collector: nothing of it is in a cycle."""
    gc.disable()
    try:
        tool = make()
        tasks = [tool.spawn(returns(1)), tool.spawn(returns, 2), tool.spawn(int)]
        tasks[0].result()
        finish(tool)
        freed = [weakref.ref(tool), *map(weakref.ref, tasks)]
        del tool, tasks
        assert [ref() for ref in freed] == [None] * 4
    finally:
        gc.enable()


def test_a_tool_that_the_collector_finds_in_a_cycle_spoils_no_later_one(make):
    """Its loop is found together with it, and must not be kept for the next tool."""

    def use():
        tool = make()

        async def step(left):
            if left:
                tool.spawn(step(left - 1))

        tool.spawn(step(3))
        finish(tool)

    for _ in range(3):
        use()
        gc.collect()


def test_work_that_never_ran_is_closed_when_the_tool_is_dropped(make):
    coroutine = returns(1)
    tool = make()
    tool.spawn(coroutine)
    del tool
    gc.collect()
    assert coroutine.cr_frame is None
