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
import warnings
from collections.abc import Callable, Iterable

from ._failures import distinct
from ._job import RUNNING, Job
from ._lease import block, refuse
from ._loop import Loop
from ._scheduler import Scheduler, _all
from ._stay import Stay
from ._waiting import Waitable

_log = logging.getLogger("aioutils")
_FIX = "Inside a task, spawn and await; let the code outside of the tasks join and close."


class Ended(Waitable):
    """The moment at which nothing is left to do, with the failures that were unseen then.

    Each of several threads that join gets them: they are noted for all as the last task ends,
    before any of them raises.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._notify: Callable[[], None] | None = None
        self.failures: list[BaseException] | None = None

    def __repr__(self) -> str:
        return f"the end of {self._scheduler!r}"

    def reached(self) -> bool:
        if self.failures is None and self._scheduler.is_idle():
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


def join(scheduler: Scheduler, timeout: float | None) -> list[BaseException] | None:
    """Waits for the end, and returns the failures; None if `timeout` seconds passed first."""
    ended = Ended(scheduler)
    if not ended.reached():
        loop = scheduler.bound()
        if timeout == 0:
            refuse(loop, ended, _FIX)
            loop.run_once()
        else:
            block(loop, ended, timeout, _FIX)
    return ended.failures if ended.reached() else None


def close(scheduler: Scheduler) -> None:
    """Cancels what is unfinished, leaves the contexts, last in first out, and ends the loop.

    Raises what failed in doing so; older failures that nobody has seen are logged.
    """
    if scheduler.closed:
        return
    if scheduler.loop is not None:
        refuse(scheduler.loop, Ended(scheduler), _FIX)
    old = set(scheduler.failures.jobs())
    scheduler.cancel_all()
    try:
        if scheduler.loop is not None and not scheduler.is_idle():
            block(scheduler.loop, Ended(scheduler), None, _FIX)
    finally:
        scheduler.closed = True
        try:
            _leave_contexts(scheduler)
        finally:
            scheduler.shut()
            if scheduler.loop is not None:
                scheduler.loop.detach(scheduler)
    failed = [job for job in scheduler.failures.jobs() if job not in old]
    new = distinct([job for job in failed if scheduler.failures.see(job)])
    scheduler.failures.log(scheduler)
    if new:
        raise BaseExceptionGroup(f"{scheduler!r}: {len(new)} failed in closing", new)


def _leave_contexts(scheduler: Scheduler) -> None:
    interrupt: BaseException | None = None
    for job in reversed(tuple(scheduler.parked)):
        for _ in range(2):  # after one Ctrl-C it is left all the same, and so are the others
            try:
                if not job.reached():
                    if isinstance(job, Stay):
                        scheduler.post(job.leave)
                    else:
                        scheduler.cancel(job)  # the source of an iteration
                    block(scheduler.bound(), job, None, _FIX)
                break
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
        try:
            close(scheduler)
        except Exception:
            _log.exception("%r was dropped, and failed in cleaning up", scheduler)
        return
    scheduler.closed = True
    description = repr(scheduler)
    scheduler.abandon()
    if loop is not None:
        loop.detach(scheduler, safe=False)
    scheduler.failures.log(scheduler)
    if started:
        warn_dropped(description)


def drop_iteration(scheduler: Scheduler, jobs: list[Job], stop: Callable[[], None]) -> None:
    """What becomes of an iteration that nobody holds any more. Starts no thread."""
    loop = scheduler.loop
    if can_run(loop):
        stop()
    elif loop is not None and loop.runs_now():
        for job in jobs:
            scheduler.cancel(job)  # whoever drives lets it clean up
    else:
        started = any(job._state is RUNNING for job in jobs)
        scheduler.give_up(jobs)
        if started:
            warn_dropped(f"an iteration of {scheduler!r}")


def warn_dropped(description: str) -> None:
    if not sys.is_finalizing():
        warnings.warn(
            f"{description} was dropped where it could not clean up: close it, or use 'with'",
            ResourceWarning,
            stacklevel=4,
        )


@atexit.register
def _at_exit() -> None:
    for scheduler in tuple(_all):
        loop: Loop | None = scheduler.loop
        if scheduler.closed or (loop is not None and loop.runs_now()):
            continue
        scheduler.closed = True
        scheduler.failures.log(scheduler)
        scheduler.abandon()
        if loop is not None:
            loop.detach(scheduler, safe=False)
