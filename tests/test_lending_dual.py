"""A function that calls `f.sync` keeps its slot, but for the time in which the call waits for a
task: then it lends slot and thread, or a full pool would deadlock (rule 10)."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aioutils import Group, Pool, dual

pytestmark = pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")


@dual
async def in_a_coroutine(wait):
    return wait()


@dual
async def in_a_thread(wait):
    return await asyncio.to_thread(wait)


@dual
async def in_two_threads(wait):
    one, two = await asyncio.gather(asyncio.to_thread(wait), asyncio.to_thread(wait))
    assert one == two
    return one


@dual
async def in_a_call(wait):
    return in_a_coroutine.sync(wait)


@dual
async def in_a_thread_of_a_call(wait):
    return in_a_thread.sync(wait)


@dual
async def in_a_function_of_a_pool(wait):
    async with Pool(1) as pool:
        return await pool.spawn(wait)


@dual
async def items(wait):
    yield wait()
    yield await asyncio.to_thread(wait)


def in_an_iteration(wait):
    one, two = items.sync(wait)
    assert one == two
    return one


WAYS = [
    in_a_coroutine.sync,
    in_a_thread.sync,
    in_two_threads.sync,
    in_a_call.sync,
    in_a_thread_of_a_call.sync,
    in_a_function_of_a_pool.sync,
    in_an_iteration,
]


@pytest.fixture(params=WAYS, ids=lambda way: getattr(way, "__name__", "way"))
def way(request):
    return request.param


class Bodies:
    """How many run at once, apart from the time in which they wait."""

    def __init__(self):
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *exc):
        with self._lock:
            self.now -= 1


async def child():
    await asyncio.sleep(0)
    return "child"


def test_a_call_in_a_full_pool_waits_for_a_task_of_it(way):
    bodies = Bodies()

    def parent():
        with bodies:
            pass
        assert way(lambda: pool.spawn(child).result(timeout=10)) == "child"
        with bodies:
            return "parent"

    with Pool(1) as pool:
        tasks = [pool.spawn(parent) for _ in range(3)]
        pool.join()
        assert [task.result() for task in tasks] == ["parent"] * 3
        assert bodies.most == 1 and pool.free_count() == 1


def test_a_call_in_the_only_thread_of_an_executor_waits_for_another_function(way):
    with ThreadPoolExecutor(1) as executor, Group(executor=executor) as group:

        def parent():
            return way(lambda: group.spawn(int).result(timeout=10))

        assert [group.spawn(parent).result() for _ in range(2)] == [0, 0]


def test_a_call_that_has_no_slot_to_lend_waits_as_well(way, in_thread):
    def call():
        with Pool(1) as pool:
            return way(lambda: pool.spawn(child).result(timeout=10))

    assert in_thread(call)() == "child"


def test_recursion_through_calls_is_deeper_than_the_pool_is_large(way):
    def nested(n):
        return way(lambda: pool.spawn(nested, n - 1).result(timeout=10)) + 1 if n else 0

    with Pool(2) as pool:
        assert pool.spawn(nested, 3).result() == 3
        assert pool.free_count() == 2
