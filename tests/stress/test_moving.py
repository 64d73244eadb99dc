"""A tool that two running loops use in turn, each in a thread of its own, while a third spawns.

Where something is under way on the one, the other is refused; else the tool moves over. Whatever is
spawned runs once, on one loop from its begin to its end.
"""

import asyncio
import os
import random
import sys
import time

import pytest

from aioutils import Group, Pool, WrongLoopError

SEED = int(os.environ.get("AIOUTILS_SEED", "1"))
TRIALS = 300 if os.environ.get("AIOUTILS_STRESS") == "long" else 3
COUNT = 200


class Trial:
    def __init__(self, seed):
        print(f"AIOUTILS_SEED={seed}")
        self.rng = random.Random(seed)
        self.tool = self.rng.choice((Group, lambda: Pool(1), lambda: Pool(3)))()
        self.begun, self.tasks = [], []
        self.all_spawned = False
        self.refused = self.waited = 0

    async def work(self, n, pauses):
        loop = asyncio.get_running_loop()
        self.begun.append(n)
        for _ in range(pauses):
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is loop
        return n

    def spawn(self, rng):
        for n in range(COUNT):
            self.tasks.append(self.tool.spawn(self.work, n, rng.choice((0, 0, 1, 3))))
            if rng.random() < 0.7:
                time.sleep(rng.choice((0, 0, 1e-5, 1e-4)))
        self.all_spawned = True

    async def use(self, rng):
        while not self.all_spawned or len(self.tool):
            try:
                await self.tool.wait()
                self.waited += 1
            except WrongLoopError:
                self.refused += 1
            for _ in range(rng.randint(0, 3)):
                await asyncio.sleep(0)

    def run(self, in_thread):
        first, second, spawner = (random.Random(self.rng.random()) for _ in range(3))
        calls = [in_thread(asyncio.run, self.use(rng)) for rng in (first, second)]
        calls.append(in_thread(self.spawn, spawner))
        for call in calls:
            call(15)


@pytest.fixture
def _many_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.timeout(1800 if TRIALS > 3 else 20)
@pytest.mark.usefixtures("_many_switches")
def test_a_tool_that_moves_loses_nothing_and_runs_nothing_twice(in_thread):
    for seed in range(SEED, SEED + TRIALS):
        trial = Trial(seed)
        trial.run(in_thread)
        with trial.tool as tool:
            tool.join()
        assert sorted(trial.begun) == list(range(COUNT))
        assert [task.result() for task in trial.tasks] == list(range(COUNT))
        print(f"{trial.waited} waits, {trial.refused} refused")
