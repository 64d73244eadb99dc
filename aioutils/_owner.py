"""When an event loop of ours comes and goes, and whose work it runs until then.

It is made when first needed, lives as long as one of its schedulers does, and is kept for the
thread's next tool if it is clean. After a fork the child has a new one, with new locks.
"""

import asyncio
import os
import threading
import weakref
from collections.abc import Generator, Iterable, Sequence
from typing import Self

from . import _eventloop
from ._clock import Standing
from ._eventloop import LoopFactory
from ._signals import Signals
from ._waiting import AllOf, Waitable


class Worker(Waitable):
    """What a loop runs, a scheduler; it is reached when it has nothing left to do."""

    __slots__ = ()

    def pump(self) -> None: ...
    def unfinished(self) -> "Sequence[Waitable]":
        raise AssertionError(type(self))

    def cancel_all(self) -> None: ...
    def hasten(self) -> None: ...
    def stop(self) -> None: ...
    def go_on(self) -> None: ...
    def abandon(self) -> None: ...
    def forked(self) -> None: ...


def winding_down(workers: "Iterable[Worker]") -> "Generator[Waitable, None, None]":
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
        self.keep: bool = True  # the event loop, for the thread's next tool
        self.hang_up: bool = False  # as it ends: nobody can close what is connected through it
        self._lock = threading.RLock()
        _all.add(self)

    @classmethod
    def current(cls) -> Self:
        """The one of the event loop that runs in this thread, ours or a host's."""
        running = asyncio.get_running_loop()
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

    def attach(self, scheduler: Worker) -> None:
        self.schedulers[scheduler] = None

    def detach(self, scheduler: Worker, *, safe: bool = True) -> None:
        """Takes the scheduler's leave; with the last one goes the event loop.

        Not `safe`: nothing may be run here (a finalizer, another loop); it is only closed.
        """
        with self._lock:
            self.schedulers.pop(scheduler, None)
            if self.schedulers or not self.private:
                return
        if safe:
            self.release()
        else:
            self._drop_event_loop()

    def release(self) -> None:
        """Ends the event loop in an orderly way, unless somebody drives it, who then will."""
        loop = self._drop_event_loop(close=False)
        if loop is None or loop.is_closed():
            return
        if asyncio._get_running_loop() is None:
            if not (self.keep and _eventloop.keep(loop)):
                with Signals(lambda: None):  # not in the midst of it
                    _eventloop.end(loop, self.hang_up)
        else:
            thread = threading.Thread(target=_eventloop.end, args=(loop, self.hang_up))
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

    def _forked(self) -> None:
        """In the child: new locks, and a new loop when one is needed."""
        if self._event_loop is not None:
            _eventloop.inherit(self._event_loop)
        schedulers = self.schedulers
        self.__init__(None, self._factory)  # type: ignore[misc]
        self.schedulers = schedulers
        for scheduler in schedulers:
            scheduler.forked()


_all: "weakref.WeakSet[Owner]" = weakref.WeakSet()
# By the id of the event loop, which its owner holds: the id can't be taken by another meanwhile.
_owners: "weakref.WeakValueDictionary[int, Owner]" = weakref.WeakValueDictionary()


_pid = os.getpid()


def in_new_child() -> bool:
    """True in the child of a fork until `_after_fork` was called. What other threads kept in a
    `threading.local` is destroyed there by then, and with it the parent's own would be hurt."""
    return os.getpid() != _pid


def _after_fork() -> None:
    global _pid
    _pid = os.getpid()
    for loop in tuple(_all):
        loop._forked()


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
