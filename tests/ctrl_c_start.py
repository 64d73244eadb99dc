"""How the scripts of the Ctrl-C tests begin: `from ctrl_c_start import *`; what they use."""

import asyncio
import contextlib
import os
import signal
import sys  # noqa: F401
import threading
import time
import warnings

from aioutils import *  # noqa: F403

# as documented, of no interest here
warnings.filterwarnings("ignore", "this call blocks the event loop", RuntimeWarning)


def shoot(*delays, number=signal.SIGINT, when=None):
    def run():
        if when is not None:
            when.wait()
        for delay in delays:
            time.sleep(delay)
            os.kill(os.getpid(), number)

    threading.Thread(target=run, daemon=True).start()


def shoot_as(*events):
    """One for each, as soon as it has come."""

    def run():
        for event in events:
            event.wait()
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=run, daemon=True).start()


running, begun, tidied = threading.Event(), threading.Event(), threading.Event()


async def tidy(name="tidy"):
    try:
        running.set()
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        print(name, "cleaned up")
        tidied.set()


async def stuck():
    try:
        await asyncio.sleep(60)
    finally:
        print("stuck")
        await asyncio.sleep(60)


def say(result):
    print(result, flush=True)


@contextlib.contextmanager
def interrupted(kind=KeyboardInterrupt):
    try:
        yield
    except kind as error:
        say(f"{type(error).__name__} left")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
