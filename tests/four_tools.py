"""One way to use all four tools, for tests of what they have in common."""

import asyncio
import contextlib
import os
import signal
import sys

from aioutils import Group, OrderedYielder, Pool, Yielder

MAKERS = {
    "Group": Group,
    "Pool": lambda: Pool(50),  # wide enough that nothing has to wait for a slot
    "Yielder": Yielder,
    "OrderedYielder": lambda: OrderedYielder(50),
}
LIMITED = {"Pool": Pool, "Yielder": Yielder, "OrderedYielder": OrderedYielder}

# asyncio's debug mode is slow, and its loops count as not clean.
DEBUG = sys.flags.dev_mode or bool(os.environ.get("PYTHONASYNCIODEBUG"))


def finish(tool):
    """Waits until everything has ended, by joining or by iterating; returns the results, if any."""
    if isinstance(tool, Group):
        tool.join()
        return None
    return list(tool)


def failure_of(tool):
    """What `finish` raises."""
    try:
        finish(tool)
    except BaseException as error:
        return error
    raise AssertionError(f"{tool!r} did not fail")


def failures_of(tool):
    """The failures that `finish` tells of: those of the group, or the one and its notes."""
    error = failure_of(tool)
    if isinstance(tool, Group):
        assert isinstance(error, BaseExceptionGroup)
        return list(error.exceptions)
    return [error, *getattr(error, "__notes__", [])]


async def returns(value):
    return value


async def fails(error):
    raise error


def torn_source():
    """Endless, and fails as it is closed."""
    try:
        while True:
            yield 1
    finally:
        raise OSError("torn")


async def forever():
    await asyncio.Event().wait()


async def interrupt():
    signal.raise_signal(signal.SIGINT)


async def keeps_an_interrupt():
    """Cleans up for ever, and keeps the one that comes meanwhile: it is raised in here."""
    try:
        await forever()
    finally:
        try:
            await interrupt()
        finally:
            await forever()


async def until_cancelled(log, name="cleaned up", started=None):
    """Runs until it is cancelled, and then cleans up over several passes of the loop."""
    try:
        if started is not None:
            started.set()
        await forever()
    finally:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        log.append(name)


def start(tool):
    """Lets what was spawned begin, and comes back; something must still run then."""
    if isinstance(tool, Group):
        assert tool.join(timeout=0) is False
        return
    rounds = 0
    while rounds < 3:  # on a busy machine the time may be up before anything begins
        rounds += "running=0" not in repr(tool)
        with contextlib.suppress(TimeoutError):
            for _ in tool.yielding(timeout=0.01):
                pass
        assert len(tool), f"nothing runs in {tool!r}"
