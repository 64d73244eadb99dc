"""Early exit in async code: leaving the block, `break`, `aclose`, exceptions, cancellation."""

import asyncio
import inspect

import pytest
from four_tools import MAKERS, fails, forever, returns, torn_source, until_cancelled
from on_a_loop import on_a_loop, start_all

from aioutils import ClosedError, DeadlockError, Group, Pool, Yielder


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


@pytest.fixture(params=["Group", "Pool"])
def make_group(request):
    return MAKERS[request.param]


@pytest.fixture(params=[*MAKERS][2:])
def make_yielder(request):
    return MAKERS[request.param]


@on_a_loop
async def test_break_cancels_the_rest_and_its_clean_up_ends_with_the_block(make_yielder):
    log = []
    async with make_yielder() as y:
        y.put("first")
        y.spawn(until_cancelled(log))
        async for result in y:
            assert result == "first"
            await start_all()
            break
    assert log == ["cleaned up"]


@pytest.mark.parametrize("kind", ["imap", "yielder"])
@on_a_loop
async def test_a_coroutine_that_is_closed_as_it_waits_for_an_item_ends_and_so_do_the_items(kind):
    async def consume():
        async for _ in tool.imap(until_cancelled, [log]) if kind == "imap" else tool:
            raise AssertionError

    log = []
    tool = Pool(1) if kind == "imap" else Yielder()
    if kind == "yielder":
        tool.spawn(until_cancelled(log))
    consumer = consume()
    steps = consumer.__await__()
    steps.send(None)
    await start_all()
    consumer.close()
    async with asyncio.timeout(5):
        while not log:
            await asyncio.sleep(0.001)
    await tool.aclose()


@on_a_loop
@pytest.mark.usefixtures("quick_pulls")
async def test_aclose_of_an_iterator_waits_for_the_clean_up_of_what_it_cancels():
    async def item(n):
        return n if n == 0 else await until_cancelled(log)

    log = []
    async with Pool(3) as pool:
        other = pool.spawn(asyncio.Event().wait())
        stream = pool.imap(item, range(2))
        assert await anext(stream) == 0
        await start_all()
        await stream.aclose()
        assert log == ["cleaned up"]
        assert not other.done()  # it is of the pool, not of that iteration
        other.cancel()


@on_a_loop
async def test_aclose_cancels_cleans_up_and_ends_the_tool(make):
    log, tool = [], make()
    started = asyncio.Event()
    task = tool.spawn(until_cancelled(log, started=started))
    async with tool:
        await started.wait()
        await tool.aclose()
        assert log == ["cleaned up"] and task.cancelled()
        with pytest.raises(ClosedError):
            tool.spawn(returns, 1)
        await tool.aclose()


@on_a_loop
async def test_leaving_a_yielders_block_cancels_what_was_not_consumed(make_yielder):
    log, started = [], asyncio.Event()
    async with make_yielder() as y:
        y.spawn(until_cancelled(log, started=started))
        await started.wait()
    assert log == ["cleaned up"]


@on_a_loop
async def test_an_exception_in_the_block_cancels_and_leaves_as_itself(make):
    async def bad_end():
        try:
            await forever()
        finally:
            raise KeyError("in finally")

    log, started = [], asyncio.Event()
    with pytest.raises(ValueError, match="mine") as caught:
        async with make() as tool:
            tool.spawn(until_cancelled(log, started=started))
            tool.spawn(bad_end())
            await started.wait()
            await start_all()
            raise ValueError("mine")
    assert log == ["cleaned up"]
    assert any("KeyError('in finally')" in note for note in caught.value.__notes__)


@on_a_loop
async def test_a_closed_tool_can_not_be_entered_again(make):
    async with make() as tool:
        pass
    with pytest.raises(ClosedError):
        async with tool:
            raise AssertionError("it was entered")


# ---- cancelled from outside --------------------------------------------------------------


async def outcome_of(block, cancels=1):
    """Runs `await block(started)` as a task, and cancels it once `started` is set; then, if it
    is to be more than one, as soon as the clean-up began."""
    started = asyncio.Event()
    task = asyncio.create_task(block(started))
    await started.wait()
    for _ in range(cancels):
        await start_all(3)
        task.cancel()
    await asyncio.wait([task])
    return task


@pytest.mark.parametrize("cancels", [1, 2, 3])
@pytest.mark.parametrize("where", ["in the block", "at its end", "in wait()"])
@on_a_loop
async def test_a_cancellation_leaves_once_everything_was_cleaned_up(make_group, where, cancels):
    log, counts = [], []

    async def block(started):
        try:
            async with make_group() as group:
                group.spawn(until_cancelled(log, started=started))
                if where == "in the block":
                    await forever()
                elif where == "in wait()":
                    await group.wait()
        finally:
            counts.append(asyncio.current_task().cancelling())

    task = await outcome_of(block, cancels)
    assert task.cancelled() and log == ["cleaned up"] and counts == [cancels]


