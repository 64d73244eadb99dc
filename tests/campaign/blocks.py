"""The block of an `async with`, which waits itself while the tasks of its tool run."""

import asyncio
import contextlib

WAYS = ("none", "sleep", "await", "wait", "completed")


class Blocks:
    def __init__(self, bodies):
        self.bodies, self.tools, self.ledger = bodies, bodies.tools, bodies.ledger

    async def wait(self, number, works, way):
        """Spawns these, and waits in one of the ways."""
        works = [work for work in works if self.bodies.spawn(work)]
        if way == "sleep":
            await self.sleep(number)
        elif way == "await":
            for work in works:
                await self.bodies.see(work, work, lent=True)
        elif way == "wait":
            await self.tools[number].wait()
        elif way == "completed":
            async with contextlib.aclosing(self.tools[number].as_completed()) as tasks:
                async for task in tasks:
                    self.ledger.promise(task.done(), task, "handed out by as_completed()")

    async def sleep(self, number):
        """Under "cancel" a failure that comes meanwhile ends the sleep."""
        before = self.failed(number)
        await asyncio.sleep(0.001)
        if self.tools.on_error[number] == "cancel":
            late = self.failed(number) - before
            self.ledger.promise(not late, "the block slept on beside the failure of", late)

    def failed(self, number):
        spawned = self.ledger.spawned(number)
        return {work for work in spawned if work.task._state.value == "failed"}
