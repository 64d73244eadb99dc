"""Joining a tool: the moment at which nothing is left to do, in both worlds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ._body import Awaiting
from ._failures import raise_all
from ._lease import pause, refuse_circle
from ._roster import nothing
from ._scheduler import Scheduler
from ._waiting import Waitable, now

FIX = (
    "Inside a task, spawn and await, and let the code outside of the tasks join and close; "
    "in async code write 'async with' and 'await tool.wait()'."
)


class Ended(Waitable):
    """The moment at which nothing is left to do, with the failures that were unseen then.

    Each of several threads that join gets them: whoever looks first notes them for all, before
    any of them raises.
    """

    heeds = True

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._notify: Callable[[], None] | None = None
        self.failures: list[BaseException] | None = None
        self._fast = False  # the first failure ended the rest
        self._ended = self._failed = 0  # how many tasks, of which nobody was told before
        self._counts = (0, 0)  # all that had ended and failed by then

    def __repr__(self) -> str:
        return f"the end of {self._scheduler!r}"

    def reached(self) -> bool:
        if self.failures is None:
            joins = (self, *self._scheduler.joins)  # first: who comes later may have spawned
            if self._scheduler.is_idle():
                with self._scheduler._lock:
                    for ended in joins:
                        ended._note()
        return self.failures is not None

    def _note(self) -> None:
        if self.failures is None:
            failures = self._scheduler.failures
            ended, failed = failures.told
            self._counts = self._scheduler.ended, failures.failed
            self._ended, self._failed = self._counts[0] - ended, self._counts[1] - failed
            self._fast = failures.failing
            self.failures = failures.errors()

    def raise_all(self, *, raise_error: bool = True) -> None:
        """If there are failures. They are not kept: their frames lead to those who joined."""
        errors, self.failures = self.failures, []
        self._scheduler.failures.end_join(self._counts)
        try:
            if errors and raise_error:
                self._scheduler.failures.see_all(errors, self._counts)
                failed = max(self._failed, len(errors))  # some are of a call that was left early
                raise_all(errors, self._scheduler, failed, self._ended, self._fast)
        finally:
            del errors  # as in `raise_all`

    def watch(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._scheduler.joins.append(self)
        self._scheduler.watch(self._look)
        self._scheduler.let_in()

    def unwatch(self, notify: Callable[[], None]) -> None:
        self._scheduler.unwatch(self._look)
        self._scheduler.joins.remove(self)

    def tells_failure(self) -> bool:
        return True

    def blockers(self) -> Iterable[Waitable]:
        return self._scheduler.blockers()

    @property
    def thread(self) -> int | None:
        """The one that waits, if it is a thread that does."""
        return getattr(getattr(self._notify, "__self__", None), "thread", None)

    def _look(self) -> None:
        # Not reached: another thread spawned something just now.
        if self.reached() and self._notify is not None:  # pragma: no branch
            self._notify()


def join(scheduler: Scheduler, timeout: float | None) -> Ended | None:
    """Waits for the end, and returns it; None if `timeout` seconds passed first. What is left of
    these is for the tools that tasks dropped: their clean-up may spawn more."""
    deadline = None if timeout is None else now() + timeout
    while True:
        ended = _join(scheduler, timeout)
        timeout = None if deadline is None else max(0.0, deadline - now())
        if ended is None or not scheduler.settle(timeout):
            return ended


def _join(scheduler: Scheduler, timeout: float | None) -> Ended | None:
    ended = Ended(scheduler)
    if ended.reached():
        return ended
    if timeout is not None and timeout <= 0:
        ended.watch(nothing)
        try:
            scheduler.look(ended, FIX)
        finally:
            ended.unwatch(nothing)
    else:
        scheduler.block(ended, timeout, FIX)
    return ended if ended.reached() else None


async def wait(scheduler: Scheduler, timeout: float | None) -> Ended | None:
    """`join` in async code."""
    ended = Ended(scheduler)
    with Awaiting(scheduler, ended):
        if timeout is not None and timeout <= 0:
            refuse_circle(ended, FIX)
            ended.watch(nothing)
            try:
                for _ in range(3):  # as many passes as Loop.run_once() makes
                    if not ended.reached():
                        await asyncio.sleep(0)
            finally:
                ended.unwatch(nothing)
        else:
            await pause(ended, FIX, timeout)
    return ended if ended.reached() else None