@pytest.mark.parametrize("where", ["in the block", "at its end"])
@on_a_loop
async def test_a_failure_goes_before_a_cancellation_which_then_comes_at_the_next_await(where):
    counts = []

    async def bad_end(started):
        started.set()
        try:
            await forever()
        finally:
            raise KeyError("in finally")

    async def block(started):
        with pytest.raises(KeyError):
            async with Group(on_error="cancel") as group:
                group.spawn(bad_end(started))
                if where == "in the block":
                    await forever()
        counts.append(asyncio.current_task().cancelling())
        await forever()

    async with asyncio.timeout(2):
        task = await outcome_of(block)
    assert task.cancelled() and counts == [1]


@on_a_loop
async def test_a_cancellation_while_an_exception_leaves_does_not_replace_it():
    log, counts = [], []

    async def slowly(started):
        try:
            await forever()
        finally:
            started.set()
            await start_all(10)
            log.append("cleaned up")

    async def block(started):
        with pytest.raises(ValueError, match="mine"):
            async with Group() as group:
                group.spawn(slowly(started))
                await start_all()
                raise ValueError("mine")
        counts.append(asyncio.current_task().cancelling())
        await forever()

    async with asyncio.timeout(2):
        task = await outcome_of(block)
    assert task.cancelled() and log == ["cleaned up"] and counts == [1]


@pytest.mark.parametrize("where", ["in the block", "at its end", "in wait()"])
@on_a_loop
async def test_a_timeout_around_the_block_cancels_cleans_up_and_is_itself(make_group, where):
    log = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), make_group() as group:
            group.spawn(until_cancelled(log))
            if where == "in the block":
                await forever()
            elif where == "in wait()":
                await group.wait()
    assert log == ["cleaned up"]
    assert asyncio.current_task().cancelling() == 0
    await start_all()  # no cancellation comes late


