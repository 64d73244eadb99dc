"""What fails as a block is left rides on what leaves; where nobody would see it, it is logged."""

import asyncio
import contextlib
import threading

import pytest
from on_a_loop import on_a_loop, start_all

from aioutils import Pool, UnfinishedError, yielding

pytestmark = pytest.mark.timeout(5)


async def fail(text):
    raise ValueError(text)


async def give(value):
    await asyncio.sleep(0.001)
    return value


async def fail_in_cleaning_up(text):
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError(text)


@contextlib.asynccontextmanager
async def fail_in_leaving():
    yield
    raise LookupError("in leaving")


def test_a_generator_that_is_closed_logs_the_failures(caplog):
    def results():
        with yielding() as y:
            y.spawn(fail("a task"))
            y.spawn(give(1))
            y.spawn(fail_in_cleaning_up("in cleaning up"))
            yield from y

    generator = results()
    assert next(generator) == 1
    generator.close()
    logged = [str(record.exc_info[1]) for record in caplog.records]
    assert logged == ["a task", "in cleaning up"]


def test_a_failure_in_closing_rides_on_the_failures_of_the_tasks():
    with pytest.raises(ExceptionGroup, match="a task") as caught, Pool(2) as pool:
        pool.enter_async_context(fail_in_leaving())
        pool.spawn(fail("a task"))
    assert "in leaving" in "".join(caught.value.__notes__)


def test_failures_in_cleaning_up_ride_on_a_refusal():
    with pytest.raises(UnfinishedError) as caught, Pool(2, on_exit="refuse") as pool:
        pool.spawn(fail_in_cleaning_up("in cleaning up"))
        pool.join(0)
    assert "in cleaning up" in "".join(caught.value.__notes__)


@on_a_loop
async def test_the_same_in_async_code():
    with pytest.raises(UnfinishedError) as caught:
        async with Pool(2, on_exit="refuse") as pool:
            pool.spawn(fail_in_cleaning_up("in cleaning up"))
            await start_all()
    assert "in cleaning up" in "".join(caught.value.__notes__)


@on_a_loop
async def test_what_failed_in_a_map_whose_task_is_cancelled_stays_among_the_errors():
    async def run(n):
        await (asyncio.Event().wait() if n == 0 else fail(n))

    async def consume():
        async for _ in pool.imap(run, range(3)):
            pass

    pool = Pool(4)
    task = asyncio.create_task(consume())
    await start_all(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [error.args for error in pool.take_errors()] == [(1,), (2,)]
    await pool.aclose()


@on_a_loop
async def test_a_failure_in_a_map_goes_before_a_cancellation_that_comes_as_the_rest_cleans_up():
    async def run(n):
        if n:
            raise ValueError("in the map")
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await asyncio.sleep(0.01)

    async def consume():
        try:
            async for _ in pool.imap_unordered(run, range(2)):
                pass
        except ValueError as error:
            seen.append(str(error))
        await asyncio.sleep(5)

    pool, seen, cleaning = Pool(4), [], asyncio.Event()
    task = asyncio.create_task(consume())
    await cleaning.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["in the map"]
    await pool.aclose()


@on_a_loop
@pytest.mark.usefixtures("quick_pulls")
async def test_a_cancellation_as_an_iteration_cleans_up_leaves_the_other_tasks_alone():
    async def item(n):
        if n:
            try:
                await asyncio.Event().wait()
            finally:
                cleaning.set()
                await asyncio.sleep(0.01)
                log.append("cleaned up")
        return n

    async def iterate():
        async with contextlib.aclosing(pool.imap(item, range(2))) as results:
            async for _ in results:
                break

    log, cleaning, go_on = [], asyncio.Event(), asyncio.Event()
    async with Pool(4) as pool:
        other = pool.spawn(go_on.wait())
        iterating = asyncio.create_task(iterate())
        await cleaning.wait()
        iterating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await iterating
        assert log == ["cleaned up"]
        go_on.set()
        assert await other is True


@on_a_loop
async def test_who_awaits_the_end_of_a_tool_that_a_thread_closes_is_woken():
    async def stays():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)

    pool = Pool(2)
    pool.spawn(stays)
    waiting = asyncio.create_task(pool.wait())
    await start_all()
    thread = threading.Thread(target=pool.close)
    thread.start()
    while not pool._scheduler._closing:
        await asyncio.sleep(0)
    await waiting
    await pool.aclose()
    thread.join()
