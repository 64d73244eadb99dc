"""The same in async code, on the loop that runs there."""

import asyncio
import contextlib

from actions import Actions
from blocks import WAYS


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
        if number not in self.tools.yielders:
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

    async def aapply(self, action):
        await asyncio.to_thread(self.apply, action)

    async def acall(self, action):
        await asyncio.to_thread(self.call, action)

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

    async def afirst(self, count, results, iterate, *args, **options):
        """`first` in async code. What was let go is cancelled, and goes on cleaning up."""
        async with contextlib.AsyncExitStack() as stack:
            async for result in await self.aclosed_by(stack, iterate(*args, **options)):
                results.append(result)
                self.ledger.see(result)
                if len(results) > count:
                    break

    async def aclosed_by(self, stack, stream):
        return await stack.enter_async_context(contextlib.aclosing(stream))

    async def amap(self, action):
        if action.works:
            tool, works, outcomes = self.tools[action.tool], action.works, []
            body, (source, error) = self.bodies.of(works[0]), self.source_of(action)
            options = {"isolate": action.fraction < 0.8, "return_exceptions": True}
            with self.ledger.iterating(works, action.tool):
                await self.afirst(len(works), outcomes, tool.imap, body, source, **options)
            self.ledger.promise(error is None, "what the source raised is lost")
            self.ledger.promise(len(outcomes) == len(works), "map gave", outcomes, "for", works)
            self.check_outcomes(outcomes, works)

    async def aimap(self, action):
        if action.works:
            tool, works, results = self.tools[action.tool], action.works, []
            body, source = self.bodies.of(works[0]), self.source_of(action)[0]
            unordered = action.number % 2
            options = {"isolate": action.fraction < 0.8, "buffer": action.number % 4 or None}
            options["return_exceptions"] = action.number % 5 == 0
            with self.ledger.iterating(works, action.tool):
                iterate = tool.imap_unordered if unordered else tool.imap
                await self.afirst(10 * action.fraction, results, iterate, body, source, **options)
            self.check_outcomes(results, works, unordered)

    async def aenter(self, action):
        if action.number % 2:
            return
        number, task = action.tool, asyncio.current_task()
        self.ledger.closing.add(number)
        self.ledger.cut_short.add(number)
        way = WAYS[int(action.fraction * len(WAYS))]
        before = task.cancelling()
        try:
            async with self.tools[number]:
                if number in self.tools.yielders and way in ("wait", "completed"):
                    self.spawn(action)
                    await self.await_end(number, 0.01)
                else:
                    await self.bodies.blocks.wait(number, action.works, way)
        finally:
            kept = task.cancelling() - before
            self.ledger.promise(not kept, "its block left", kept, "requests to cancel its task")
