"""Async iterables in yielders: read from sync code, merged, in order, paused and closed."""

import asyncio
import itertools
from functools import partial
from unittest.mock import AsyncMock

import pytest
from four_tools import forever, start

from aioutils import Group, OrderedYielder, Yielder

yielders = pytest.mark.parametrize("kind", [Yielder, OrderedYielder])


class Numbers:
    """An async stream; `given` of its items were asked for, `closed` says that it was closed."""

    def __init__(self, end=None, prefix="", waits=True, error=None):
        self.end, self.prefix, self.waits, self.error = end, prefix, waits, error
        self.given, self.closed = 0, False

    async def __aiter__(self):
        try:
            while self.given != self.end:
                if self.waits:
                    await asyncio.sleep(0)
                self.given += 1
                yield f"{self.prefix}{self.given}"
            if self.error is not None:
                raise self.error
        finally:
            await asyncio.sleep(0)
            self.closed = True


class Countdown:
    """An async iterator that is no generator."""

    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if not self.n:
            raise StopAsyncIteration
        self.n -= 1
        return self.n


async def give(n):
    await asyncio.sleep(0)
    return n


@yielders
def test_a_plain_for_reads_an_async_stream(kind):
    y = kind()
    task = y.spawn(Numbers(5))
    assert list(y) == ["1", "2", "3", "4", "5"]
    assert task.done() and task.result() is None
    y.spawn(Countdown(3))
    assert list(y) == [2, 1, 0]
    y.spawn(Numbers(0))
    assert list(y) == []


@pytest.mark.parametrize("size", [None, 1, 2])
def test_several_streams_are_merged(size):
    y = Yielder(size)
    for prefix in "abc":
        y.spawn(Numbers(20, prefix))
    got = list(y)
    assert sorted(got) == sorted(f"{p}{n}" for p in "abc" for n in range(1, 21))
    for prefix in "abc":
        mine = [int(item[1:]) for item in got if item[0] == prefix]
        assert mine == sorted(mine)


def test_merged_streams_take_turns():
    y = Yielder()
    y.spawn(Numbers(None, "a"))
    y.spawn(Numbers(None, "b"))
    assert {item[0] for item in itertools.islice(y, 20)} == {"a", "b"}


@pytest.mark.parametrize("buffer", [None, 1, 2])
@pytest.mark.parametrize("size", [None, 1, 2])
def test_in_the_ordered_yielder_items_have_the_place_of_their_stream(size, buffer):
    y = OrderedYielder(size, buffer=buffer)
    y.spawn(give("first"))
    y.spawn(Numbers(10, "a"))
    y.spawn(give("between"))
    y.spawn(Numbers(10, "b"))
    y.put("put")
    a, b = ([f"{prefix}{n}" for n in range(1, 11)] for prefix in "ab")
    assert list(y) == ["first", *a, "between", *b, "put"]


@yielders
@pytest.mark.parametrize("waits", [True, False], ids=["waits", "at once"])
@pytest.mark.parametrize("buffer", [1, 3])
def test_a_stream_pauses_when_enough_of_its_items_wait(kind, waits, buffer):
    y, numbers = kind(buffer=buffer), Numbers(None, waits=waits)
    y.spawn(numbers)
    stream = iter(y)
    for taken in range(1, 50):
        next(stream)
        assert numbers.given - taken <= buffer + 1
    stream.close()


def test_in_the_ordered_yielder_streams_not_at_the_head_pause():
    async def slow_head():
        for _ in range(100):
            await asyncio.sleep(0)
        return "head"

    y, numbers = OrderedYielder(buffer=3), Numbers(None)
    y.spawn(slow_head())
    y.spawn(numbers)
    stream = iter(y)
    assert next(stream) == "head"
    assert 1 <= numbers.given <= 4
    assert [next(stream) for _ in range(10)] == [str(n) for n in range(1, 11)]
    stream.close()


@yielders
def test_a_stream_pauses_as_ever_once_an_iteration_was_left(kind):
    """While that cleaned up, nothing paused."""

    async def passes():
        for _ in range(50):
            await asyncio.sleep(0)

    numbers = Numbers(None)
    with Group() as group, kind(buffer=2, within=group) as y:
        y.put("first")
        y.spawn(forever)
        for _ in y:
            break
        y.spawn(numbers)
        group.spawn(passes).result()
        assert numbers.given == 2


@yielders
def test_a_paused_stream_holds_no_slot(kind):
    y = kind(1, buffer=1)
    y.spawn(Numbers(10, "a"))
    other = y.spawn(give("ran"))
    got = list(y)
    assert other.result() == "ran"
    assert sorted(got) == sorted([*(f"a{n}" for n in range(1, 11)), "ran"])


