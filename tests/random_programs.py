"""Random programs over the public API, and a model of what must hold when they have run.

A program is drawn from its seed: a forest of works (what each awaits, spawns, cancels, raises)
and what one to three threads do with the tool meanwhile. How the threads interleave is the
machine's; everything else is the seed's.
"""

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError

from random_works import Boom, Work, wait_for

from aioutils import Group, OrderedYielder, Pool, Yielder


class Program:
    def __init__(self, seed):
        self.rng = rng = random.Random(f"program {seed}")
        self.size = rng.randint(1, 5)
        self.tool = rng.choice(
            (
                lambda: Group(threads=self.size),
                lambda: Pool(self.size),
                lambda: Pool(self.size),
                lambda: Yielder(self.size),
                lambda: OrderedYielder(self.size, keep_none=True),
            )
        )()
        self.roots = [Work(rng, (n,), 0) for n in range(rng.randint(1, 8))]
        self.works = [work for root in self.roots for work in root.family()]
        self.limited = not isinstance(self.tool, Group) or isinstance(self.tool, Pool)
        self.lock = threading.Lock()
        self.running = self.most = 0
        self.spawned = []  # works, in order of spawning
        self.handed_out = []  # numbers of works, a list for each iteration
        self.raised, self.seen = set(), set()

    # ---- what the works do

    def spawn(self, work, elder=None):
        with self.lock:
            body = self.function if work.is_function else self.coroutine
            work.task = self.tool.spawn(body, work, elder)
            self.spawned.append(work)

    def count(self, change):
        with self.lock:
            self.running += change
            self.most = max(self.most, self.running)

    def begin(self, work):
        work.begun += 1
        self.count(+1)
        for elder, child in zip([None, *work.children], work.children, strict=False):
            self.spawn(child, elder)
        if work.cancels and work.children:
            work.children[-1].task.cancel()

    def end(self, work):
        if work.fails:
            error = Boom(work.number)
            self.raised.add(error)
            raise error
        work.outcome = "returned"
        return work.number

    async def coroutine(self, work, elder):
        try:
            self.begin(work)
            await asyncio.sleep(work.pause)
            if work.elder_sibling and elder is not None:
                await self.waiting(self.see(elder))
            await self.waiting(self.for_children(work))
            return self.end(work)
        except asyncio.CancelledError:
            work.outcome = "cancelled"
            raise
        except Boom:
            work.outcome = "raised"
            raise
        finally:
            try:
                if work.clean_up is not None:
                    await asyncio.sleep(work.clean_up)
            except asyncio.CancelledError:
                work.outcome = "cancelled"
                raise
            finally:
                self.count(-1)
                work.ended += 1

    def function(self, work, elder):
        try:
            self.begin(work)
            time.sleep(work.pause)
            if work.way != "leave":
                for child in work.children:
                    self.count(-1)
                    try:
                        child.task.result()
                    except CancelledError:
                        pass
                    except Boom as error:
                        self.seen.add(error)
                        raise
                    finally:
                        self.count(+1)
            return self.end(work)
        except Boom:
            work.outcome = "raised"
            raise
        finally:
            self.count(-1)
            work.ended += 1

    async def waiting(self, awaitable):
        """A task lends its slot while it waits for others."""
        self.count(-1)
        try:
            return await awaitable
        finally:
            self.count(+1)

    async def see(self, work):
        try:
            return await work.task
        except Boom as error:
            self.seen.add(error)
            raise

    async def for_children(self, work):
        if work.way == "await":
            for child in work.children:
                await self.see(child)
        elif work.way == "backwards":
            for child in reversed(work.children):
                await self.see(child)
        elif work.way == "gather":
            await asyncio.gather(*map(self.see, work.children), return_exceptions=True)
        elif work.way == "wait_for":
            for child in work.children:
                try:
                    await wait_for(self.see(child), 0.001)
                except TimeoutError:
                    pass
        elif work.way == "group":
            try:
                async with asyncio.TaskGroup() as tasks:
                    for child in work.children:
                        tasks.create_task(self.see(child))
            except* Boom as errors:
                raise errors.exceptions[0] from None

    # ---- what the threads do

    def run(self):
        plans = [self.plan() for _ in range(self.rng.choice((0, 0, 1, 2)))]
        mine, roots = self.plan(), list(self.roots)
        for root in roots:
            self.spawn(root)
        failures = []

        def follow(plan):
            try:
                for step in plan:
                    self.step(*step)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=follow, args=(plan,)) for plan in plans]
        for thread in threads:
            thread.start()
        follow(mine)
        for thread in threads:
            thread.join()
        for error in failures:
            raise error
        self.finish()
        self.check()
        self.tool.close()

    def plan(self):
        ways = ("wait", "poll", "wait", "result", "cancel one", "cancel all", "pause", "leave")
        weights = (4, 4, 4, 3, 1, 0.3, 2, 2)
        return [
            (self.rng.choices(ways, weights)[0], self.rng.random(), self.rng.randrange(1000))
            for _ in range(self.rng.randint(0, 5))
        ]

    def step(self, way, fraction, number):
        task = self.spawned[number % len(self.spawned)].task
        try:
            if way == "wait":
                self.wait(fraction * 0.01)
            elif way == "poll":
                self.wait(0)
            elif way == "result":
                task.result(timeout=fraction * 0.01)
            elif way == "cancel one":
                task.cancel()
            elif way == "cancel all":
                self.tool.cancel()
            elif way == "pause":
                time.sleep(fraction * 0.002)
            elif isinstance(self.tool, Yielder):
                with contextlib.closing(self.tool.yielding()) as results:
                    next(results, None)
        except (TimeoutError, CancelledError):
            pass
        except Boom as error:
            self.see_all(error)
        except ExceptionGroup as errors:
            self.seen.update(errors.exceptions)

    def see_all(self, error):
        self.seen.add(error)
        for note in getattr(error, "__notes__", ()):
            self.seen.update(other for other in self.raised if repr(other) in note)

    def wait(self, timeout):
        if isinstance(self.tool, Group):
            return self.tool.join(timeout)
        handed_out = []
        self.handed_out.append(handed_out)
        handed_out.extend(self.tool.yielding(timeout))
        return True

    def finish(self):
        done = False
        while not done:
            try:
                done = self.wait(None)
            except Boom as error:
                self.see_all(error)
            except ExceptionGroup as errors:
                self.seen.update(errors.exceptions)

    # ---- what must hold

    def check(self):
        # Boom that turned into a cancellation in its `finally` is no failure of the task
        failed = {work.number for work in self.spawned if work.outcome == "raised"}
        raised = {error for error in self.raised if error.args[0] in failed}
        lost = raised - self.seen - set(self.tool.take_errors())
        for work in self.spawned:
            assert work.begun == work.ended <= 1, (work.number, work.begun, work.ended)
            assert work.task.done() and work.task not in self.tool, work.task
            self.check_outcome(work)
        assert self.running == 0
        if self.limited:
            assert self.most <= self.size, f"{self.most} ran at once in {self.tool!r}"
        assert not lost, f"failures that nobody saw: {lost}"
        assert len(self.tool) == 0
        counts = Counter(number for numbers in self.handed_out for number in numbers)
        assert not counts or max(counts.values()) == 1, f"handed out twice: {counts}"
        if isinstance(self.tool, OrderedYielder) and threading.active_count() == 1:
            place = {work.number: n for n, work in enumerate(self.spawned)}
            for numbers in self.handed_out:
                places = [place[number] for number in numbers]
                assert places == sorted(places), f"out of order: {numbers}"

    def check_outcome(self, work):
        if not work.begun or work.outcome == "cancelled":
            assert work.task.cancelled(), (work.number, work.outcome, work.task)
        elif not (work.is_function and work.task.cancelled()):  # it ran to its end all the same
            failed = work.task.exception() is not None
            assert failed == (work.outcome == "raised"), (work.number, work.outcome, work.task)