@on_a_loop
async def test_a_timeout_in_the_block_ends_only_what_it_is_around(make):
    async with make() as tool:
        other = tool.spawn(returns(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await tool.spawn(forever())
        assert await other == 1
        tool.cancel()
    assert asyncio.current_task().cancelling() == 0


@on_a_loop
async def test_a_failure_that_ends_the_block_is_no_cancellation(make_group):
    log, kind = [], make_group().__class__
    with pytest.raises(ValueError, match="mine"):
        async with asyncio.timeout(2):
            async with kind(*([5] if kind is Pool else []), on_error="cancel") as group:
                group.spawn(until_cancelled(log))
                await start_all()
                group.spawn(fails(ValueError("mine")))
                await forever()
    assert log == ["cleaned up"]
    assert asyncio.current_task().cancelling() == 0
    await start_all()


@on_a_loop
async def test_a_cancelled_iteration_cleans_up_and_leaves(make_yielder):
    log, counts = [], []

    async def block(started):
        y = make_yielder()
        y.spawn(until_cancelled(log, started=started))
        try:
            async for _ in y:
                raise AssertionError("there is no result")
        finally:
            counts.append((asyncio.current_task().cancelling(), list(log)))
            await y.aclose()

    task = await outcome_of(block)
    assert task.cancelled() and counts == [(1, ["cleaned up"])]


@on_a_loop
async def test_a_cancelled_task_has_its_slot_back_before_it_cleans_up():
    running = []

    async def waits(task):
        try:
            await task
        finally:
            running.append(pool.free_count())

    async with Pool(1) as pool:
        second = pool.spawn(forever())
        first = pool.spawn(waits(second))
        await start_all()
        second.cancel()
        await asyncio.wait_for(pool.wait(), 10)
        assert first.cancelled() and running == [0]


@pytest.mark.parametrize("end", ["cancel", "close", "on_error"])
@on_a_loop
async def test_a_task_that_its_own_timeout_cancels_just_now_is_cancelled_all_the_same(end):
    """Its cleaning up is the timeout's doing; after that it would go on, were it left alone."""
    log, cleaning = [], asyncio.Event()

    async def work():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                try:
                    await forever()
                finally:
                    cleaning.set()
                    await start_all(20)
        log.append("goes on")
        await forever()

    group = Group(on_error="cancel")
    task = group.spawn(work())
    waiting = asyncio.create_task(group.wait(raise_error=False))
    await cleaning.wait()
    if end == "cancel":
        group.cancel()
    elif end == "on_error":
        group.spawn(fails(ValueError("mine")))
    else:
        await asyncio.wait_for(group.aclose(), 2)
    _, pending = await asyncio.wait([waiting], timeout=2)
    task.cancel()
    assert not pending
    assert task.cancelled()
    group.take_errors()


@on_a_loop
async def test_cancelled_again_as_it_cleans_up_an_iteration_is_cancelled_once():
    async def consume():
        y = Yielder()
        y.spawn(until_cancelled(log))
        async for _ in y:
            pass

    log = []
    task = asyncio.create_task(consume())
    await start_all()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cleaned up"]


@on_a_loop
@pytest.mark.usefixtures("quick_pulls")
async def test_who_closes_an_iteration_whose_items_wait_for_him_is_refused_and_they_are_cancelled():
    async def wait_for_who_closes(n):
        try:
            if n:
                await taken.wait()
                await closing
        except asyncio.CancelledError:
            log.append("cancelled")

    async def close():
        stream = pool.imap_unordered(wait_for_who_closes, range(2))
        await anext(stream)
        taken.set()
        await start_all()
        with pytest.raises(DeadlockError):
            await stream.aclose()
        return "closed"

    log, taken = [], asyncio.Event()
    async with Pool(5) as pool:
        closing = pool.spawn(close)
        assert await closing == "closed"
    assert log == ["cancelled"]


def test_a_coroutine_that_is_closed_as_it_leaves_a_block_gives_the_tool_up():
    async def main():
        async with Group() as group:
            group.spawn(forever())

    async def begin():
        task = asyncio.create_task(main())
        await start_all()
        return task

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(begin())
    task._log_destroy_pending = False
    with pytest.warns(ResourceWarning, match="could not clean up"):
        task.get_coro().close()
    loop.close()


@on_a_loop
async def test_a_failure_leaves_an_iteration_whose_items_wait_for_who_iterates():
    async def work(n):
        if n == 1:
            await taken.wait()
            await failed.wait()  # or it would be refused: its own end is needed
            await iterating
        if n == 2:
            failed.set()
            raise ValueError

    async def iterate():
        stream = pool.imap_unordered(work, range(3))
        await anext(stream)
        taken.set()
        await start_all()
        with pytest.raises(ValueError):
            await anext(stream)
        return "left"

    taken, failed = asyncio.Event(), asyncio.Event()
    async with Pool(5) as pool:
        iterating = pool.spawn(iterate)
        assert await iterating == "left"


# ---- cancellations from outside: none is lost, none comes twice ---------------------------


async def fails_in_cleaning_up(log):
    try:
        await asyncio.Event().wait()
    finally:
        log.append("cleaning up")
        await asyncio.sleep(0.02)
        raise LookupError("in the clean-up")


@on_a_loop
async def test_a_timeout_around_a_block_whose_clean_up_fails_cancels_nothing_later(make):
    for _ in range(2):
        log = []
        with pytest.raises((ExceptionGroup, LookupError)):
            async with asyncio.timeout(0.01), make() as tool:
                tool.spawn(fails_in_cleaning_up(log))
                await asyncio.sleep(3600)
        assert log == ["cleaning up"]
        assert asyncio.current_task().cancelling() == 0
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("on_error", ["continue", "cancel"])
@on_a_loop
async def test_a_block_in_the_clean_up_of_a_cancelled_task_heeds_no_old_request(make, on_error):
    async def cancelled():
        try:
            await asyncio.Event().wait()
        finally:
            with pytest.raises((ExceptionGroup, LookupError)):
                async with Group(on_error=on_error) as group:
                    group.spawn(fails(LookupError()))
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            log.append("cleaned up")

    log = []
    task = asyncio.create_task(cancelled())
    await start_all()
    task.cancel()
    await asyncio.wait([task])
    assert log == ["cleaned up"] and task.cancelled()


@on_a_loop
async def test_a_cancellation_that_gave_way_to_a_failure_of_aclose_comes_with_the_next_await(make):
    async def closes():
        with pytest.raises(ExceptionGroup):
            await tool.aclose()
        log.append(asyncio.current_task().cancelling())
        await asyncio.sleep(0)
        await asyncio.sleep(3600)

    log, tool = [], make()
    tool.spawn(fails_in_cleaning_up(log))
    await tool.spawn(returns(1))
    task = asyncio.create_task(closes())
    await asyncio.sleep(0.01)
    assert log == ["cleaning up"]
    task.cancel()
    await asyncio.wait([task])
    assert log == ["cleaning up", 1] and task.cancelled()


@pytest.mark.parametrize("several", [False, True])
def test_a_break_closes_a_plain_source_that_others_hold(several):
    async def main():
        async with Pool(2) as pool:
            async for _ in pool.imap(lambda *_: returns(1), *sources):
                break
            return [inspect.getgeneratorstate(source) for source in sources]

    sources = [(n for n in range(100)) for _ in range(1 + several)]
    assert set(asyncio.run(main())) == {inspect.GEN_CLOSED}


def test_what_a_source_that_a_break_closes_fails_with_is_logged(caplog):
    async def main():
        async with Pool(2) as pool:
            async for _ in pool.imap(returns, source):
                break

    source = torn_source()
    asyncio.run(main())
    assert "a source failed in closing" in caplog.text
    assert [repr(record.exc_info[1]) for record in caplog.records] == ["OSError('torn')"]
