"""The block of an ``async with``: a failure that ends the tasks of a tool ends its block too.

As in `asyncio.TaskGroup`, by cancelling the task that runs the block; what was requested here is
taken back here, so that the counts of `asyncio.Task.cancelling()` stay true.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from ._scheduler import Scheduler
from ._steps import cancel_again, requests


class Body:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._task = asyncio.current_task()
        self._cancelled = False
        self._before: int = requests()
        self._tie = scheduler.tie_running(scheduler)  # nobody binds it elsewhere inside the block
        scheduler.on_failing = self._cancel

    def _cancel(self) -> None:
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    def leave(self, error: BaseException | None) -> bool:
        """Returns True if `error` is nothing but the cancellation that came from here."""
        self._scheduler.on_failing = None
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
