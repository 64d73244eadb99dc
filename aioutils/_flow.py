"""An async iterable spawned into a yielder: a task of which each item is handed out.

It pauses when enough of its items wait to be handed out, and lends its slot meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from . import _work
from ._aclosing import Aclosing
from ._graph import is_waited_for, reachable
from ._job import DONE, Job
from ._lane import Lane
from ._lease import pause
from ._waiting import Moment, Waitable
from .task import Task

if TYPE_CHECKING:
    from ._scheduler import Scheduler

_FIX = "Hand the items out, and it goes on."


class Flow(Task[None]):
    """`items` are those that wait for their turn in the order of spawning."""

    __slots__ = ("items",)

    def __init__(
        self, scheduler: Scheduler, source: AsyncIterable[Any], room: Moment, buffer: int
    ) -> None:
        work = self._pour(source, room, buffer)
        super().__init__(scheduler.main, work, copy_context(), _work.name_of(source))
        self.items: deque[Job] = deque()

    async def _pour(self, source: AsyncIterable[Any], room: Moment, buffer: int) -> None:
        iterator, order = aiter(source), self._order
        assert order is not None
        enough = _Room(self, room, buffer)
        try:
            async with Aclosing(iterator):
                async for item in iterator:
                    order.give(self, Given(self._lane, item))
                    del item  # it may wait long for the next one
                    order.tell()
                    if not enough.reached():
                        await pause(enough, _FIX)
        finally:
            del self, source, iterator, order, enough  # the frames of a failure lead to this one


class _Room(Waitable):
    """The moment at which fewer than `buffer` items wait, or who hands them out wants the end."""

    paces = True

    def __init__(self, flow: Flow, room: Moment, buffer: int) -> None:
        self._flow, self._buffer = flow, buffer
        self._room = room

    def watch(self, notify: Callable[[], None]) -> None:
        self._room.watch(notify)
        self._flow._lane.scheduler.watch(notify)

    def unwatch(self, notify: Callable[[], None]) -> None:
        self._room.unwatch(notify)
        self._flow._lane.scheduler.unwatch(notify)

    def forget_others(self) -> None:
        self._room.forget_others()

    def reached(self) -> bool:
        flow = self._flow
        order, lane = flow._order, flow._lane
        if order is None or lane.wanted is None or lane.scheduler.ending:
            return True
        if order.backlog(flow) < self._buffer:
            return True
        if order.is_behind(flow) and is_waited_for(flow):
            return True  # the one at the head may be who waits
        return flow in reachable(lane.wanted)  # he may be who hands the items out


class Given(Job):
    """An item to hand out: a job that has been done from the beginning."""

    __slots__ = ()

    def __init__(self, lane: Lane, item: Any) -> None:
        super().__init__(lane, None, None, "item")
        self._outcome, self._state = item, DONE


class Put(Given):
    """One that the user put there, so that it is handed out even if it is None."""

    __slots__ = ()
