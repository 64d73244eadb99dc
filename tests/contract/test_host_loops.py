"""Loops of a host: closed with work on them, standing still, and entered (rule 5)."""

import asyncio
import contextlib
import threading

import pytest
from four_tools import finish, returns
from on_a_loop import on_a_loop

from aioutils import DeadlockError, Group, OrderedYielder, Pool, WrongLoopError, Yielder

pytestmark = pytest.mark.timeout(10)
lost = pytest.mark.filterwarnings("ignore:.*lost what was unfinished:ResourceWarning")


@pytest.fixture
def host():
    """A loop that stands still between the calls of `run_until_complete`."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@contextlib.asynccontextmanager
async def context():
    yield "entered"


async def items():
    for n in range(3):
        yield n


async def echo(value):
    return value


# ---- closed ---------------------------------------------------------------------------------


def fail_beside(pool, log):
    """A program whose host cancels what it knows of, and closes the loop with others begun."""

    async def work(n):
        try:
            await asyncio.sleep(3600 if n < 2 else 0)
        finally:
            log.append(n)

    async def main():
        for n in range(6):
            pool.spawn(work(n))
        await pool.wait(0.01)
        raise LookupError("enough")

    with pytest.raises(LookupError):
        asyncio.run(main())


@lost
@pytest.mark.parametrize("way", ["join", "with", "close", "aclose", "wait", "map"])
def test_a_pool_whose_host_has_closed_the_loop_comes_to_its_end(way):
    async def in_async_code():
        await (pool.wait() if way == "wait" else pool.aclose())

    log, pool = [], Pool(1)
    fail_beside(pool, log)
    assert log == [0]  # the next one began as the loop ended
    if way == "join":
        assert pool.join() is True
    elif way == "with":
        with pool:
            pass
    elif way == "close":
        pool.close()
    elif way == "map":
        assert pool.map(echo, range(3)) == [0, 1, 2]
        pool.join()
    else:
        asyncio.run(in_async_code())
    closed = way in ("close", "aclose")
    assert log == ([0, 1] if closed else [0, 1, 2, 3, 4, 5])
    assert len(pool) == 0 and pool.free_count() == 1
    pool.close()


@pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
def test_what_a_closed_loop_lost_is_cancelled_and_said(kind):
    ended, y = [], kind()
    loop = asyncio.new_event_loop()
    y.spawn(returns(1))

    async def begin():
        task = y.spawn(asyncio.sleep(3600))
        task.add_done_callback(ended.append)
        async for result in y:
            assert result == 1
            break_off.append(task)
            await asyncio.Event().wait()

    break_off = []
    host = loop.create_task(begin())
    while not break_off:
        loop.run_until_complete(asyncio.sleep(0))
    host.cancel()
    host._log_destroy_pending = False
    loop.close()
    with pytest.warns(ResourceWarning, match="lost what was unfinished"):
        assert list(y) == []
    assert ended == break_off and ended[0].cancelled()
    y.close()


@lost
def test_who_sleeps_in_another_thread_goes_on_when_the_host_closes_its_loop(in_thread):
    log, pool, begun = [], Pool(1), threading.Event()

    async def work(n):
        begun.set()
        try:
            await asyncio.sleep(3600 if n < 2 else 0)
        finally:
            log.append(n)

    async def main():
        for n in range(4):
            pool.spawn(work(n))
        await pool.wait(0.05)

    run = in_thread(asyncio.run, main())
    assert begun.wait(5)
    join, late = in_thread(pool.join), in_thread(pool.join, 30)
    run()
    assert join() is True and late() is True
    assert log == [0, 1, 2, 3]
    pool.close()


# ---- standing still -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda y: (y.put(5), finish(y)) == (None, [5]),
        lambda y: y.put(5) is None and y.close() is None,
        lambda y: y.spawn(echo(1)).cancel() and finish(y) == [],
        lambda y: y.cancel() is None and y.spawn(echo(1)).result() == 1,
        lambda y: y.enter_async_context(context()) == "entered",
    ],
    ids=["put", "put and close", "cancel a task", "cancel", "enter"],
)
@pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
def test_between_two_runs_of_its_host_an_idle_tool_is_used_in_sync_code(host, kind, use):
    async def run():
        y.spawn(echo(0))
        assert [result async for result in y] == [0]

    y = kind()
    host.run_until_complete(run())
    assert use(y)
    y.close()


def test_between_two_runs_of_its_host_a_group_maps_an_async_source(host):
    async def run():
        group.spawn(echo(0))
        await group.wait()

    group = Group()
    host.run_until_complete(run())
    assert group.map(echo, items()) == [0, 1, 2]
    assert group.starmap(echo, [(1, 2)], return_exceptions=True)[0].args
    group.close()


@on_a_loop
async def test_what_was_put_or_refused_in_sync_code_ties_no_idle_tool():
    def use(group, y):
        assert group.map(echo, [1]) == [1]
        y.spawn(echo(1))
        assert list(y) == [1]
        y.put(2)

    group, y = Group(), Yielder()
    await asyncio.to_thread(use, group, y)
    assert [result async for result in y] == [2]
    assert [result async for result in group.imap(echo, items())] == [0, 1, 2]
    await asyncio.to_thread(group.map, echo, [1])
    (error,) = [each async for each in group.imap(returns, [()], return_exceptions=True)] or [None]
    assert error == ()
    for tool in (group, y):
        await tool.aclose()


@pytest.mark.parametrize("wait", [Group.join, Group.close, lambda group: group.map(echo, [1])])
def test_waiting_for_a_loop_of_this_thread_that_stands_still_is_refused(host, wait):
    async def run():
        group.spawn(asyncio.sleep(0.01))
        await asyncio.sleep(0)
        await group.wait(0)

    group = Group()
    host.run_until_complete(run())
    with pytest.raises(DeadlockError, match="does not run now"):
        wait(group)
    host.run_until_complete(group.aclose())


def test_what_failed_goes_before_the_refusal_to_wait_for_a_loop_that_stands_still(host):
    async def run(n):
        if n == 1:
            raise KeyError(n)
        await asyncio.sleep(3600 * n)

    async def begin():
        stream = group.imap(run, range(3))
        await anext(stream)
        await asyncio.sleep(0.01)
        return stream

    group = Group()
    stream = host.run_until_complete(begin())
    with pytest.raises(KeyError):
        next(stream)
    host.run_until_complete(group.aclose())


# ---- entered --------------------------------------------------------------------------------


@on_a_loop
async def test_a_tool_that_was_entered_stays_on_its_loop(make):
    async def elsewhere():
        await task

    released = asyncio.Event()
    async with make() as tool:
        task = tool.spawn(released.wait())  # waits in the line: it ties nothing yet
        with pytest.raises(WrongLoopError, match="within="):
            await asyncio.to_thread(asyncio.run, elsewhere())
        released.set()
        assert await task is True


def test_a_tool_with_work_under_way_says_once_what_runs_elsewhere(make):
    tool = make()
    task = tool.spawn(asyncio.sleep(60))
    with pytest.raises(TimeoutError):
        task.result(timeout=0.001)
    with pytest.raises(WrongLoopError) as refused:
        asyncio.run(tool.__aenter__())
    assert str(refused.value).startswith(f"{tool!r} runs on another loop than the one that awaits")
    with pytest.raises(WrongLoopError, match=f"{task!r} of {tool!r} runs on another loop"):
        asyncio.run(awaits(task))
    tool.close()


def test_a_tool_with_a_context_says_how_it_is_closed_elsewhere(make):
    @contextlib.asynccontextmanager
    async def session():
        yield
        await asyncio.sleep(0)
        left.append(tool)

    async def main():
        for call in (tool.aclose, tool.__aenter__):
            with pytest.raises(WrongLoopError, match=r"contexts .* asyncio.to_thread\(tool.close"):
                await call()
        await asyncio.to_thread(tool.close)

    tool, left = make(), []
    tool.enter_async_context(session())
    asyncio.run(main())
    assert left == [tool]


async def awaits(task):
    return await task


def test_a_context_whose_entering_was_refused_ties_no_tool():
    async def refused():
        with pytest.raises(DeadlockError):
            group.enter_async_context(context())

    group = Group()
    assert group.spawn(refused()).result() is None
    asyncio.run(group.wait())
    assert group.errors == []
    asyncio.run(group.aclose())
