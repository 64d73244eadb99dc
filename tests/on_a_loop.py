"""For tests of async code: `@on_a_loop` runs an async test with `asyncio.run`."""

import asyncio
import functools
import sys

from aioutils import Group


def on_a_loop(test):
    @functools.wraps(test)
    def run(**fixtures):
        return asyncio.run(test(**fixtures))

    return run


async def afinish(tool):
    """`four_tools.finish` in async code."""
    if isinstance(tool, Group):
        await tool.wait()
        return None
    return [result async for result in tool]


async def wait_for(awaitable, seconds):
    if sys.version_info >= (3, 12):
        return await asyncio.wait_for(awaitable, seconds)
    # that of 3.11, cancelled after its time was up, doesn't wait for the task that it made: so
    # the caller goes on although somebody of his still waits
    async with asyncio.timeout(seconds):
        return await asyncio.ensure_future(awaitable)


async def start_all(passes=5):
    """Lets what was spawned begin."""
    for _ in range(passes):
        await asyncio.sleep(0)


class Together:
    """Counts how many are inside at once, and the most that ever were."""

    def __init__(self):
        self.now = self.most = self.ever = 0

    async def stay(self, seconds=0.001):
        with self:
            await asyncio.sleep(seconds)
        return self.ever

    def __enter__(self):
        self.ever += 1
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *exception):
        self.now -= 1
