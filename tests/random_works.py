"""What the works of `random_programs.py` are, and what they wait with."""

import asyncio
import sys


async def wait_for(awaitable, seconds):
    if sys.version_info >= (3, 12):
        return await asyncio.wait_for(awaitable, seconds)
    # that of 3.11, cancelled after its time was up, doesn't wait for the task that it made: so
    # the caller goes on although somebody of his still waits
    async with asyncio.timeout(seconds):
        return await asyncio.ensure_future(awaitable)


class Boom(Exception):
    pass


class Work:
    """One piece of work: its steps, drawn beforehand, and what became of it."""

    def __init__(self, rng, number, depth):
        self.number = number
        self.is_function = rng.random() < 0.2
        self.children = [
            Work(rng, (*number, n), depth + 1)
            for n in range(rng.choice((0, 0, 1, 2, 3)) if depth < 3 else 0)
        ]
        self.pause = rng.choice((0, 0, 0.0005, 0.002))
        self.clean_up = rng.choice((None, None, 0, 0.001))
        self.fails = rng.random() < 0.1
        # what to do with the children: leave them alone, or await them in some way
        self.way = rng.choice(("leave", "await", "backwards", "gather", "wait_for", "group"))
        self.cancels = rng.random() < 0.1
        self.elder_sibling = rng.random() < 0.2
        self.begun = self.ended = 0
        self.outcome = self.task = None

    def family(self):
        yield self
        for child in self.children:
            yield from child.family()
