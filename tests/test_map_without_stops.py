"""`map` over a list, say: the items begin on the loop, which need not stop for each."""

import asyncio
import contextvars
import inspect
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from aioutils import ClosedError, Group, Pool

variable = contextvars.ContextVar("variable", default="default")


async def double(n):
    await asyncio.sleep(0)
    return 2 * n


def runs_of(tool, call):
    """How often the tool's loop was started meanwhile."""
    before = tool._scheduler.bound()._run
    call()
    return tool._scheduler.bound()._run - before


SOURCES = {
    "list": list(range(60)),
    "tuple": tuple(range(60)),
    "range": range(60),
    "dict": dict.fromkeys(range(60)),
    "values": dict(enumerate(range(60))).values(),
}


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("tool", [lambda: Pool(1), lambda: Pool(7), Group])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_the_loop_does_not_stop_for_each(tool, source, isolate):
    with tool() as tool:
        results = []
        runs = runs_of(tool, lambda: results.extend(tool.map(double, source, isolate=isolate)))
        assert results == [2 * n for n in range(60)]
        assert runs <= 2


def test_nor_for_functions_in_threads_or_several_lists():
    with Pool(3) as pool:
        assert runs_of(pool, lambda: pool.map(str, range(60))) <= 2
        assert runs_of(pool, lambda: pool.map(pow, range(60), [2] * 60)) <= 2


def test_but_for_what_runs_code_of_the_users_it_does():
    places = []

    def items():
        for n in range(20):
            places.append(asyncio._get_running_loop())
            yield n

    class Arguments:
        def __iter__(self):
            places.append(asyncio._get_running_loop())
            return iter((1, 2))

    class Function:
        async def __call__(self, n):
            return n

        def __getattribute__(self, name):
            places.append(asyncio._get_running_loop())
            return super().__getattribute__(name)

    async def add(one, other):
        return one + other

    with Pool(2) as pool:
        assert pool.map(double, items()) == list(range(0, 40, 2))
        assert pool.starmap(add, [Arguments()] * 20) == [3] * 20
        assert pool.map(Function(), range(20)) == list(range(20))
    assert len(places) >= 40
    assert set(places) == {None}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no function is marked before")
def test_a_marked_function_is_called_where_one_waits():
    threads, loops = set(), set()

    @inspect.markcoroutinefunction
    def marked(n):
        threads.add(threading.get_ident())
        loops.add(asyncio._get_running_loop())
        return double(n)

    with Pool(1) as pool:
        assert pool.map(marked, range(10)) == list(range(0, 20, 2))
    assert (threads, loops) == ({threading.get_ident()}, {None})


@pytest.mark.parametrize("isolate", [True, False])
def test_the_items_see_the_variables_of_who_maps(isolate):
    async def see(n):
        await asyncio.sleep(0)
        return variable.get()

    variable.set("mine")
    try:
        assert Pool(1).map(see, range(20), isolate=isolate) == ["mine"] * 20
    finally:
        variable.set("default")


def test_what_an_item_sets_no_other_one_sees():
    async def change(n):
        before = variable.get()
        variable.set(n)
        await asyncio.sleep(0)
        return before

    assert Pool(2).map(change, range(20)) == ["default"] * 20


@pytest.mark.parametrize("size", [1, 3])
def test_a_failure_is_raised_where_its_result_would_have_been(size):
    begun = []

    async def work(n):
        begun.append(n)
        await asyncio.sleep(0)
        if n == 10:
            raise ValueError("ten")
        await asyncio.sleep(0)

    with Pool(size) as pool:
        with pytest.raises(ValueError, match="ten"):
            pool.map(work, range(1000))
        assert len(begun) <= 11 + 2 * size


def test_an_item_that_is_cancelled_ends_it():
    begun = []

    async def work(n):
        begun.append(n)
        await asyncio.sleep(0)
        if n == 10:
            asyncio.current_task().cancel()
        await asyncio.sleep(0)

    with Pool(1) as pool:
        with pytest.raises(CancelledError):
            pool.map(work, range(1000))
        assert len(begun) <= 13


def test_exceptions_that_are_wanted_as_results():
    async def work(n):
        await asyncio.sleep(0)
        if n % 3 == 0:
            raise ValueError(n)
        return n

    with Pool(2) as pool:
        results = pool.map(work, range(30), return_exceptions=True)
    assert [n if isinstance(n, int) else n.args[0] for n in results] == list(range(30))
    assert sum(isinstance(n, ValueError) for n in results) == 10


def test_what_the_source_raises_comes_after_the_results_before_it():
    done, items = [], dict.fromkeys(range(20))

    async def work(n):
        await asyncio.sleep(0)
        items[f"{n}"] = None
        done.append(n)

    with Pool(1) as pool, pytest.raises(RuntimeError, match="changed size"):
        pool.map(work, items)
    assert done == [0]


def test_a_function_that_refuses_its_argument():
    async def work():
        pass

    with Pool(2) as pool:
        with pytest.raises(TypeError, match="positional argument"):
            pool.map(work, range(10))
        failed = pool.map(work, range(10), return_exceptions=True)
        assert [type(each) for each in failed] == [TypeError] * 10


def test_items_are_pulled_when_there_is_room_only():
    items = [0]

    async def grow(n):
        await asyncio.sleep(0)
        if n < 50:
            items.append(n + 1)
        return n

    assert Pool(1).map(grow, items) == list(range(51))


def test_others_get_their_turn():
    """A task that was spawned meanwhile does not wait for the last item."""
    order = []

    async def other():
        order.append("other")

    async def work(n):
        if n == 5:
            pool.spawn(other)
        await asyncio.sleep(0)
        order.append(n)

    with Pool(1) as pool:
        pool.map(work, range(20))
    assert order.index("other") <= 8


def test_a_pool_that_another_thread_closes():
    begun = threading.Event()

    async def work(n):
        begun.set()
        await asyncio.sleep(0.001)

    def close():
        begun.wait()
        pool.close()

    pool = Pool(1)
    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(ClosedError):
        pool.map(work, range(10**6))
    closer.join()


def test_inside_of_a_running_loop():
    async def main():
        variable.set("mine")

        async def see(n):
            await asyncio.sleep(0)
            return variable.get()

        with pytest.warns(RuntimeWarning, match="blocks the event loop"):
            return Pool(1).map(see, range(20))

    assert asyncio.run(main()) == ["mine"] * 20


def test_two_threads_map_with_one_pool():
    results = {}

    def work(start):
        results[start] = pool.map(double, range(start, start + 500))

    with Pool(3) as pool:
        threads = [threading.Thread(target=work, args=(start,)) for start in (0, 1000, 2000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {n: list(range(2 * n, 2 * n + 1000, 2)) for n in (0, 1000, 2000)}


def test_maps_within_maps():
    async def outer(n):
        return sum(await asyncio.to_thread(pool.map, double, range(n)))

    with Pool(2) as pool:
        assert pool.map(outer, range(8)) == [n * (n - 1) for n in range(8)]
