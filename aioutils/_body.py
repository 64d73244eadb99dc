"""The block of an ``async with``: a failure that ends the tasks of a tool ends its block too.

As in `asyncio.TaskGroup`, by cancelling the task that runs the block; what was requested here is
taken back here, so that the counts of `asyncio.Task.cancelling()` stay true. But where the block
itself awaits what gives it the failure, it is left alone, and may catch that as in sync code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from ._scheduler import Scheduler
from ._steps import cancel_again, requests
from ._waiting import Waitable


class Body:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._task = asyncio.current_task()
        self._cancelled = False
        self._owes = False  # a failure came that the block does not know yet
        self._awaits: Waitable | None = None  # what is of the tool
        self._before: int = requests()
        self._tie = scheduler.tie_running(scheduler)  # nobody binds it elsewhere inside the block
        scheduler.body = self

    def fail(self) -> None:
        """A failure has ended the rest of the tasks."""
        self._owes = True
        self._look()

    def forgive(self) -> None:
        """The block was told that everything has ended, and did not want to know of failures."""
        self._owes = False

    def begin(self, target: Waitable) -> bool:
        """Somebody is about to await it. Returns True if it is the block."""
        if self._task is not asyncio.current_task():
            return False
        self._awaits = target
        return True

    def end(self) -> None:
        self._awaits = None
        if self._owes:  # once the block waits for something again
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """While the block is suspended."""
        failures, awaits = self._scheduler.failures, self._awaits
        if not (self._owes and failures.failing and failures) or self._scheduler.body is not self:
            return
        if awaits is not None and awaits.tells_failure():
            return  # and when that is over we look again
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    def leave(self) -> bool:
        """Returns True if the block's cancellation is nothing but the one that came from here."""
        self._scheduler.body = None
        if not self._cancelled or self._task is None:
            return False
        return self._task.uncancel() == self._before

    async def clean_up(
        self, leaving: Coroutine[Any, Any, None], error: BaseException | None = None
    ) -> None:
        """Failures go before a cancellation from outside, which is then requested anew."""
        try:
            await leaving
        except asyncio.CancelledError:
            if error is None:
                raise
            cancel_again(self._before)  # the block's own exception leaves
        except GeneratorExit:  # given up: there may be no loop any more
            raise
        except BaseException:
            cancel_again(self._before)
            raise
        finally:
            del self._tie


class Awaiting:
    """While async code awaits what is of a tool: it stays on the running loop, and if it is the
    tool's own block that waits, this is known there."""

    __slots__ = ("_body", "_tie")

    def __init__(self, scheduler: Scheduler, target: Waitable) -> None:
        self._tie = scheduler.tie_running(target)
        body = scheduler.body
        self._body = body if body is not None and body.begin(target) else None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        del self._tie
        if self._body is not None and kind is not GeneratorExit:  # given up: no loop may run
            self._body.end()
