"""What becomes of a tool or an iteration that nobody holds any more, and of all of them at exit.

- finalizers come in any thread and inside anything: they run the loop only where that is safe, or
  have a task close the tool on a loop that somebody runs; else they say so with a ResourceWarning
  and close the coroutines; they start no thread.
- at exit nothing is run any more, and nothing is said but failures that nobody has seen.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import sys
import threading
from collections.abc import Callable
from functools import partial

from ._ending import closing, part
from ._eventloop import inherit
from ._failures import complain
from ._job import RUNNING, Job
from ._joining import FIX
from ._loop import Loop
from ._owner import in_new_child
from ._raised import is_a
from ._scheduler import Scheduler, _all
from ._steps import arun, run_in_finalizer
from ._threads import thread_ends
from ._warnings import warn_dropped


def can_run(loop: Loop | None, thread: int) -> bool:
    """True if a finalizer may run this loop here and now; `thread` made what goes."""
    if sys.is_finalizing() or asyncio._get_running_loop() is not None:
        return False
    if loop is None:
        return True
    own = thread == threading.get_ident() or loop.is_of_this_thread()
    return own and loop.private and not loop.runs_now()


class _Collector(set[str]):
    """Not empty while the collector runs, which sets attributes of it to its figures, by name.

    Without a line of Python: a signal in one would be printed by the collector, and lost.
    """

    start = property(None, set.update)
    stop = property(None, set.difference_update)


_collector = _Collector()
gc.callbacks.append(partial(setattr, _collector))


def drop(scheduler: Scheduler) -> None:
    """What becomes of a tool that nobody holds any more, unless it is closed. Starts no thread."""
    if in_new_child():
        inherit(scheduler)
        return
    loop = scheduler.loop
    over = scheduler.is_idle() and not scheduler.parked
    scheduler.dropped = True
    if can_run(loop, scheduler.thread):
        if loop is not None and (_collector or thread_ends()):
            loop.keep = False  # the collector may be about to finalize what it consists of
        try:
            if over and scheduler.begin_closing():
                try:
                    part(scheduler)
                finally:  # Ctrl-C
                    scheduler.failures.log(scheduler)
            else:
                run_in_finalizer(closing(scheduler), scheduler, FIX)
        except Exception as error:
            if _is_collectors(error):
                warn_dropped(repr(scheduler))
            else:
                _log_failure(error, scheduler)
        return
    if loop is not None and not over:
        if loop.adopt(scheduler, scheduler.gone, partial(_close_orphan, scheduler)):
            return
    if loop is not None and loop.private and loop.is_left(scheduler):
        for orphan in loop.take_orphans():  # first: with the last tool goes the loop
            assert isinstance(orphan, Scheduler)
            _give_up(orphan)
    _give_up(scheduler)


async def _close_orphan(scheduler: Scheduler) -> None:
    try:
        await arun(closing(scheduler), scheduler, FIX)
    except Exception as error:
        _log_failure(error, scheduler)


def _is_collectors(error: BaseException) -> bool:
    """True if it is what Python says to those who await a coroutine that the collector closed."""
    if is_a(error, BaseExceptionGroup):
        return all(map(_is_collectors, error.exceptions))
    return is_a(error, RuntimeError) and error.args == ("cannot reuse already awaited coroutine",)


def _log_failure(error: Exception, who: object) -> None:
    complain(error, "%s was dropped, and failed in cleaning up", who)


def _give_up(scheduler: Scheduler) -> None:
    """Where nothing can be run."""
    scheduler.closed = True
    description, started = repr(scheduler), bool(scheduler.running or scheduler.parked)
    scheduler.leave_family()
    if scheduler.loop is not None:
        scheduler.loop.detach(scheduler, safe=False)
    scheduler.abandon()
    scheduler.failures.log(scheduler)
    scheduler.gone.come()
    if started:
        warn_dropped(description)


def drop_iteration(
    scheduler: Scheduler,
    thread: int,
    unfinished: Callable[[], list[Job]],
    close: Callable[[], None],
) -> None:
    """What becomes of an iteration that nobody holds any more, and that `thread` began. Starts no
    thread."""
    if in_new_child():
        return  # it goes on in the parent only
    loop = scheduler.loop
    if not can_run(loop, thread):
        started = _ask(scheduler, unfinished())  # the next who drives lets it clean up
        if not started or (loop is not None and loop.runs_now()):
            return
        if not can_run(loop, thread):  # else who drove has left just now
            warn_dropped(f"an iteration of {scheduler!r}")
            return
    del unfinished  # as below
    try:
        close()
    except Exception as error:
        _log_failure(error, f"an iteration of {scheduler!r}")
    finally:
        del close  # the frames of what fails in it lead here, and to the tool


def _ask(scheduler: Scheduler, jobs: list[Job]) -> bool:
    """Returns True if any of them had started."""
    started = any(job._state is RUNNING for job in jobs)
    for job in jobs:
        scheduler.ask(job)
    return started


@atexit.register
def _at_exit() -> None:
    for scheduler in tuple(_all):
        loop: Loop | None = scheduler.loop
        if scheduler.closed or (loop is not None and loop.runs_now()):
            continue
        if loop is not None and loop.private and scheduler.blocks_thread():
            continue  # a daemon one, which is about to drive; its call must not fail
        scheduler.closed = True
        scheduler.failures.log(scheduler)
        if loop is not None:  # first, or async generators would want it to run
            loop.detach(scheduler, safe=False)
        scheduler.abandon()
