"""What carries out a work in async code: a coroutine, or an async generator."""

import asyncio
import contextlib
import sys

from blocks import WAYS, Blocks
from bodies import Bodies
from on_a_loop import wait_for
from works import Boom

from aioutils import DeadlockError, WrongLoopError, dual


class AsyncBodies(Bodies):
    def __init__(self, tools, ledger):
        super().__init__(tools, ledger)
        self.blocks = Blocks(self)

    async def coroutine(self, work):
        self.ledger.begin(work)
        with self.recorded(work):
            try:
                for step in work.steps:
                    await self.take(work, step)
                return self.conclude(work)
            finally:
                await self.clean_up(work)
                if work.fails_late:
                    self.ledger.fail(work, late=True)

    @dual
    async def dual(self, work):
        return await self.coroutine(work)

    async def flow(self, work):
        self.ledger.begin(work)
        with self.recorded(work):
            try:
                for count, step in enumerate(work.steps):
                    await self.take(work, step)
                    number = (*work.number, "item", count)
                    self.ledger.given[work.tool].append(number)
                    with self.ledger.lent(work):
                        yield number
                self.conclude(work)
            finally:
                await self.clean_up(work)

    async def clean_up(self, work):
        """It is to finish: what has cancelled the work before must not cancel this too."""
        error = sys.exception()
        if isinstance(error, asyncio.CancelledError) and not hasattr(error, "of_another"):
            work.cancels = min(1, asyncio.current_task().cancelling())
        if work.clean_up is None:
            return
        try:
            for _ in range(2):
                await asyncio.sleep(work.clean_up)
        except BaseException as error:
            work.cancels += 1
            cancelled = isinstance(error, asyncio.CancelledError)
            self.ledger.promise(cancelled, work, "was torn in its clean-up by", repr(error))
            raise

    async def take(self, work, step):
        if step.way == "sleep":
            await asyncio.sleep(step.number)
        elif step.way == "swallow":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(step.number)
        elif step.way == "elder":
            if work.elder is not None and work.elder.task is not None:
                await self.see(work, work.elder)
        elif step.way in ("map", "break"):
            await self.map(work, step)
        elif step.way == "scope":
            with self.waiting(work):
                await self.scope(step)
        elif not self.take_at_once(work, step):
            with self.waiting(work, may_be_refused=step.way == "block"):
                await self.wait(work, step, [one for one in step.works if self.spawn(one)])

    async def wait(self, work, step, works):
        if step.way == "block":
            for one in works:
                self.ledger.check_result(one, one.task.result(timeout=0.005))
        elif step.way == "gather":
            waits = (self.see(work, one, lent=True) for one in works)
            await asyncio.gather(*waits, return_exceptions=True)
        elif step.way == "group":
            try:
                async with asyncio.TaskGroup() as tasks:
                    for one in works:
                        tasks.create_task(self.see(work, one, lent=True))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
        else:
            for one in reversed(works) if step.way == "backwards" else works:
                wait = self.see(work, one, lent=True)
                await (wait_for(wait, 0.001) if step.way == "wait_for" else wait)

    async def scope(self, step):
        """A tool of the work's own; what runs there has ended as its block is left, unless that
        was refused: one that blocks a loop waits for this work."""
        number = step.works[0].tool
        way = WAYS[int(step.number * len(WAYS))]
        refused = False
        try:
            async with self.tools[number]:
                await self.blocks.wait(number, step.works, way)
        except BaseExceptionGroup as errors:
            self.ledger.see(errors)
            raise errors.exceptions[0] from None
        except (DeadlockError, WrongLoopError):
            refused = True
            raise
        finally:
            if not refused:
                self.ledger.check_over(self.ledger.spawned(number))

    async def see(self, work, other, lent=False):
        """Awaits another work's task; that it was cancelled is no reason to end."""
        with contextlib.nullcontext() if lent else self.waiting(work):
            try:
                self.ledger.check_result(other, await other.task)
            except asyncio.CancelledError as error:
                if other.task.cancelled():
                    error.of_another = True  # and a request to cancel this one may come yet
                if asyncio.current_task().cancelling() or not other.task.cancelled():
                    raise
            except Boom as error:
                self.ledger.see(error)
                raise

    async def map(self, work, step):
        works, tool = step.works, self.tools[step.works[0].tool]
        source = self.asource(works) if step.number < 0.5 else self.source(works)
        most = len(works) if step.way == "map" else int(len(works) * step.number)
        with self.waiting(work), self.ledger.iterating(works):
            results = []
            stream = tool.imap(self.of(works[0]), source, isolate=step.number < 0.7)
            try:
                async for result in stream:
                    results.append(result)
                    if len(results) >= most:
                        break
            finally:
                await stream.aclose()
            expected = [one.result for one in works[: len(results)]]
            self.ledger.promise(results == expected, work, "imap gave", results, "for", expected)
