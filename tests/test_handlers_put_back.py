"""A task keeps the handler that it finds, sets its own, and puts the other back: in a later wait,
or after it. What it found is ours, of a wait; the user's has to be back in the end."""

import asyncio
import contextlib
import os
import signal
import threading

import pytest

from aioutils import Group, Pool, dual

pytestmark = [
    pytest.mark.filterwarnings("ignore:this call blocks:RuntimeWarning"),
    pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals"),
]


class Told(Exception):
    pass


def tell(number, frame):
    raise Told(number)


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def number(request):
    before = signal.signal(request.param, tell)
    yield request.param
    assert signal.getsignal(request.param) is tell
    signal.signal(request.param, before)


@contextlib.asynccontextmanager
async def taken(number, seen):
    """As uvicorn does it."""
    before = signal.signal(number, lambda *_: seen.append("heard"))
    try:
        yield
    finally:
        await asyncio.sleep(0)
        signal.signal(number, before)


def test_a_context_that_is_left_in_a_later_wait(number):
    seen = []
    with Pool(2) as pool:
        pool.enter_async_context(taken(number, seen))
        signal.raise_signal(number)
        assert seen == ["heard"]
        pool.spawn(os.kill, os.getpid(), number)
        pool.map(asyncio.sleep, [0.01])
        assert seen == ["heard"] * 2
    assert signal.getsignal(number) is tell
    with pytest.raises(Told):
        signal.raise_signal(number)


def test_a_generator_that_is_closed_in_a_later_wait(number):
    async def items():
        async with taken(number, []):
            yield 1
            yield 2

    results = dual(items).sync()
    assert next(results) == 1
    results.close()
    assert signal.getsignal(number) is tell


def test_what_is_put_back_in_sync_code_stands_for_the_users(number):
    """Also in the next waits, the first of which finds it there."""

    async def keep():
        before.append(signal.signal(number, lambda *_: None))

    before = []
    with Group() as group:
        group.apply(keep)
        signal.signal(number, before[0])
        with pytest.raises(Told):
            signal.raise_signal(number)
        with pytest.raises(Told):
            group.apply(killed, (number,))
        assert signal.getsignal(number) is tell


async def killed(number):
    os.kill(os.getpid(), number)
    try:
        await asyncio.sleep(5)
    finally:
        await asyncio.sleep(0)


def test_one_that_comes_after_it_was_put_back_ends_the_wait_as_any(number):
    """And all clean up. uvicorn raises it itself, once it has shut down."""

    async def serve():
        stop = asyncio.Event()
        before = signal.signal(number, lambda *_: stop.set())
        try:
            await stop.wait()
        finally:
            signal.signal(number, before)
        signal.raise_signal(number)
        said.append("goes on to its pause")
        await asyncio.sleep(5)

    async def other():
        try:
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(0.01)
            said.append("cleaned up")

    said = []
    with Group() as group:
        group.spawn(serve)
        group.spawn(other)
        assert group.join(timeout=0.01) is False
        threading.Timer(0.02, os.kill, (os.getpid(), number)).start()
        with pytest.raises(Told):
            group.join()
        assert said == ["goes on to its pause", "cleaned up"]


def test_in_a_wait_inside_of_another_one(number):
    """What it kept in the outer one is no stranger in the inner one, and the other way round."""

    async def keep(handler):
        kept.append(signal.signal(number, handler))

    async def outer():
        await keep(lambda *_: None)
        with Group() as group:
            group.apply(asyncio.sleep, (0,))
            signal.signal(number, kept[0])
            group.apply(asyncio.sleep, (0,))
        signal.raise_signal(number)
        said.append("goes on to its pause")
        await asyncio.sleep(5)

    kept, said = [], []
    with Group() as group:
        with pytest.raises(Told):
            group.apply(outer)
        assert signal.getsignal(number) is tell
    assert said == ["goes on to its pause"]


def test_in_a_wait_around_the_one_that_is_over(number):
    """A source that waits for another tool, in the midst of the outer wait."""

    async def keep():
        kept.append(signal.signal(number, signal.SIG_IGN))
        signal.signal(number, kept[0])

    def source():
        with Group() as other:
            other.apply(keep)
        yield 1

    async def put_back(n):
        signal.signal(number, kept[0])
        signal.raise_signal(number)
        await asyncio.sleep(5)

    kept = []
    with Pool(1) as pool, pytest.raises(Told):
        pool.map(put_back, source())
