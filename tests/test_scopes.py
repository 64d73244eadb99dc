"""Scopes: `within=`, and what the end of a block does to unfinished tasks (rule 24)."""

import asyncio
from contextlib import AsyncExitStack, ExitStack

import pytest
from four_tools import fails, forever, returns, until_cancelled
from on_a_loop import on_a_loop

from aioutils import Group, OrderedYielder, Pool, UnfinishedError, Yielder

KINDS = [Group, lambda **options: Pool(3, **options), Yielder, OrderedYielder]


class Log(list):
    begun = None  # by the loop's clock


async def echo(log, name, seconds):
    """All by one clock: on a busy machine some may begin late, but the timers keep their order."""
    loop = asyncio.get_running_loop()
    time_is_up = loop.create_future()
    log.begun = log.begun or loop.time()
    loop.call_at(log.begun + seconds, time_is_up.set_result, None)
    await time_is_up
    log.append(name)


# ---- nested -----------------------------------------------------------------------------

NESTED = ["outer 1", "inner 1", "outer 1.5", "inner 2", "outer .5"]


def test_what_the_inner_scope_waits_for_runs_beside_the_tasks_of_the_outer_one():
    log = Log()
    with Group() as outer:
        outer.spawn(echo(log, "outer 1.5", 0.015))
        outer.spawn(echo(log, "outer 1", 0.010))
        with Group(within=outer) as inner:
            inner.spawn(echo(log, "inner 2", 0.020))
            inner.spawn(echo(log, "inner 1", 0.012))
        outer.spawn(echo(log, "outer .5", 0.005))
    assert log == NESTED


@on_a_loop
async def test_nested_scopes_in_async_code_run_in_the_same_order():
    log = Log()
    async with Group() as outer:
        outer.spawn(echo(log, "outer 1.5", 0.015))
        outer.spawn(echo(log, "outer 1", 0.010))
        async with Group() as inner:
            inner.spawn(echo(log, "inner 2", 0.020))
            inner.spawn(echo(log, "inner 1", 0.012))
        outer.spawn(echo(log, "outer .5", 0.005))
    assert log == NESTED


@pytest.mark.parametrize("world", ["sync", "async"])
def test_scopes_nest_to_any_depth(world):
    log = Log()

    def build(stack, enter):
        tools = [Group()]
        yield enter(tools[0])
        for n in range(1, 50):
            kind = KINDS[n % 2]
            tools.append(kind(within=tools[-1]))
            yield enter(tools[-1])
            tools[-2].spawn(echo(log, n, 0))

    def in_sync_code():
        with ExitStack() as stack:
            list(build(stack, stack.enter_context))

    async def in_async_code():
        async with AsyncExitStack() as stack:
            for entering in build(stack, stack.enter_async_context):
                await entering

    in_sync_code() if world == "sync" else asyncio.run(in_async_code())
    assert sorted(log) == list(range(1, 50))


@pytest.mark.parametrize("kind", KINDS)
def test_joining_the_inner_one_lets_the_outer_ones_tasks_go_on(kind):
    async def pong():
        await ping.wait()
        answered.set()

    with Group() as outer:
        ping, answered = asyncio.Event(), asyncio.Event()
        task = outer.spawn(pong())
        with kind(within=outer) as inner:

            async def ask():
                ping.set()
                return await answered.wait()

            asked = inner.spawn(ask())
            assert asked.result() is True  # the outer one's task answered
        outer.join()
        assert task.done()


def test_an_inner_scope_is_closed_and_the_outer_one_goes_on():
    with Group() as outer:
        slow = outer.spawn(forever())
        with Group(within=outer) as inner:
            inner.spawn(returns(1))
        assert not slow.done() and len(outer) == 1
        assert outer.spawn(returns(2)).result() == 2
        slow.cancel()


def test_the_outer_scope_may_end_before_the_inner_one():
    outer = Group()
    inner = Group(within=outer)
    first = inner.spawn(returns(1))
    assert outer.spawn(returns(0)).result() == 0
    outer.close()
    assert first.result() == 1
    assert inner.spawn(returns(2)).result() == 2
    inner.close()


def test_a_failure_in_the_inner_scope_leaves_the_outer_one_alone():
    with Group(on_error="cancel") as outer:
        task = outer.spawn(asyncio.sleep(0.001, "value"))
        with pytest.raises(ValueError), Group(within=outer, on_error="cancel") as inner:
            inner.spawn(fails(ValueError()))
        assert task.result() == "value"


def test_an_exception_that_leaves_both_scopes_cancels_the_tasks_of_both():
    log = []
    with pytest.raises(ValueError, match="mine"), Group() as outer:
        outer.spawn(until_cancelled(log, "outer"))
        with Group(within=outer) as inner:
            inner.spawn(until_cancelled(log, "inner"))
            inner.spawn(asyncio.sleep, 0).result()
            raise ValueError("mine")
    assert log == ["inner", "outer"]


