"""SIGALRM while the main thread waits: what its handler raises leaves the wait, as with Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import time

import pytest
from four_tools import forever

from aioutils import Group, _alarm

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has none")


class Alarm(Exception):
    pass


@pytest.fixture(autouse=True)
def timer():
    """`timer(seconds)` has the alarm ring then; until the end of the test it is not pytest's."""
    handler = signal.getsignal(signal.SIGALRM)
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, left, interval)


@pytest.fixture
def rings():
    """How many times the handler was called, which raises."""
    rung = []

    def ring(number, frame):
        rung.append(number)
        raise Alarm

    signal.signal(signal.SIGALRM, ring)
    return rung


@pytest.fixture
def soon(monkeypatch):
    """A loop counts as blocked."""
    monkeypatch.setattr(_alarm, "BLOCKED", 0.05)


async def hops_about():
    """All moments are alike."""
    while True:
        await asyncio.sleep(0)


async def tidy(log):
    try:
        await hops_about()
    finally:
        for _ in range(3):
            await asyncio.sleep(0.001)
        log.append("cleaned up")


def is_set():
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


@pytest.mark.parametrize("work", [hops_about, forever])
def test_what_the_handler_raises_leaves_the_wait_after_the_clean_ups(work, timer, rings):
    async def set_the_timer():
        timer(0.01)
        await work()

    log = []
    group = Group()
    group.spawn(tidy(log))
    group.spawn(set_the_timer())
    with pytest.raises(Alarm):
        group.join()
    assert log == ["cleaned up"] and len(rings) == 1
    assert not is_set()
    group.close()


def test_a_blocked_loop_is_left_as_it_rings_again(timer, rings, soon):
    async def block():
        timer(0.01)
        time.sleep(10)

    with Group() as group:
        group.spawn(block)
        with pytest.raises(Alarm):
            group.join()
    assert len(rings) == 1 and not is_set()


def test_an_alarm_that_repeats_keeps_its_time():
    def count(number, frame):
        counted.append(number)

    async def listen():
        while len(counted) < 3:
            await asyncio.sleep(0.001)

    counted = []
    signal.signal(signal.SIGALRM, count)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    with Group() as group:
        group.spawn(listen)
        assert group.join()
    assert signal.getitimer(signal.ITIMER_REAL)[1] == pytest.approx(0.005, rel=0.01)


def test_an_alarm_that_is_set_just_then_rings_when_it_should(timer, rings):
    async def set_another():
        signal.raise_signal(signal.SIGALRM)
        timer(30)

    with Group() as group:
        group.spawn(set_another)
        with pytest.raises(Alarm):
            group.join()
    assert is_set()


def test_an_alarm_that_a_task_sets_with_a_handler_of_its_own_is_the_tasks(timer):
    def ring(number, frame):
        raise Alarm

    async def look_at_the_time():
        before = signal.signal(signal.SIGALRM, ring)
        timer(0.01)
        try:
            with contextlib.suppress(Alarm):
                time.sleep(10)
        finally:
            signal.signal(signal.SIGALRM, before)
        return "late"

    with Group() as group:
        assert group.spawn(look_at_the_time).result() == "late"


def test_one_that_returns_is_called_once_though_it_rings_again(soon):
    """Where the loop is blocked for so long that we have the alarm ring again."""
    rung = []

    async def blocks():
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        time.sleep(0.02)
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            time.sleep(0.01)

    signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    with Group() as group:
        group.spawn(blocks)
        group.join()
        assert rung == [1]


def test_two_that_come_before_it_rings_again_are_two():
    rung = []

    async def blocks():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGALRM)
            time.sleep(0)

    signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    with Group() as group:
        group.spawn(blocks)
        group.join()
    assert rung == [1, 1]
