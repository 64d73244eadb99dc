"""The calls from sync code of `@dual` functions, and the loop that a thread keeps for them.

- It comes with the first call, and goes with its thread, or at exit. What is connected through it
  stays connected from call to call, and is cut as it goes.
- A call inside another one (sync code that a coroutine calls) would wait for the loop that it
  blocks, so it has the thread's next one, which is kept as well.
- An iteration has its loop for as long as it lasts, even if its thread ends before it.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

from ._async_source import AsyncSource
from ._each import Each
from ._eventloop import inherit
from ._failures import complain, ride
from ._flow import Given
from ._hand import Hand
from ._job import FAILED, Job
from ._lease import refuse
from ._options import Options
from ._order import CompletionOrder
from ._owner import in_new_child
from ._signals import held
from ._stream import Stream
from ._tool import Tool
from ._work import name_of
from .task import Task

T = TypeVar("T")
_FIX = "Iterate outside of it; in async code write 'async for'."


class SyncCalls(Tool):
    """The calls that run on one loop; `within` another one's, those of one iteration."""

    def __init__(self, within: SyncCalls | None = None, kind: str = "dual") -> None:
        options = Options(
            self, on_error="continue", on_exit="cancel", executor=None, loop_factory=None
        )
        options.kind = kind  # what users are told of
        self._set_up(options, within)

    def run(self, start: Callable[[], Awaitable[T]], name: str) -> T:
        """Returns the result; if it fails or is interrupted, nothing of it is left here."""
        call: Task[T] | None = None
        try:
            with held():  # a signal would leave a coroutine that nobody awaits
                call = SyncCall(self._scheduler.main, start(), copy_context(), name)
                self._scheduler.submit(call)
            return call.result()
        except BaseException as error:
            if call is None:  # it came before
                raise
            if call.cancel() and isinstance(error, CancelledError):  # of the function that waited
                self._scheduler.block(call, None, _FIX)
            ride(error, _unseen(call), f"in its clean-up {name} failed")
            raise
        finally:
            del call  # else the traceback, this frame and the exception are a cycle

    def iterate(self, items: AsyncIterable[T]) -> Stream[T]:
        """Returns an iterator over the items; what gives them runs while one is waited for."""
        tool = SyncCalls(within=self, kind=f"{name_of(items)}.sync")
        order = CompletionOrder()
        source = AsyncSource(_Demand(tool, order), items, tool._scheduler)
        return _Items(tool, order, Hand(tool._scheduler, order), source)

    def can_wait_here(self) -> bool:
        loop = self._scheduler.loop
        return not self._scheduler.closed and (loop is None or not loop.is_taken_here())

    def end(self) -> None:
        """Closes it; the loop goes with the last iteration."""
        if self._scheduler.loop is not None:
            self._scheduler.loop.keep = False
            self._scheduler.loop.hang_up = True
        self.close()


class SyncCall(Task[T]):
    """One call. It is its caller's own work: a function that waits for it keeps its slot, until
    the call itself waits for a task."""

    __slots__ = ()
    lends = False


class _Items(Stream[T]):
    """The items of an async generator, or of whatever gives items, one by one."""

    lends = False

    def __next__(self) -> T:
        try:
            if not self._over:
                refuse(self._scheduler.bound(), self, _FIX)  # before it would be the end of it
            return super().__next__()
        finally:
            del self  # the frames of a failure lead to this one

    def _dropped(self) -> list[Job]:
        """Its tool goes with it, and sees to them."""
        super()._dropped()
        return []


class _Demand(Each):
    """Has room for an item when the one before was handed out, and another one is asked for: so
    what follows a `yield` runs after what the consumer did, as in any generator."""

    _name = "item"

    def __init__(self, tool: Tool, order: CompletionOrder) -> None:
        self._lane = tool._scheduler.parking
        self.order = order
        self.pulled = 0

    def room(self) -> int:
        return int(self.pulled == self.order.taken)

    def _start(self, item: Any) -> None:
        self.pulled += 1
        self.order.put(Given(self._lane, item))
        self.order.tell()

    def jobs(self) -> list[Job]:
        return []

    def under_way(self) -> Iterator[Job]:
        return iter(())

    def needs(self, job: Job) -> bool:
        return False

    def _left(self) -> set[Job]:
        return set()


def _unseen(job: Job) -> BaseException | None:
    """What it failed with, if nobody has seen that; now somebody has."""
    if job._state is FAILED and job._lane.scheduler.failures.see(job):
        return job.error()
    return None


class _Kept:
    """What one thread keeps, outermost first; it goes as the last of the thread."""

    def __init__(self) -> None:
        self.calls: list[SyncCalls] = []

    def __del__(self) -> None:
        """In a thread that is half gone: what is left to do is done in one that is not."""
        if in_new_child():
            inherit(self.calls)
        elif self.calls and not sys.is_finalizing():  # pragma: no branch: not measured then
            done: SimpleQueue[None] = SimpleQueue()
            ending = threading.Thread(target=_end, args=(self.calls, done), daemon=True)
            ending.name = "aioutils end"
            try:
                ending.start()
            except RuntimeError:  # pragma: no cover: at exit, where no thread starts any more
                _end(self.calls, done)
            done.get()
            while ending.is_alive():  # join() would make up another thread, which stays for ever
                time.sleep(0)  # pragma: no cover: it may have ended by now


def _end(kept: list[SyncCalls], done: SimpleQueue[None]) -> None:
    try:
        while kept:
            try:
                kept.pop().end()
            except Exception as error:
                complain(error, "the loop of a thread's calls failed in cleaning up")
    finally:
        done.put(None)


_thread = threading.local()


def here() -> SyncCalls:
    """Those of this thread, on a loop that does not run in it already."""
    kept: _Kept | None = _thread.__dict__.get("kept")
    if kept is None:
        kept = _thread.kept = _Kept()
    for calls in kept.calls:
        if calls.can_wait_here():
            return calls
    calls = SyncCalls()
    kept.calls.append(calls)
    return calls


@atexit.register
def _at_exit() -> None:
    """Of the main thread, which ends when half of the interpreter is gone."""
    kept: _Kept | None = _thread.__dict__.get("kept")
    if kept is not None:
        _end(kept.calls, SimpleQueue())
