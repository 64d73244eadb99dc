"""Tools with a limit (rules 10 and 11)."""

import asyncio
import threading

import pytest
from four_tools import DEBUG, finish


def test_many_spawns_pile_up_no_live_tasks(tool):
    most = 0

    async def count():
        nonlocal most
        most = max(most, len(asyncio.all_tasks()))

    for _ in range(3_000 if DEBUG else 10_000):
        tool.spawn(count())
    finish(tool)
    assert 0 < most <= 1_000


def test_many_spawns_do_not_starve_the_loop(tool):
    ticks, left = 0, 5_000 if DEBUG else 20_000

    async def tick():
        nonlocal ticks
        while left:
            ticks += 1
            await asyncio.sleep(0)

    async def run():
        nonlocal left
        left -= 1

    tool.spawn(tick())
    for _ in range(left):
        tool.spawn(run)
    finish(tool)
    assert ticks >= 10


@pytest.mark.parametrize("size", [1, 3])
def test_no_more_than_the_limit_run_at_once(make_limited, size):
    running = most = 0

    async def run():
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running -= 1

    with make_limited(size) as tool:
        for _ in range(20):
            tool.spawn(run())
        finish(tool)
    assert most == size


def test_a_limited_tool_starts_in_spawn_order(make_limited):
    started = []

    async def run(n):
        started.append(n)
        await asyncio.sleep(0)

    with make_limited(2) as tool:
        for n in range(20):
            tool.spawn(run(n)) if n % 2 else tool.spawn(run, n)
        finish(tool)
    assert started == list(range(20))


def test_plain_functions_and_coroutines_share_one_limit(make_limited):
    running = most = 0
    lock = threading.Lock()

    def change(by):
        nonlocal running, most
        with lock:
            running += by
            most = max(most, running)

    async def run():
        change(1)
        await asyncio.sleep(0.001)
        change(-1)

    def block():
        change(1)
        threading.Event().wait(0.001)
        change(-1)

    with make_limited(2) as tool:
        for _ in range(10):
            tool.spawn(run)
            tool.spawn(block)
        finish(tool)
    assert 1 <= most <= 2
