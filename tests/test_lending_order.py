"""Who lent his slot comes back before new work, the cancelled too; circles are named."""

import asyncio
import threading

import pytest
from four_tools import DEBUG

from aioutils import DeadlockError, Group, Pool


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


def test_one_who_comes_back_goes_before_new_work():
    log = []

    async def child():
        log.append("child")

    async def parent():
        log.append("parent lends")
        await pool.spawn(child())
        log.append("parent is back")

    async def other(n):
        log.append(f"other {n} starts")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.append(f"other {n} ends")

    with Pool(1) as pool:
        pool.spawn(parent())
        for n in range(3):
            pool.spawn(other(n))
        pool.join()
    back = log.index("parent is back")
    assert log[0] == "parent lends" and log[back - 1] == "child"


def test_comers_back_are_served_in_the_order_in_which_they_came():
    log, order = [], [3, 0, 2, 1]

    async def parent(n):
        await children[n]
        log.append(n)
        await asyncio.sleep(0)

    async def child(n):
        await gates[n].wait()

    async def opener():
        """Holds the only slot of `pool` while the children end, one after the other."""
        for n in order:
            gates[n].set()
            while not children[n].done():
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    gates = [asyncio.Event() for _ in order]
    with Pool(1) as pool, Group() as others:
        children = [others.spawn(child(n)) for n in range(4)]
        for n in range(4):
            pool.spawn(parent(n))
        pool.spawn(opener())
        pool.join()
    assert log == order


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("way", ["cancel", "wait_for", "timeout"])
def test_the_cancelled_wait_for_their_slot_as_well(way, parts):
    """They have to clean up, and do that in their slot; `gather` raises with its first part."""
    bodies, log = Bodies(), []

    async def parent():
        children = [group.spawn(asyncio.Event().wait) for _ in range(parts)]
        wait = asyncio.gather(*children) if parts > 1 else children[0]
        try:
            if way == "wait_for":
                await asyncio.wait_for(wait, 0.005)
            elif way == "timeout":
                async with asyncio.timeout(0.005):
                    await wait
            else:
                await wait
        except (asyncio.CancelledError, TimeoutError):
            with bodies:
                log.append("back")
                await asyncio.sleep(0)

    async def busy():
        with bodies:
            log.append("busy")
            if way == "cancel":
                task.cancel()
            await asyncio.sleep(0.02)
            log.append("busy ends")

    with Group() as group, Pool(1) as pool:
        task = pool.spawn(parent())
        pool.spawn(busy())
        pool.join()
        group.cancel()
    assert log == ["busy", "busy ends", "back"]
    assert bodies.most == 1


def test_a_task_that_waits_again_before_its_turn_leaves_the_slot_to_others():
    """Another part of it began to wait meanwhile, for a task that needs the slot."""

    async def parent():
        await asyncio.gather(first(), second())

    async def first():
        await others.spawn(begin.wait)

    async def second():
        await again.wait()
        await pool.spawn(asyncio.sleep, 0)

    async def busy():
        for event in (begin, again):
            event.set()
            for _ in range(5):
                await asyncio.sleep(0)

    begin, again = asyncio.Event(), asyncio.Event()
    with Group() as others, Pool(1) as pool:
        pool.spawn(parent())
        pool.spawn(busy())
        assert pool.join(timeout=5) is True
        assert pool.free_count() == 1


def test_a_task_that_ends_before_its_turn_leaves_it_for_good():
    """A part of it wants the slot back, which the task itself does not wait for."""

    async def parent():
        parts.append(asyncio.create_task(part()))
        await over.wait()

    async def part():
        await others.spawn(begin.wait)

    async def busy():
        for event in (begin, over):
            event.set()
            for _ in range(5):
                await asyncio.sleep(0)
        log.append(task.done())

    parts, log = [], []
    begin, over = asyncio.Event(), asyncio.Event()
    with Group() as others, Pool(1) as pool:
        task = pool.spawn(parent())
        pool.spawn(busy())
        assert pool.join(timeout=5) is True
        assert (pool.free_count(), log) == (1, [True])


