"""Runs random programs: `python tests/campaign SEED [COUNT]`. AIOUTILS_LOOP=uvloop: on uvloop.

It says nothing if all is well. A program that breaks a promise, or hangs, is named by its seed;
how threads interleave differs from run to run, so COUNT=0 repeats the one until it fails.
"""

import gc
import itertools
import logging
import os
import runpy
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # for what all tests share

from program import Program
from watchdog import Watchdog

SECONDS = 20
DROPPED = "was dropped where it could not clean up"


class Complaints(logging.Handler):
    """What asyncio logs, and what is raised where nobody can catch it."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []
        logging.getLogger("asyncio").addHandler(self)
        sys.unraisablehook = self.unraisable
        threading.excepthook = self.unraisable

    def emit(self, record):
        if not record.getMessage().startswith("Executing "):  # about the machine
            self.found.append(record.getMessage())
            if record.exc_info:
                self.found += traceback.format_exception(record.exc_info[1])

    def unraisable(self, what):
        self.found.append("".join(traceback.format_exception(what.exc_value)))


def on_uvloop():
    import uvloop

    runpy.run_path(str(Path(__file__).parents[1] / "on_uvloop" / "sitecustomize.py"))
    return uvloop.new_event_loop


def run(seed, factory, watchdog, complaints):
    """Returns what was wrong."""
    program = Program(seed, factory)
    watchdog.watch(seed, program)
    try:
        program.run()
    except BaseException:
        complaints.found.append(traceback.format_exc())
    refused = program.ledger.refused
    del program
    watchdog.watch(None, None)
    if seed % 10 == 0 or complaints.found:
        gc.collect()  # and what was never awaited, or destroyed while pending, is complained of
    found, complaints.found = complaints.found, []
    if refused:  # an end too, perhaps: then the iteration is dropped as it is
        found = [text for text in found if "iteration of" not in text or DROPPED not in text]
    return found + [f"left behind: {thread.name}" for thread in threads_left()]


def threads_left():
    """Of ours; one that is about to start, or was busy as its tool closed, has a moment to end."""
    give_up = time.monotonic() + 1
    while True:
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("aioutils")]
        if not threads or time.monotonic() > give_up:
            return threads
        time.sleep(0.001)


def main(first, count=1):
    warnings.simplefilter("error")
    # as documented, of no interest here
    warnings.filterwarnings("ignore", "this call blocks the event loop", RuntimeWarning)
    logging.getLogger("aioutils").propagate = False
    watchdog, complaints = Watchdog(SECONDS), Complaints()
    factory = on_uvloop() if os.environ.get("AIOUTILS_LOOP") == "uvloop" else None
    failed = 0
    for seed in range(first, first + count) if count else itertools.repeat(first):
        found = run(seed, factory, watchdog, complaints)
        if found:
            failed += 1
            print(f"AIOUTILS_SEED={seed}:", *found, sep="\n", file=sys.stderr, flush=True)
            if not count:
                break
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(*map(int, sys.argv[1:3]))))
