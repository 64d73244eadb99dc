"""A context that is entered although its entering was cancelled, or that waits for a task."""

import asyncio
import contextlib
from concurrent.futures import CancelledError

import pytest
from four_tools import forever, interrupt

from aioutils import ClosedError, Group, Pool

pytestmark = pytest.mark.timeout(10)


@contextlib.asynccontextmanager
async def fallback(log):
    """Enters another way if the first one is broken off."""
    try:
        await forever()
    except asyncio.CancelledError:
        log.append("swallowed")
    yield
    log.append("left")


def test_by_a_function_that_was_cancelled():
    log = []
    with Group() as group, Pool(1) as pool:
        task = pool.spawn(lambda: group.enter_async_context(fallback(log)))
        assert pool.join(timeout=0.02) is False
        task.cancel()
        assert pool.join(5) and task.cancelled()
        assert log == ["swallowed", "left"]


def test_after_ctrl_c():
    async def later():
        await asyncio.sleep(0.01)
        await interrupt()

    log = []
    with Group() as group:
        group.spawn(later)
        with pytest.raises(KeyboardInterrupt):
            group.enter_async_context(fallback(log))
        assert log == ["swallowed", "left"]


def test_as_its_tool_closes(in_thread):
    log, group = [], Group()
    entering = in_thread(group.enter_async_context, fallback(log))
    while not len(group._scheduler.parked):
        pass
    group.spawn(asyncio.sleep, 0.01).result()
    group.close()
    with contextlib.suppress(ClosedError, CancelledError):
        entering()
    assert log == ["swallowed", "left"]


def test_one_that_waits_for_a_task_as_its_tool_closes(in_thread):
    @contextlib.asynccontextmanager
    async def session():
        await group.spawn(forever)
        yield

    group = Group()
    entering = in_thread(group.enter_async_context, session())
    while not len(group):
        pass
    group.close()
    with pytest.raises(ClosedError, match="was closed meanwhile"):
        entering()


@pytest.mark.parametrize("late", [False, True])
def test_one_that_ctrl_c_hits_as_it_is_left(late, in_thread):
    """Whether it was entered before its tool closed, or although it did."""

    @contextlib.asynccontextmanager
    async def session():
        begun.append(1)
        if late:
            with contextlib.suppress(asyncio.CancelledError):
                await forever()
        yield
        await interrupt()
        await asyncio.sleep(0.01)
        log.append("left")

    begun, log, group = [], [], Group()
    entering = in_thread(group.enter_async_context, session())
    while not begun:
        pass
    if not late:
        entering()
    with pytest.raises(KeyboardInterrupt):
        group.close()
    if late:
        with contextlib.suppress(ClosedError, CancelledError, KeyboardInterrupt):
            entering()
    assert log == ["left"]
