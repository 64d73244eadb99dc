"""When an event loop of ours comes and goes, and whose work it runs until then.

It is made when first needed, lives as long as one of its schedulers does, and is kept for the
thread's next tool if it is clean. After a fork the child has a new one, with new locks.

A tool that nobody holds any more, while somebody runs its loop, is an orphan: a task on the loop
closes it, and whoever leaves the loop to orphans alone drives until they are closed.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from . import _eventloop
from ._clock import Standing
from ._eventloop import LoopFactory
from ._runner import disown
from ._signals import Signals
from ._waiting import AllOf, Waitable

if TYPE_CHECKING:
    from ._job import Job


class Worker(Waitable):
    """What a loop runs, a scheduler; it is reached when it has nothing left to do."""

    __slots__ = ()

    _due: bool  # pump() will be called

    def pump(self) -> None: ...
    def wake(self) -> None: ...
    def unfinished(self) -> Sequence[Job]:
        raise AssertionError(type(self))

    def cancel_all(self) -> None: ...
    def hasten(self) -> None: ...
    def stop(self) -> None: ...
    def go_on(self) -> None: ...
    def abandon(self) -> None: ...
    def is_calling(self) -> bool:
        """True if a function of it runs in a thread."""
        raise AssertionError(type(self))


def winding_down(workers: Iterable[Worker]) -> Generator[Waitable, None, None]:
    """Cancels what is unfinished, with time for what its clean-up spawns and waits for; what is
    left then never starts, or it would go on for ever. Yields what is to be waited for."""
    workers = tuple(workers)
    jobs = AllOf([job for worker in workers for job in worker.unfinished()])
    for worker in workers:
        worker.cancel_all()
        worker.hasten()
    yield jobs
    for worker in workers:
        worker.stop()
    yield AllOf(workers)


class Owner:
    def __init__(
        self, running: asyncio.AbstractEventLoop | None, factory: LoopFactory | None
    ) -> None:
        self._factory: LoopFactory | None = factory
        self._event_loop: asyncio.AbstractEventLoop | None = running
        self.private: bool = running is None
        self.thread: int | None = None if self.private else threading.get_ident()
        self.schedulers: dict[Worker, None] = {}  # in order of attaching
        self.orphans: dict[Worker, Waitable] = {}  # those that nobody holds, and their ends
        self._closers: set[asyncio.Task[None]] = set()
        self.keep: bool = True  # the event loop, for the thread's next tool
        self.hang_up: bool = False  # as it ends: nobody can close what is connected through it
        self._lock = threading.RLock()

    @classmethod
    def current(cls) -> Self:
        """The one of the event loop that runs in this thread, ours or a host's."""
        running = asyncio._get_running_loop()
        if running is None:
            raise RuntimeError(
                "no running event loop: only what asyncio runs can await a tool or its tasks. "
                "Other async code, trio's say, calls join(), result() or map() in a thread"
            )
        loop = _owners.get(id(running))
        if loop is None:
            loop = _owners[id(running)] = cls(running, None)
        return loop  # type: ignore[return-value]

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The asyncio loop itself, made when first asked for."""
        if self._event_loop is None:
            with self._lock:
                if self._event_loop is None:  # pragma: no branch: another thread was quicker
                    self._event_loop = _eventloop.take(self._factory)
                    _owners[id(self._event_loop)] = self
        return self._event_loop

    def _enter_thread(self) -> bool:
        """Returns True if nobody has driven it before."""
        first, self.thread = self.thread is None, threading.get_ident()
        return first

    def runs_now(self) -> bool:
        """True if somebody runs it, in whatever thread."""
        raise AssertionError(type(self))

    def is_driven(self) -> bool:
        """True if somebody runs it who will look for orphans when he leaves, or a host does."""
        raise AssertionError(type(self))

    def is_here(self) -> bool:
        """True if this loop runs in the calling thread, now."""
        raise AssertionError(type(self))

    def is_taken_here(self) -> bool:
        """True if the calling thread has it, be it about to run or held."""
        raise AssertionError(type(self))

    def is_idle(self) -> bool:
        """True if no scheduler has anything left to do."""
        return all(scheduler.reached() for scheduler in tuple(self.schedulers))

    def attach(self, scheduler: Worker) -> None:
        self.schedulers[scheduler] = None

    def detach(self, scheduler: Worker, *, safe: bool = True, closed: bool = False) -> None:
        """Takes the scheduler's leave; with the last one goes the event loop.

        Not `safe`: nothing may be run here (a finalizer, another loop); it is only closed.
        `closed`, by the user: so are the orphans, whose tasks alone may hold what is left.
        """
        with self._lock:
            self.schedulers.pop(scheduler, None)
            self.orphans.pop(scheduler, None)
            if not (self.private and (self.is_left() or (closed and self.orphans))):
                return
        if safe:
            self.release()
        else:
            self._drop_event_loop()

    def is_left(self, without: Worker | None = None) -> bool:
        """True if nobody will come back to it, `without` this one at least."""
        if not self.schedulers:
            return True
        return self.schedulers.keys() - self.orphans.keys() <= {without}

    def adopt(
        self, orphan: Worker, gone: Waitable, close: Callable[[], Coroutine[Any, Any, None]]
    ) -> bool:
        """Has a task on the loop close what nobody holds any more; False if nobody runs it."""
        start = partial(self._start_closer, close)
        with self._lock:
            if not self.is_driven():
                return False
            self.orphans[orphan] = gone
            if self.is_here():  # a host that is about to end still waits for the task
                start()
                return True
            try:
                self.event_loop.call_soon_threadsafe(start, context=Context())
            except RuntimeError:  # pragma: no cover: a host's loop, closed just now
                del self.orphans[orphan]
                return False
            return True

    def _start_closer(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        closer = asyncio.Task(close(), loop=self._event_loop, context=Context())
        self._closers.add(disown(closer))
        closer.add_done_callback(self._closers.discard, context=Context())

    def take_orphans(self) -> list[Worker]:
        """Those that nobody will close any more."""
        with self._lock:
            orphans = list(self.orphans)
            for orphan in orphans:
                self.orphans.pop(orphan)
                self.schedulers.pop(orphan, None)
            return orphans

    def close_orphans(self) -> None:
        """Drives until they are closed."""
        raise AssertionError(type(self))

    def release(self) -> None:
        """Ends the event loop in an orderly way, after its orphans; unless somebody drives it, who
        then will, or others have it."""
        if self.private and self.orphans and not (self.is_driven() or self.is_taken_here()):
            self.close_orphans()
        if not self.is_left():
            return
        loop = self._drop_event_loop(close=False)
        if loop is None or loop.is_closed():
            return
        if asyncio._get_running_loop() is None:
            if not (self.keep and _eventloop.keep(loop)):
                with Signals():  # not in the midst of it
                    _eventloop.end(loop, self.hang_up)
        else:
            args = loop, self.hang_up
            thread = threading.Thread(target=_eventloop.end, args=args, name="aioutils end")
            thread.start()
            thread.join()

    def _drop_event_loop(self, *, close: bool = True) -> Standing | None:
        """Parts with the event loop, unless somebody drives it; the next wait makes a new one."""
        with self._lock:
            loop = self._event_loop
            if self.runs_now() or not isinstance(loop, Standing):
                return None
            self._event_loop = self.thread = None
            _owners.pop(id(loop), None)
        if close:
            _eventloop.abandon(loop)
        return loop

    def _forked(self, here: bool) -> None:
        """In the child: new locks, and a new loop when one is needed. `here`: from inside of the
        loop, in this thread, which leaves what it has of it."""
        self._lock = threading.RLock()
        _eventloop.inherit(self._closers)
        if self._event_loop is not None:
            _eventloop.inherit(self._event_loop)
            if here:
                _eventloop.halt(self._event_loop)
        self.take_orphans()  # the parent closes them
        schedulers = self.schedulers
        self.__init__(None, self._factory)  # type: ignore[misc]
        self.schedulers = schedulers


# Those that a fork must reach; each comes in when it is wholly made.
_all: weakref.WeakSet[Owner] = weakref.WeakSet()
# By the id of the event loop, which its owner holds: the id can't be taken by another meanwhile.
_owners: weakref.WeakValueDictionary[int, Owner] = weakref.WeakValueDictionary()


_pid = os.getpid()


def in_new_child() -> bool:
    """True in the child of a fork until `_after_fork` was called. What other threads kept in a
    `threading.local` is destroyed there by then, and with it the parent's own would be hurt."""
    return os.getpid() != _pid


def _after_fork() -> None:
    global _pid
    _pid = os.getpid()
    _owners.clear()  # a host's loop that goes on in the child has an owner anew
    for loop in tuple(_all):
        loop._forked(loop.private and loop.is_here())


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
