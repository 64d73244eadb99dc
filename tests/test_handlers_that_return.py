"""A handler that raises nothing is called once for each signal that Python has seen."""

import asyncio
import os
import signal
import time

import pytest

from aioutils import Group, Pool

NAMES = ["SIGUSR1", "SIGALRM", "SIGTERM", "SIGINT"]
NUMBERS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals"
)


@pytest.fixture
def handlers():
    """What sets them; the earlier ones are back at the end."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield signal.signal
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("blocks", [True, False], ids=["blocks", "awaits"])
@pytest.mark.parametrize("count", range(1, 6))
def test_none_is_lost(handlers, number, blocks, count):
    async def sends():
        for _ in range(count):
            os.kill(os.getpid(), number)
            time.sleep(0)  # it is handled before the next one comes
            if not blocks:
                await asyncio.sleep(0.001)

    heard = []
    handlers(number, lambda *_: heard.append(None))
    with Group() as group:
        group.spawn(sends)
        group.join()
        assert len(heard) == count


def twice(number):
    """In one task that blocks its loop."""

    async def blocks():
        for _ in range(2):
            os.kill(os.getpid(), number)
            time.sleep(0)  # it is handled before the next one comes

    with Pool(1) as pool:
        pool.apply(blocks)


def test_the_first_one_that_raises_is_the_last_that_is_called(handlers):
    """One that asks for an end, and insists the second time."""
    calls = []

    def stop(number, frame):
        calls.append(number)
        if len(calls) == 2:
            raise SystemExit(3)

    handlers(signal.SIGTERM, stop)
    with pytest.raises(SystemExit) as exit:
        twice(signal.SIGTERM)
    assert (exit.value.code, len(calls)) == (3, 2)


@pytest.mark.parametrize("then", ["one that raises", signal.default_int_handler])
def test_the_second_one_is_for_the_handler_that_the_first_one_sets(handlers, then):
    """The next Ctrl-C is the last."""
    calls = []

    def last(number, frame):
        calls.append("last")
        raise KeyboardInterrupt

    def first(number, frame):
        calls.append("first")
        handlers(number, last if then == "one that raises" else then)

    handlers(signal.SIGINT, first)
    with pytest.raises(KeyboardInterrupt):
        twice(signal.SIGINT)
    assert calls == (["first", "last"] if then == "one that raises" else ["first"])
