"""The clock stands still while the loop does (rule 1)."""

import asyncio
import socket
import time

from four_tools import returns

from aioutils import Group, Yielder


def test_the_clock_of_the_loop_stands_still_between_waits():
    async def clock():
        return asyncio.get_running_loop().time()

    with Group() as group:
        before = group.spawn(clock()).result()
        time.sleep(0.05)
        after = group.spawn(clock()).result()
    assert after - before < 0.05


def test_a_slow_consumer_makes_no_timeout_fire():
    async def slow():
        async with asyncio.timeout(0.05):
            await asyncio.sleep(0.01)
            return "in time"

    with Yielder() as y:
        y.spawn(returns("first"))
        y.spawn(slow())
        got = []
        for result in y:
            got.append(result)
            time.sleep(0.1)
    assert got == ["first", "in time"]


def test_the_clock_goes_on_during_a_wait():
    async def clock():
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(0.01)
        return loop.time() - before

    with Group() as group:
        assert group.spawn(clock()).result() >= 0.01


def test_sleeps_go_on_where_they_stopped():
    log = []

    async def sleep(seconds, name):
        await asyncio.sleep(seconds)
        log.append(name)

    with Group() as group:
        group.spawn(sleep(0.06, "long"))
        assert group.join(timeout=0.01) is False
        time.sleep(0.1)
        group.spawn(sleep(0.02, "short"))
        group.join()
    assert log == ["short", "long"]


def test_the_timeout_of_join_is_wall_time():
    with Group() as group:
        group.spawn(asyncio.sleep, 3600)
        start = time.monotonic()
        for _ in range(3):
            assert group.join(timeout=0.01) is False
        assert time.monotonic() - start >= 0.03
        group.cancel()


def test_a_timer_that_fires_a_little_early_does_not_lose_the_timeout(in_thread):
    """asyncio runs timers that are due within the clock's resolution: 16 ms on Windows."""

    async def coarse():
        asyncio.get_running_loop()._clock_resolution = 0.05
        await asyncio.sleep(0.04)  # a pass, shortly before the timeout

    with Group() as group:
        group.spawn(coarse())
        stuck = group.spawn(asyncio.sleep, 3600)
        wait = in_thread(group.join, timeout=0.06)
        try:
            assert wait(2) is False
        finally:
            stuck.cancel()


def test_new_work_sees_that_the_peer_closed_meanwhile():
    """An idle connection of a client's pool, taken for the next request."""
    ours, theirs = socket.socketpair()

    async def connect():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        return transport

    async def use():
        return transport.is_closing()

    with Group() as group:
        transport = group.spawn(connect()).result()
        assert group.spawn(use()).result() is False
        theirs.close()
        tasks = [group.spawn(use()) for _ in range(3)]
        group.join()
        assert [task.result() for task in tasks] == [True] * 3
