"""A handler that raises nothing is called once for each signal that Python has seen."""

import asyncio
import os
import signal
import time

import pytest

from aioutils import Group, Pool

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals"
)


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGALRM", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("blocks", [True, False], ids=["blocks", "awaits"])
@pytest.mark.parametrize("count", range(1, 6))
def test_none_is_lost(name, blocks, count):
    async def sends():
        for _ in range(count):
            os.kill(os.getpid(), number)
            time.sleep(0)  # it is handled before the next one comes
            if not blocks:
                await asyncio.sleep(0.001)

    number, heard = getattr(signal, name), []
    before = signal.signal(number, lambda *_: heard.append(None))
    try:
        with Group() as group:
            group.spawn(sends)
            group.join()
            assert len(heard) == count
    finally:
        signal.signal(number, before)


def test_the_first_one_that_raises_is_the_last_that_is_called():
    """One that asks for an end, and insists the second time."""
    calls = []

    def stop(number, frame):
        calls.append(number)
        if len(calls) == 2:
            raise SystemExit(3)

    async def blocks():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(SystemExit) as exit, Pool(1) as pool:
            pool.apply(blocks)
        assert (exit.value.code, len(calls)) == (3, 2)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("then", ["one that raises", signal.default_int_handler])
def test_the_second_one_is_for_the_handler_that_the_first_one_sets(then):
    """The next Ctrl-C is the last."""
    calls = []

    def last(number, frame):
        calls.append("last")
        raise KeyboardInterrupt

    def first(number, frame):
        calls.append("first")
        signal.signal(number, last if then == "one that raises" else then)

    async def blocks():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)

    before = signal.signal(signal.SIGINT, first)
    try:
        with pytest.raises(KeyboardInterrupt), Pool(1) as pool:
            pool.apply(blocks)
        assert calls == (["first", "last"] if then == "one that raises" else ["first"])
    finally:
        signal.signal(signal.SIGINT, before)
