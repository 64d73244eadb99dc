"""How the items of one `map` or `imap` run: each as a job of its own, or by workers.

`pulled` is written by whoever pulls the source; the counts of the order have writers of their own.
All else happens on the loop.
"""

import asyncio
from collections import deque
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from . import _work
from ._job import CANCELLED, DONE, RUNNING, Job
from ._order import Order

if TYPE_CHECKING:
    from ._scheduler import Scheduler


class Each:
    """Each item is a job, with an asyncio task and a slot of its own."""

    def __init__(
        self,
        scheduler: "Scheduler",
        order: Order,
        function: Any,
        star: bool,
        buffer: int | None,
    ) -> None:
        self._scheduler = scheduler
        self.order: Order = order
        self._function = function
        self._star = star
        self._calls = not _work.is_async(function)
        self._lane = scheduler.calls if self._calls else scheduler.main
        self._name = _work.name_of(function)
        self._size = self._lane.size or 1000  # a group has no limit
        self._buffer = self._size if buffer is None else buffer
        self.pulled: int = 0

    def has_room(self) -> bool:
        """True if an item may start: fewer than `size` are on their way, and fewer than `buffer`
        results wait to be handed out."""
        ended = self.order.ended
        return self.pulled - ended < self._size and ended - self.order.taken < self._buffer

    def start(self, item: Any) -> None:
        try:
            work = self._prepare(item)
        except Exception as error:  # it refuses its arguments; that has its place as well
            self._refused(error)
        else:
            job = Job(self._lane, work, copy_context(), self._name)
            job._order = self.order
            self.pulled += 1
            self._scheduler.submit(job)

    def refill(self) -> None:
        """Before the consumer waits."""

    def _refused(self, error: Exception) -> None:
        job = Job(self._lane, None, None, self._name)
        job._order = self.order
        job.fail(error)
        self._scheduler.failures.add(job)
        self.order.spawn(job)
        self.pulled += 1
        self._scheduler.post(partial(self.order.end, job))

    def jobs(self) -> list[Job]:
        """What is unfinished."""
        return [job for job in self._scheduler.unfinished() if job._order is self.order]

    def _prepare(self, item: Any) -> Any:
        args = item if self._star else (item,)
        return _work.Call(self._function, tuple(args), {}) if self._calls else self._function(*args)


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

    def has_room(self) -> bool:
        """Some more than can run are pulled, so that a worker finds its next item at hand."""
        if len(self._items) - self._fresh >= 2 * self._size:
            return False
        taken = self.order.taken
        return self._has_buffer() and self.pulled - taken < self._size + self._buffer

    def start(self, item: Any) -> None:
        work = Item(self, item)
        self.order.spawn(work)
        self._items.append(work)
        self.pulled += 1
        self._refill()

    def refill(self) -> None:
        self._halted = False
        self._refill()

    def _refill(self) -> None:
        if self._items and self._hired < self._size and self._has_buffer():
            self._hire()

    def jobs(self) -> list[Job]:
        self._items.clear()
        return list(self._workers)

    def _has_buffer(self) -> bool:
        return not self._halted and self.order.ended - self.order.taken < self._buffer

    def _hire(self) -> None:
        self._hired += 1
        self._fresh += 1
        worker = Job(self._lane, self._work_off(), self._context.copy(), self._name)
        worker._order = _nobody
        self._workers.add(worker)
        worker.watch(partial(self._leave, worker))
        self._scheduler.submit(worker)

    def _leave(self, worker: Job) -> None:
        self._workers.discard(worker)
        self._hired -= 1
        self._fresh = min(self._fresh, self._hired)  # if it never started
        if worker._state is CANCELLED:
            self._cancel_items()  # the pool was cancelled, and they are what it has left
        self._refill()

    def _cancel_items(self) -> None:
        while self._items:
            item = self._items.popleft()
            item._state = CANCELLED
            self.order.end(item)

    async def _work_off(self) -> None:
        self._fresh -= 1
        items, order, lane, function = self._items, self.order, self._lane, self._function
        me, loop = asyncio.current_task(), self._scheduler.loop
        assert me is not None and loop is not None
        context = copy_context()
        while items and self._has_buffer():
            item = items.popleft()
            try:
                args = item.args
                item._outcome = await (function(*args) if self._star else function(args))
                item._state = DONE
            except asyncio.CancelledError:
                item._state = CANCELLED
                if me.cancelling():
                    raise
            except (KeyboardInterrupt, SystemExit):
                item._state = CANCELLED
                raise
            except BaseException as error:
                item.fail(error)
                self._scheduler.failures.add(item)
                self._halted = True  # the consumer may want no more
            finally:
                order.end(item)
                del item
            while not loop.admits:
                await asyncio.sleep(0)
            if lane.waiting or lane.returning:
                return
            if me.cancelling() or _changed(context):
                return


class Item(Job):
    """What a worker runs: the end of a job, without its beginning."""

    __slots__ = ("args",)

    def __init__(self, crew: Crew, args: Any) -> None:
        super().__init__(crew._lane, None, None, crew._name)
        self._order = crew.order
        self._state = RUNNING
        self.args = args


class _Nobody:
    """The order of workers: their ends are no results."""

    def spawn(self, job: Job) -> None: ...
    def end(self, job: Job) -> None: ...


_nobody: Any = _Nobody()


def _changed(before: Context) -> bool:
    """By identity: `==` takes 1 for True, fails on arrays, and would not see a list that grew
    into another one of the same content."""
    now = copy_context()
    if len(now) != len(before):
        return True
    return any(before.get(variable, before) is not value for variable, value in now.items())
