"""Spawning: many small tasks without a limit, and a wait for all of them."""

import asyncio

from work import Work

NOOPS = Work("50,000 no-ops: spawn, and wait for all", 50_000)
HOPS = Work("the same with one `sleep(0)` each", 50_000)
SLOW = 10_000


async def noop():
    pass


async def hop():
    await asyncio.sleep(0)


def plain():
    pass


def join_group(body, n):
    from aioutils import Group

    group = Group()
    for _ in range(n):
        group.spawn(body())
    group.join()


@NOOPS.by("aioutils", "aioutils")
def aioutils_noops(n):
    join_group(noop, n)


@NOOPS.by("aioutils, spawn(function)", "aioutils")
def aioutils_functions(n):
    """The tool calls it, as in gevent, trio and anyio."""
    from aioutils import Group

    group = Group()
    for _ in range(n):
        group.spawn(noop)
    group.join()


@HOPS.by("aioutils", "aioutils")
def aioutils_hops(n):
    join_group(hop, n)


async def task_group(body, n):
    async with asyncio.TaskGroup() as group:
        for _ in range(n):
            group.create_task(body())


def run_eagerly(body, n):
    with asyncio.Runner() as runner:
        runner.get_loop().set_task_factory(asyncio.eager_task_factory)
        runner.run(task_group(body, n))


@NOOPS.by("TaskGroup")
def task_group_noops(n):
    asyncio.run(task_group(noop, n))


@HOPS.by("TaskGroup")
def task_group_hops(n):
    asyncio.run(task_group(hop, n))


@NOOPS.by("eager TaskGroup", since=(3, 12))
def eager_noops(n):
    run_eagerly(noop, n)


@HOPS.by("eager TaskGroup", since=(3, 12))
def eager_hops(n):
    run_eagerly(hop, n)


async def gather(body, n):
    await asyncio.gather(*[body() for _ in range(n)])


@NOOPS.by("gather")
def gather_noops(n):
    asyncio.run(gather(noop, n))


@HOPS.by("gather")
def gather_hops(n):
    asyncio.run(gather(hop, n))


@NOOPS.by("no loop: a bare send()")
def bare_send(n):
    """What the coroutines themselves take."""
    for _ in range(n):
        try:
            noop().send(None)
        except StopIteration:
            pass


# ---- other packages --------------------------------------------------------------------


def join_greenlets(body, n):
    from gevent.pool import Group

    group = Group()
    for _ in range(n):
        group.spawn(body)
    group.join()


@NOOPS.by("gevent", "gevent.pool")
def gevent_noops(n):
    join_greenlets(plain, n)


@HOPS.by("gevent", "gevent.pool")
def gevent_hops(n):
    import gevent

    join_greenlets(lambda: gevent.sleep(0), n)


def run_trio(body, n):
    import trio

    async def main():
        async with trio.open_nursery() as nursery:
            for _ in range(n):
                nursery.start_soon(body)

    trio.run(main)


@NOOPS.by("trio", "trio")
def trio_noops(n):
    run_trio(noop, n)


@HOPS.by("trio", "trio")
def trio_hops(n):
    import trio

    run_trio(trio.lowlevel.checkpoint, n)


def run_anyio(body, n):
    import anyio

    async def main():
        async with anyio.create_task_group() as group:
            for _ in range(n):
                group.start_soon(body)

    anyio.run(main)


@NOOPS.by("anyio", "anyio._backends._asyncio", most=SLOW)
def anyio_noops(n):
    run_anyio(noop, n)


@HOPS.by("anyio", "anyio._backends._asyncio", most=SLOW)
def anyio_hops(n):
    run_anyio(hop, n)


def join_unsync(body, n):
    from unsync import unsync

    futures = [unsync(body)() for _ in range(n)]
    for future in futures:
        future.result()


@NOOPS.by("unsync", "unsync", most=SLOW)
def unsync_noops(n):
    join_unsync(noop, n)


@HOPS.by("unsync", "unsync", most=SLOW)
def unsync_hops(n):
    join_unsync(hop, n)


@NOOPS.by("32 threads")
def threads_noops(n):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(32) as executor:
        for _ in range(n):
            executor.submit(plain)
