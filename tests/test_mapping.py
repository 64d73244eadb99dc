"""map, starmap, apply, imap and imap_unordered: what goes in, what comes out, what is raised."""

import asyncio
import threading
import traceback
from concurrent.futures import CancelledError
from functools import partial

import pytest

from aioutils import Group, Pool

both = pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])
tools = pytest.mark.parametrize("tool", [Group, partial(Pool, 3)], ids=["group", "pool"])


async def double(n):
    await asyncio.sleep(0)
    return 2 * n


async def fail_at(bad, n):
    await asyncio.sleep(0)
    if n in bad:
        raise ValueError(n)
    return n


# ---- results ---------------------------------------------------------------------------


@tools
def test_a_sequence_of_the_old_kind_is_a_source_too(tool):
    class Old:
        def __getitem__(self, index):
            return [1, 2, 3][index]

    assert tool().map(double, Old()) == [2, 4, 6]


@both
@tools
def test_map_returns_the_results_in_the_order_of_the_items(tool, isolate):
    async def later_first(n):
        for _ in range(10 - n):
            await asyncio.sleep(0)
        return n

    assert tool().map(later_first, range(10), isolate=isolate) == list(range(10))


@both
@tools
def test_imap_keeps_the_order_and_imap_unordered_hands_out_what_completes_first(tool, isolate):
    async def run(stream):
        if stream == "slow":
            await done.wait()
        else:
            done.set()
        return stream

    done = asyncio.Event()
    assert list(tool().imap(run, ["slow", "fast"], isolate=isolate)) == ["slow", "fast"]
    done = asyncio.Event()
    unordered = tool().imap_unordered(run, ["slow", "fast"], isolate=isolate)
    assert list(unordered) == ["fast", "slow"]


@both
def test_with_several_iterables_the_shortest_ends_it(isolate):
    async def add(a, b, c):
        return a + b + c

    numbers = iter(range(100))
    assert Pool(2).map(add, [1, 2, 3], (10, 20), numbers, isolate=isolate) == [11, 23]
    assert list(Pool(2).imap(add, [1], [2], [3], isolate=isolate)) == [6]


@both
def test_starmap_takes_the_arguments_from_tuples_and_other_iterables(isolate):
    async def subtract(a, b):
        return a - b

    assert Pool(2).starmap(subtract, [(3, 1), [5, 1], range(2)], isolate=isolate) == [2, 4, -1]


def test_apply_calls_the_function_as_a_task_and_returns_its_result():
    async def greet(word, name="you"):
        return f"{word} {name}"

    pool = Pool(1)
    assert pool.apply(greet, ["hello"]) == "hello you"
    assert pool.apply(greet, ("hello",), {"name": "function"}) == "hello function"
    assert pool.apply(threading.get_ident) != threading.get_ident()
    with pytest.raises(ValueError, match="7"):
        pool.apply(fail_at, ({7}, 7))
    assert pool.errors == []


@both
def test_results_that_are_none_are_handed_out(isolate):
    async def nothing(_):
        return None

    pool = Pool(2)
    assert pool.map(nothing, range(3), isolate=isolate) == [None] * 3
    assert list(pool.imap(nothing, range(3), isolate=isolate)) == [None] * 3
    assert list(pool.imap_unordered(nothing, range(3), isolate=isolate)) == [None] * 3


def test_a_hundred_items_in_a_pool_of_fifty_take_two_rounds():
    async def fetch(n):
        together.append(n)
        mine, loop = open_it, asyncio.get_running_loop()
        if len(together) == 1:
            loop.call_later(1, end_round)  # if there are never fifty
        if len(together) == 50:
            loop.call_later(0.01, end_round)
        await mine.wait()

    def end_round():
        nonlocal together, open_it
        if together:
            rounds.append(len(together))
            together = []
            open_it.set()
            open_it = asyncio.Event()

    together, rounds, open_it = [], [], asyncio.Event()
    Pool(50).map(fetch, range(100))
    assert rounds == [50, 50]


@both
def test_never_more_than_the_size_run_at_once_spawned_tasks_included(isolate):
    running, most = 0, 0

    async def count(_):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    pool = Pool(3)
    for n in range(20):
        pool.spawn(count(n))
    pool.map(count, range(20), isolate=isolate)
    pool.join()
    assert most == 3


