"""One random program: tools, works, and what one to three threads do with them.

What is drawn is the seed's; how threads and tasks interleave is the machine's. Some programs run
in async code, where the tools are on the loop of `asyncio.run`; threads come beside it all the
same.
"""

import asyncio
import contextlib
import logging
import random
import threading

from actions import draw_plan
from async_actions import AsyncActions
from async_bodies import AsyncBodies
from draw import Draw
from ledger import Ledger
from mood import Mood
from tools import Tools

from aioutils import DeadlockError, WrongLoopError

ENDS = ("join", "join", "join", "close", "with", "error")


class Program:
    def __init__(self, seed, loop_factory=None):
        self.rng = rng = random.Random(f"program {seed}")
        self.loop_factory = loop_factory
        self.mood = mood = Mood(rng)
        self.tools = Tools(rng, lambda: self.ledger, mood)
        self.ledger = Ledger(self.tools)
        self.bodies = AsyncBodies(self.tools, self.ledger)
        self.actions = AsyncActions(self.tools, self.ledger, self.bodies)
        draw = Draw(rng, self.tools, mood)
        self.roots = [draw.work(n) for n in range(rng.randint(1, 6))]
        names = ["main", "second", "third"][: mood.plans]
        self.plans = [draw_plan(draw, name) for name in names]
        self.actions.lets_go = mood.lets_go
        self.end = "join" if mood.calm else rng.choice(ENDS)
        # Two loops, or a host's beside our own: some waits can't be, and are refused.
        self.ledger.may_be_refused = len(set(self.tools.homes)) > 1 or mood.in_async_code
        self.ledger.alone = len(self.tools.numbers) == len(self.plans) == 1
        self.ledger.mood = mood
        self.ledger.kept = rng.choice((None, []))

    def run(self):
        log = logging.getLogger("aioutils")
        log.addHandler(self.ledger)
        try:
            if self.mood.in_async_code:
                with asyncio.Runner(loop_factory=self.loop_factory) as runner:
                    runner.run(self.run_async())
            else:
                self.run_sync()
            for tool in self.tools:
                with self.ledger.expecting(None):
                    tool.close()
            self.ledger.promise(not self.ledger.entered, "contexts were not left")
            self.ledger.check()
        finally:
            log.removeHandler(self.ledger)
            self.tools.shut_down()
        assert not self.ledger.broken, "\n".join(self.ledger.broken)

    def follow(self, plan):
        try:
            self.actions.follow(plan)
        except BaseException as error:
            self.ledger.broken.append(f"{threading.current_thread().name}: {error!r}")
            raise

    @contextlib.contextmanager
    def threads(self):
        """The other threads, at work until the end of the block or after."""
        threads = [threading.Thread(target=self.follow, args=(plan,)) for plan in self.plans[1:]]
        for root in self.roots:
            self.bodies.spawn(root)
        for thread in threads:
            thread.start()
        try:
            yield threads
        finally:
            for thread in threads:
                thread.join()

    def left(self):
        """Tools that have something to do, to tell, or to hand out."""
        open_ones = [n for n in self.tools.numbers if not self.tools[n]._scheduler.closed]
        joined = [n for n in open_ones if n in self.tools.mappers]
        if any(len(self.tools[n]) for n in open_ones) or any(self.tools[n].errors for n in joined):
            return open_ones
        return [n for n in open_ones if (order := self.tools[n]._scheduler.order) and order.ready()]

    # ---- in sync code

    def run_sync(self):
        with self.threads():
            self.follow(self.plans[0])
            if self.end != "join":
                self.leave()
        while left := self.left():
            for number in left:
                with self.ledger.expecting(number):
                    self.actions.wait(number, None)

    def leave(self):
        """Ends one of the tools in another way, beside the other threads."""
        number = self.rng.choice(self.tools.numbers)
        self.ledger.closing.add(number)
        self.ledger.cut_short.add(number)
        with self.ledger.expecting(number):
            if self.end == "close":
                self.tools[number].close()
            else:
                with self.tools[number]:
                    if self.end == "error":
                        self.ledger.fail_at("block")

    # ---- in async code

    async def run_async(self):
        with contextlib.ExitStack() as stack:
            threads = stack.enter_context(self.threads())
            await self.actions.afollow(self.plans[0])
            if self.end != "join":
                await self.aleave()
            for thread in threads:
                await asyncio.to_thread(thread.join)
        while left := self.left():
            for number in left:
                with self.ledger.expecting(number):
                    await self.await_end(number)

    async def await_end(self, number):
        try:
            await self.actions.await_end(number)
        except (DeadlockError, WrongLoopError):  # a thread has bound it to a loop of its own
            await asyncio.to_thread(self.actions.wait, number, None)

    async def aleave(self):
        number = self.rng.choice(self.tools.numbers)
        self.ledger.closing.add(number)
        self.ledger.cut_short.add(number)
        with self.ledger.expecting(number), contextlib.suppress(asyncio.CancelledError):
            if self.end == "close":
                await self.tools[number].aclose()
            else:
                async with self.tools[number]:
                    if self.end == "error":
                        self.ledger.fail_at("block")
