"""The results of one tool as the items of another: where they come on a loop that they can't leave,
sync code pulls them as it would itself."""

import asyncio
import contextlib
import gc
import itertools
import queue
import random
import threading
import weakref

import pytest

from aioutils import DeadlockError, Group, OrderedYielder, Pool, WrongLoopError, Yielder

both = pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])
methods = pytest.mark.parametrize("method", ["imap", "imap_unordered", "map"])

pytestmark = pytest.mark.timeout(10)


async def double(n):
    await asyncio.sleep(0)
    return 2 * n


async def late(n):
    await asyncio.sleep(random.random() / 2000)
    return n


@contextlib.asynccontextmanager
async def session(log):
    log.append("entered")
    yield asyncio.get_running_loop()
    log.append("left")


def mapped(tool, n):
    return tool.imap(late, range(n))


def yielded(tool, n):
    for k in range(n):
        tool.spawn(late, k)
    return tool


def yielding(tool, n):
    return yielded(tool, n).yielding()


UPSTREAMS = [
    (Pool, mapped),
    (Group, mapped),
    (Yielder, yielded),
    (OrderedYielder, yielded),
    (Yielder, yielding),
]


def make(kind):
    return kind() if kind is Group else kind(3)


@both
@methods
@pytest.mark.parametrize(("kind", "results"), UPSTREAMS)
def test_of_a_tool_whose_session_is_open(kind, results, method, isolate):
    log = []
    with make(kind) as upstream, Pool(2) as pool:
        upstream.enter_async_context(session(log))
        got = sorted(getattr(pool, method)(double, results(upstream, 10), isolate=isolate))
        assert got == [2 * n for n in range(10)]
    assert log == ["entered", "left"]


