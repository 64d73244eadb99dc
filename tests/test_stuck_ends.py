"""What the end of a loop waits for may be stuck: a second Ctrl-C breaks it off, at once."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time

import pytest

from aioutils import Group

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs os.kill(pid, SIGINT)"),
    # What was broken off has an owner no more.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    # uvloop's own, which waits for the executor to tell a loop that was given up.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


async def is_stuck():
    try:
        await asyncio.sleep(100)
    finally:
        await asyncio.sleep(100)


async def stray(kept):
    kept.append(asyncio.ensure_future(is_stuck()))
    await asyncio.sleep(0.01)


async def generator(kept):
    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(100)

    kept.append(numbers())
    await anext(kept[0])


async def executor(kept):
    asyncio.get_running_loop().run_in_executor(None, kept.append(threading.Event()) or kept[0].wait)


def close(group):
    group.close()


def leave(group):
    with group:
        pass


WAYS = {"close": close, "leave": leave, "drop": lambda group: None}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("work", [stray, generator, executor])
def test_the_second_one_ends_it(work, way, nothing_leaks):
    def press():
        while not held():  # until the end has begun
            time.sleep(0.001)
        while not over.wait(0.1):
            shots.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

    def held():
        return ending.is_set() and signal.getsignal(signal.SIGINT) is not before

    before, shots, kept = signal.getsignal(signal.SIGINT), [], []
    ending, over = threading.Event(), threading.Event()
    presser = threading.Thread(target=press)
    presser.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            group = Group()
            group.spawn(work(kept)).result()
            ending.set()
            WAYS[way](group)
            del group
            gc.collect()
            over.set()
            time.sleep(5)  # after a finalizer it comes as soon as it can
        over.set()
        ended = time.monotonic()
    finally:
        over.set()
        presser.join()
        if work is executor:
            kept[0].set()
    assert len(shots) <= 2
    assert ended - shots[0] < 1
    assert signal.getsignal(signal.SIGINT) is before
    with Group() as group:
        assert group.spawn(asyncio.sleep, 0, 5).result() == 5
    kept.clear()
    with contextlib.suppress(RuntimeError):
        gc.collect()
    nothing_leaks.clear()  # asyncio says what was broken off