@pytest.mark.parametrize("world", ["sync", "async"])
def test_results_of_one_scope_are_arguments_of_tasks_of_another(world):
    async def double(task):
        return 2 * await task

    def spawn(outer, inner):
        first = outer.spawn(asyncio.sleep(0.001, 21))
        return inner.spawn(double(inner.spawn(double(first))))

    def in_sync_code():
        with Group() as outer, Group(within=outer) as inner:
            return spawn(outer, inner).result()

    async def in_async_code():
        async with Group() as outer, Group(within=outer) as inner:
            return await spawn(outer, inner)

    assert (in_sync_code() if world == "sync" else asyncio.run(in_async_code())) == 84


# ---- the end of the block ---------------------------------------------------------------


def leave(kind, on_exit, spawn, world):
    """Enters, spawns, and leaves; returns what was raised."""

    def in_sync_code():
        with kind(on_exit=on_exit) as tool, Group(within=tool) as beside:
            spawn(tool)
            beside.spawn(asyncio.sleep, 0.001).result()

    async def in_async_code():
        async with kind(on_exit=on_exit) as tool:
            spawn(tool)
            await asyncio.sleep(0.001)

    try:
        in_sync_code() if world == "sync" else asyncio.run(in_async_code())
    except Exception as error:
        return error


@pytest.mark.parametrize("world", ["sync", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_on_exit_wait_lets_every_task_end(kind, world):
    tasks = []
    error = leave(kind, "wait", lambda t: tasks.append(t.spawn(asyncio.sleep, 0.01, "v")), world)
    assert error is None and tasks[0].result() == "v"


@pytest.mark.parametrize("world", ["sync", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_on_exit_cancel_cancels_and_waits_for_the_clean_up(kind, world):
    log = []
    assert leave(kind, "cancel", lambda tool: tool.spawn(until_cancelled(log)), world) is None
    assert log == ["cleaned up"]


@pytest.mark.parametrize("world", ["sync", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_on_exit_refuse_names_each_unfinished_task_and_the_line_that_spawned_it(kind, world):
    log = []

    def spawn(tool):
        tool.spawn(returns(1))
        tool.spawn(until_cancelled(log)).name = "the first one"
        tool.spawn(until_cancelled(log))

    line = spawn.__code__.co_firstlineno
    error = leave(kind, "refuse", spawn, world)
    assert isinstance(error, UnfinishedError) and isinstance(error, RuntimeError)
    message = str(error)
    assert f"<Task the first one running>, spawned at {__file__}:{line + 2}" in message
    assert f"<Task until_cancelled running>, spawned at {__file__}:{line + 3}" in message
    assert "returns" not in message
    assert log == ["cleaned up"] * 2


def test_on_exit_refuse_says_how_many_wait():
    with pytest.raises(UnfinishedError) as refused, Pool(1, on_exit="refuse") as pool:
        for _ in range(3):
            pool.spawn(forever())
    assert str(refused.value).startswith("<Pool size=1 running=0 waiting=3> was left")
    assert str(refused.value).count("<Task forever waiting>") == 3


async def numbers():
    for n in range(3):
        yield n
        await forever()


@pytest.mark.parametrize(
    "begin",
    [
        lambda: (tool := Yielder(on_exit="refuse"), tool.spawn(numbers())),
        lambda: (tool := Pool(2, on_exit="refuse"), it := tool.imap(later, range(2)), next(it)),
    ],
    ids=["async iterable", "imap"],
)
@pytest.mark.usefixtures("quick_pulls")
def test_on_exit_refuse_names_the_line_of_whatever_was_begun(begin):
    tool, *begun = begin()
    with pytest.raises(UnfinishedError) as refused, tool:
        pass
    assert begun
    line = begin.__code__.co_firstlineno
    assert str(refused.value).endswith(f", spawned at {__file__}:{line}")


async def later(n):
    await asyncio.sleep(60 * n)


@pytest.mark.parametrize("world", ["sync", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_on_exit_refuse_lets_a_block_end_whose_tasks_have(kind, world):
    assert leave(kind, "refuse", lambda tool: tool.spawn(returns(1)), world) is None


@pytest.mark.parametrize("world", ["sync", "async"])
def test_a_service_runs_while_a_batch_does_and_is_cancelled_after_it(world):
    """Six requests, three at once, then one each time that a token comes."""
    tokens, refills, requests, log = 3, 0, [], []

    async def refill():
        nonlocal tokens, refills
        try:
            while True:
                await asyncio.sleep(0.01)
                tokens, refills = min(tokens + 1, 3), refills + 1
        finally:
            log.append("the service ended")

    async def request():
        nonlocal tokens
        while tokens == 0:
            await asyncio.sleep(0)
        tokens -= 1
        requests.append(refills)

    def in_sync_code():
        with Group(on_exit="cancel") as services:
            services.spawn(refill())
            with Group(within=services) as batch:
                for _ in range(6):
                    batch.spawn(request())
            assert log == []

    async def in_async_code():
        async with Group(on_exit="cancel") as services:
            services.spawn(refill())
            async with Group() as batch:
                for _ in range(6):
                    batch.spawn(request())
            assert log == []

    in_sync_code() if world == "sync" else asyncio.run(in_async_code())
    assert requests == [0, 0, 0, 1, 2, 3]
    assert log == ["the service ended"]
