"""A host that ends cancels all tasks of its loop; those of our tools are not cancelled twice."""

import asyncio
import contextlib
from functools import partial

import pytest
from four_tools import returns

from aioutils import Group, OrderedYielder, Pool, Yielder

pytestmark = pytest.mark.timeout(10)

KINDS = [Group, partial(Pool, 3), Yielder, OrderedYielder]


class Work:
    def __init__(self):
        self.log = []

    async def run(self, _=None):
        self.log.append("begun")
        try:
            await asyncio.sleep(3600)
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
                self.log.append("cleaned up")


async def in_the_block(work, kind):
    async with kind(on_exit="wait") as tool:
        tool.spawn(work.run)
        await asyncio.sleep(3600)


async def at_its_end(work, kind):
    async with kind(on_exit="wait") as tool:
        tool.spawn(work.run)


async def waiting(work, kind):
    tool = kind()
    task = tool.spawn(work.run)
    await (tool.wait() if isinstance(tool, Group) else task)


async def iterating(work, kind):
    tool = kind()
    if isinstance(tool, Group):
        async for _ in tool.imap(work.run, [1]):
            pass
    else:
        tool.spawn(work.run)
        async for _ in tool:
            pass


async def nested(work, kind):
    async def inner():
        async with kind(on_exit="wait") as tool:
            tool.spawn(work.run)

    async with kind(on_exit="wait") as tool:
        tool.spawn(inner)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("way", [in_the_block, at_its_end, waiting, iterating, nested])
def test_its_tasks_clean_up_to_the_end(way, backwards, kind):
    async def main():
        host = asyncio.create_task(way(work, kind))
        while not work.log:
            await asyncio.sleep(0)
        ours = asyncio.all_tasks() - {asyncio.current_task(), host}
        tasks = [*ours, host] if backwards else [host, *ours]
        for task in tasks:  # in any order
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    work = Work()
    asyncio.run(main())
    assert work.log == ["begun", "cleaned up"]


@pytest.mark.parametrize("way", [in_the_block, at_its_end, waiting, iterating, nested])
def test_when_a_host_runs_to_its_end(way):
    async def main():
        background.append(asyncio.create_task(way(work, Group)))
        while not work.log:
            await asyncio.sleep(0)

    work, background = Work(), []
    asyncio.run(main())
    assert work.log == ["begun", "cleaned up"]


def test_when_a_task_ends_the_program():
    async def exits():
        while not work.log:
            await asyncio.sleep(0)
        raise SystemExit(3)

    async def main():
        async with Group() as group:
            group.spawn(exits)
            group.spawn(work.run)

    work = Work()
    with pytest.raises(SystemExit):
        asyncio.run(main())
    assert work.log == ["begun", "cleaned up"]


def test_who_was_only_in_a_timeout_of_its_own_is_cancelled_after_it():
    """It has a cancellation under way, but takes it back, and goes on."""

    async def slow():
        try:
            await asyncio.sleep(3600)
        finally:
            log.append("timeout")
            await asyncio.sleep(0.01)

    async def retries():
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await slow()
            log.append("goes on")
            await asyncio.sleep(3600)

    async def background():
        async with Group() as group:
            task = group.spawn(retries)
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append(task)

    async def main():
        host = asyncio.create_task(background())
        while not log:
            await asyncio.sleep(0)
        host.cancel()
        await asyncio.wait([host])
        assert host.cancelled()

    log, ended = [], []
    asyncio.run(main())
    assert log == ["timeout", "goes on"] and ended[0].cancelled()


def test_who_cancels_one_task_cancels_it():
    """Whatever the host has done."""

    async def main():
        async with Group() as group:
            task = group.spawn(work.run)
            while not work.log:
                await asyncio.sleep(0)
            runner = next(iter(asyncio.all_tasks() - {asyncio.current_task()}))
            runner.cancel()
            await asyncio.sleep(0)
            task.cancel()
            assert await group.spawn(returns, 1) == 1

    work = Work()
    asyncio.run(main())
    assert work.log == ["begun"]
