"""A census of what is alive: descriptors, threads, tasks, loops, our own objects, failures."""

import asyncio
import contextlib
import gc
import os
import threading
import time
import tracemalloc
import types
from collections import Counter

KINDS = (asyncio.Task, asyncio.AbstractEventLoop, types.CoroutineType, types.AsyncGeneratorType)


def census():
    """How many there are, by kind; a cycle may need more than one collection."""
    for _ in range(3):
        gc.collect()
    kinds = Counter()
    for thing in gc.get_objects():
        if isinstance(thing, KINDS):
            kinds[type(thing).__name__] += 1
        elif type(thing).__module__.partition(".")[0] == "aioutils":
            kinds[type(thing).__qualname__] += 1
        elif isinstance(thing, Warning):
            pass  # recorded by the test
        elif isinstance(thing, (BaseException, types.TracebackType, types.FrameType)):
            kinds[type(thing).__name__] += 1
    kinds["threads"] = threading.active_count()
    with contextlib.suppress(FileNotFoundError):
        kinds["descriptors"] = len(os.listdir("/proc/self/fd"))
    return kinds


def grown(before, most=1):
    """What there are more of than before, by more than `most`; threads have two seconds to end."""
    give_up = time.monotonic() + 2
    while True:
        more = {kind: n for kind, n in (census() - before).items() if n > most}
        if not more or time.monotonic() > give_up:
            return more
        time.sleep(0.01)


def kept():
    """How many objects the collector knows, and how many bytes tracemalloc does."""
    for _ in range(3):
        gc.collect()
    return len(gc.get_objects()), tracemalloc.get_traced_memory()[0]
