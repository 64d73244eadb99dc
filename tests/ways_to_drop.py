"""Ways to use a tool and drop it: `CLEAN`, where all can be cleaned up, and `UNSAFE`."""

import asyncio
import contextlib
import threading
import time

from aioutils import Group, OrderedYielder, Pool, Yielder, yielding


async def nap(seconds=0.0005, value=1):
    await asyncio.sleep(seconds)
    return value


async def endless():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0)


async def fail():
    await asyncio.sleep(0)
    raise ValueError("drawn")


@contextlib.asynccontextmanager
async def context():
    yield
    await asyncio.sleep(0)


# ---- ways to use a tool and drop it, where all can be cleaned up ----


def never_joined():
    group = Group()
    for _ in range(3):
        group.spawn(nap())
        group.spawn(time.sleep, 0)


def joined():
    group = Group()
    group.spawn(nap)
    group.join()


def joined_with_functions():
    pool = Pool(3)
    for _ in range(3):
        pool.spawn(time.sleep, 0)
    pool.join()


def joined_in_part():
    pool = Pool(2)
    for _ in range(4):
        pool.spawn(endless)
    pool.join(timeout=0.001)


def failed_unseen():
    group = Group()
    group.spawn(fail)
    group.join(raise_error=False)


def failed_in_join():
    group = Group()
    group.spawn(fail)
    group.spawn(endless)
    with contextlib.suppress(ExceptionGroup, ValueError):
        group.join(timeout=0)  # one pass, in which it fails, however slow the machine is


def failed_in_result():
    group = Group()
    with contextlib.suppress(ValueError):
        group.spawn(fail).result()


def cancelled_before_it_began():
    group = Group()
    group.spawn(nap).cancel()


def cancelled_in_the_middle():
    group = Group()
    group.spawn(endless)
    group.join(timeout=0)
    group.cancel()


def closed_in_the_middle():
    with Group() as group, contextlib.suppress(TimeoutError):
        task = group.spawn(endless)
        group.join(timeout=0)
        task.cancel()


def half_iterated():
    y = Yielder()
    for _ in range(3):
        y.spawn(nap)
    y.spawn(endless)
    for _ in y:
        break


def iterator_kept_longer_than_the_tool():
    y = OrderedYielder(2)
    for _ in range(3):
        y.spawn(nap)
    results = iter(y)
    next(results)
    del y


def iterator_never_begun():
    y = Yielder()
    y.spawn(nap)
    iter(y)


def iteration_failed():
    with contextlib.suppress(ValueError):
        for _ in never_failing_twice():
            pass


def never_failing_twice():
    with yielding(2) as y:
        y.spawn(fail)
        y.spawn(nap)
        yield from y


def generator_dropped():
    def results():
        with yielding(2) as y:
            for _ in range(4):
                y.spawn(nap)
            yield from y

    next(results())


def in_a_cycle():
    group = Group()
    group.myself = group
    group.spawn(endless)
    group.join(timeout=0)


def in_a_cycle_with_its_tasks():
    pool = Pool(1)

    async def spawn():
        await asyncio.sleep(0)
        pool.spawn(nap)

    pool.spawn(spawn)
    pool.spawn(spawn)
    pool.join(timeout=0)


def entered_and_forgotten():
    group = Group()
    group.enter_async_context(context())


def an_unfinished_async_generator():
    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)

    async def first():
        async for number in numbers():
            return number

    group = Group()
    assert group.spawn(first).result() == 1


def in_a_thread():
    thread = threading.Thread(target=joined_in_part)
    thread.start()
    thread.join()


def finished_inside_a_running_loop():
    async def main():
        joined()
        half = Yielder()
        half.spawn(nap)
        assert list(half) == [1]

    with asyncio.Runner() as runner:
        runner.run(main())


# ---- and where that is not safe ----


def dropped_by_another_thread():
    tools = [Group()]
    tools[0].spawn(endless)
    tools[0].join(timeout=0)
    thread = threading.Thread(target=tools.clear)
    thread.start()
    thread.join()


def iterator_dropped_by_another_thread():
    y = Yielder()
    y.spawn(nap)
    y.spawn(endless)
    iterators = [iter(y)]
    next(iterators[0])
    thread = threading.Thread(target=iterators.clear)
    thread.start()
    thread.join()


def dropped_inside_a_running_loop():
    async def main():
        group = Group()
        group.spawn(endless)
        group.join(timeout=0.001)

    with asyncio.Runner() as runner:
        runner.run(main())


CLEAN = [
    never_joined,
    joined,
    joined_with_functions,
    joined_in_part,
    failed_unseen,
    failed_in_join,
    failed_in_result,
    cancelled_before_it_began,
    cancelled_in_the_middle,
    closed_in_the_middle,
    half_iterated,
    iterator_kept_longer_than_the_tool,
    iterator_never_begun,
    iteration_failed,
    generator_dropped,
    in_a_cycle,
    in_a_cycle_with_its_tasks,
    entered_and_forgotten,
    an_unfinished_async_generator,
    in_a_thread,
    finished_inside_a_running_loop,
]
UNSAFE = [
    dropped_by_another_thread,
    iterator_dropped_by_another_thread,
    dropped_inside_a_running_loop,
]
