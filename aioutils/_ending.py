"""The ends of a tool: joined, closed, dropped, or caught by the interpreter's exit.

- `close` waits: leftovers are cancelled and clean up, contexts are left, the loop goes.
- `drop` is for finalizers, which come in any thread and inside anything: it runs the loop only
  where that is safe, and otherwise says so with a ResourceWarning and closes the coroutines.
- at exit nothing is run any more, and nothing is said but failures that nobody has seen.
"""

import asyncio
import atexit
import logging
import sys
from collections.abc import Callable, Iterable
from typing import Literal

from ._failures import distinct, note
from ._job import RUNNING, Job
from ._lease import block, pause, refuse
from ._loop import Loop
from ._owner import winding_down
from ._scheduler import Scheduler, _all
from ._stay import Stay
from ._steps import Steps, arun, run, run_in_finalizer
from ._waiting import Waitable
from ._warnings import warn_dropped
from .errors import UnfinishedError

OnExit = Literal["wait", "cancel", "refuse"]

_log = logging.getLogger("aioutils")
_FIX = (
    "Inside a task, spawn and await, and let the code outside of the tasks join and close; "
    "in async code write 'async with' and 'await tool.wait()'."
)


class Ended(Waitable):
    """The moment at which nothing is left to do, with the failures that were unseen then.

    Each of several threads that join gets them: they are noted for all as the last task ends,
    before any of them raises.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._notify: Callable[[], None] | None = None
        self.failures: list[BaseException] | None = None
        self.ended = 0  # of how many tasks

    def __repr__(self) -> str:
        return f"the end of {self._scheduler!r}"

    def reached(self) -> bool:
        if self.failures is None and self._scheduler.is_idle():
            self.ended = self._scheduler.failures.ended
            self.failures = self._scheduler.failures.errors()
        return self.failures is not None

    def watch(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._scheduler.watch(self._look)

    def unwatch(self, notify: Callable[[], None]) -> None:
        self._scheduler.unwatch(self._look)

    def blockers(self) -> Iterable[Waitable]:
        return self._scheduler.unfinished()

    def _look(self) -> None:
        if self.reached() and self._notify is not None:
            self._notify()


def join(scheduler: Scheduler, timeout: float | None) -> Ended | None:
    """Waits for the end, and returns it; None if `timeout` seconds passed first."""
    ended = Ended(scheduler)
    if not ended.reached():
        loop = scheduler.bound()
        if timeout == 0:
            refuse(loop, ended, _FIX)
            loop.run_once()
        else:
            block(loop, ended, timeout, _FIX)
    return ended if ended.reached() else None


async def wait(scheduler: Scheduler, timeout: float | None) -> Ended | None:
    """`join` in async code."""
    scheduler.bind_running(scheduler)
    ended = Ended(scheduler)
    if timeout == 0:
        for _ in range(3):  # as many passes as Loop.run_once() makes
            if not ended.reached():
                await asyncio.sleep(0)
    else:
        await pause(ended, _FIX, timeout)
    return ended if ended.reached() else None


def close(scheduler: Scheduler) -> None:
    if scheduler.closed:
        return
    if scheduler.loop is not None:
        refuse(scheduler.loop, Ended(scheduler), _FIX)
    run(closing(scheduler), scheduler, _FIX)


def leave(scheduler: Scheduler, on_exit: OnExit, error: BaseException | None) -> None:
    if scheduler.loop is not None and not scheduler.closed:
        refuse(scheduler.loop, Ended(scheduler), _FIX)
    run(leaving(scheduler, on_exit, error), scheduler, _FIX)


async def aleave(scheduler: Scheduler, on_exit: OnExit, error: BaseException | None) -> None:
    await arun(leaving(scheduler, on_exit, error), scheduler, _FIX)


async def aclose(scheduler: Scheduler) -> None:
    if not scheduler.closed:
        await arun(closing(scheduler), scheduler, _FIX)


def closing(scheduler: Scheduler, *, log: bool = True) -> Steps[None]:
    """Cancels what is unfinished, leaves the contexts, last in first out, and ends the loop.

    Raises what failed in doing so; older failures that nobody has seen are logged.
    """
    if not scheduler.begin_closing():
        yield scheduler.gone  # another thread closes it
        return
    old = set(scheduler.failures.jobs())
    try:
        for ended in winding_down([scheduler]):
            if scheduler.loop is not None:
                yield ended
    finally:
        scheduler.closed = True
        try:
            yield from _leaving_contexts(scheduler)
        finally:
            scheduler.shut()
            scheduler.leave_family()
            if scheduler.loop is not None:
                scheduler.loop.detach(scheduler)
            scheduler.gone.come()
    failed = [job for job in scheduler.failures.jobs() if job not in old]
    new = distinct([job for job in failed if scheduler.failures.see(job)])
    if log:
        scheduler.failures.log(scheduler)
    if new:
        raise BaseExceptionGroup(f"{scheduler!r}: {len(new)} failed in closing", new)


def leaving(scheduler: Scheduler, on_exit: OnExit, error: BaseException | None) -> Steps[None]:
    """The end of a ``with`` block, which `error` left, if any. What fails then rides on it."""
    if error is not None:
        scheduler.cancel_all()
        try:
            yield from closing(scheduler, log=False)
        except BaseExceptionGroup as group:
            for failure in group.exceptions:
                note(error, f"while {scheduler!r} was closed: {failure!r}")
        for failure in scheduler.failures.take():
            note(error, f"a task of {scheduler!r} failed: {failure!r}")
        return
    ended = Ended(scheduler)
    try:
        if on_exit == "refuse":
            _refuse_unfinished(scheduler)
        elif on_exit == "cancel":
            scheduler.cancel_all()
        yield ended
        if ended.failures:
            scheduler.failures.raise_all(ended.failures, scheduler, ended.ended)
    finally:
        yield from closing(scheduler)


def _refuse_unfinished(scheduler: Scheduler) -> None:
    jobs, where = scheduler.unfinished(), scheduler.origins
    if jobs:
        names = "".join(f"\n  {job!r}, spawned at {where.get(job, '?')}" for job in jobs)
        scheduler.cancel_all()
        raise UnfinishedError(f"{scheduler!r} was left with unfinished tasks:{names}")


def _leaving_contexts(scheduler: Scheduler) -> Steps[None]:
    interrupt: BaseException | None = None
    for job in reversed(tuple(scheduler.parked)):
        for _ in range(2):  # after one Ctrl-C it is left all the same, and so are the others
            if job.reached():
                break
            if isinstance(job, Stay):
                scheduler.post(job.leave)
            else:
                scheduler.cancel(job)  # the source of an iteration
            try:
                yield job
            except BaseException as error:
                interrupt = interrupt or error
    if interrupt is not None:
        scheduler.abandon()
        raise interrupt
    scheduler.parked.clear()


def can_run(loop: Loop | None) -> bool:
    """True if a finalizer may run this loop here and now."""
    if sys.is_finalizing() or asyncio._get_running_loop() is not None:
        return False
    return loop is None or (loop.private and loop.is_of_this_thread() and not loop.runs_now())


def drop(scheduler: Scheduler) -> None:
    """What becomes of a tool that nobody holds any more. Starts no thread."""
    if scheduler.closed:
        return
    loop = scheduler.loop
    started = bool(scheduler.running or scheduler.parked)
    if can_run(loop):
        if loop is not None:
            loop.keep = False  # the collector may be about to finalize what it consists of
        try:
            run_in_finalizer(closing(scheduler), scheduler, _FIX)
        except Exception:
            _log.exception("%r was dropped, and failed in cleaning up", scheduler)
        return
    scheduler.closed = True
    description = repr(scheduler)
    if loop is not None:
        loop.detach(scheduler, safe=False)
    scheduler.abandon()
    scheduler.failures.log(scheduler)
    if started:
        warn_dropped(description)


def drop_iteration(
    scheduler: Scheduler, unfinished: Callable[[], list[Job]], close: Callable[[], None]
) -> None:
    """What becomes of an iteration that nobody holds any more. Starts no thread."""
    loop = scheduler.loop
    if can_run(loop):
        close()
        return
    jobs = unfinished()
    started = any(job._state is RUNNING for job in jobs)
    for job in jobs:
        scheduler.cancel(job)  # the next who drives lets it clean up
    if started and (loop is None or not loop.runs_now()):
        warn_dropped(f"an iteration of {scheduler!r}")


@atexit.register
def _at_exit() -> None:
    for scheduler in tuple(_all):
        loop: Loop | None = scheduler.loop
        if scheduler.closed or (loop is not None and loop.runs_now()):
            continue
        scheduler.closed = True
        scheduler.failures.log(scheduler)
        if loop is not None:  # first, or async generators would want it to run
            loop.detach(scheduler, safe=False)
        scheduler.abandon()
