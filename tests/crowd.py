"""Threads that do random things to one tool until the time is up, and what they saw.

What each thread does is its seed's; how they interleave is the machine's. The main thread takes
part, and is interrupted again and again while it drives or waits, as by Ctrl-C.
"""

import asyncio
import contextlib
import faulthandler
import itertools
import os
import random
import re
import signal
import threading
import time
from concurrent.futures import CancelledError

from aioutils import Group


class Crowd:
    def __init__(self, tool, seed, seconds, threads):
        self.tool, self.seed, self.seconds = tool, seed, seconds
        self.numbers = range(1, threads)  # that of the main thread is 0
        self.until = time.monotonic() + seconds
        self.lock = threading.Lock()
        self.begun = self.ended = self.spawned = self.told = 0
        self.calls = self.interrupts = self.sent = self.handled = 0
        self.interruptible = False
        self.numbers_of_failures = itertools.count()
        self.failures, self.raised, self.seen = [], {}, set()  # by their texts

    # ---- what they have it do

    async def work(self, rng):
        try:
            with self.lock:
                self.begun += 1
            await asyncio.sleep(rng.choice((0, 0.001, 0.003)))
            if rng.random() < 0.2:
                self.spawn(self.work, rng)
            if rng.random() < 0.05:
                error = ValueError(f"the {next(self.numbers_of_failures)}th")
                self.raised[repr(error)] = error
                raise error
            return 1
        finally:
            with self.lock:
                self.ended += 1

    def function(self):
        with contextlib.suppress(CancelledError):
            self.spawn(asyncio.sleep, 0.001).result()

    def spawn(self, *work):
        with self.lock:
            self.spawned += 1
        task = self.tool.spawn(*work)
        task.add_done_callback(self.tell)
        return task

    def tell(self, _):
        with self.lock:
            self.told += 1

    def see(self, error):
        """One of a task, several, or one with notes of others."""
        errors = error.exceptions if isinstance(error, ExceptionGroup) else [error]
        self.seen.update(map(repr, errors))
        for error in errors:
            for note in getattr(error, "__notes__", ()):
                self.seen.update(re.findall(r"ValueError\('the \d+th'\)", note))

    # ---- what each of them does

    def follow(self, number):
        rng = random.Random(f"{self.seed} {number}")
        try:
            while time.monotonic() < self.until:
                self.step(rng)
                with self.lock:
                    self.calls += 1
        except BaseException as error:
            self.failures.append(error)

    def step(self, rng):
        for _ in range(rng.randint(1, 3)):
            task = self.spawn(self.work, rng)
        if rng.random() < 0.1:
            self.spawn(self.function)
        try:
            self.wait(rng, task)
        except (TimeoutError, CancelledError):
            pass
        except (ValueError, ExceptionGroup) as error:
            self.see(error)

    def wait(self, rng, task):
        way = rng.choice(("join", "join", "short join", "result", "short result", "cancel", "poll"))
        if way == "cancel":
            task.cancel()
        elif way == "short result":
            task.result(timeout=rng.random() * 0.005)
        elif way == "result":
            task.result()
        elif isinstance(self.tool, Group):
            self.tool.join({"short join": rng.random() * 0.005, "poll": 0, "join": 1}[way])
        else:
            self.iterate(way, rng)

    def iterate(self, way, rng):
        timeout = {"short join": rng.random() * 0.005, "poll": 0, "join": 0.05}[way]
        with contextlib.closing(self.tool.yielding(timeout)) as results:
            for _ in results:
                if rng.random() < 0.1:
                    break

    # ---- the main thread

    def lead(self):
        rng = random.Random(f"{self.seed} 0")
        before = signal.signal(signal.SIGINT, self.interrupt)
        sender = threading.Thread(target=self.send_interrupts, daemon=True)
        sender.start()
        try:
            while time.monotonic() < self.until:
                task = self.spawn(self.work, rng)
                try:
                    try:
                        self.interruptible = True
                        self.wait(rng, task)
                    finally:
                        self.interruptible = False
                except KeyboardInterrupt:
                    self.interrupts += 1
                except (TimeoutError, CancelledError):
                    pass
                except (ValueError, ExceptionGroup) as error:
                    self.see(error)
        finally:
            sender.join()
            signal.signal(signal.SIGINT, before)

    def interrupt(self, *_):
        self.handled += 1
        if self.interruptible:
            self.interruptible = False  # once: the clean-up is not what is to be interrupted
            raise KeyboardInterrupt

    def send_interrupts(self):
        rng = random.Random(f"{self.seed} signals")
        while time.monotonic() < self.until - 0.1:
            time.sleep(0.01 + rng.random() * 0.1)
            if self.sent == self.handled:  # a second one would give up what the first cleans up
                self.sent += 1
                os.kill(os.getpid(), signal.SIGINT)

    def run(self):
        faulthandler.dump_traceback_later(self.seconds + 30, exit=False)
        threads = [
            threading.Thread(target=self.follow, args=(n,), daemon=True) for n in self.numbers
        ]
        for thread in threads:
            thread.start()
        self.lead()
        for thread in threads:
            thread.join(self.until + 30 - time.monotonic())
        hanging = [thread for thread in threads if thread.is_alive()]
        faulthandler.cancel_dump_traceback_later()
        assert not hanging, f"{len(hanging)} threads hang, AIOUTILS_SEED={self.seed}: {self.tool!r}"
        for error in self.failures:
            raise error
