"""Workers, with `isolate=False`: how many items they find at hand, and when they are replaced."""

import asyncio
import contextlib
from concurrent.futures import CancelledError
from contextvars import ContextVar

import pytest

from aioutils import Pool, _source

methods = pytest.mark.parametrize("method", ["imap", "imap_unordered"])
variable = ContextVar("variable")


async def nothing():
    await asyncio.sleep(0)


async def change_context():
    variable.set(object())


async def cancel():
    asyncio.current_task().cancel()


async def cancel_and_go_on():
    asyncio.current_task().cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


CHANGES = [change_context, cancel, cancel_and_go_on]


class Counted:
    """A source; its item number `gate` tells how many were pulled when no more are."""

    def __init__(self, gate, before=nothing):
        self.pulled = self.seen = 0
        self._gate, self._before = gate, before

    def __iter__(self):
        return self

    def __next__(self):
        self.pulled += 1
        return self.pulled - 1

    async def run(self, n):
        if n < self._gate:
            await self._before()
        elif n == self._gate:
            passes = 0
            while passes < 20:
                passes = passes + 1 if self.seen == self.pulled else 0
                self.seen = self.pulled
                await asyncio.sleep(0)
        else:
            await asyncio.Event().wait()
        return n


@pytest.fixture
def at_once(monkeypatch):
    """On a slow machine the loop runs between two items, and nobody pulls for workers that go."""
    monkeypatch.setattr(_source, "_SLOW", 10)


@pytest.mark.asyncios_loop  # in uvloop's extra pass after `stop()` workers go, as above
@methods
@pytest.mark.parametrize("before", [nothing, *CHANGES])
@pytest.mark.parametrize("gate", [0, 1, 30])
def test_two_items_for_each_slot_are_at_hand(method, gate, before, at_once):
    """However many workers had to be replaced."""
    source, pool = Counted(gate, before), Pool(3)
    results = getattr(pool, method)(source.run, source, buffer=90, isolate=False)
    with contextlib.closing(results):
        assert gate in results
    assert source.seen == gate + 3 + 6  # those that run, and two for each


@pytest.mark.asyncios_loop
def test_a_worker_that_was_cancelled_as_it_waited_for_a_slot_counts_no_more(at_once):
    async def cancel():
        while source.pulled < 3:
            await asyncio.sleep(0)
        pool.cancel()

    source, pool = Counted(gate=5), Pool(1)
    pool.spawn(cancel)
    results = pool.imap(source.run, source, buffer=90, isolate=False, return_exceptions=True)
    with contextlib.closing(results):
        assert [type(next(results)) for _ in range(3)] == [CancelledError] * 3
        assert 5 in results
    assert source.seen == 5 + 1 + 2


@pytest.mark.parametrize("change", CHANGES)
def test_a_worker_that_an_item_changed_is_replaced(change, at_once):
    tasks = []

    async def run(n):
        tasks.append(asyncio.current_task())
        if n % 2:
            await change()
        return n

    assert Pool(1).map(run, range(10), isolate=False) == list(range(10))
    assert tasks[0::2] == tasks[1::2]
    assert len(set(tasks)) == 5
