"""Limits: at most so many at once, one `sleep(0)` each, for results or for their effect."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from work import Work

LIMIT = Work("100,000 tasks of one `sleep(0)`, at most 100 at once", 100_000)
SIZE = 100
SLOW = 20_000


async def hop(n):
    await asyncio.sleep(0)
    return n


def plain_hop(n):
    time.sleep(0)
    return n


@LIMIT.by("aioutils spawn", "aioutils")
def pool_spawn(n, size=SIZE):
    from aioutils import Pool

    pool = Pool(size)
    for item in range(n):
        pool.spawn(hop(item))
    pool.join()


@LIMIT.by("aioutils map", "aioutils")
def pool_map(n, size=SIZE):
    from aioutils import Pool

    assert len(Pool(size).map(hop, range(n))) == n


@LIMIT.by("aioutils map, isolate=False", "aioutils")
def pool_map_reused(n, size=SIZE):
    from aioutils import Pool

    assert len(Pool(size).map(hop, range(n), isolate=False)) == n


@LIMIT.by("aioutils Yielder", "aioutils")
def yielder(n, size=SIZE):
    from aioutils import Yielder

    results = Yielder(size)
    for item in range(n):
        results.spawn(hop(item))
    assert sum(1 for _ in results) == n


@LIMIT.by("semaphore + gather")
def semaphore_gather(n, size=SIZE):
    async def main():
        slots = asyncio.Semaphore(size)

        async def limited(item):
            async with slots:
                return await hop(item)

        return await asyncio.gather(*[limited(item) for item in range(n)])

    assert len(asyncio.run(main())) == n


@LIMIT.by("slot + create_task")
def slot_and_task(n, size=SIZE):
    async def main():
        slots = asyncio.Semaphore(size)

        async def one(item):
            try:
                await hop(item)
            finally:
                slots.release()

        async with asyncio.TaskGroup() as group:
            for item in range(n):
                await slots.acquire()
                group.create_task(one(item))

    asyncio.run(main())


@LIMIT.by("workers on one iterator")
def workers(n, size=SIZE):
    async def main():
        items = iter(range(n))

        async def worker():
            for item in items:
                await hop(item)

        async with asyncio.TaskGroup() as group:
            for _ in range(size):
                group.create_task(worker())

    asyncio.run(main())


# ---- other packages --------------------------------------------------------------------


@LIMIT.by("gevent map", "gevent.pool", "gevent")
def gevent_map(n, size=SIZE):
    import gevent
    from gevent.pool import Pool

    assert len(Pool(size).map(lambda item: gevent.sleep(0), range(n))) == n


@LIMIT.by("gevent spawn", "gevent.pool", "gevent")
def gevent_spawn(n, size=SIZE):
    import gevent
    from gevent.pool import Pool

    pool = Pool(size)
    for _ in range(n):
        pool.spawn(gevent.sleep, 0)
    pool.join()


@LIMIT.by("trio", "trio")
def trio_limit(n, size=SIZE):
    import trio

    async def main():
        slots = trio.Semaphore(size)

        async def one():
            try:
                await trio.lowlevel.checkpoint()
            finally:
                slots.release()

        async with trio.open_nursery() as nursery:
            for _ in range(n):
                await slots.acquire()
                nursery.start_soon(one)

    trio.run(main)


@LIMIT.by("anyio", "anyio._backends._asyncio", most=SLOW)
def anyio_limit(n, size=SIZE):
    import anyio

    async def main():
        slots = anyio.Semaphore(size, fast_acquire=True)

        async def one():
            try:
                await anyio.sleep(0)
            finally:
                slots.release()

        async with anyio.create_task_group() as group:
            for _ in range(n):
                await slots.acquire()
                group.start_soon(one)

    anyio.run(main)


@LIMIT.by("aiometer", "aiometer", "anyio._backends._asyncio", most=SLOW)
def aiometer_limit(n, size=SIZE):
    import aiometer

    asyncio.run(aiometer.run_on_each(hop, range(n), max_at_once=size))


@LIMIT.by("streamable", "streamable", most=SLOW)
def streamable_limit(n, size=SIZE):
    from streamable import stream

    assert sum(1 for _ in stream(range(n)).map(hop, concurrency=size)) == n


@LIMIT.by("aiostream", "aiostream", most=SLOW)
def aiostream_limit(n, size=SIZE):
    from aiostream import pipe, stream

    results = stream.iterate(range(n)) | pipe.map(hop, task_limit=size)

    async def main():
        async with results.stream() as streamer:
            return [item async for item in streamer]

    assert len(asyncio.run(main())) == n


@LIMIT.by("threads", most=SLOW)
def threads_limit(n, size=SIZE):
    with ThreadPoolExecutor(size) as executor:
        assert sum(1 for _ in executor.map(plain_hop, range(n))) == n
