"""Two to five Ctrl-C, at random lines of ours and of asyncio's under us: whatever they hit, the
handler is back, nothing hangs, and the tool can be ended and closed.

A seed that fails is named by the test, and AIOUTILS_SEED replays it. What the tasks leave waits for
ever where it is stuck: then somebody goes on pressing Ctrl-C, as users do.
"""

import asyncio
import contextlib
import itertools
import linecache
import os
import random
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import aioutils
from aioutils import Group, Pool

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = int(os.environ.get("AIOUTILS_SEED", "1"))

OURS = str(Path(aioutils.__file__).parent)
ASYNCIO = str(Path(asyncio.__file__).parent)
# The interpreter looks for no signals there, and what is raised misses the block's own clean-up, or
# leaves what an `except` has caught as handled for ever.
NO_CALL = re.compile(r"(try|else|finally):|(with|while) |(pass|continue|break|return[^(]*)\s*(#|$)")

pytestmark = [
    pytest.mark.timeout(600 if LONG else 60),
    pytest.mark.skipif(sys.platform == "win32", reason="needs os.kill(pid, SIGINT)"),
    pytest.mark.filterwarnings("ignore:this call blocks:RuntimeWarning"),
    # What an interrupt leaves in the midst of a few lines has an owner no more.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class Shots:
    """A trace function that has the handler of the moment called at these lines."""

    def __init__(self, lines):
        self._lines, self._line, self._began = set(lines), 0, False
        self.places = []

    def __call__(self, frame, event, _):
        file = frame.f_code.co_filename
        if event == "call":
            self._began = self._began or file.startswith(OURS)
            followed = (OURS, ASYNCIO) if self._began else OURS
            return self if file.startswith(followed) else None
        if event == "line":
            text = linecache.getline(file, frame.f_lineno).lstrip()
            calls = NO_CALL.match(text) is None
            self._line += calls
            if self._line in self._lines and calls:
                self.places.append(f"{Path(file).name}:{frame.f_lineno}")
                signal.getsignal(signal.SIGINT)(signal.SIGINT, frame)
        return self


async def is_stuck():
    try:
        await asyncio.sleep(100)
    finally:
        await asyncio.sleep(100)


async def cleans_up():
    try:
        await asyncio.sleep(100)
    finally:
        for _ in range(3):
            await asyncio.sleep(0)


def leave_block(tool):
    with tool:
        tool.spawn(asyncio.sleep, 0).result()


CALLS = {
    "join": lambda tool: tool.join(timeout=0.01),
    "result": lambda tool: next(iter(tool)).result(0.01),
    "block": leave_block,
    "helper": lambda tool: tool.join(timeout=0.01),
}


@contextlib.contextmanager
def pressing(first):
    """Ctrl-C after `first` seconds, and on until the end of the block; then one that is late."""
    over = threading.Event()

    def press():
        wait = first
        while not over.wait(wait):
            os.kill(os.getpid(), signal.SIGINT)
            wait = 0.15

    presser = threading.Thread(target=press)
    try:
        try:
            presser.start()
            yield
        finally:
            over.set()
    except (KeyboardInterrupt, TimeoutError, asyncio.CancelledError):
        pass
    while presser.is_alive():
        with contextlib.suppress(KeyboardInterrupt):
            presser.join()
            time.sleep(0.0001)


def shoot(name, rng):
    tool = Pool(3) if rng.random() < 0.5 else Group()
    gaps = [rng.randint(1, rng.choice([30, 400])) for _ in range(rng.randint(1, 4))]
    shots = Shots(itertools.accumulate(gaps, initial=rng.randint(1, 400)))
    for _ in range(rng.randint(1, 5)):
        tool.spawn(rng.choice([is_stuck, cleans_up]))

    async def blocks():
        call()

    def call():
        outer = sys.gettrace()
        sys.settrace(shots)
        try:
            CALLS[name](tool)
        finally:
            sys.settrace(outer)

    with pressing(0.05):
        if name == "helper":
            asyncio.run(blocks())
        else:
            call()
    tool.cancel()
    with contextlib.suppress(asyncio.CancelledError, aioutils.ClosedError):
        tool.join(timeout=0.02, raise_error=False)
    with pressing(0.02):
        tool.close()
    tool.close()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, shots.places
    assert len(tool) == 0, shots.places
    assert sys.exception() is None, shots.places
    with Group() as group:
        assert group.spawn(asyncio.sleep, 0, 5).result(5) == 5, shots.places


@pytest.mark.parametrize("name", CALLS)
def test_whatever_they_hit_everything_can_be_ended(name, nothing_leaks):
    for seed in range(SEED, SEED + (600 if LONG else 12)):
        print(f"AIOUTILS_SEED={seed}", flush=True)
        shoot(name, random.Random(f"{name} {seed}"))
    nothing_leaks.clear()  # asyncio complains of a `_run_once` that was broken off
