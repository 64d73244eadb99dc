"""The same in async code, on the loop that runs there."""

import asyncio
import contextlib

from actions import Actions


class AsyncActions(Actions):
    async def afollow(self, plan):
        for action in plan:
            with self.ledger.expecting(action.tool):
                try:
                    await getattr(self, f"a{action.way}", self._at_once)(action)
                except asyncio.CancelledError:
                    if asyncio.current_task().cancelling():
                        raise

    async def _at_once(self, action):
        """What waits for nothing, and so is the same in both worlds."""
        getattr(self, action.way)(action)

    async def await_end(self, number, timeout=None):
        tool, ledger = self.tools[number], self.ledger
        if number in self.tools.mappers:
            spawned = ledger.spawned(number)
            done = await tool.wait(timeout)
            if done:
                ledger.check_end(number, spawned)
            return done
        results = []
        ledger.handed_out[number].append(results)
        with self.cutting_short(number):
            async for result in tool.yielding(timeout):
                results.append(result)
        return True

    async def afinish(self, action):
        if action.number % 3:
            await self.await_end(action.tool, action.fraction * 0.01)
        elif action.tool in self.tools.mappers:
            async with asyncio.timeout(action.fraction * 0.01):  # cancels the wait
                await self.await_end(action.tool)

    async def apoll(self, action):
        await self.await_end(action.tool, 0)

    async def apause(self, action):
        await asyncio.sleep(action.fraction * 0.002)

    async def aleave(self, action):
        if action.tool in self.tools.mappers:
            return await self.acompleted(action)
        results = []
        self.ledger.handed_out[action.tool].append(results)
        self.ledger.cut_short.add(action.tool)
        async with contextlib.aclosing(self.tools[action.tool].yielding(0.01)) as stream:
            async for result in stream:
                results.append(result)
                if len(results) > 3 * action.fraction:
                    break

    async def acompleted(self, action):
        if action.tool in self.tools.mappers:
            found = []
            async for task in self.tools[action.tool].as_completed():
                found.append(task)
                if len(found) > 5 * action.fraction:
                    break
            self.ledger.promise(len(found) == len(set(found)), "handed out twice:", found)

    async def aresult(self, action):
        if (work := self.some_work(action)) is not None:
            async with asyncio.timeout(action.fraction * 0.01):
                self.ledger.check_result(work, await work.task)

    aexception = aresult

    async def amap(self, action):
        if action.works:
            tool, works = self.tools[action.tool], action.works
            source, error = self.source_of(action)
            options = {"isolate": action.fraction < 0.8, "return_exceptions": True}
            outcomes = []
            async for outcome in tool.imap(self.bodies.of(works[0]), source, **options):
                outcomes.append(outcome)
                self.ledger.see(outcome)
            self.check_all(outcomes, works, error)

    async def aimap(self, action):
        if action.works:
            tool, results = self.tools[action.tool], []
            body, source = self.bodies.of(action.works[0]), self.source_of(action)[0]
            options = {"isolate": action.fraction < 0.8, "buffer": action.number % 4 or None}
            stream = tool.imap(body, source, **options)
            async with contextlib.aclosing(stream):
                async for result in stream:
                    results.append(result)
                    if len(results) > 10 * action.fraction:
                        break
            expected = [work.result for work in action.works[: len(results)]]
            self.ledger.promise(results == expected, "imap gave", results, "for", expected)

    async def aenter(self, action):
        if action.number % 4 == 0:
            self.ledger.closing.add(action.tool)
            self.ledger.cut_short.add(action.tool)
            async with self.tools[action.tool]:
                await asyncio.sleep(action.fraction * 0.001)
