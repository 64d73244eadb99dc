"""Dual async generators: `.sync` gives an iterator (rule 23)."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator

import pytest

from aioutils import DeadlockError, Pool, Yielder, dual


class Boom(Exception):
    pass


@dual
async def numbers(n, log=None):
    """Counts to n, and tells what it does."""
    log = [] if log is None else log
    try:
        for i in range(n):
            await asyncio.sleep(0)
            log.append(i)
            yield i
    finally:
        await asyncio.sleep(0.001)
        log.append("closed")


@dual
async def nothing():
    await asyncio.sleep(0.001)


def test_sync_gives_an_iterator_over_the_items():
    iterator = numbers.sync(3)
    assert isinstance(iterator, Iterator)
    assert iter(iterator) is iterator
    assert list(iterator) == [0, 1, 2]
    assert list(iterator) == []
    assert next(iterator, "end") == "end"
    assert list(numbers.sync(0)) == []


def test_a_call_is_the_generator_that_it_always_was():
    async def consume():
        return [i async for i in numbers(3)]

    assert asyncio.run(consume()) == [0, 1, 2]
    y = Yielder()
    y.spawn(numbers(2))
    assert list(y) == [0, 1]


def test_items_may_be_none_and_exceptions():
    @dual
    async def items():
        yield None
        yield Boom("an item")
        yield StopIteration

    none, boom, kind = items.sync()
    assert (none, type(boom), kind) == (None, Boom, StopIteration)


class Pages:
    """An async iterable that is no generator, and wants the loop when it is begun."""

    def __init__(self):
        self.left = [2, 1]

    def __aiter__(self):
        asyncio.get_running_loop()
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


def test_plain_functions_that_return_async_iterables_can_be_dual():
    @dual
    def again(n) -> AsyncIterator[int]:
        return numbers(n)

    @dual
    def pages():
        asyncio.get_running_loop()
        return Pages()

    assert list(again.sync(3)) == [0, 1, 2]
    assert list(pages.sync()) == [1, 2]


def test_it_begins_with_the_first_item_and_rests_between_two():
    """As any generator: what follows the `yield` runs when the next item is asked for, even if
    the loop runs meanwhile for other calls."""
    log = []
    iterator = numbers.sync(3, log)
    nothing.sync()
    assert log == []
    for n in range(3):
        assert next(iterator) == n
        nothing.sync()
        assert log == list(range(n + 1))
    assert next(iterator, None) is None
    assert log[-1] == "closed"


def test_several_may_be_open_at_once():
    assert list(zip(numbers.sync(3), numbers.sync(4), strict=False)) == [(0, 0), (1, 1), (2, 2)]


def test_calls_and_iterations_of_a_thread_share_its_loop():
    @dual
    async def loop():
        return asyncio.get_running_loop()

    @dual
    async def loops():
        yield asyncio.get_running_loop()
        yield asyncio.get_running_loop()

    for each in loops.sync():
        assert each is loop.sync()


def test_it_is_one_task_with_the_context_of_its_beginning():
    variable = contextvars.ContextVar("variable", default="nobody's")

    @dual
    async def look():
        for _ in range(3):
            async with asyncio.timeout(10):
                yield variable.get(), asyncio.current_task()
            variable.set("its own")

    variable.set("mine")
    seen, tasks = zip(*look.sync(), strict=True)
    assert seen == ("mine", "its own", "its own")
    assert len(set(tasks)) == 1
    assert variable.get() == "mine"


# ---- threads ------------------------------------------------------------------------------


def test_another_thread_can_go_on_with_it(in_thread):
    log = []
    iterator = numbers.sync(5, log)
    assert next(iterator) == 0
    assert in_thread(next, iterator)() == 1
    assert in_thread(lambda: [next(iterator), nothing.sync()])() == [2, None]
    assert next(iterator) == 3
    iterator.close()
    assert log[-1] == "closed"


def test_it_outlives_the_thread_that_began_it(in_thread):
    log = []

    def begin():
        iterator = numbers.sync(5, log)
        return next(iterator), iterator

    first, iterator = in_thread(begin)()
    assert first == 0
    assert list(iterator) == [1, 2, 3, 4]
    assert log[-1] == "closed"


# ---- waiting for oneself ------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
@pytest.mark.parametrize("kind", ["task", "function"])
def test_a_task_that_iterates_what_waits_for_it_is_refused(kind):
    @dual
    async def waits():
        yield pool.join()

    def function():
        return list(waits.sync())

    async def task():
        return function()

    with Pool(2) as pool:
        spawned = pool.spawn(task if kind == "task" else function)
        assert isinstance(spawned.exception(), DeadlockError)
