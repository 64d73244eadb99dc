"""A procedure of several waits, written once and run in both worlds.

It is a generator that yields what it waits for. `run` waits in sync code; what a wait raises
(Ctrl-C) is thrown into the procedure, which may go on cleaning up. `arun` waits on the running
loop; a cancellation cancels the tool's tasks, and is raised at the end.
"""

import asyncio
from collections.abc import Generator
from typing import TypeVar

from ._lease import block, pause
from ._scheduler import Scheduler
from ._waiting import Waitable

T = TypeVar("T")
Steps = Generator[Waitable, None, T]


def run(steps: Steps[T], scheduler: Scheduler, fix: str) -> T:
    try:
        target = next(steps)
        while True:
            try:
                if not target.reached():
                    block(scheduler.bound(), target, None, fix)
            except BaseException as error:
                target = steps.throw(error)
            else:
                target = steps.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def arun(steps: Steps[T], scheduler: Scheduler, fix: str) -> T:
    cancelled: asyncio.CancelledError | None = None
    try:
        target = next(steps)
        while True:
            while not target.reached():
                try:
                    await pause(target, fix)
                except asyncio.CancelledError as error:
                    cancelled = error
                    scheduler.cancel_all()
            target = steps.send(None)
    except StopIteration as end:
        if cancelled is not None:
            raise cancelled from None
        return end.value  # type: ignore[no-any-return]
