"""Tools used and dropped in every way there is: all is cleaned up, nothing is left, nothing is said
but what the rules promise.

A way to use times a way to end, drawn from a seed; of 20,000 tools in the long form.
"""

import asyncio
import contextlib
import gc
import logging
import math
import os
import random
import sys
import threading
import tracemalloc
import warnings

import pytest
import ways_in_async
import ways_to_end
import ways_to_use
from census import census, grown, kept

from aioutils import Group

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = os.environ.get("AIOUTILS_SEED", "1")
# An open uvloop is held by libuv: what its timers lead to is no garbage.
ENDS = [
    pytest.param(end, module.WAYS, kind, id=f"{module.__name__}.{end.__name__}", marks=marks)
    for module in (ways_to_end, ways_in_async)
    for kind, marks in (("SAFE", ()), ("CYCLES", pytest.mark.asyncios_loop), ("UNSAFE", ()))
    for end in getattr(module, kind)
]
TOOLS = math.ceil(20_000 / len(ENDS)) if LONG else 26
HALF = TOOLS // 2
# CPython itself keeps something of a thread that has ended, if what its locals held asked for the
# running loop (200 bytes, on 3.11 and 3.12) or started a thread (some 20 objects, on 3.13).
MOST_OBJECTS = {ways_to_end.left_behind_by_a_thread: HALF // 2}
MOST_BYTES = {ways_to_end.left_behind_by_a_thread: 400 * HALF}


class Said:
    """What is said by whatever way: warnings, logs, exceptions in finalizers and threads."""

    def __init__(self, monkeypatch):
        self.texts = []
        monkeypatch.setattr(sys, "unraisablehook", self.unraisable)
        monkeypatch.setattr(threading, "excepthook", self.unraisable)
        monkeypatch.setattr(warnings, "showwarning", self.warning)

    def log(self, record):
        """A filter: what it has heard goes no further, as pytest keeps all records."""
        error = record.exc_info[1] if record.exc_info else None
        errors = error.exceptions if isinstance(error, ExceptionGroup) else [error]
        unseen = record.name == "aioutils" and {type(error) for error in errors}
        if unseen != {ways_to_use.Drawn}:
            self.texts.append(f"{record.name}: {record.getMessage()} {error!r}")
        return False

    def unraisable(self, hook):
        self.texts.append(f"unraisable: {hook.exc_value!r}")

    def warning(self, message, category, *_):
        self.texts.append(f"{category.__name__}: {message}")

    def take(self):
        """How often a tool said that it could not clean up, and all that nobody promised."""
        texts, self.texts = self.texts, []
        dropped = [text for text in texts if "was dropped where it could not clean up" in text]
        return len(dropped), [text for text in texts if text not in dropped]


@pytest.fixture
def said(monkeypatch):
    said = Said(monkeypatch)
    loggers = [logging.getLogger(name) for name in ("aioutils", "asyncio")]
    for logger in loggers:
        logger.addFilter(said.log)
    gc.disable()  # in the loop of another tool, one in a cycle could not clean up
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "this call blocks the event loop")
        yield said
    gc.enable()
    for logger in loggers:
        logger.removeFilter(said.log)


def drop(seed, end, ways, kind, said):
    rng = random.Random(seed)
    way, use = rng.choice(ways), ways_to_use.Use(rng)
    what = f"AIOUTILS_SEED={SEED}: {seed}, {way.__name__}, {use.tool!r}"
    end(use, way)
    gc.collect()
    dropped, rest = said.take()
    assert rest == [], what
    assert use.begun == use.left, what
    if kind == "UNSAFE":
        assert use.begun == use.cleaned or dropped, what
    else:
        assert (use.begun, dropped) == (use.cleaned, 0), what


def keep_a_loop():
    """As a thread does whose last tool was clean, so that both counts include it."""
    with Group() as group:
        group.spawn(asyncio.sleep, 0)
        group.join()


@contextlib.contextmanager
def traced():
    """Whose allocations `kept()` counts."""
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


@pytest.mark.timeout(1200 if LONG else 60)
@pytest.mark.parametrize(("end", "ways", "kind"), ENDS)
def test_a_tool_that_was_used_and_dropped_leaves_nothing(end, ways, kind, said):
    for seed in range(5):  # what the first ones leave (caches) is no leak
        drop(f"{SEED} {seed}", end, ways, kind, said)
    keep_a_loop()
    before = census()
    for seed in range(HALF):
        drop(f"{SEED} {seed}", end, ways, kind, said)
    keep_a_loop()
    with traced():
        objects, allocated = kept()
        for seed in range(HALF, TOOLS):
            drop(f"{SEED} {seed}", end, ways, kind, said)
        keep_a_loop()
        assert grown(before, most=2) == {}
        more_objects, more_allocated = kept()
    if LONG:
        assert more_objects - objects < MOST_OBJECTS.get(end, 50)
        assert more_allocated - allocated < MOST_BYTES.get(end, 200 * HALF)
    else:  # some caches are not yet full
        assert more_allocated - allocated < 2_000_000


@pytest.mark.parametrize("dev", [False, True], ids=["plain", "dev"])
@pytest.mark.parametrize("seed", range(10 if LONG else 1))
def test_tools_in_every_state_go_with_the_interpreter_in_silence(run_script, project, seed, dev):
    code = f"""
    import logging, random, sys, threading, warnings
    sys.path.insert(0, {str(project / "tests")!r})
    from ways_to_use import WAYS, Use

    logging.getLogger("aioutils").setLevel(logging.CRITICAL + 1)  # failures that nobody saw
    uses = []
    for number in range(10):
        for way in WAYS:
            use = Use(random.Random(f"{SEED} {seed} {{number}}"))
            if use.rng.random() < 0.3:
                thread = threading.Thread(target=way, args=(use,))
                thread.start()
                thread.join()
            else:
                way(use)
            if use.rng.random() < 0.3:
                use.held.append(use)
            if use.rng.random() < 0.5:
                sys.kept = use, getattr(sys, "kept", None)
            uses.append(use)
    print(len(uses))
    """
    done = run_script(code, dev=dev)
    assert (done.stdout, done.stderr, done.returncode) == ("130\n", "", 0)
