"""Streams: results into a loop as they come, at most 100 at once, one `sleep(0)` each."""

import asyncio
import queue
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, as_completed

from work import Work

STREAM = Work("50,000 results into a loop as they come, at most 100 at once", 50_000)
SIZE = 100
SLOW = 10_000


async def hop(n):
    await asyncio.sleep(0)
    return n


def plain_hop(n):
    time.sleep(0)
    return n


def count(results):
    return sum(1 for _ in results)


def stream(n, isolate):
    from aioutils import Pool

    with Pool(SIZE) as pool:
        assert count(pool.imap_unordered(hop, range(n), isolate=isolate)) == n


@STREAM.by("aioutils", "aioutils")
def isolated(n):
    stream(n, True)


@STREAM.by("aioutils, isolate=False", "aioutils")
def reused(n):
    stream(n, False)


# ---- by hand, inside asyncio -----------------------------------------------------------


@STREAM.by("slot + create_task, async")
def slot_and_task(n):
    """Acquires a slot, starts a task; the task hands its result on."""
    results = 0

    async def main():
        slots = asyncio.Semaphore(SIZE)

        async def one(item):
            nonlocal results
            try:
                await hop(item)
                results += 1
            finally:
                slots.release()

        async with asyncio.TaskGroup() as group:
            for item in range(n):
                await slots.acquire()
                group.create_task(one(item))

    asyncio.run(main())
    assert results == n


async def as_they_come(n):
    """Workers on one iterator, and an async generator over what they made."""
    loop, items, ready = asyncio.get_running_loop(), iter(range(n)), deque()
    wake, working = loop.create_future(), SIZE

    async def worker():
        nonlocal working
        try:
            for item in items:
                ready.append(await hop(item))
                if not wake.done():
                    wake.set_result(None)
        finally:
            working -= 1
            if not wake.done():
                wake.set_result(None)

    tasks = [asyncio.create_task(worker()) for _ in range(SIZE)]
    try:
        while working or ready:
            if not ready:
                await wake
                wake = loop.create_future()
            while ready:
                yield ready.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


@STREAM.by("one async for, async")
def one_async_for(n):
    async def main():
        results = 0
        async for _ in as_they_come(n):
            results += 1
        return results

    assert asyncio.run(main()) == n


# ---- by hand, into a sync loop ---------------------------------------------------------


@STREAM.by("a deque between loop runs")
def deque_between_runs(n):
    """Workers on one iterator stop the loop when there is something to hand out."""
    items, ready, working = iter(range(n)), deque(), SIZE

    def results(loop):
        async def worker():
            nonlocal working
            try:
                for item in items:
                    ready.append(await hop(item))
                    loop.stop()
            finally:
                working -= 1
                loop.stop()

        tasks = [loop.create_task(worker()) for _ in range(SIZE)]
        while working or ready:
            loop.run_forever()
            while ready:
                yield ready.popleft()
        loop.run_until_complete(asyncio.gather(*tasks))

    with asyncio.Runner() as runner:
        assert count(results(runner.get_loop())) == n


@STREAM.by("anext() an item", most=SLOW)
def anext_an_item(n):
    with asyncio.Runner() as runner:

        async def following(results):
            return await anext(results, None)

        results = as_they_come(n)
        assert count(iter(lambda: runner.run(following(results)), None)) == n


@STREAM.by("a loop in a thread, a queue", most=SLOW)
def background_thread(n):
    handed: queue.Queue[int | None] = queue.Queue(SIZE)

    async def main():
        async for item in as_they_come(n):
            handed.put(item)
        handed.put(None)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert count(iter(handed.get, None)) == n
    thread.join()


# ---- other packages --------------------------------------------------------------------


@STREAM.by("gevent", "gevent.pool", "gevent")
def gevent_stream(n):
    import gevent
    from gevent.pool import Pool

    results = Pool(SIZE).imap_unordered(lambda item: gevent.sleep(0), range(n), maxsize=SIZE)
    assert count(results) == n


@STREAM.by("streamable", "streamable", most=SLOW)
def streamable_stream(n):
    from streamable import stream

    results = stream(range(n)).map(hop, concurrency=SIZE, as_completed=True)
    assert count(results) == n


@STREAM.by("aiostream, async", "aiostream", most=SLOW)
def aiostream_stream(n):
    from aiostream import pipe, stream

    results = stream.iterate(range(n)) | pipe.map(hop, ordered=False, task_limit=SIZE)

    async def main():
        async with results.stream() as streamer:
            return [item async for item in streamer]

    assert len(asyncio.run(main())) == n


@STREAM.by("threads", most=SLOW)
def threads_stream(n):
    with ThreadPoolExecutor(SIZE) as executor:
        futures = [executor.submit(plain_hop, item) for item in range(n)]
        assert count(as_completed(futures)) == n