@yielders
@pytest.mark.parametrize("how", ["break", "close", "with", "cancel"])
@pytest.mark.parametrize("buffer", [1, 100])
def test_a_stream_is_closed_where_the_iteration_is_left(kind, how, buffer):
    numbers, more = Numbers(), Numbers()
    with kind(buffer=buffer) as y:
        task = y.spawn(numbers)
        y.spawn(more)
        stream = iter(y)
        next(stream)
        if how == "break":
            del stream
        elif how == "close":
            stream.close()
        elif how == "cancel":
            y.cancel()
            list(stream)
        if how != "with":
            assert numbers.closed and len(y) == 0
    assert numbers.closed and task.cancelled()
    assert more.closed or not more.given


@yielders
def test_what_a_stream_raises_comes_after_every_result(kind):
    y, got = kind(), []
    y.spawn(Numbers(3, "a", error=LookupError("no more")))
    y.spawn(Numbers(5, "b"))
    with pytest.raises(LookupError, match="no more"):
        for item in y:
            got.append(item)
    assert len(got) == 8


@yielders
def test_streams_and_their_arguments(kind):
    y = kind()
    with pytest.raises(TypeError):
        y.spawn(Numbers(3), 1)
    with pytest.raises(TypeError):
        y.spawn(Numbers.__aiter__, Numbers(3))
    y.spawn(Numbers(3)).cancel()
    assert list(y) == []


@yielders
def test_an_async_function_with_an_aiter_is_a_function(kind):
    class Both:
        async def __call__(self, *args):
            return ["called", *args]

        async def __aiter__(self):
            yield "iterated"

    class Awaited(Numbers):
        def __await__(self):
            raise AssertionError

    class Generating(Numbers):
        def __call__(self):
            yield

    y = kind()
    assert y.spawn(AsyncMock(return_value=3)).result() == 3
    assert y.spawn(Both()).result() == y.spawn(partial(Both())).result() == ["called"]
    assert y.spawn(Both(), 1).result() == ["called", 1]
    assert sorted(map(str, y)) == ["3", "['called', 1]", "['called']", "['called']"]
    for stream in (Awaited(2), Generating(2)):
        y.spawn(stream)
        assert list(y) == ["1", "2"]


@yielders
def test_none_from_a_stream_is_skipped_unless_it_is_kept(kind):
    async def numbers():
        yield 1
        yield None
        yield 2

    y = kind()
    y.spawn(numbers())
    assert list(y) == [1, 2]
    y = kind(keep_none=True)
    y.spawn(numbers())
    assert list(y) == [1, None, 2]


# ---- buffer= for ordinary tasks --------------------------------------------------------


@yielders
@pytest.mark.parametrize("waits", [True, False], ids=["waits", "at once"])
@pytest.mark.parametrize(("size", "buffer"), [(4, 2), (1, 1), (2, 10)])
def test_running_and_waiting_never_exceed_size_and_buffer(kind, waits, size, buffer):
    async def run(n):
        nonlocal started
        started += 1
        if waits:
            await asyncio.sleep(0)
        return n

    y, started, ahead = kind(size, buffer=buffer), 0, []
    for n in range(200):
        y.spawn(run(n))
    for taken, _ in enumerate(y, 1):
        ahead.append(started - taken)
    assert len(ahead) == 200
    assert max(ahead) <= size + buffer


def test_what_was_put_does_not_count_against_what_waits():
    async def run(n):
        nonlocal started
        started += 1
        for _ in range(100 if n == 0 else 1):  # the others wait for the first
            await asyncio.sleep(0)
        return n

    y, started = OrderedYielder(2, buffer=2), 0
    for _ in range(50):
        y.put("put")
    for n in range(50):
        y.spawn(run(n))
    stream = iter(y)
    assert [next(stream) for _ in range(50)] == ["put"] * 50
    assert next(stream) == 0
    assert started <= 4
    stream.close()


@yielders
@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.timeout(5)
def test_a_full_buffer_does_not_keep_a_task_from_what_it_waits_for(kind, size):
    async def parent():
        for task in [y.spawn(give(n)) for n in range(3)]:
            await task
        await asyncio.sleep(0)
        return await y.spawn(give("last"))

    y = kind(size, buffer=2)
    y.spawn(parent())
    assert sorted(map(str, y)) == ["0", "1", "2", "last", "last"]


@yielders
def test_a_task_may_wait_for_a_stream_whose_buffer_is_full(kind):
    async def last(stream):
        await stream
        return "last"

    y = kind(3, buffer=1)
    y.spawn(last, y.spawn(Numbers(5, waits=False)))
    assert sorted(y) == [*"12345", "last"]


def test_what_a_stream_behind_an_unfinished_task_gave_goes_with_the_rest():
    with OrderedYielder(buffer=5) as y:
        y.spawn(forever)
        y.spawn(Numbers(9))
        start(y)
        order = y._scheduler.order
        y.put("behind")
        assert order.backlog() == 6
        order.clear()
        assert order.backlog() == 0
