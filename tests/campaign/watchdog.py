"""Ends the process when a program hangs, and says which one, and where everybody stands."""

import asyncio
import faulthandler
import os
import sys
import threading


class Watchdog:
    def __init__(self, seconds):
        self._seconds = seconds
        self._changed = threading.Condition()
        self._program = self._seed = None
        threading.Thread(target=self._watch, daemon=True, name="watchdog").start()

    def watch(self, seed, program):
        """Gives this one its time; None: nothing is to be watched."""
        with self._changed:
            self._seed, self._program = seed, program
            self._changed.notify()

    def _watch(self):
        with self._changed:
            while True:
                if not self._changed.wait(self._seconds) and self._program is not None:
                    self._bark()

    def _bark(self):
        print(f"AIOUTILS_SEED={self._seed} hangs", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(all_threads=True)
        for tool in self._program.tools:
            loop = tool._scheduler.loop
            print(f"\n{tool!r} on {loop and loop._event_loop!r}", file=sys.stderr)
            for job in tool._scheduler.unfinished():
                waits_for = [] if job._lease is None else job._lease.targets
                print(f"  {job!r} waits for {waits_for!r}", file=sys.stderr)
            if loop is not None and loop._event_loop is not None:
                for task in asyncio.all_tasks(loop._event_loop):
                    task.print_stack(file=sys.stderr)
        sys.stderr.flush()
        os._exit(3)
