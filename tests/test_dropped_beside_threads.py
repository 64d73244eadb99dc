"""What is let go in the thread that began it cleans up, although another thread drove the loop."""

import asyncio
import gc
import threading
import time

import pytest
from four_tools import returns

from aioutils import Group, OrderedYielder, Pool, Yielder

WAYS = [
    lambda tool, work: tool.imap(work, range(6)),
    lambda tool, work: tool.imap_unordered(work, range(6)),
    lambda tool, work: iterate(Yielder(within=tool), work),
    lambda tool, work: iterate(OrderedYielder(3, within=tool), work),
]


def iterate(yielder, work):
    for n in range(6):
        yielder.spawn(work, n)
    return iter(yielder)


class Works:
    def __init__(self):
        self.begun = self.ended = 0

    async def run(self, n):
        self.begun += 1
        try:
            await asyncio.sleep(60 if n else 0)
            return n + 1
        finally:
            await asyncio.sleep(0.001)
            self.ended += 1


def drive(tool):
    thread = threading.Thread(target=tool.spawn(returns(1)).result)
    thread.start()
    thread.join()


@pytest.mark.parametrize("way", WAYS)
def test_an_iteration_that_is_left(way):
    works = Works()
    with Pool(3) as pool:
        for _ in way(pool, works.run):
            drive(pool)
            break
        assert works.begun == works.ended > 1
        assert len(pool) == 0


@pytest.mark.parametrize("make", [Group, Pool, Yielder, OrderedYielder])
def test_a_tool_that_is_dropped(make):
    works, tool = Works(), make(*([3] if make is Pool else ()))
    task = tool.spawn(works.run, 1)
    with pytest.raises(TimeoutError):
        tool.spawn(asyncio.sleep, 60).result(0.01)
    drive(tool)
    del tool
    gc.collect()
    assert task.cancelled() and (works.begun, works.ended) == (1, 1)


def test_iterations_that_are_left_while_others_drive_warn_of_nothing():
    """Who finds no driver any more as he leaves drives himself."""
    works, failed = Works(), []

    def leave(group):
        try:
            for _ in range(40):
                for _ in group.imap(works.run, range(3)):
                    time.sleep(0.001)
                    break
        except BaseException as error:
            failed.append(error)

    with Group() as group:
        threads = [threading.Thread(target=leave, args=(group,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        group.join()
    assert (works.begun, failed) == (works.ended, [])
