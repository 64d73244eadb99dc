"""Groups: many small ones, one after the other, each of five no-ops."""

import asyncio

from work import Work

GROUPS = Work("2,000 groups of 5 no-ops, one after the other", 2_000)
SLOW = 500


async def noop():
    pass


def plain():
    pass


@GROUPS.by("aioutils", "aioutils")
def aioutils_groups(n):
    from aioutils import Group

    for _ in range(n):
        group = Group()
        for _ in range(5):
            group.spawn(noop())
        group.join()


async def five():
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(noop())


@GROUPS.by("one asyncio.Runner for all")
def one_runner(n):
    with asyncio.Runner() as runner:
        for _ in range(n):
            runner.run(five())


@GROUPS.by("asyncio.run() each")
def asyncio_run(n):
    for _ in range(n):
        asyncio.run(five())


@GROUPS.by("gevent", "gevent.pool")
def gevent_groups(n):
    from gevent.pool import Group

    for _ in range(n):
        group = Group()
        for _ in range(5):
            group.spawn(plain)
        group.join()


async def five_of(nursery):
    async with nursery as group:
        for _ in range(5):
            group.start_soon(noop)


@GROUPS.by("trio", "trio")
def trio_groups(n):
    import trio

    async def main():
        await five_of(trio.open_nursery())

    for _ in range(n):
        trio.run(main)


@GROUPS.by("anyio", "anyio._backends._asyncio")
def anyio_groups(n):
    import anyio

    async def main():
        await five_of(anyio.create_task_group())

    for _ in range(n):
        anyio.run(main)


@GROUPS.by("unsync", "unsync")
def unsync_groups(n):
    from unsync import unsync

    spawn = unsync(noop)
    for _ in range(n):
        for future in [spawn() for _ in range(5)]:
            future.result()


@GROUPS.by("asgiref", "asgiref.sync", most=SLOW)
def asgiref_groups(n):
    from asgiref.sync import async_to_sync

    for _ in range(n):
        async_to_sync(five)()


@GROUPS.by("threads", most=SLOW)
def threads_groups(n):
    from concurrent.futures import ThreadPoolExecutor

    for _ in range(n):
        with ThreadPoolExecutor(5) as executor:
            for _ in range(5):
                executor.submit(plain)
