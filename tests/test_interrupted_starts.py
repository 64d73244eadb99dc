"""Ctrl-C as a call or an iteration begins: no coroutine of ours is left, nobody awaits it."""

import asyncio
import gc
import signal
import sys

import pytest

from aioutils import Pool, _async_source, _sync, _sync_calls, dual

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a signal that raises")


def interrupted(start):
    def start_interrupted(*args):
        work = start(*args)
        signal.raise_signal(signal.SIGINT)
        return work

    return start_interrupted


@dual
async def fetch(n):
    calls.append(n)
    await asyncio.sleep(0)
    return n


@dual
async def numbers():
    for n in range(3):
        yield n


calls = []


@pytest.mark.parametrize("way", ["imap", "sync"])
def test_of_an_async_source(way, monkeypatch):
    source = _async_source.AsyncSource
    with Pool(2) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(source, "_pull_all", interrupted(source._pull_all))
            with pytest.raises(KeyboardInterrupt):
                list(numbers.sync() if way == "sync" else pool.imap(fetch, numbers()))
        gc.collect()
        assert sorted(pool.map(fetch, numbers())) == list(numbers.sync()) == [0, 1, 2]


@pytest.mark.parametrize("when", ["before", "as it starts"])
def test_of_a_call(when, monkeypatch):
    calls.clear()
    with monkeypatch.context() as patch:
        if when == "before":
            patch.setattr(_sync_calls, "held", interrupted(_sync_calls.held))
        else:
            patch.setattr(_sync, "_result", interrupted(_sync._result))
        with pytest.raises(KeyboardInterrupt):
            fetch.sync(1)
    gc.collect()
    assert (fetch.sync(2), calls) == (2, [2])
