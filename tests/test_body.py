"""The block of an ``async with``, and what ends it."""

import asyncio

import pytest
from four_tools import fails, forever
from on_a_loop import on_a_loop, start_all

from aioutils import Group


@on_a_loop
async def test_two_failures_cancel_the_block_once():
    """What was requested once is taken back once: nothing is cancelled after the block."""

    async def fail_in_cleaning_up():
        try:
            await forever()
        finally:
            raise KeyError("second")

    with pytest.raises(ValueError, match="first") as caught:
        async with Group(on_error="cancel") as group:
            group.spawn(fail_in_cleaning_up())
            await start_all()
            group.spawn(fails(ValueError("first")))
            try:
                await forever()
            except asyncio.CancelledError:
                await start_all()  # the second failure comes while the block cleans up
                raise
    assert any("second" in note for note in caught.value.__notes__)
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("others", [0, 1])
@on_a_loop
async def test_a_block_that_waits_for_the_end_is_told_there_and_not_cancelled(others):
    async with Group(on_error="cancel") as group:
        for _ in range(others):
            group.spawn(forever())
        group.spawn(fails(ValueError("mine")))
        with pytest.raises(ValueError, match="mine"):
            await group.wait()
        await start_all()


@on_a_loop
async def test_a_tool_that_was_not_entered_can_not_be_left():
    group = Group()
    with pytest.raises(RuntimeError, match="not entered"):
        await group.__aexit__(None, None, None)
    await group.aclose()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_system_exit_of_a_task_ends_the_host_loop_as_asyncio_does(kind):
    log = []

    async def leave():
        await asyncio.sleep(0)
        raise kind(3)

    async def main():
        try:
            async with Group() as group:
                group.spawn(leave())
                await forever()
        finally:
            log.append("the block was left")

    with pytest.raises(kind) as caught:
        asyncio.run(main())
    assert caught.value.args == (3,) and log == ["the block was left"]
