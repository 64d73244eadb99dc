"""A task that waits lends its slot, and has it back before it goes on (rule 10)."""

import asyncio
import threading

import pytest

from aioutils import Group, Pool, Yielder


class Bodies:
    """Counts who is inside, in coroutines and in threads."""

    def __init__(self):
        self.now = self.most = self.total = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self._lock:
            self.now -= 1


async def directly(tasks):
    return [await task for task in tasks]


async def by_gather(tasks):
    return await asyncio.gather(*tasks)


async def by_wait_for(tasks):
    return [await asyncio.wait_for(task, 10) for task in tasks]


async def by_timeout(tasks):
    async with asyncio.timeout(10):
        return [await task for task in tasks]


async def by_task_group(tasks):
    async def wait(task):
        return await task

    async with asyncio.TaskGroup() as group:
        children = [group.create_task(wait(task)) for task in tasks]
    return [child.result() for child in children]


async def by_shield(tasks):
    return [await asyncio.shield(asyncio.ensure_future(task)) for task in tasks]


async def by_as_completed(tasks):
    return [await task for task in asyncio.as_completed(tasks)]


WAYS = [directly, by_gather, by_wait_for, by_timeout, by_task_group, by_shield, by_as_completed]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("wait", WAYS, ids=lambda wait: wait.__name__)
def test_recursion_in_a_full_pool_ends_and_never_exceeds_the_limit(wait, size):
    bodies = Bodies()

    async def fibonacci(n):
        with bodies:
            await asyncio.sleep(0)
            if n < 2:
                return n
            tasks = [pool.spawn(fibonacci(n - 1)), pool.spawn(fibonacci(n - 2))]
        results = await wait(tasks)
        with bodies:
            await asyncio.sleep(0)
            return sum(results)

    with Pool(size) as pool:
        assert pool.spawn(fibonacci(9)).result() == 34
        pool.join()
        assert pool.free_count() == size
    assert bodies.most <= size


@pytest.mark.parametrize("size", [1, 2])
def test_plain_functions_that_wait_lend_slot_and_thread(size):
    bodies = Bodies()

    def fibonacci(n):
        with bodies:
            if n < 2:
                return n
            tasks = [pool.spawn(fibonacci, n - 1), pool.spawn(fibonacci, n - 2)]
        results = [task.result() for task in tasks]
        with bodies:
            return sum(results)

    with Pool(size) as pool:
        assert pool.spawn(fibonacci, 6).result() == 8
        pool.join()
        assert pool.free_count() == size
    assert bodies.most <= size


def test_plain_functions_and_coroutines_that_wait_for_each_other():
    bodies = Bodies()

    def plain(n):
        with bodies:
            if not n:
                return 0
            task = pool.spawn(coroutine, n - 1)
        result = task.result()
        with bodies:
            return result + 1

    async def coroutine(n):
        with bodies:
            if not n:
                return 0
            task = pool.spawn(plain, n - 1)
        result = await task
        with bodies:
            return result + 1

    with Pool(1) as pool:
        assert pool.spawn(plain, 9).result() == 9
    assert bodies.most == 1


def test_in_a_group_with_one_thread_too():
    def nested(n):
        return group.spawn(nested, n - 1).result() + 1 if n else 0

    with Group(threads=1) as group:
        assert group.spawn(nested, 10).result() == 10


def test_in_a_yielder_with_one_slot_too():
    async def nested(n):
        return await y.spawn(nested(n - 1)) + 1 if n else 0

    with Yielder(1) as y:
        y.spawn(nested(5))
        assert sorted(y) == [0, 1, 2, 3, 4, 5]


def test_two_full_pools_that_wait_for_each_others_tasks():
    bodies = {}

    async def hop(n, pool, other):
        if not n:
            return 0
        with bodies[pool]:
            task = other.spawn(hop(n - 1, other, pool))
        result = await task
        with bodies[pool]:
            return result + 1

    with Pool(1) as a, Pool(1) as b:
        bodies.update({a: Bodies(), b: Bodies()})
        assert a.spawn(hop(10, a, b)).result() == 10
        assert bodies[a].most == bodies[b].most == 1


def test_joining_another_tool_in_a_plain_function_lends_too():
    """The other tool's task needs a slot of ours."""

    def outer():
        with Group() as group:
            task = group.spawn(pool.spawn(inner()).result)
        return task.result()

    async def inner():
        return "inner"

    with Pool(1) as pool:
        assert pool.spawn(outer).result() == "inner"


def test_a_plain_function_that_awaits_on_a_loop_of_its_own_lends_nothing():
    async def awaits():
        async with Group() as group:
            await group.spawn(second_began.wait, 0.01)

    def first():
        asyncio.run(awaits())
        log.append("first ends")

    def second():
        second_began.set()
        log.append("second begins")

    log, second_began = [], threading.Event()
    with Pool(1) as pool:
        pool.spawn(first)
        pool.spawn(second)
        pool.join()
        assert pool.free_count() == 1
    assert log == ["first ends", "second begins"]


def test_a_slot_is_lent_once_however_many_children_wait():
    """Gathering ten makes room for one, not for ten."""
    bodies = Bodies()

    async def child():
        with bodies:
            await asyncio.sleep(0)

    async def parent():
        await asyncio.gather(*(pool.spawn(child()) for _ in range(10)))

    with Pool(2) as pool:
        for _ in range(3):
            pool.spawn(parent())
        pool.join()
        assert pool.free_count() == 2
    assert (bodies.most, bodies.total) == (2, 30)


def test_slots_are_all_there_after_failures_and_cancellations():
    async def fails():
        raise ValueError

    async def parent(n):
        tasks = [pool.spawn(fails()), pool.spawn(asyncio.sleep, 3600)]
        if n % 2:
            tasks[1].cancel()
        await asyncio.gather(*tasks)

    with Pool(2) as pool:
        for n in range(6):
            pool.spawn(parent(n))
        pool.join(timeout=0.05, raise_error=False)
        pool.cancel()
        pool.join(raise_error=False)
        assert (pool.free_count(), len(pool)) == (2, 0)
        pool.take_errors()