def test_items_take_turns_with_spawned_tasks():
    seen = []

    async def note(what):
        seen.append(what)
        await asyncio.sleep(0)

    pool = Pool(1)
    for n in range(3):
        pool.spawn(note(f"task {n}"))
    pool.map(note, ["item 0", "item 1"])
    assert seen == ["task 0", "task 1", "task 2", "item 0", "item 1"]


# ---- failures --------------------------------------------------------------------------


@both
def test_a_failure_is_raised_as_itself_where_its_result_would_have_been(isolate):
    stream = Pool(4).imap(partial(fail_at, {2}), range(10), isolate=isolate)
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(ValueError, match="2") as caught:
        next(stream)
    assert traceback.extract_tb(caught.tb)[-1].name == "fail_at"
    assert list(stream) == []


@both
@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_a_failure_cancels_the_rest_of_the_call_and_lets_it_clean_up(method, isolate):
    cleaned, started = [], []

    async def run(n):
        started.append(n)
        try:
            if n == 0:
                await asyncio.sleep(0)
                raise ValueError(n)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(n)

    pool = Pool(3)
    other = pool.spawn(asyncio.sleep, 0, "lives")
    with pytest.raises(ValueError, match="0"):
        list(getattr(pool, method)(run, range(100), isolate=isolate))
    assert sorted(started) == sorted(cleaned)
    assert len(started) <= 3
    assert len(pool) == 0 and pool.errors == []
    assert other.result() == "lives"


@both
@pytest.mark.usefixtures("quick_pulls")
def test_what_fails_beside_the_first_rides_on_it_as_a_note(isolate):
    pool = Pool(3)
    with pytest.raises(ValueError, match="0") as caught:
        pool.map(partial(fail_at, {0, 1, 2}), range(3), isolate=isolate)
    notes = "\n".join(caught.value.__notes__)
    assert "ValueError(1)" in notes and "ValueError(2)" in notes
    assert pool.errors == [] and pool.join()


@both
@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered", "starmap"])
def test_return_exceptions_hands_them_out_as_items(method, isolate):
    pool = Pool(2)
    items = [(n,) for n in range(6)] if method == "starmap" else range(6)
    run = getattr(pool, method)
    got = list(run(partial(fail_at, {1, 4}), items, return_exceptions=True, isolate=isolate))
    assert sorted(map(repr, got)) == sorted(map(repr, [0, ValueError(1), 2, 3, ValueError(4), 5]))
    assert pool.errors == [] and pool.join()


@both
def test_an_item_that_was_cancelled_raises_cancelled_error(isolate):
    async def give_up(n):
        raise asyncio.CancelledError

    with pytest.raises(CancelledError):
        Pool(2).map(give_up, [1], isolate=isolate)
    got = Pool(2).map(give_up, [1, 2], return_exceptions=True, isolate=isolate)
    assert [type(error) for error in got] == [CancelledError] * 2


@both
def test_a_call_that_refuses_its_arguments_fails_in_its_place(isolate):
    async def two(a, b):
        return a + b

    got = []
    with pytest.raises(TypeError, match="two"):
        got.extend(Pool(4).starmap(two, [(1, 2), (1,), (3, 4)], isolate=isolate))
    results = Pool(4).starmap(two, [(1, 2), (1,), (3, 4)], return_exceptions=True, isolate=isolate)
    assert [results[0], type(results[1]), results[2]] == [3, TypeError, 7]

    stream = Pool(4).imap(two, [1, 2], [3, 4], isolate=isolate)
    assert list(stream) == [4, 6]


def test_two_items_that_fail_with_one_exception_are_not_notes_of_each_other():
    error = ValueError("the same")

    async def fail(_):
        raise error

    with Pool(2) as pool:
        with pytest.raises(ValueError, match="the same") as caught:
            pool.map(fail, range(2))
        assert caught.value is error and not hasattr(error, "__notes__")
        assert pool.errors == []


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
@pytest.mark.parametrize(("buffer", "kind"), [(0, ValueError), (-1, ValueError), (2.5, TypeError)])
def test_a_buffer_without_room_is_refused_at_the_call(method, buffer, kind):
    with pytest.raises(kind, match=rf"Pool.imap\(buffer=...\) is .*{buffer}"):
        getattr(Pool(3), method)(print, range(40), buffer=buffer)
