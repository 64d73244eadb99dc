"""An async context manager that a tool entered (rule 25).

One asyncio task enters it, parks, and leaves it: entered in one task and left in another, it could
not reset its context variables. It takes no slot and does not count as a task of the tool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NoReturn

from ._failures import ride
from ._job import FAILED, Job
from ._waiting import Moment, Waitable
from .errors import ClosedError, cancelled

if TYPE_CHECKING:
    from ._scheduler import Scheduler
    from ._steps import Steps


def entering(scheduler: Scheduler, manager: AbstractAsyncContextManager[Any]) -> Steps[Any]:
    """Made as its steps begin, where no signal comes in between: it is entered, or closed."""
    return (yield from Stay(scheduler, manager).entering())


class Stay(Job):
    __slots__ = ("_door", "_leaving", "inside")

    def __init__(self, scheduler: Scheduler, manager: AbstractAsyncContextManager[Any]) -> None:
        super().__init__(
            scheduler.parking, self._stay(manager), copy_context(), f"context {manager!r}"
        )
        self.inside = Inside(self)
        self._door: asyncio.Future[None] | None = None
        self._leaving = False

    async def _stay(self, manager: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with manager as value:
                self.inside.enter(value)
                del value
                if not self._leaving:
                    self._door = asyncio.get_running_loop().create_future()
                    await self._door
        finally:
            # It knows us, and the frames of a failure lead to this one: cycles.
            del self.inside, self, manager

    def entering(self) -> Steps[Any]:
        """Returns what it gives, or raises what ended it."""
        inside = self.inside
        self._lane.scheduler.park(self)
        try:
            yield inside
        except BaseException as error:  # Ctrl-C: what it had begun to enter cleans up
            scheduler = self._lane.scheduler
            self._leaving = True  # first: it may enter all the same
            scheduler.cancel(self)
            try:
                if not self.reached():
                    yield self
            finally:
                if scheduler.failures.see(self):
                    ride(error, self.error(), f"{scheduler!r}: {self._name} failed")
            raise
        try:
            if self.reached():
                self._did_not_enter()
            return inside.value
        finally:
            del self, inside  # else the traceback, this frame and the exception are a cycle

    def _did_not_enter(self) -> NoReturn:
        scheduler = self._lane.scheduler
        scheduler.failures.see(self)
        if self._state is FAILED:
            try:
                raise self.error()
            finally:
                del self  # as above
        if scheduler.closer is not None:
            raise ClosedError(f"{scheduler!r} was closed meanwhile, and {self!r} with it")
        raise cancelled(f"{self!r} of {scheduler!r}")

    def leave(self) -> None:
        """On the loop. What is still being entered is cancelled."""
        self._leaving = True
        if self._door is None:
            # Else it ended just now, or entered although it was cancelled, and leaves by itself.
            if not (self.reached() or self.inside.reached()):  # pragma: no branch
                self._lane.scheduler.ask(self)
        elif not self._door.done():
            self._door.set_result(None)


class Inside(Moment):
    """The moment at which the manager was entered, or failed to be."""

    heeds = True

    def __init__(self, stay: Stay) -> None:
        super().__init__()
        self._stay = stay
        self._entered = False
        self.value: Any = None

    def __repr__(self) -> str:
        return f"entering {self._stay._name}"

    def enter(self, value: Any) -> None:
        self.value, self._entered = value, True
        self.tell()

    def reached(self) -> bool:
        return self._entered or self._stay.reached()

    def watch(self, notify: Callable[[], None]) -> None:
        super().watch(notify)
        self._stay.watch(notify)

    def unwatch(self, notify: Callable[[], None]) -> object:
        self._stay.unwatch(notify)
        return super().unwatch(notify)

    def blockers(self) -> Iterable[Waitable]:
        return (self._stay,)
