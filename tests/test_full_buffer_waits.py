"""Who waits with `result()` or `await` instead of iterating is not held up by a full buffer."""

import asyncio

import pytest
from on_a_loop import on_a_loop, wait_for

from aioutils import Group, OrderedYielder, Pool, Yielder

pytestmark = pytest.mark.timeout(10)
kinds = pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
sizes = pytest.mark.parametrize("size", [None, 1, 2])


async def give(value):
    await asyncio.sleep(0)
    return value


def full(kind, size):
    """A yielder whose buffer is full, of a result that is at the head."""
    y = kind(size, buffer=1)
    y.put("put")
    return y


async def one_by_one(y):
    return sum([await task for task in [y.spawn(give(n)) for n in range(4)]])


async def gathered(y):
    return sum(await asyncio.gather(*[y.spawn(give(n)) for n in range(4)]))


async def deep(y, depth=4):
    return 6 if depth == 0 else await y.spawn(deep(y, depth - 1))


async def plain_functions(y):
    return sum([await task for task in [y.spawn(abs, -n) for n in range(4)]])


def in_a_thread(y):
    return sum([task.result() for task in [y.spawn(give(n)) for n in range(4)]])


parents = pytest.mark.parametrize(
    "parent", [one_by_one, gathered, deep, plain_functions, in_a_thread]
)


@kinds
@sizes
@parents
def test_who_waits_outside_has_the_tasks_run_that_his_task_waits_for(kind, size, parent):
    y = full(kind, size)
    assert y.spawn(parent, y).result() == 6
    assert y.spawn(parent, y).exception() is None
    y.close()


@kinds
@sizes
@parents
def test_who_consumes_may_wait_for_a_task_that_waits_for_others(kind, size, parent):
    y = full(kind, size)
    task = y.spawn(parent, y)
    stream = iter(y)
    assert next(stream) == "put"
    assert task.result() == 6
    assert sorted(map(str, stream)).count("6") >= 1


@kinds
@sizes
@parents
@on_a_loop
async def test_who_awaits_on_a_loop_has_the_tasks_run_that_his_task_waits_for(kind, size, parent):
    async with full(kind, size) as y:
        assert await y.spawn(parent, y) == 6


@kinds
@sizes
@parents
@pytest.mark.parametrize("joins", [True, False], ids=["join", "result"])
def test_a_task_of_another_tool_counts_as_outside(kind, size, parent, joins):
    async def wait():
        return await task

    y = full(kind, size)
    pool, task = Pool(1, within=y), y.spawn(parent, y)
    waits = pool.spawn(wait())
    if joins:
        pool.join()
    assert waits.result() == 6
    y.close()


@kinds
def test_a_chain_may_lead_through_another_tool_and_back(kind):
    async def first():
        return await pool.spawn(second())

    async def second():
        return await y.spawn(gathered(y))

    y = full(kind, 2)
    pool = Group(within=y)
    assert y.spawn(first()).result() == 6
    y.close()


@kinds
def test_what_is_entered_may_wait_for_tasks(kind):
    class Entered:
        async def __aenter__(self):
            return await y.spawn(gathered(y))

        async def __aexit__(self, *error):
            pass

    y = full(kind, 2)
    assert y.enter_async_context(Entered()) == 6
    y.close()


@kinds
@on_a_loop
async def test_while_nobody_waits_for_what_is_held_back_the_buffer_counts(kind):
    async def run(n):
        started.append(n)

    async def stay():
        await event.wait()

    started, event = [], asyncio.Event()
    async with full(kind, 3) as y:
        task = y.spawn(stay())
        for n in range(5):
            y.spawn(run(n))
        waits = asyncio.ensure_future(wait_for(task, 5))  # for a task that has started
        for _ in range(10):
            await asyncio.sleep(0)
        assert started == []
        event.set()
        await waits
        assert started == []
