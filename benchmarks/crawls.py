"""Crawl: many GETs from a server on this machine, 200 at once. It answers 1 KB after 5 ms."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from itertools import repeat

from server import BODY, site
from work import Work

CRAWL = Work("20,000 GETs from a server on this machine, 200 at once", 20_000)
SIZE = 200
SLOW = 2_000


@asynccontextmanager
async def session():
    import aiohttp

    connector = aiohttp.TCPConnector(limit=SIZE)
    async with aiohttp.ClientSession(connector=connector) as entered:
        yield entered


async def get(client, url):
    async with client.get(url) as answer:
        return len(await answer.read())


@CRAWL.by("aioutils imap_unordered", "aioutils", "aiohttp")
def aioutils_imap(n):
    from aioutils import Pool

    url, total = site(), 0
    with Pool(SIZE) as pool:
        client = pool.enter_async_context(session())
        page = partial(get, client)
        for length in pool.imap_unordered(page, repeat(url, n)):
            total += length
    assert total == len(BODY) * n


@CRAWL.by("aioutils map", "aioutils", "aiohttp")
def aioutils_map(n):
    from aioutils import Pool

    url = site()
    with Pool(SIZE) as pool:
        client = pool.enter_async_context(session())
        lengths = pool.map(partial(get, client), repeat(url, n))  # a lambda would need threads
    assert sum(lengths) == len(BODY) * n


@CRAWL.by("aioutils spawn", "aioutils", "aiohttp")
def aioutils_spawn(n):
    from aioutils import Pool

    url, total = site(), 0

    async def page():
        nonlocal total
        length = await get(client, url)
        total += length

    with Pool(SIZE) as pool:
        client = pool.enter_async_context(session())
        for _ in range(n):
            pool.spawn(page())
    assert total == len(BODY) * n


@CRAWL.by("aiohttp workers", "aiohttp")
def aiohttp_workers(n):
    url, total = site(), 0

    async def main():
        items = iter(range(n))

        async def worker():
            nonlocal total
            for _ in items:
                length = await get(client, url)
                total += length  # not `total += await ...`: that reads it before it waits

        async with session() as client, asyncio.TaskGroup() as group:
            for _ in range(SIZE):
                group.create_task(worker())

    asyncio.run(main())
    assert total == len(BODY) * n


@CRAWL.by("aiohttp, gather", "aiohttp")
def aiohttp_gather(n):
    url = site()

    async def main():
        async with session() as client:  # its connector is the limit
            return await asyncio.gather(*[get(client, url) for _ in range(n)])

    assert sum(asyncio.run(main())) == len(BODY) * n


@CRAWL.by("aiohttp, aiometer", "aiohttp", "aiometer", "anyio._backends._asyncio")
def aiohttp_aiometer(n):
    import aiometer

    url = site()

    async def main():
        async with session() as client:
            urls = [url] * n
            return await aiometer.run_on_each(lambda u: get(client, u), urls, max_at_once=SIZE)

    asyncio.run(main())


@CRAWL.by("httpx, anyio", "httpx", "anyio._backends._asyncio", most=SLOW)
def httpx_anyio(n):
    import anyio
    import httpx

    url, total = site(), 0

    async def main():
        items = iter(range(n))

        async def worker():
            nonlocal total
            for _ in items:
                answer = await client.get(url)
                total += len(answer.content)

        limits = httpx.Limits(max_connections=SIZE, max_keepalive_connections=SIZE)
        async with httpx.AsyncClient(limits=limits) as client, anyio.create_task_group() as group:
            for _ in range(SIZE):
                group.start_soon(worker)

    anyio.run(main)
    assert total == len(BODY) * n


@CRAWL.by("urllib3, gevent", "gevent", "patched", "urllib3")
def urllib3_gevent(n):
    import urllib3
    from gevent.pool import Pool

    url = site()
    client = urllib3.PoolManager(maxsize=SIZE, block=True)
    lengths = Pool(SIZE).imap_unordered(lambda _: len(client.request("GET", url).data), range(n))
    assert sum(lengths) == len(BODY) * n


@CRAWL.by("urllib3, threads", "urllib3", most=SLOW)
def urllib3_threads(n):
    from concurrent.futures import ThreadPoolExecutor

    import urllib3

    url = site()
    client = urllib3.PoolManager(maxsize=SIZE, block=True)
    with ThreadPoolExecutor(SIZE) as executor:
        lengths = executor.map(lambda _: len(client.request("GET", url).data), range(n))
        assert sum(lengths) == len(BODY) * n