def test_two_parts_of_a_task_come_back_in_one_turn():
    """The second one's wait ends while the first one's turn has not come yet."""
    log = []

    async def parent():
        await asyncio.gather(part("first"), part("second"))
        log.append(pool.free_count())

    async def part(name):
        if name == "second":
            await first_is_over.wait()
        await others.spawn(gates[name].wait)
        log.append(f"{name} is back")

    async def busy():
        for event in (gates["first"], first_is_over, gates["second"]):
            event.set()
            for _ in range(5):
                await asyncio.sleep(0)
        log.append("busy ends")

    gates = {"first": asyncio.Event(), "second": asyncio.Event()}
    first_is_over = asyncio.Event()
    with Group() as others, Pool(1) as pool:
        pool.spawn(parent())
        pool.spawn(busy())
        assert pool.join(timeout=5) is True
        assert pool.free_count() == 1
    assert log == ["busy ends", "first is back", "second is back", 0]


def test_a_task_that_is_cancelled_twice_while_it_wants_its_slot_back():
    async def parent():
        try:
            await group.spawn(asyncio.Event().wait)
        finally:
            log.append(pool.free_count())

    async def busy():
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        log.append("busy ends")

    log = []
    with Group() as group, Pool(1) as pool:
        task = pool.spawn(parent())
        pool.spawn(busy())
        pool.join()
        assert task.cancelled() and pool.free_count() == 1
        group.cancel()
    assert log == ["busy ends", 0]


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("wait", [directly, by_gather, by_wait_for], ids=lambda f: f.__name__)
def test_a_circle_of_tasks_that_await_each_other_is_named(wait, length):
    tasks = []

    async def await_the_next(n):
        await wait([tasks[(n + 1) % length]])

    with Pool(10) as pool:
        for n in range(length):
            tasks.append(pool.spawn(await_the_next(n)))
            tasks[-1].name = f"number {n}"
        pool.join(raise_error=False)
        errors = pool.take_errors()
    assert errors and all(isinstance(error, DeadlockError) for error in errors)
    for n in range(length):
        assert f"number {n}" in str(errors[0])


def test_a_circle_of_plain_functions_is_named():
    tasks = []
    ready = threading.Event()

    def wait_for(n):
        ready.wait(5)
        return tasks[n].result()

    with Pool(2) as pool:
        tasks += [pool.spawn(wait_for, 1), pool.spawn(wait_for, 0)]
        ready.set()
        pool.join(raise_error=False)
        assert all(isinstance(task.exception(), DeadlockError) for task in tasks)


def test_a_long_line_of_tasks_that_each_await_the_one_before(deadline):
    """Looking for circles must not walk the whole line each time."""

    async def step(before):
        if before is not None:
            return await before + 1
        await all_wait.wait()
        return 0

    all_wait = asyncio.Event()
    length = 500 if DEBUG else 4_000
    with Group() as group, deadline(3):
        task = None
        for _ in range(length):
            task = group.spawn(step(task))
        last = task

        async def release():
            all_wait.set()

        group.spawn(release())
        assert last.result() == length - 1


def test_a_ladder_of_tasks_that_await_both_of_the_step_below_is_looked_at_once(deadline):
    """There are 2 ** 40 ways down; who is awaited, and begins to wait itself, looks at them."""

    async def step(below):
        await asyncio.gather(*below)

    async def top():
        await asyncio.sleep(0.001)  # somebody waits for it by then
        asyncio.get_running_loop().call_later(0.01, all_wait.set)
        await asyncio.gather(*below)
        return "down"

    all_wait = asyncio.Event()
    with Group() as group, deadline(3):
        below = [group.spawn(all_wait.wait) for _ in range(2)]
        for _ in range(40):
            below = [group.spawn(step, below) for _ in range(2)]
        above = group.spawn(top)
        waits = group.spawn(step, [above])
        assert above.result() == "down"
        assert waits.result() is None
