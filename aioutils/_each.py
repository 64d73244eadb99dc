"""How the items of one `map` or `imap` run: each as a job of its own.

`pulled` is written by whoever pulls the source; the counts of the order have writers of their own.
All else happens on the loop.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextvars import Context, copy_context
from functools import partial
from inspect import CO_COROUTINE
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from . import _work
from ._job import CANCELLED, Job
from ._order import Order
from ._roster import End

if TYPE_CHECKING:
    from ._scheduler import Scheduler

_BACKLOG = 1000  # results: one stop of the loop, some 30 us, for all of them


class Each:
    """Each item is a job, with an asyncio task and a slot of its own."""

    whole: bool = False  # all results are wanted, none of them first
    _context: Context

    def __init__(
        self,
        scheduler: Scheduler,
        order: Order,
        function: Any,
        star: bool,
        buffer: int | None,
    ) -> None:
        self._scheduler = scheduler
        self.order: Order = order
        self._function, self._executor = _work.placed(function)
        self.star: bool = star
        self._calls = not _work.is_async(function)
        self._lane = scheduler.calls if self._calls else scheduler.main
        self._name = _work.name_of(function)
        self._size = scheduler.main.size or 1000  # a group has no limit
        self._threads = self._lane.size or self._size
        self._buffer = self._size if buffer is None else buffer
        self.whole = self._buffer == sys.maxsize
        if self.whole:
            self._context = copy_context()
        else:
            order.buffer = self._buffer
        self.pulled: int = 0

    def is_inert(self) -> bool:
        """True if no line of the user's runs before the item's task does."""
        if self._calls:
            return True
        function = self._function
        while type(function) is partial:
            function = function.func
        if type(function) is MethodType:
            function = function.__func__
        is_plain = type(function) is FunctionType
        return is_plain and bool(function.__code__.co_flags & CO_COROUTINE)

    def start_here(self, items: Iterable[Any]) -> int:
        """`start_all` on the loop, with the context variables of who waits."""
        return self._context.run(self.start_all, items)

    def room(self) -> int:
        """How many items may start: `size` are on their way at most, and nothing starts while
        `buffer` results wait to be handed out."""
        ended = self.order.ended
        if ended - self.order.taken >= self._buffer:
            return 0
        begun = self.pulled - ended
        return min(self._size - begun, self._threads - (begun - len(self.order.awaited)))

    def goes_on(self) -> bool:
        """True if nobody need take results yet. Whoever waits asks when he looks: another thread
        may have taken one just now."""
        self.refill()
        order = self.order
        order.told = False
        if not self.whole or self.pulled <= order.ended or order.has_failed():
            return False
        return not self._has_backlog()

    def _has_backlog(self) -> bool:
        """True if so much is to be taken that it shall not be kept: each result comes in a job,
        which is several times as large as its place in a list."""
        return self.order.backlog() >= _BACKLOG and self.order.ready()

    def start_all(self, items: Iterable[Any]) -> int:
        """Returns how many there were."""
        before = self.pulled
        for item in items:
            self._start(item)
        return self.pulled - before

    def _start(self, item: Any) -> None:
        try:
            work = self._prepare(item) if self._calls or self.star else self._function(item)
        except Exception as error:  # it refuses its arguments; that has its place as well
            self._refused(error)
        else:
            self.pulled += 1
            self._scheduler.submit(Job(self._lane, work, copy_context(), self._name, self.order))

    def refill(self) -> None:
        """Before the consumer waits."""
        self._lane.scheduler.let_in()

    def _refused(self, error: Exception) -> None:
        job = Job(self._lane, None, None, self._name)
        job._order = self.order
        job.fail(error)
        self._scheduler.failures.add(job)
        self.order.spawn(job)
        self.pulled += 1
        self._scheduler.post(End(self.order.end, job))

    def stop(self) -> None:
        """What was pulled, and is in no job yet, never starts."""

    def let_go(self) -> None:
        """After the end: the iteration may be kept for long."""
        self._function = None

    def jobs(self) -> list[Job]:
        """What is unfinished."""
        return [job for job in self._scheduler.unfinished() if job._order is self.order]

    def under_way(self) -> Iterator[Job]:
        return (job for job in self._scheduler.under_way() if job._order is self.order)

    def needs(self, job: Job) -> bool:
        return job._order is self.order

    def forked(self) -> None:
        """In the child: what was under way, with whatever thread, is cancelled there."""
        left = self._left()
        self.order.forked(left)
        for _ in range(self.order.unknown(self.pulled - len(left))):
            lost = Job(self._lane, None, None, self._name)
            lost._order, lost._state = self.order, CANCELLED
            self.order.lose(lost)
        self.pulled = self.order.ended + len(left)

    def _left(self) -> set[Job]:
        return {job for job in self._scheduler.left() if job._order is self.order}

    def _prepare(self, item: Any) -> Any:
        args = item if self.star else (item,)
        if self._calls:
            return _work.Call(self._function, tuple(args), {}, self._executor)
        return self._function(*args)
