"""What the block of an ``async with`` gets of a failure that ends the rest: where it waits for
the tool, the failure itself; elsewhere it is cancelled, and the failure leaves it."""

import asyncio

import pytest
from four_tools import fails, forever, until_cancelled
from on_a_loop import on_a_loop, start_all

from aioutils import Group, OrderedYielder, Pool, Yielder


async def item(_):
    await forever()


async def never():
    await forever()
    yield


async def iterate(items):
    return [x async for x in items]


async def map_an_async_source(p):
    async for _ in p.imap(item, never()):
        raise AssertionError


class Block:
    """A tool with a task that cleans up slowly, and one that fails when the block waits."""

    def __init__(self, kind=lambda **options: Pool(3, **options)):
        self.log, self.door, self.tool = [], asyncio.Event(), kind(on_error="cancel")

    async def __aenter__(self):
        await self.tool.__aenter__()
        self.other = self.tool.spawn(until_cancelled(self.log))
        self.failing = self.tool.spawn(self.fail())
        await start_all()
        return self

    def fail_soon(self):
        asyncio.get_running_loop().call_soon(self.door.set)
        return self

    async def __aexit__(self, *exception):
        return await self.tool.__aexit__(*exception)

    async def fail(self):
        await self.door.wait()
        raise ValueError("mine")


SELF = {
    "wait": lambda block: block.tool.wait(),
    "wait, with a timeout": lambda block: block.tool.wait(60),
    "wait in asyncio.timeout": lambda block: in_timeout(block.tool.wait()),
    "await the one that fails": lambda block: aresult(block.failing),
    "imap": lambda block: iterate(block.tool.imap(item, range(5))),
    "imap_unordered": lambda block: iterate(block.tool.imap_unordered(item, range(5))),
    "imap, reused": lambda block: iterate(block.tool.imap(item, range(5), isolate=False)),
    "imap, whose source waits": lambda block: map_an_async_source(block.tool),
    "as_completed": lambda block: results_of(block.tool),
}


async def in_timeout(coroutine):
    async with asyncio.timeout(60):
        return await coroutine


async def aresult(task):
    return await task


async def results_of(group):
    return [await task async for task in group.as_completed()]


async def goes_on(block):
    """The rest of a block that has seen the failure."""
    await asyncio.sleep(0.01)
    assert block.log == ["cleaned up"] and block.tool.errors == []
    assert asyncio.current_task().cancelling() == 0


async def nothing_comes_late():
    await start_all()
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("how", SELF)
@on_a_loop
async def test_a_wait_for_the_tool_raises_the_failure_and_the_block_goes_on(how):
    async with Block() as block:
        with pytest.raises(ValueError, match="mine") as caught:
            await SELF[how](block.fail_soon())
        if how not in ("await the one that fails", "as_completed"):
            assert block.log == ["cleaned up"]
        await goes_on(block)
    assert caught.value is block.failing.exception()
    await nothing_comes_late()


@pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
@on_a_loop
async def test_iterating_a_yielder_raises_the_failure_and_the_block_goes_on(kind):
    async with Block(kind) as block:
        with pytest.raises(ValueError, match="mine"):
            await iterate(block.fail_soon().tool)
        assert block.log == ["cleaned up"]
        await goes_on(block)
        block.tool.put("after it")
        assert await iterate(block.tool) == ["after it"]
    await nothing_comes_late()


@on_a_loop
async def test_after_a_failure_that_was_caught_the_block_spawns_and_fails_anew():
    with pytest.raises(ValueError, match="second"):
        async with Block() as block:
            with pytest.raises(ValueError, match="mine"):
                await block.fail_soon().tool.wait()
            assert await block.tool.spawn(asyncio.sleep(0, "result")) == "result"
            block.tool.spawn(fails(ValueError("second")))
            await forever()
    await nothing_comes_late()


@on_a_loop
async def test_those_that_fail_in_cleaning_up_ride_on_what_imap_raises():
    async def fail_in_cleaning_up():
        try:
            await forever()
        finally:
            raise KeyError("in the clean-up")

    async with Block() as block:
        block.tool.spawn(fail_in_cleaning_up())
        await start_all()
        with pytest.raises(ValueError, match="mine") as caught:
            await iterate(block.fail_soon().tool.imap(item, range(5)))
        assert any("in the clean-up" in note for note in caught.value.__notes__)
        await goes_on(block)


ELSE = {
    "a sleep": lambda block: asyncio.sleep(60),
    "a foreign future": lambda block: asyncio.get_running_loop().create_future(),
    "another tool": lambda block: another_tool(),
    "another task of the tool": lambda block: block.other,
    "gather": lambda block: asyncio.gather(block.tool.wait()),
    "exceptions as items": lambda block: iterate(
        block.tool.imap(item, range(5), return_exceptions=True)
    ),
}


async def another_tool():
    async with Group() as other:
        other.spawn(forever())
        await other.wait()


