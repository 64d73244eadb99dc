"""Many threads spawn, join, iterate and cancel on one tool: somebody always takes over."""

import asyncio
import contextlib
import faulthandler
import os
import random
import threading
import time
from concurrent.futures import CancelledError

import pytest

from aioutils import Group, OrderedYielder, Pool, Yielder

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = os.environ.get("AIOUTILS_SEED", "1")
SECONDS = 30 if LONG else 1.5
THREADS = 16 if LONG else 8

pytestmark = pytest.mark.timeout(120)


class Crowd:
    """Threads that do random things to one tool until the time is up, and what they saw."""

    def __init__(self, tool):
        self.tool = tool
        self.until = time.monotonic() + SECONDS
        self.begun = self.ended = self.calls = 0
        self.lock = threading.Lock()
        self.failures, self.raised, self.seen = [], set(), set()

    async def work(self, rng):
        try:
            with self.lock:
                self.begun += 1
            await asyncio.sleep(rng.choice((0, 0.001, 0.003)))
            if rng.random() < 0.2:
                self.tool.spawn(self.work, rng)
            if rng.random() < 0.05:
                error = ValueError("drawn")
                self.raised.add(error)
                raise error
            return 1
        finally:
            with self.lock:
                self.ended += 1

    def function(self):
        with contextlib.suppress(CancelledError):
            self.tool.spawn(asyncio.sleep, 0.001).result()

    def follow(self, number):
        rng = random.Random(f"{SEED} {number}")
        try:
            while time.monotonic() < self.until:
                self.step(rng)
                with self.lock:
                    self.calls += 1
        except BaseException as error:
            self.failures.append(error)

    def step(self, rng):
        for _ in range(rng.randint(1, 3)):
            task = self.tool.spawn(self.work, rng)
        if rng.random() < 0.1:
            self.tool.spawn(self.function)
        way = rng.choice(("join", "join", "short join", "result", "short result", "cancel", "poll"))
        try:
            if way == "cancel":
                task.cancel()
            elif way == "short result":
                task.result(timeout=rng.random() * 0.005)
            elif way == "result":
                task.result()
            elif isinstance(self.tool, Group):
                wait = {"short join": rng.random() * 0.005, "poll": 0, "join": 1}[way]
                self.tool.join(wait)
            else:
                self.iterate(way, rng)
        except (TimeoutError, CancelledError):
            pass
        except ValueError as error:
            self.seen.add(error)
        except ExceptionGroup as errors:
            self.seen.update(errors.exceptions)

    def iterate(self, way, rng):
        timeout = {"short join": rng.random() * 0.005, "poll": 0, "join": 0.05}[way]
        with contextlib.closing(self.tool.yielding(timeout)) as results:
            for _ in results:
                if rng.random() < 0.1:
                    break

    def run(self):
        faulthandler.dump_traceback_later(SECONDS + 30, exit=False)
        threads = [
            threading.Thread(target=self.follow, args=(n,), daemon=True) for n in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 30)
        hanging = [thread for thread in threads if thread.is_alive()]
        faulthandler.cancel_dump_traceback_later()
        assert not hanging, f"{len(hanging)} threads hang, AIOUTILS_SEED={SEED}: {self.tool!r}"
        for error in self.failures:
            raise error


@pytest.mark.parametrize(
    "make",
    [
        lambda: Group(threads=3),
        lambda: Pool(1),
        lambda: Pool(4),
        lambda: Yielder(4),
        lambda: OrderedYielder(4),
    ],
    ids=["group", "pool of 1", "pool of 4", "yielder", "ordered yielder"],
)
def test_threads_that_do_everything_at_once_neither_hang_nor_lose_anything(make):
    with make() as tool:
        crowd = Crowd(tool)
        crowd.run()
        if isinstance(tool, Group):
            assert tool.join(10, raise_error=False)
        else:
            with contextlib.suppress(ValueError):
                list(tool.yielding(10))
        assert len(tool) == 0
        assert crowd.begun == crowd.ended
        assert crowd.calls > THREADS
        if isinstance(tool, Group):  # joins and results tell of all
            assert crowd.raised == crowd.seen | set(tool.take_errors())
        tool.take_errors()


def test_the_next_thread_drives_when_the_driver_times_out(in_thread):
    """A relay: each driver leaves after 10 ms, the work takes as long as all of them together."""
    with Group() as group:
        task = group.spawn(asyncio.sleep, 0.1, "there")
        calls = [in_thread(group.join, 0.01 * n) for n in range(1, 9)]
        last = in_thread(task.result)
        assert last() == "there"
        for call in calls:
            assert call() in (True, False)


def test_what_one_thread_spawns_while_another_drives_is_started_at_once(in_thread):
    with Group() as group:
        driving = threading.Event()

        async def wait_for_event(event):
            driving.set()
            while not event.is_set():
                await asyncio.sleep(0.001)

        over = threading.Event()
        group.spawn(wait_for_event, over)
        driver = in_thread(group.join)
        driving.wait(5)
        for n in range(200):
            assert group.spawn(asyncio.sleep, 0, n).result(5) == n
        over.set()
        assert driver() is True


def test_each_of_many_results_reaches_the_thread_that_asked():
    """No wake-up is lost: a thread that missed one would wait for ever."""
    rounds, failures = 200 if LONG else 40, []

    def ask(group, number):
        try:
            for n in range(rounds):
                task = group.spawn(asyncio.sleep, 0.0003 * (n % 3), (number, n))
                assert task.result(20) == (number, n)
        except BaseException as error:
            failures.append(error)

    with Group() as group:
        threads = [threading.Thread(target=ask, args=(group, n)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
