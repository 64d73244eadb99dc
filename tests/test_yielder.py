"""Yielder and OrderedYielder: results one by one (rules 16, 18 and 21)."""

import asyncio
import gc
import threading
import time

import pytest
from four_tools import DEBUG, returns, until_cancelled

from aioutils import OrderedYielder, Yielder, ordered_yielding, yielding
from aioutils._spawn_order import SpawnOrder

KINDS = [Yielder, OrderedYielder]
SCOPES = [yielding, ordered_yielding]


@pytest.fixture(params=KINDS)
def y(request):
    with request.param() as y:
        yield y


async def after(event, value):
    await event.wait()
    return value


def test_results_come_as_they_complete():
    events = [asyncio.Event() for _ in range(3)]
    with Yielder() as y:
        for n, event in enumerate(events):
            y.spawn(after(event, n))
        iterator = iter(y)
        got = []
        for n in (2, 0, 1):
            events[n].set()
            got.append(next(iterator))
    assert got == [2, 0, 1]


def test_results_come_in_spawn_order():
    events = [asyncio.Event() for _ in range(3)]
    with OrderedYielder() as y:
        for n, event in enumerate(events):
            y.spawn(after(event, n))
        for event in (events[2], events[1]):
            event.set()
            with pytest.raises(TimeoutError):
                next(y.yielding(timeout=0.002))
        events[0].set()
        assert list(y) == [0, 1, 2]


def test_an_empty_yielder_gives_nothing(y):
    assert list(y) == [] == list(y)


def test_none_is_skipped_and_other_false_values_are_not(y):
    for value in (None, 0, "", False, [], None):
        y.spawn(returns(value))
    assert list(y) == [0, "", False, []]


@pytest.mark.parametrize("kind", [*KINDS, *SCOPES])
def test_keep_none_keeps_none(kind):
    with kind(keep_none=True) as y:
        y.spawn(returns(None))
        y.spawn(returns(1))
        assert list(y) == [None, 1]


def test_a_task_named_put_is_nothing_special(y):
    y.spawn(returns(None)).name = "put"
    assert list(y) == []


def test_put_adds_items_none_too(y):
    for item in (1, None, 1):
        y.put(item)
    assert list(y) == [1, None, 1]
    assert list(y) == []


def test_put_from_inside_tasks_gives_many_results(y):
    async def count(n):
        for i in range(n):
            y.put(i)
            await asyncio.sleep(0)

    y.spawn(count(3))
    assert list(y) == [0, 1, 2]


def test_put_from_a_plain_function_and_a_thread(y, in_thread):
    y.spawn(y.put, "function")
    assert list(y) == ["function"]
    in_thread(y.put, "thread")()
    assert list(y) == ["thread"]


def test_an_item_may_be_an_exception_or_a_coroutine_like_any_other(y):
    error = ValueError()
    y.put(error)
    assert list(y) == [error]


def test_the_order_of_spawn_and_put_is_kept():
    with OrderedYielder() as y:
        y.spawn(asyncio.sleep(0.002, "a"))
        y.put("b")
        y.spawn(returns("c"))
        y.put("d")
        assert list(y) == ["a", "b", "c", "d"]


def test_nested_spawns_have_the_place_at_which_they_were_made():
    async def outer(name):
        y.put(f"{name} puts")
        y.spawn(returns(f"{name} spawns"))
        return name

    with OrderedYielder() as y:
        y.spawn(outer("a"))
        y.spawn(outer("b"))
        got = list(y)
    assert got == ["a", "b", "a puts", "a spawns", "b puts", "b spawns"]


def test_nothing_runs_while_the_consumer_works(y):
    steps = []

    async def run():
        for step in range(50):
            steps.append(step)
            await asyncio.sleep(0)

    y.put("first")
    y.spawn(run())
    y.spawn(asyncio.sleep, 0, "second")
    for _ in y:
        before = len(steps)
        gc.collect()
        assert len(steps) == before
    assert len(steps) == 50


