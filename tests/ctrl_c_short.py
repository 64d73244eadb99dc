"""Short lives of tools, for `ctrl_c_moments.py`: each ends by itself."""

import asyncio
import contextlib

from aioutils import Group, OrderedYielder, Pool, Yielder, yielding


class Count:
    """Which `try` blocks were entered, and which of their `finally` blocks ran to the end."""

    def __init__(self):
        self.begun = self.finished = self.disturbed = 0

    def add(self, begun=0, finished=0):
        self.begun += begun
        self.finished += finished

    async def clean_up(self):
        """Who was cancelled cleans up undisturbed; who ends by himself may be cancelled here."""
        task = asyncio.current_task()
        cancelled = task.cancelling()
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            if cancelled and task.cancelling() > cancelled:
                self.disturbed += 1
            self.add(finished=1)

    def check(self):
        assert self.begun == self.finished, f"{self.begun} began, {self.finished} finished"
        assert not self.disturbed, f"{self.disturbed} were cancelled while they cleaned up"


async def work(ledger, n=0):
    try:
        ledger.add(begun=1)
        await asyncio.sleep(0)
        return n
    finally:
        await ledger.clean_up()


def join(ledger):
    with contextlib.closing(Group()) as group:
        for _ in range(2):
            group.spawn(work, ledger)
        group.join()


def dropped(ledger):
    group = Group()
    for _ in range(2):
        group.spawn(work, ledger)
    group.join(timeout=0)


def result(ledger):
    with Pool(1) as pool:
        tasks = [pool.spawn(work, ledger) for _ in range(2)]
        tasks[1].result()


def with_group(ledger):
    with Group() as group:
        for _ in range(2):
            group.spawn(work, ledger)


def iteration(ledger):
    y = Yielder(2)
    for n in range(3):
        y.spawn(work, ledger, n)
    for _ in y:
        pass


def with_yielding(ledger):
    with yielding(2) as y:
        for n in range(3):
            y.spawn(work, ledger, n)
        for _ in y:
            break


def ordered(ledger):
    y = OrderedYielder(2)
    for n in range(3):
        y.spawn(work, ledger, n)
    for _ in y:
        pass


def mapping(ledger):
    with Pool(2) as pool:
        pool.map(lambda n: work(ledger, n), range(3))


def imap(ledger):
    def source():
        try:
            ledger.add(begun=1)
            yield from range(5)
        finally:
            ledger.add(finished=1)

    with Pool(2) as pool:
        for n in pool.imap(lambda n: work(ledger, n), source()):
            if n == 2:
                break


def crew(ledger):
    with Pool(2) as pool:
        for _ in pool.imap_unordered(lambda n: work(ledger, n), range(5), isolate=False):
            pass


def async_source(ledger):
    async def source():
        try:
            ledger.add(begun=1)
            for n in range(5):
                await asyncio.sleep(0)
                yield n
        finally:
            await ledger.clean_up()

    with Pool(2) as pool:
        for n in pool.imap(lambda n: work(ledger, n), source()):
            if n == 2:
                break


@contextlib.asynccontextmanager
async def context(ledger):
    try:
        ledger.add(begun=1)
        await asyncio.sleep(0)
        yield
        await asyncio.sleep(0)
    finally:
        await ledger.clean_up()


def contexts(ledger):
    with Group() as group:
        for _ in range(2):
            group.enter_async_context(context(ledger))


def functions(ledger):
    with Pool(2) as pool:
        for _ in range(3):
            pool.spawn(ledger.add, begun=1, finished=1)
        pool.join()


def cancelled(ledger):
    with Pool(2) as pool:
        tasks = [pool.spawn(work, ledger) for _ in range(4)]
        pool.join(timeout=0)
        for task in tasks:
            task.cancel()
        pool.join()


def scopes(ledger):
    with Group() as outer:
        outer.spawn(work, ledger)
        with Group(within=outer) as inner:
            inner.spawn(work, ledger).result()


SHORT = {
    f.__name__: f
    for f in (
        join, dropped, result, with_group, iteration, with_yielding, ordered, mapping, imap, crew,
        async_source, contexts, functions, cancelled, scopes,
    )
}  # fmt: skip
