"""Waiting for oneself is refused at once, with a RuntimeError that names the fix (rule 4)."""

import asyncio
import threading

import pytest
from four_tools import MAKERS, finish, forever, returns

from aioutils import DeadlockError, Group, Pool, Yielder

# Blocking calls inside a running loop are what some of this is about.
pytestmark = pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")


def refusal(tool, wait):
    """What a blocking wait raises in an async task of the tool."""

    async def run():
        wait()

    error = tool.spawn(run()).exception()
    assert isinstance(error, RuntimeError) and isinstance(error, DeadlockError)
    return str(error)


def test_waiting_for_the_tool_inside_its_task(tool):
    assert "task" in refusal(tool, lambda: finish(tool))


def test_closing_the_tool_inside_its_task(tool):
    refusal(tool, tool.close)
    assert tool.spawn(returns(1)).result() == 1


def test_leaving_with_inside_a_task(tool):
    def leave():
        with tool:
            pass

    refusal(tool, leave)


def test_result_of_a_task_inside_another_names_the_await(tool):
    other = tool.spawn(returns(1))
    message = refusal(tool, lambda: tool.spawn(forever()).result())
    assert "await task" in message and "forever" in message
    tool.cancel()
    finish(tool)
    other.cancel()


def test_a_wait_with_a_timeout_is_refused_as_well(tool):
    refusal(tool, lambda: tool.spawn(returns(1)).result(10))


def test_the_result_of_what_is_done_may_be_asked_for(tool):
    done = tool.spawn(returns(1))

    async def ask():
        await done
        return done.result(), done.exception()

    assert tool.spawn(ask()).result() == (1, None)


def test_a_plain_function_that_waits_for_its_tool(tool):
    error = tool.spawn(finish, tool).exception()
    assert isinstance(error, DeadlockError)
    assert "finish" in str(error)


def test_a_plain_function_that_closes_its_tool(tool):
    assert isinstance(tool.spawn(tool.close).exception(), DeadlockError)
    assert tool.spawn(returns(1)).result() == 1


def test_a_plain_function_that_waits_for_its_own_task(tool):
    ready = threading.Event()

    def wait():
        ready.wait(5)
        return task.result()

    task = tool.spawn(wait)
    ready.set()
    assert isinstance(task.exception(), DeadlockError)


def test_a_task_that_awaits_itself(tool):
    async def wait():
        await task

    task = tool.spawn(wait())
    assert isinstance(task.exception(), DeadlockError)


def test_another_tool_may_be_waited_for_inside_a_task(tool, make):
    async def nested():
        with make() as inner:
            tasks = [inner.spawn(returns(n)) for n in range(3)]
            finish(inner)
        return [task.result() for task in tasks]

    assert tool.spawn(nested()).result() == [0, 1, 2]


@pytest.mark.parametrize("depth", [2, 5])
def test_tools_within_tools_within_tools(make, depth):
    async def nested(left):
        if not left:
            return "bottom"
        with make() as inner:
            return inner.spawn(nested(left - 1)).result()

    def threaded(left):
        if not left:
            return "bottom"
        with make() as inner:
            return inner.spawn(threaded, left - 1).result()

    with make() as tool:
        assert tool.spawn(nested(depth)).result() == "bottom"
        assert tool.spawn(threaded, depth).result() == "bottom"


@pytest.mark.parametrize("first", ["async", "thread"])
@pytest.mark.parametrize("second", ["async", "thread"])
def test_two_tools_that_wait_for_each_other(make, first, second):
    """The second of the two is refused, and so both end."""
    a, b = make(), make()

    def of_kind(kind, wait):
        async def run():
            return wait()

        return run if kind == "async" else wait

    def wait_for_b():
        return b.spawn(of_kind(second, lambda: a_task.result())).exception()

    a_task = a.spawn(of_kind(first, wait_for_b))
    assert isinstance(a_task.result(), DeadlockError)
    a.close()
    b.close()


def test_a_chain_of_three_tools_and_worker_threads():
    a, b, c = Group(), Pool(1), Yielder()

    def third():
        a.join()

    async def second():
        return c.spawn(third).exception()

    def first():
        return b.spawn(second()).result()

    assert isinstance(a.spawn(first).result(), DeadlockError)
    for tool in (a, b, c):
        tool.close()


def test_tasks_of_two_tools_on_one_loop_that_await_each_other(make):
    a, b = make(), make()

    async def first():
        other = b.spawn(second())
        try:
            return await other
        except DeadlockError as error:
            return error

    async def second():
        await task

    task = a.spawn(first())
    error = task.result()
    assert isinstance(error, DeadlockError)
    assert "first" in str(error) and "second" in str(error)
    b.take_errors()
    a.close()
    b.close()


def test_waiting_for_a_tool_that_waits_for_nobody_else_is_fine():
    """Two tasks that wait for the same third are no circle."""
    for kind in MAKERS:
        with MAKERS[kind]() as tool:
            third = tool.spawn(returns(3))

            async def wait(third=third):
                return await third

            tasks = [tool.spawn(wait()), tool.spawn(wait()), tool.spawn(third.result)]
            finish(tool)
            assert [task.result() for task in tasks] == [3, 3, 3]


async def waits_for(spawned, block, waits=None):
    """A source whose second item is the result of a task."""
    yield 0
    if waits is not None:
        waits.set()
    yield spawned[0].result() if block else await spawned[0]


def test_a_function_that_maps_over_a_source_that_waits_for_it():
    def consume():
        with Pool(2) as inner:
            return inner.map(returns, waits_for(spawned, block=True))

    with Pool(2) as pool:
        spawned = [pool.spawn(consume)]
        assert isinstance(spawned[0].exception(), DeadlockError)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
@pytest.mark.parametrize("first", ["source", "consumer"])
def test_a_task_that_iterates_a_source_that_awaits_it(own, method, first):
    async def consume():
        waits = asyncio.Event()
        results = getattr(inner, method)(returns, waits_for(spawned, block=False, waits=waits))
        assert await anext(results) == 0
        if first == "source":
            await waits.wait()
        return [result async for result in results]

    with Pool(2) as pool, Pool(2, within=pool) as other:
        inner = pool if own else other
        spawned = [pool.spawn(consume())]
        assert isinstance(spawned[0].exception(), DeadlockError)


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
@pytest.mark.parametrize("first", ["items", "consumer"])
@pytest.mark.usefixtures("quick_pulls")
def test_a_task_that_iterates_items_that_await_it(isolate, method, first):
    """Each of them awaits it, and so nobody can give the next result."""

    async def item(n):
        nonlocal waiting
        if n == 0:
            return n
        waiting += 1
        return await spawned[0]

    async def consume():
        results = getattr(inner, method)(item, range(3), isolate=isolate)
        assert await anext(results) == 0
        while first == "items" and waiting < 2:
            await asyncio.sleep(0)
        return [result async for result in results]

    waiting = 0
    with Pool(3) as pool, Pool(3, within=pool) as inner:
        spawned = [pool.spawn(consume())]
        assert isinstance(spawned[0].exception(), DeadlockError)
