"""How the items of one `map` or `imap` run with `isolate=False`: by workers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import Context, copy_context
from functools import partial
from gc import get_referents
from typing import Any

from ._each import Each
from ._job import CANCELLED, DONE, RUNNING, Job
from ._lease import current
from ._order import Order
from ._raised import is_a
from ._waiting import Waitable


class Crew(Each):
    """Worker jobs run the items one after the other: the asyncio task is shared by many.

    A worker ends when there is nothing to do or no room for a result, when others wait for its
    slot (another one then gets in line), and when an item changed a context variable or left the
    task cancelled. After a pause it lets the loop look at its I/O first.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._items: deque[Item] = deque()
        self._workers: set[Job] = set()
        self._hired = 0
        self._fresh = 0  # of these have not started yet
        self._halted = False  # by a failure
        self._context = copy_context()
        self._nobody: Any = _Nobody(self.order)

    def room(self) -> int:
        """Some more than can run are pulled, so that a worker finds its next item at hand."""
        if not self._has_buffer():
            return 0
        line, size = len(self._items) - self._fresh, self._size
        if self.whole:
            return 0 if line > size else 8 * size - line
        return min(size + self._buffer - (self.pulled - self.order.taken), 2 * size - line)

    def goes_on(self) -> bool:
        goes_on = self.whole and bool(self._workers) and not (self._halted or self._has_backlog())
        self.order.told = goes_on  # of what they give: of all else they tell
        return goes_on

    def start_all(self, items: Iterable[Any]) -> int:
        enter, append = self.order.spawn, self._items.append
        before = self.pulled
        for args in items:
            item = _new_item(Item)
            item.crew, item.args, item._state = self, args, RUNNING
            enter(item)
            append(item)
            self.pulled += 1
        for _ in range(self.pulled - before):
            if not self._refill():
                break
        return self.pulled - before

    def refill(self) -> None:
        self._halted = False
        self._refill()

    def _refill(self) -> bool:
        if self._items and self._hired < self._size and self._has_buffer():
            self._hire()
            return True
        return False

    def stop(self) -> None:
        self._items.clear()

    def jobs(self) -> list[Job]:
        return list(self._workers)

    def under_way(self) -> Iterator[Job]:
        return iter(tuple(self._workers))

    def needs(self, job: Job) -> bool:
        return job in self._workers

    def forked(self) -> None:
        self._items = deque(self._items)  # another one: by that, the worker that forked knows
        super().forked()
        self._workers &= self._scheduler.left()
        self._hired = self._fresh = len(self._workers)

    def _left(self) -> set[Job]:
        return set(self._items)

    def _has_buffer(self) -> bool:
        return not self._halted and self.order.ended - self.order.taken < self._buffer

    def _hire(self) -> None:
        self._hired += 1
        self._fresh += 1
        context = self._context.copy()
        worker = Job(self._lane, self._work_off(context), context, self._name)
        worker._order = self._nobody
        self._workers.add(worker)
        worker.watch(partial(self._leave, worker))
        self._scheduler.submit(worker)

    def _leave(self, worker: Job) -> None:
        if worker not in self._workers:
            return  # it forked, and this is the child
        self._workers.discard(worker)
        self._hired -= 1
        if self._fresh > self._hired:  # it never started. No call: another thread may hire
            self._fresh = self._hired
        if worker._state is CANCELLED or self._scheduler.was_asked(worker):
            self._cancel_items(worker)  # the pool was cancelled, and they are what it has left
        if not (self._refill() or self._items):
            self.order.tell()  # it may have been the last

    def _cancel_items(self, worker: Job) -> None:
        while self._items:
            item = self._items.popleft()
            self._cancel_item(item, worker)
            self.order.end(item)

    def _cancel_item(self, item: Item, worker: Job | None) -> None:
        self.order.blame(item, None if worker is None else self.order.causes.get(worker))
        item._state = CANCELLED

    async def _work_off(self, context: Context) -> None:
        self._fresh -= 1
        items, order, lane, function = self._items, self.order, self._lane, self._function
        me, loop, star = asyncio.current_task(), self._scheduler.loop, self.star
        short, buffer = self._size if self.whole else -1, self._buffer
        assert me is not None and loop is not None
        before, variables = context.copy(), get_referents(context)[-1]
        while items and not self._halted and order.ended - order.taken < buffer:
            item = items.popleft()
            if len(items) == short:
                order.tell()  # the line gets short
            try:
                item._outcome = await (function(*item.args) if star else function(item.args))
                item._state = DONE
            except BaseException as error:
                if self._failed(item, error):
                    if items is self._items:
                        order.end(item)
                    raise
            if items is not self._items:  # it forked, and in this child the item has ended
                return
            order.end(item)
            del item
            while not loop.admits:
                await asyncio.sleep(0)
            if (lane.waiting and lane.free(1) <= 0) or lane.returning or me.cancelling():
                return
            if get_referents(context)[-1] is not variables and _changed(before):
                return

    def _failed(self, item: Item, error: BaseException) -> bool:
        """Returns True if it ends the worker as well."""
        loop = self._scheduler.loop
        given_up = loop is None or not loop.is_here()
        if is_a(error, asyncio.CancelledError):
            self._cancel_item(item, current.get())
            return given_up or self._scheduler.was_asked(current.get())
        if given_up or is_a(error, KeyboardInterrupt, SystemExit):
            item._state = CANCELLED
            return True
        item.fail(error)
        self._scheduler.failures.add(item)
        self._halted = True  # the consumer may want no more
        self.order.told = False
        return False


class Item(Job):
    """What a worker runs: the end of a job, without its beginning."""

    __slots__ = ("args", "crew")

    _lease = _watchers = _runner = _work = _context = None
    crew: Crew
    args: Any

    @property
    def _order(self) -> Order:  # type: ignore[override]
        return self.crew.order

    def blockers(self) -> Iterable[Waitable]:
        return self.crew._scheduler.blocked()

    def givers(self) -> Iterable[Waitable]:
        return self.crew.under_way()

    @property
    def _name(self) -> str:  # type: ignore[override]
        return self.crew._name


_new_item = Item.__new__  # a call of the class would call an __init__ too


class _Nobody:
    """The order of workers: their ends are no results."""

    buffer = None

    def __init__(self, order: Order) -> None:
        self.blame = order.blame

    def spawn(self, job: Job) -> None: ...
    def end(self, job: Job) -> None: ...
    def lose(self, job: Job) -> None: ...


def _changed(before: Context) -> bool:
    """By identity: `==` takes 1 for True, fails on arrays, and would not see a list that grew
    into another one of the same content."""
    now = copy_context()
    if len(now) != len(before):
        return True
    return any(before.get(variable, before) is not value for variable, value in now.items())
