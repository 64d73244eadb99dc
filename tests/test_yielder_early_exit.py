"""Leaving an iteration early, timeouts, and failures (rules 16, 18 and 21)."""

import asyncio
import gc

import pytest
from four_tools import fails, forever, returns, until_cancelled

from aioutils import OrderedYielder, Yielder

KINDS = [Yielder, OrderedYielder]


@pytest.fixture(params=KINDS)
def y(request):
    with request.param() as y:
        yield y


async def after(event, value):
    await event.wait()
    return value


@pytest.mark.parametrize("leave", ["close", "drop", "throw"])
def test_a_generator_that_is_left_early_cleans_up(y, leave):
    log, started = [], asyncio.Event()

    def results():
        y.spawn(after(started, 1))
        y.spawn(until_cancelled(log, started=started))
        yield from y.yielding()

    generator = results()
    assert next(generator) == 1
    if leave == "close":
        generator.close()
    elif leave == "throw":
        with pytest.raises(KeyError):
            generator.throw(KeyError)
    del generator
    gc.collect()
    assert log == ["cleaned up"] and len(y) == 0


def test_break_cancels_what_waits_and_what_runs(y):
    y.spawn(returns(1))
    others = [y.spawn(forever()) for _ in range(1_000)]
    for result in y:
        assert result == 1
        break
    assert all(task.cancelled() for task in others) and len(y) == 0
    assert list(y) == []


def test_break_runs_clean_ups_to_the_end(y):
    log = []

    async def first():
        await started.wait()
        return 1

    started = asyncio.Event()
    y.spawn(first())
    y.spawn(until_cancelled(log, started=started))
    for _ in y:
        break
    assert log == ["cleaned up"]


def test_an_exception_in_the_loop_leaves_as_itself_and_cleans_up(y):
    log = []
    started = asyncio.Event()
    y.spawn(after(started, 1))
    y.spawn(until_cancelled(log, started=started))

    def consume():
        for _ in y:
            raise KeyError("consumer")

    with pytest.raises(KeyError, match="consumer"):
        consume()
    gc.collect()
    assert log == ["cleaned up"]


def test_break_does_not_wait_for_what_a_clean_up_started(y, in_thread):
    """Else the loop would never be left."""
    late = []

    async def tidy():
        try:
            started.set()
            await forever()
        finally:
            late.append(y.spawn(forever()))

    def consume():
        for _ in y:
            break

    started = asyncio.Event()
    y.spawn(after(started, 1))
    y.spawn(tidy())
    consumer = in_thread(consume)
    try:
        consumer(2)
    finally:
        for task in late:
            task.cancel()


def test_after_break_only_what_is_new_comes(y):
    for n in range(5):
        y.spawn(returns(n))
        y.put(n)
    for _ in y:
        break
    y.spawn(returns("new"))
    y.put("put")
    assert sorted(y) == ["new", "put"]


def test_a_second_iteration_gives_what_was_spawned_since(y):
    y.spawn(returns(1))
    assert list(y) == [1]
    y.spawn(returns(2))
    assert list(y) == [2]


def test_after_a_timeout_the_rest_comes_in_another_iteration(y):
    event = asyncio.Event()
    y.spawn(returns(1))
    y.spawn(after(event, 2))
    got = []
    with pytest.raises(TimeoutError):
        for result in y.yielding(timeout=0.2):  # long enough for the first
            got.append(result)
    event.set()
    assert (got, list(y)) == ([1], [2])


def test_all_results_come_before_the_first_failure(y):
    first, second = ValueError("first"), ValueError("second")
    y.spawn(fails(first))
    y.spawn(returns(1))
    y.spawn(fails(second))
    y.spawn(returns(2))
    got = []
    with pytest.raises(ValueError) as caught:
        for result in y:
            got.append(result)
    assert (got, caught.value) == ([1, 2], first)
    assert len(first.__notes__) == 1 and "second" in first.__notes__[0]
    assert (list(y), y.errors) == ([], [])


def test_failures_before_a_timeout_come_after_it(y):
    event = asyncio.Event()
    y.spawn(fails(ValueError("kept")))
    y.spawn(after(event, 1))
    with pytest.raises(TimeoutError):
        list(y.yielding(timeout=0.005))
    event.set()
    got = []
    with pytest.raises(ValueError, match="kept"):
        for result in y:
            got.append(result)
    assert got == [1]


def test_failures_of_an_iteration_that_was_left_are_not_lost(y):
    error = ValueError()
    y.spawn(fails(error))
    y.spawn(returns(1))
    for _ in y:
        break
    assert y.take_errors() == [error]


def test_what_fails_in_the_clean_up_of_a_break_is_not_lost(y):
    async def stubborn():
        try:
            started.set()
            await forever()
        finally:
            raise ValueError("in finally")

    started = asyncio.Event()
    y.spawn(after(started, 1))
    y.spawn(stubborn())
    for _ in y:
        break
    (error,) = y.take_errors()
    assert str(error) == "in finally"


def test_an_iterator_that_never_began_cancels_nothing(y):
    iterator = y.yielding()
    y.spawn(returns(1))
    del iterator
    gc.collect()
    assert list(y) == [1]


def test_closing_an_iterator_ends_it(y):
    log = []
    y.spawn(returns(1))
    y.spawn(until_cancelled(log))
    iterator = iter(y)
    assert next(iterator) == 1
    iterator.close()
    assert next(iterator, "end") == "end" and len(y) == 0


@pytest.mark.timeout(5)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["task", "stream"])
def test_a_clean_up_may_wait_for_what_a_full_buffer_holds_back(kind, way):
    async def numbers():
        for n in range(3):
            yield n

    async def stays():
        for n in range(1, 4):
            y.put(n)
        try:
            await asyncio.sleep(3600)
        finally:
            work = numbers() if way == "stream" else asyncio.sleep(0)
            await y.spawn(work)
            log.append("cleaned up")

    log = []
    with kind(buffer=2) as y:
        y.spawn(returns(0))
        y.spawn(stays())
        results = y.yielding()
        assert next(results) == 0
        results.close()
        assert log == ["cleaned up"]
        y.put(4)
        assert list(y) == [4]