def test_yielding_in_a_generator(y):
    def squares(numbers):
        for n in numbers:
            y.spawn(returns(n * n))
        yield from y.yielding()

    assert sorted(squares(range(4))) == [0, 1, 4, 9]


def test_a_cancelled_task_gives_nothing(y):
    tasks = [y.spawn(returns(n)) for n in range(4)]
    tasks[0].cancel()
    tasks[2].cancel()
    assert list(y) == [1, 3]


def test_a_result_may_be_taken_from_the_task_as_well(y):
    task = y.spawn(returns(1))
    assert task.result() == 1
    assert list(y) == [1]


def test_what_is_spawned_while_iterating_comes_in_the_same_iteration(y):
    y.spawn(returns(3))
    got = []
    for result in y:
        got.append(result)
        if result:
            y.spawn(returns(result - 1))
    assert got == [3, 2, 1, 0]


def test_an_exhausted_iterator_stays_exhausted(y):
    iterator = iter(y)
    assert next(iterator, "end") == "end"
    y.spawn(returns(1))
    assert next(iterator, "end") == "end"
    assert list(y) == [1]


@pytest.mark.parametrize("scope", SCOPES)
def test_the_scopes_give_a_yielder_and_close_it(scope):
    log, started = [], asyncio.Event()
    with scope(2) as y:
        y.spawn(after(started, 1))
        y.spawn(until_cancelled(log, started=started))
        waiting = y.spawn(returns(2))
        for result in y:
            assert result == 1
            break
    assert log == ["cleaned up"] and waiting.done()
    assert "size=2 closed" in repr(y)


@pytest.mark.parametrize("scope", SCOPES)
def test_with_scope_then_yield_from(scope):
    def doubled(numbers):
        with scope(2) as y:
            for n in numbers:
                y.spawn(returns(2 * n))
            yield from y

    assert sorted(doubled(range(5))) == [0, 2, 4, 6, 8]
    first = doubled(range(5))
    assert next(first) == 0
    first.close()


@pytest.mark.parametrize("scope", SCOPES)
def test_the_scopes_refuse_bad_sizes(scope):
    for size, error in ((0, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="size"):
            scope(size)


def test_many_results(y):
    many = 2_000 if DEBUG else 20_000
    for n in range(many):
        y.spawn(returns(n))
    assert sum(y) == sum(range(many))


@pytest.mark.parametrize("timeout", [0, 1e-9])
def test_what_was_put_needs_no_time(y, timeout):
    y.put(1)
    y.put(2)
    assert list(y.yielding(timeout)) == [1, 2]
    y.put(3)
    assert list(asyncio.run(collect(y.yielding(timeout)))) == [3]


async def collect(results):
    return [result async for result in results]


async def first(results):
    return await anext(results)


@pytest.mark.parametrize("take", [next, lambda y: asyncio.run(first(y))], ids=["next", "anext"])
def test_what_another_thread_puts_wakes_who_waits(take, in_thread):
    """Nothing else happens on the loop."""

    async def stays():
        waits.set()
        await asyncio.Event().wait()

    waits = threading.Event()
    with Yielder() as y:
        y.spawn(stays)
        taken = in_thread(take, iter(y))
        assert waits.wait(5)
        time.sleep(0.02)  # until it sleeps, or it would look for itself
        y.put(1)
        assert taken(timeout=2) == 1


def test_a_slow_consumer_of_what_a_task_has_put_comes_to_the_end(y):
    async def produce():
        for n in range(3):
            y.put(n)

    y.spawn(produce)
    got = []
    for item in y.yielding(timeout=0.05):
        got.append(item)
        time.sleep(0.03)
    assert got == [0, 1, 2]


def test_a_signal_handler_that_looks_while_results_move_up_finds_nothing_new(monkeypatch):
    def advance(order):
        looked.append(order.ready())
        original(order)

    looked, original = [], SpawnOrder._advance
    monkeypatch.setattr(SpawnOrder, "_advance", advance)
    y = OrderedYielder()
    y.spawn(asyncio.sleep, 0, 1)
    assert list(y) == [1]
    assert looked and not any(looked)
