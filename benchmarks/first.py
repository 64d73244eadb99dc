"""First: how long until the first of 10,000 results is there. Each task waits twice."""

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from time import perf_counter

from work import Work

FIRST = Work("the first of 10,000 results, two waits of 0 to 0.2 s each", 10_000, whole=True)


def waits(n):
    """For everybody the same."""
    chance = random.Random(7)
    return [(chance.uniform(0, 0.2), chance.uniform(0, 0.2)) for _ in range(n)]


async def two_waits(one, other):
    await asyncio.sleep(one)
    await asyncio.sleep(other)
    return one + other


@FIRST.by("aioutils", "aioutils")
def aioutils_first(n):
    from aioutils import Yielder

    items = waits(n)
    start = perf_counter()
    with Yielder() as results:
        for item in items:
            results.spawn(two_waits(*item))
        rest = iter(results)  # held: to let it go cancels the others, which is not measured
        next(rest)
        return perf_counter() - start


@FIRST.by("as_completed()")
def asyncio_first(n):
    items = waits(n)
    start = perf_counter()

    async def main():
        tasks = [asyncio.create_task(two_waits(*item)) for item in items]
        for first in asyncio.as_completed(tasks):
            await first
            return perf_counter() - start

    return asyncio.run(main())


@FIRST.by("gather, at the end")
def gather_all(n):
    items = waits(n)
    start = perf_counter()

    async def main():
        await asyncio.gather(*[two_waits(*item) for item in items])
        return perf_counter() - start

    return asyncio.run(main())


@FIRST.by("unsync, at the end", "unsync")
def unsync_all(n):
    from unsync import unsync

    items = waits(n)
    start = perf_counter()
    for future in [unsync(two_waits)(*item) for item in items]:
        future.result()
    return perf_counter() - start


@FIRST.by("gevent", "gevent.pool", "gevent")
def gevent_first(n):
    import gevent
    from gevent.pool import Group

    def body(item):
        gevent.sleep(item[0])
        gevent.sleep(item[1])

    items = waits(n)
    start = perf_counter()
    group = Group()
    next(group.imap_unordered(body, items))
    seconds = perf_counter() - start
    group.kill()
    return seconds


@FIRST.by("trio", "trio")
def trio_first(n):
    import trio

    async def main():
        send, receive = trio.open_memory_channel(0)

        async def body(one, other):
            await trio.sleep(one)
            await trio.sleep(other)
            await send.send(one + other)

        start = perf_counter()
        async with trio.open_nursery() as nursery:
            for item in items:
                nursery.start_soon(body, *item)
            await receive.receive()
            seconds = perf_counter() - start
            nursery.cancel_scope.cancel()
        return seconds

    items = waits(n)
    return trio.run(main)


@FIRST.by("200 threads")
def threads_first(n):
    def body(item):
        time.sleep(item[0])
        time.sleep(item[1])

    items = waits(n)
    start = perf_counter()
    with ThreadPoolExecutor(200) as executor:
        futures = [executor.submit(body, item) for item in items]
        next(as_completed(futures))
        seconds = perf_counter() - start
        executor.shutdown(cancel_futures=True)
    return seconds