@pytest.mark.parametrize("how", ELSE)
@on_a_loop
async def test_who_awaits_something_else_is_cancelled_and_the_failure_leaves_the_block(how):
    seen = []
    with pytest.raises(ValueError, match="mine"):
        async with Block() as block:
            try:
                await ELSE[how](block.fail_soon())
            except BaseException as error:
                seen.append(type(error))
                raise
    assert seen == [asyncio.CancelledError] and block.log == ["cleaned up"]
    await nothing_comes_late()


@on_a_loop
async def test_another_task_of_the_loop_that_waits_for_the_tool_leaves_the_block_cancelled():
    async def join():
        with pytest.raises(ValueError, match="mine"):
            await block.tool.wait()

    with pytest.raises(ValueError, match="mine"):
        async with Block() as block:
            joining = asyncio.create_task(join())
            block.fail_soon()
            await asyncio.sleep(60)
    await joining
    await nothing_comes_late()


@pytest.mark.parametrize("way", ["timeout", "asyncio.timeout"])
@on_a_loop
async def test_a_wait_that_is_over_before_the_rest_has_cleaned_up_has_told_nothing(way):
    async def clean_up_slowly():
        try:
            await forever()
        finally:
            await asyncio.wait_for(left.wait(), 10)

    log, left = [], asyncio.Event()
    with pytest.raises(ValueError, match="mine"):
        async with Block() as block:
            block.tool.spawn(clean_up_slowly())
            await start_all()
            block.fail_soon()
            if way == "timeout":
                assert await block.tool.wait(0.01) is False
            else:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await block.tool.wait()
            log.append("waited")
            left.set()
            await asyncio.sleep(60)
    assert log == ["waited"] and block.log == ["cleaned up"]
    await nothing_comes_late()


@on_a_loop
async def test_who_wants_to_know_of_no_failure_is_left_alone_and_it_leaves_at_the_end():
    log = []
    with pytest.raises(ValueError, match="mine"):
        async with Block() as block:
            assert await block.fail_soon().tool.wait(raise_error=False) is True
            assert len(block.tool.errors) == 1
            await asyncio.sleep(0.001)
            log.append("goes on")
    assert log == ["goes on"]
    await nothing_comes_late()


@on_a_loop
async def test_between_the_tasks_that_as_completed_hands_out_a_block_that_ignores_it_is_cancelled():
    with pytest.raises(ValueError, match="mine"):
        async with Block() as block:
            async for task in block.fail_soon().tool.as_completed():
                assert task.done()
                await asyncio.sleep(60)
    assert block.log == ["cleaned up"]
    await nothing_comes_late()


@pytest.mark.parametrize("how", ["wait", "imap", "as_completed"])
@on_a_loop
async def test_the_block_of_an_inner_scope_is_cancelled_as_the_outer_one_fails(how):
    log = []
    with pytest.raises(ValueError, match="mine"):
        async with Block() as outer, Block(lambda **_: Group(within=outer.tool)) as inner:
            outer.fail_soon()
            try:
                await SELF[how](inner)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise
    assert log == ["cancelled"] and inner.log == outer.log == ["cleaned up"]
    await nothing_comes_late()


@on_a_loop
async def test_an_inner_scope_raises_its_failure_where_it_is_waited_for_and_the_outer_goes_on():
    async with Group() as outer:
        other = outer.spawn(forever())
        async with Block(lambda **options: Pool(3, within=outer, **options)) as inner:
            with pytest.raises(ValueError, match="mine"):
                await inner.fail_soon().tool.wait()
            await goes_on(inner)
        assert not other.done()
        other.cancel()


@pytest.mark.parametrize("first", ["the failure", "the cancellation"])
@pytest.mark.parametrize("how", ["wait", "imap", "await the one that fails"])
@on_a_loop
async def test_cancelled_from_outside_at_that_moment_it_is_cancelled_after_the_block(how, first):
    async def run():
        try:
            async with Block() as block:
                if first == "the failure":
                    block.failing.add_done_callback(lambda _: task.cancel())
                else:
                    asyncio.get_running_loop().call_soon(task.cancel)
                await SELF[how](block.fail_soon())
        except ValueError:
            log.append("failed")
        log.append(asyncio.current_task().cancelling())
        await forever()

    log = []
    task = asyncio.create_task(run())
    async with asyncio.timeout(5):
        await asyncio.wait([task])
    assert task.cancelled() and log in (["failed", 1], [])
    assert log or first == "the cancellation"


@on_a_loop
async def test_a_timeout_around_the_block_that_fires_as_it_fails_is_taken_back():
    with pytest.raises((ValueError, TimeoutError)):
        async with asyncio.timeout(None) as timeout, Block() as block:
            block.failing.add_done_callback(
                lambda _: timeout.reschedule(asyncio.get_running_loop().time())
            )
            await block.fail_soon().tool.wait()
    await nothing_comes_late()


def test_in_sync_code_imap_raises_the_failure_that_cancelled_its_items():
    async def fail_soon():
        await asyncio.sleep(0.001)
        raise ValueError("mine")

    log = []
    with Pool(3, on_error="cancel") as pool:
        pool.spawn(until_cancelled(log))
        pool.spawn(fail_soon())
        with pytest.raises(ValueError, match="mine"):
            pool.map(item, range(5))
        assert log == ["cleaned up"]
