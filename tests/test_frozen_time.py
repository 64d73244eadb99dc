"""Clocks that are not the wall's: frozen by a test, or of a loop that waits for nothing."""

import asyncio
import selectors
import sys
import time

import pytest

from aioutils import Group, Pool, dual


@pytest.fixture
def frozen(monkeypatch):
    """As freezegun does it: the clock is replaced in `time`, and in each module that has it."""
    real = time.monotonic
    at = real()
    for module in tuple(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(("time", "asyncio", "aioutils")):
            for name, value in tuple(vars(module).items()):
                if value is real:
                    monkeypatch.setattr(module, name, lambda: at)
    assert time.monotonic() == time.monotonic() == at


async def nap(seconds):
    await asyncio.sleep(seconds)
    return seconds


def test_naps_end_and_timeouts_come_while_time_is_frozen(frozen):
    with Pool(2) as pool:
        assert pool.map(nap, [0.001, 0.002]) == [0.001, 0.002]
        assert list(pool.imap(nap, [0.002])) == [0.002]
        slow = pool.spawn(nap, 3600)
        assert pool.join(timeout=0.01) is False
        with pytest.raises(TimeoutError):
            slow.result(timeout=0.01)
        slow.cancel()


def test_a_function_in_a_thread_does_not_make_a_timeout_late(frozen):
    with Group() as group:
        group.spawn(time.sleep, 0.1)
        assert group.join(timeout=0.01) is False


def test_dual_functions_end_while_time_is_frozen(frozen):
    assert dual(nap).sync(0.001) == 0.001


class Virtual(asyncio.SelectorEventLoop):
    """An hour passes at once, if there is nothing else to do."""

    def __init__(self):
        super().__init__(Selector(self))
        self.passed = 0.0

    def time(self):
        return self.passed


class Selector(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        self._loop.passed += timeout or 0.0
        return super().select(0 if timeout else timeout)


def test_a_loop_with_a_clock_of_its_own_keeps_it():
    async def hourly():
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.timeout(3601):
            await asyncio.sleep(3600)
        return loop.time() - begun

    begun = time.perf_counter()
    with Pool(2, loop_factory=Virtual) as pool:
        for hours in pool.map(lambda _: hourly(), range(3)), [pool.spawn(hourly).result()]:
            assert all(3600 <= seconds < 3601 for seconds in hours)
        with pytest.raises(TimeoutError):
            pool.spawn(asyncio.wait_for(asyncio.Event().wait(), 3600)).result()
    assert time.perf_counter() - begun < 10


def test_it_stands_still_between_two_waits_as_well():
    async def time_now():
        return asyncio.get_running_loop().time()

    with Group(loop_factory=Virtual) as group:
        before = group.spawn(time_now).result()
        group._scheduler.loop.event_loop.passed += 5  # nothing ran meanwhile
        assert 0 <= group.spawn(time_now).result() - before < 1


def test_its_clock_may_be_any_that_can_be_called():
    class Static(Virtual):
        time = staticmethod(lambda: 7.0)

    async def time_now():
        return asyncio.get_running_loop().time()

    with Group(loop_factory=Static) as group:
        assert group.spawn(time_now).result() == 7.0
