"""A procedure of several waits, written once and run in both worlds.

It is a generator that yields what it waits for. `run` waits in sync code; what a wait raises
(Ctrl-C) is thrown into the procedure, which may go on cleaning up. `arun` waits on the running
loop; a cancellation is raised at the end.
"""

from __future__ import annotations

import asyncio
import operator
import sys
from collections.abc import Callable, Generator
from functools import partial
from typing import TypeVar

from ._lease import block, pause
from ._scheduler import Scheduler
from ._signals import Signals
from ._waiting import Waitable, now
from ._warnings import warn_dropped

T = TypeVar("T")
Steps = Generator[Waitable, None, T]


def run(steps: Steps[T], scheduler: Scheduler, fix: str) -> T:
    """In sync code. The cancellation of a function that runs it is thrown in where it waits for
    what `heeds` that; elsewhere it is for the next wait."""
    return _run(steps, partial(scheduler.block, timeout=None, fix=fix))


def run_in_finalizer(steps: Steps[T], scheduler: Scheduler, fix: str) -> T:
    """Where the collector may have been at the coroutines before us: what waits for nothing that
    could still happen is given up."""

    def wait(target: Waitable) -> None:
        loop, begun = scheduler.bound(), now()
        while not block(loop, target, 0.1, fix):
            if loop.is_stuck(begun):
                scheduler.abandon()
                warn_dropped(repr(scheduler))

    return _run(steps, wait)


def _run(steps: Steps[T], wait: Callable[[Waitable], object]) -> T:
    target: Waitable | None = None
    with Signals():  # between the waits nothing may be interrupted: the next one is
        try:
            target = next(steps)
            while True:
                try:
                    if not target.reached():
                        wait(target)
                except BaseException as error:
                    target = steps.throw(error)
                else:
                    target = steps.send(None)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            del target  # the frames of a failure lead to this one


async def arun(steps: Steps[T], scheduler: Scheduler, fix: str, *, ends_all: bool = True) -> T:
    """`ends_all`: it waits for the end of the tool, which a cancellation hastens."""
    cancelled: asyncio.CancelledError | None = None
    before = requests()
    try:
        target = next(steps)
        while True:
            try:
                while not target.reached():
                    tie = scheduler.tie_running(scheduler)
                    try:
                        await pause(target, fix)
                    except asyncio.CancelledError as error:
                        cancelled = error
                        if ends_all:
                            scheduler.cancel_all()
                    finally:
                        del tie
            except Exception as error:  # it was refused
                target = steps.throw(error)
            else:
                target = steps.send(None)
    except StopIteration as end:
        if cancelled is not None:
            raise cancelled from None
        return end.value  # type: ignore[no-any-return]
    except Exception:
        if cancelled is not None:  # a failure goes before it
            cancel_again(before)
        raise


def cancel_again(before: int) -> None:
    """Of the running task, whose cancellation gave way to a failure: at its next `await`, unless
    somebody takes the request back until then. `before`: requests that are not to be heeded."""
    task = asyncio.current_task() if asyncio._get_running_loop() is not None else None
    if task is None or task.cancelling() <= before:
        return
    # Before 3.13 uncancel() does not take back what was not delivered yet.
    taken_back = sys.version_info >= (3, 13)
    soon = operator.call if taken_back else asyncio.get_running_loop().call_soon
    soon(_cancel_again, task, task.cancelling())


def _cancel_again(task: asyncio.Task[object], requests: int) -> None:
    if not task.done() and task.cancelling() >= requests:  # pragma: no branch: before 3.13 only
        task.uncancel()
        task.cancel()


def requests() -> int:
    """How many to cancel the running task there were."""
    task = asyncio.current_task() if asyncio._get_running_loop() is not None else None
    return 0 if task is None else task.cancelling()
