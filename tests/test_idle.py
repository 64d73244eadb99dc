"""Who waits, sleeps: nothing goes round and round until something happens."""

import asyncio
import selectors
import time

import pytest

from aioutils import Group, Pool


class Counting(selectors.DefaultSelector):
    selects = 0

    def select(self, timeout=None):
        self.selects += 1
        return super().select(timeout)


def busy(call, *args):
    """Which part of its time the calling thread computed."""
    computed, began = time.thread_time(), time.monotonic()
    call(*args)
    return (time.thread_time() - computed) / (time.monotonic() - began)


def test_a_loop_sleeps_although_others_wait_for_a_slot():
    selector = Counting()
    with Pool(1, loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as pool:
        pool.spawn(asyncio.sleep, 0.05)
        pool.spawn(asyncio.sleep, 0)
        pool.join()
        assert selector.selects < 50


def test_a_thread_sleeps_while_another_one_drives(in_thread):
    with Group() as group:
        group.spawn(asyncio.sleep, 0.2)
        calls = [in_thread(busy, group.join) for _ in range(3)]
        assert max(call() for call in calls) < 0.2


@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
def test_a_thread_that_runs_another_loop_sleeps_while_a_helper_drives():
    async def main():
        with Group() as group:
            group.spawn(asyncio.sleep, 0.2)
            return busy(group.join)

    assert asyncio.run(main()) < 0.2
