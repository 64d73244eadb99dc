"""Work that keeps a ledger of its clean-ups, for `ctrl_c_scenarios.py`."""

import asyncio
import contextlib
import itertools
import threading
import time


class Ledger:
    """Which `try` blocks were entered, and which of their `finally` blocks ran to the end."""

    def __init__(self, rng):
        self.begun = self.finished = self.disturbed = 0
        self.pauses = [rng.choice((0, 0, 0.0003, 0.002)) for _ in range(64)]
        self.running, self.blocked = threading.Event(), threading.Event()
        self.stuck = threading.Event()
        self._lock = threading.Lock()
        self._next = 0

    def pause(self):
        self._next += 1
        return self.pauses[self._next % 64]

    def add(self, begun=0, finished=0):
        with self._lock:
            self.begun += begun
            self.finished += finished
        self.running.set()

    async def endless(self):
        try:
            self.add(begun=1)
            while True:
                await asyncio.sleep(self.pause())
        finally:
            await self.clean_up()

    async def clean_up(self):
        """Who was cancelled cleans up undisturbed; who ends by himself may be cancelled here."""
        task = asyncio.current_task()
        cancelled = task.cancelling()
        try:
            await asyncio.sleep(self.pause())
            await asyncio.sleep(0)
        finally:
            if cancelled and task.cancelling() > cancelled:
                self.disturbed += 1
            self.add(finished=1)

    async def nested(self, tool):
        """Ends soon, having spawned its successor."""
        try:
            self.add(begun=1)
            await asyncio.sleep(self.pause())
            tool.spawn(self.nested(tool))
            return 1
        finally:
            await self.clean_up()

    def shortly(self, tool):
        async def task():
            try:
                self.add(begun=1)
                await asyncio.sleep(self.pause())
            finally:
                await self.clean_up()

        for _ in range(3):
            tool.spawn(task)

    def check(self):
        assert self.begun == self.finished, f"{self.begun} began, {self.finished} finished"
        assert not self.disturbed, f"{self.disturbed} were cancelled while they cleaned up"

    async def grouping(self, tool):
        """Not gather, which doesn't wait for the others once one of them was cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.endless())
            await tool.spawn(self.endless())

    async def item(self, n):
        try:
            self.add(begun=1)
            await asyncio.sleep(self.pause())
            return n
        finally:
            await self.clean_up()

    def source(self):
        try:
            self.add(begun=1)
            yield from itertools.count()
        finally:
            self.add(finished=1)

    async def async_source(self):
        try:
            self.add(begun=1)
            while True:
                yield await asyncio.sleep(self.pause())
        finally:
            await self.clean_up()

    async def never_clean(self):
        try:
            await asyncio.sleep(60)
        finally:
            self.stuck.set()
            await asyncio.sleep(60)

    async def blocks(self):
        self.blocked.set()
        self.pauses[:] = [0] * 64  # or nobody who cleans up would be in time
        while True:
            time.sleep(0.001)  # a longer one would not end, if a signal came on its brink

    def function(self):
        """For a worker thread: it can't be stopped, so it is waited for."""
        self.add(begun=1)
        try:
            time.sleep(0.003)
        finally:
            self.add(finished=1)

    @contextlib.asynccontextmanager
    async def context(self):
        try:
            self.add(begun=1)
            await asyncio.sleep(self.pause())
            yield
            await asyncio.sleep(self.pause())
        finally:
            await self.clean_up()

    def fill(self, tool):
        for _ in range(4):
            tool.spawn(self.endless())
        for _ in range(3):
            tool.spawn(self.nested, tool)
        tool.spawn(self.grouping, tool)
        return tool