@both
@pytest.mark.parametrize(("kind", "results"), UPSTREAMS)
def test_of_what_is_under_way(kind, results, isolate):
    """The first one was taken by hand: a header, say."""
    for _ in range(10):
        with make(kind) as upstream, Pool(2) as pool:
            items = iter(results(upstream, 10))
            first = next(items)
            rest = [n // 2 for n in pool.imap(double, items, isolate=isolate)]
        assert sorted([first, *rest]) == list(range(10))


def test_those_of_a_session_come_on_its_loop_in_the_consumers_thread():
    seen = []

    def numbers():
        for n in range(5):
            seen.append(threading.get_ident())
            yield n

    async def on(n):
        return loop is asyncio.get_running_loop()

    with Pool(2) as upstream, Pool(2) as pool:
        loop = upstream.enter_async_context(session([]))
        assert pool.map(lambda same: same, upstream.imap(on, numbers())) == [True] * 5
    assert {*seen} == {threading.get_ident()}


@pytest.mark.parametrize("seed", range(20))
def test_several_threads_may_share_one(seed, in_thread):
    """Each item once, whoever takes it, on whose loop ever it comes."""
    choose = random.Random(seed)
    with Pool(3) as upstream:
        items = upstream.imap_unordered(late, range(40))
        taken = choose.randrange(3)
        first = list(itertools.islice(items, taken))

        def work(isolate):
            with Pool(2) as pool:
                return pool.map(lambda n: n, items, isolate=isolate)

        calls = [in_thread(work, choose.random() < 0.5) for _ in range(3)]
        got = [*first, *itertools.chain.from_iterable(call() for call in calls)]
    assert sorted(got) == list(range(40))


@pytest.mark.parametrize("entered", [False, True])
def test_two_threads_that_begin_it_pull_the_same(entered):
    with Pool(3) as upstream, Pool(2) as pool:
        if entered:
            upstream.enter_async_context(session([]))
        source = pool.imap(double, upstream.imap(late, range(3)))._source
        chosen = source.chosen(blocks=True)
        assert source.chosen(blocks=True) is chosen and (chosen is source) is not entered


def test_an_iteration_that_is_kept_after_its_end_keeps_no_results_of_the_other():
    with Pool(3) as upstream, Pool(2) as pool:
        items = upstream.imap(late, range(3))
        alive = weakref.ref(items)
        results = pool.imap(double, items)
        del items
        assert list(results) == [0, 2, 4]
        gc.collect()
        assert alive() is None


def test_one_iteration_of_several_threads(in_thread):
    for _ in range(20):
        with Pool(3) as upstream, Pool(2) as pool:
            items = upstream.imap(late, range(20))
            first = next(items)
            shared = pool.imap_unordered(double, items)
            calls = [in_thread(list, shared) for _ in range(3)]
            got = [n // 2 for call in calls for n in call()]
        assert sorted([first, *got]) == list(range(20))


@both
def test_what_can_come_to_the_pool_does_and_is_free_again_afterwards(isolate):
    async def where(n):
        loops.add(asyncio.get_running_loop())
        return n

    async def awaited():
        return [n async for n in upstream.imap(where, range(3))]

    loops = set()
    with Pool(3) as upstream, Pool(2) as pool:
        items = upstream.imap(where, range(10))
        results = pool.imap(where, items, isolate=isolate)
        assert list(results) == list(range(10))
        assert len(loops) == 1
        assert asyncio.run(awaited()) == [0, 1, 2] and len(loops) == 2
        assert list(items) == list(results) == []


def sync(function):
    """In a coroutine that calls it: a cell of a notebook."""

    async def main():
        return function()

    return asyncio.run(main())


@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
@pytest.mark.parametrize("cell", [False, True], ids=["script", "cell"])
@pytest.mark.parametrize("busy", [0, 1, 2])
@both
def test_of_three_stages(isolate, busy, cell):
    """Whichever has a session."""

    def run():
        with contextlib.ExitStack() as stack:
            stages = [stack.enter_context(Pool(3)) for _ in range(3)]
            stages[busy].enter_async_context(session([]))
            results = range(10)
            for stage in stages:
                results = stage.imap(double, results, isolate=isolate)
            return list(results)

    assert (sync(run) if cell else run()) == [8 * n for n in range(10)]


@both
def test_those_before_the_busy_one_come_on_its_loop(isolate):
    async def where(n):
        loops.add(asyncio.get_running_loop())
        return n

    loops = set()
    with Pool(3) as first, Pool(3) as second, Pool(3) as third:
        second.enter_async_context(session([]))
        items = second.imap(where, first.imap(where, range(10)), isolate=isolate)
        assert third.map(double, items, isolate=isolate) == [2 * n for n in range(10)]
    assert len(loops) == 1


@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
@both
def test_beside_plain_items_in_a_cell(isolate):
    def run():
        with Pool(2) as upstream, Pool(2) as pool:
            upstream.enter_async_context(session([]))
            return pool.map(pair, "abc", upstream.imap(late, range(3)), isolate=isolate)

    assert sync(run) == [("a", 0), ("b", 1), ("c", 2)]


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_what_was_pulled_so_once_goes_on_so():
    """On a running loop it would block that."""
    with Pool(3) as first, Pool(3) as second, Pool(3) as third:
        first.enter_async_context(session([]))
        items = second.imap(double, first.imap(late, range(20)))
        header = next(items)
        second.join()
        assert [header, *third.map(late, items)] == [2 * n for n in range(20)]


def test_an_iteration_that_fails_before_it_pulls_leaves_the_other_free():
    async def fail():
        raise ValueError

    async def awaited():
        return [n async for n in upstream.imap(late, range(2))]

    with Pool(2) as upstream, Pool(2, on_error="cancel") as pool:
        pool.spawn(fail)
        pool.join(raise_error=False)
        results = pool.imap(double, upstream.imap(late, range(5)))
        with pytest.raises(ValueError):
            list(results)
        assert asyncio.run(awaited()) == [0, 1] and list(results) == []


def test_in_async_code_it_is_refused_as_ever():
    async def main():
        async with Pool(2) as pool:
            return [n async for n in pool.imap(double, upstream.imap(late, range(3)))]

    with Pool(2) as upstream:
        upstream.enter_async_context(session([]))
        with pytest.raises(WrongLoopError, match="within="):
            asyncio.run(main())


@both
def test_leaving_early_ends_the_others_too(isolate):
    async def slow(n):
        try:
            await asyncio.sleep(0.05 if n > 3 else 0)  # one more may be pulled before the break
        finally:
            ended.append(n)
        return n

    ended = []
    with Pool(3) as upstream, Pool(2) as pool:
        upstream.enter_async_context(session([]))
        for n in pool.imap(double, upstream.imap(slow, itertools.count()), isolate=isolate):
            if n == 2:
                break
        assert len(upstream) == len(pool) == 0
    assert {0, 1} <= {*ended}


@both
def test_a_failure_of_the_one_comes_after_the_results_before_it(isolate):
    async def fail(n):
        if n == 3:
            raise ValueError(n)
        return n

    got = []
    with Pool(3) as upstream, Pool(2) as pool:
        upstream.enter_async_context(session([]))
        with pytest.raises(ValueError, match="3"):
            for n in pool.imap(double, upstream.imap(fail, range(9)), isolate=isolate):
                got.append(n)
    assert got == [0, 2, 4]


def test_a_closed_yielder_is_refused_as_it_is_iterated():
    y = Yielder()
    y.close()
    with pytest.raises(RuntimeError, match="closed"):
        Pool(2).map(double, y)


# ---- several in one call ---------------------------------------------------------------


async def pair(a, b):
    return a, b


@both
@pytest.mark.parametrize("entered", [False, True])
@pytest.mark.parametrize(("kind", "results"), UPSTREAMS)
def test_beside_plain_items_in_sync_code_they_are_plain(kind, results, entered, isolate):
    with make(kind) as upstream, Pool(2) as pool:
        if entered:
            upstream.enter_async_context(session([]))
        got = pool.map(pair, "abc", results(upstream, 3), isolate=isolate)
        assert [a for a, _ in got] == list("abc") and sorted(b for _, b in got) == [0, 1, 2]


def test_two_of_one_busy_tool():
    with Pool(2) as upstream, Pool(2) as pool:
        upstream.enter_async_context(session([]))
        streams = [upstream.imap(late, range(5)) for _ in range(2)]
        assert pool.map(pair, *streams) == [(n, n) for n in range(5)]


def test_one_of_a_busy_tool_and_one_of_an_idle_one():
    with Pool(2) as busy, Pool(2) as idle, Pool(2) as pool:
        busy.enter_async_context(session([]))
        got = pool.map(pair, idle.imap(late, range(5)), busy.imap(late, range(5)))
        assert got == [(n, n) for n in range(5)]


def test_where_they_can_be_async_only_or_plain_only_both_are_named():
    async def numbers():
        yield 1

    async def main():
        async with Pool(2) as pool:
            await anext(pool.imap(pair, [1], pool.imap(late, [1])))

    with pytest.raises(TypeError, match=r"list and async_generator\. Instead write an async gen"):
        Pool(2).map(pair, [1], numbers())
    with pytest.raises(TypeError, match="pull list_iterator and Stream side by side: write an"):
        asyncio.run(main())


# ---- the pool's own tasks --------------------------------------------------------------


async def negated(task):
    return -(await task)


@both
def test_the_tasks_of_a_pool_as_they_complete_are_items_of_its_own(isolate):
    """Others than those, or it would go on with its own for ever."""
    with Pool(3) as pool:
        for n in range(6):
            pool.spawn(late, n)
        results = pool.imap(negated, pool.as_completed(), isolate=isolate)
        assert sorted(itertools.islice(results, 6)) == [-5, -4, -3, -2, -1, 0]
        results.close()

    async def main():
        async with Pool(3) as pool:
            for n in range(6):
                pool.spawn(late, n)
            results, got = pool.imap(negated, pool.as_completed(), isolate=isolate), []
            async for result in results:
                got.append(result)
                if len(got) == 6:
                    break
            await results.aclose()
            return got

    assert sorted(asyncio.run(main())) == [-5, -4, -3, -2, -1, 0]


@both
@pytest.mark.parametrize("world", ["sync", "async"])
def test_what_was_spawned_before_begins_before_the_first_item_is_pulled(world, isolate):
    """It may be what the source waits for."""

    def produce():
        for n in range(20):
            line.put(n)
        line.put(None)

    async def in_async_code():
        async with Pool(4) as pool:
            pool.spawn(produce)
            return [n async for n in pool.imap(double, iter(line.get, None), isolate=isolate)]

    line = queue.Queue(5)
    if world == "async":
        assert asyncio.run(in_async_code()) == [2 * n for n in range(20)]
        return
    with Pool(4) as pool:
        pool.spawn(produce)
        assert pool.map(double, iter(line.get, None), isolate=isolate) == [2 * n for n in range(20)]


def test_no_items_are_mapped_on_the_tools_own_loop_too():
    """There is nothing to wait for; what there is is refused once there is."""

    async def save(rows):
        return pool.map(double, rows)

    with Pool(2) as pool:
        pool.spawn(late, 1)
        assert pool.spawn(save, []).result() == []
        with pytest.raises(DeadlockError):
            pool.spawn(save, [1]).result()
