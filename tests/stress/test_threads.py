"""Many threads spawn, join, iterate and cancel on one tool: somebody always takes over."""

import asyncio
import os
import threading
from functools import partial

import pytest
from crowd import Crowd

from aioutils import Group, OrderedYielder, Pool, Yielder

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = os.environ.get("AIOUTILS_SEED", "1")
SECONDS = 30 if LONG else 1.0
THREADS = 16 if LONG else 8

pytestmark = pytest.mark.timeout(120)


def on_uvloop():
    return pytest.importorskip("uvloop").new_event_loop()


@pytest.mark.parametrize("factory", [None, on_uvloop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "make",
    [
        partial(Group, threads=3),
        partial(Pool, 1),
        partial(Pool, 4),
        partial(Yielder, 4),
        partial(OrderedYielder, 4),
    ],
    ids=["group", "pool of 1", "pool of 4", "yielder", "ordered yielder"],
)
def test_threads_that_do_everything_at_once_neither_hang_nor_lose_anything(make, factory):
    with make(loop_factory=factory) as tool:
        crowd = Crowd(tool, SEED, SECONDS, THREADS)
        crowd.run()
        if isinstance(tool, Group):
            assert tool.join(10, raise_error=False)
        else:
            drain(tool, crowd)
        print(f"{crowd.calls} calls, {crowd.spawned} tasks, {crowd.interrupts} interrupts")
        assert len(tool) == 0
        assert crowd.begun == crowd.ended
        assert crowd.spawned == crowd.told
        assert crowd.calls > THREADS
        assert crowd.interrupts
        for error in tool.take_errors():
            crowd.see(error)
        assert crowd.raised.keys() == crowd.seen


def drain(yielder, crowd):
    """A failure comes in the place of its result, and ends the iteration."""
    while True:
        try:
            list(yielder.yielding(10))
            return
        except ValueError as error:
            crowd.see(error)


def test_the_next_thread_drives_when_the_driver_times_out(in_thread):
    """A relay: each driver leaves after 10 ms, the work takes as long as all of them together."""
    with Group() as group:
        task = group.spawn(asyncio.sleep, 0.1, "there")
        calls = [in_thread(group.join, 0.01 * n) for n in range(1, 9)]
        last = in_thread(task.result)
        assert last() == "there"
        assert False in [call() for call in calls]  # its time was up before that


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
