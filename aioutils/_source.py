"""Where the items of one `map` or `imap` come from: pulled one at a time, as there is room.

A plain iterable is pulled in the thread that consumes, outside of the running loop, so that it may
block, iterate a tool, or be a database cursor.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import _work
from ._each import Each
from ._job import Job, without_ours
from ._place import asked_to_end
from ._waiting import now
from .errors import DeadlockError

if TYPE_CHECKING:
    from ._bound import Tie
    from ._loop import Loop
    from ._scheduler import Scheduler

_SLOW = 0.001  # seconds, for up to 16 items
# Of these the next item is there without a line of the user's.
_INERT = set(
    map(type, map(iter, ([], (), "", range(1), range(2**99), {}, {}.values(), {}.items())))
)
ASKS_ITSELF = (
    "a source asks for the next result of its own iteration, which asks it for the next item: give "
    "that, or take results outside of the source"
)
TOGETHER = "write an async generator that gives what they give together, and map that"


class Items:
    """What sources of both kinds have in common; made last, for a fork that comes from another
    thread."""

    def __init__(self, crew: Each) -> None:
        self.crew: Each = crew
        self.over: bool = False
        self.error: BaseException | None = None
        self._lock = threading.RLock()  # several threads may consume one stream
        _all.add(self)

    def stop(self) -> list[Job]:
        """Pulls no more; returns the jobs that must end as well."""
        with self._lock:  # not while another thread pulls
            self.over = True
        self.crew.stop()
        return self.jobs()

    def jobs(self) -> list[Job]:
        """What must end before the end of the iteration."""
        return self.crew.jobs()

    def givers(self) -> Iterable[Job]:
        """Each of them may give the next result."""
        return self.crew.under_way()

    def needs(self, job: Job) -> bool:
        """True if the iteration can't end before this job does."""
        return self.crew.needs(job)

    def is_calling(self) -> bool:
        """True if it is the source itself that calls, where it was to give an item."""
        raise AssertionError(type(self))

    def check_wait(self) -> None:
        """Raises if it is the source that waits for a result, and would wait for itself. A plain
        one may: it is refused once there is none under way."""

    def end(self) -> BaseException | None:
        """After the last item: what it raised, if it did."""
        self.let_go()
        return self.take_error()

    def let_go(self) -> None:
        """Of what is the user's; nothing is pulled any more."""
        self._items: Any = None
        self.crew.let_go()

    def drop(self) -> None:
        """`close`, where nobody iterates any more, and nothing can be waited for."""

    def take_error(self) -> BaseException | None:
        error, self.error = self.error, None
        return error

    def forked(self) -> None:
        """In the child; after the scheduler."""
        self.crew.forked()
        self._lock = threading.RLock()

    def _lose(self) -> None:
        self.over, self.error = True, CancelledError("the parent process goes on with these items")


_all: weakref.WeakSet[Items] = weakref.WeakSet()


def _iterator(items: Any) -> Iterator[Any]:
    if hasattr(type(items), "__iter__") or hasattr(type(items), "__getitem__"):
        return iter(items)
    _work.close(items)
    fix = "call it" if callable(items) else "give a list, a generator or an async iterable"
    raise TypeError(f"{items!r} can't be mapped, it has no items: {fix}")


class Source(Items):
    """A plain iterable; of several, one of each at a time."""

    over: bool
    error: BaseException | None

    def __init__(self, crew: Each, iterables: tuple[Iterable[Any], ...]) -> None:
        self._iterators: list[Iterator[Any]] = list(map(_iterator, iterables))
        several = len(iterables) > 1
        self._at_once = 1  # items between two looks at the time
        self._puller: int | None = None  # the thread that is in the source
        self._items = zip(*self._iterators, strict=False) if several else self._iterators[0]
        # A list, say: then it does not matter where it is pulled.
        plain = all(type(iterator) in _INERT for iterator in self._iterators)
        self.is_inert: bool = plain and (several or not crew.star) and crew.is_inert()
        super().__init__(crew)

    def chosen(self, *, blocks: bool) -> Source:
        """What is pulled, before the first item; the same in every thread. `blocks`: by sync
        code."""
        if not (blocks or self.may_run_on()):
            names = " and ".join(type(iterator).__name__ for iterator in self._iterators)
            raise TypeError(f"async code can't pull {names} side by side: {TOGETHER}")
        return self

    def may_run_on(self, _: object = None) -> bool:
        """False if it has to be pulled in sync code: results of tools of ours, beside others."""
        return not any(isinstance(iterator, Both) for iterator in self._iterators)

    def may_pull(self) -> bool:
        return not self.over and self.crew.room() > 0

    def pull(self, *, here: bool = False) -> bool:
        """Pulls for every place that is free; True if it stopped because that takes its time,
        and the loop is to run before the next. `here`: on the loop."""
        with self._lock:
            if self._puller is not None:
                raise DeadlockError(ASKS_ITSELF)
            self._puller = threading.get_ident()
            asked = asked_to_end()
            try:
                return self._pull(self.crew.start_here if here else self.crew.start_all)
            except Exception as error:  # surfaces after the results before it
                self.over = True
                if asked is not asked_to_end():  # of the function that iterates, told in here
                    raise
                self.error = without_ours(error)
                return False
            finally:
                self._puller = None
                del self  # else the error, its traceback and this are a cycle

    def is_calling(self) -> bool:
        return self._puller == threading.get_ident()

    def let_go(self) -> None:
        super().let_go()
        self._iterators.clear()

    def _pull(self, start_all: Callable[[Iterable[Any]], int]) -> bool:
        room = self.crew.room()
        try:
            while room > 0 and not self.over:
                slow, most = now() + _SLOW, min(room, self._at_once)
                pulled = start_all(islice(self._items, most))
                self.over = pulled < most
                if now() > slow:
                    self._at_once = 1
                    return True
                self._at_once = min(2 * self._at_once, 16)
                room -= pulled
            return False
        finally:
            del self  # as in `pull`

    def forked(self) -> None:
        if not self._lock.acquire(blocking=False):  # another thread is in the midst of it
            self._lose()
            self._iterators.clear()
        super().forked()

    def drop(self) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            failed: list[BaseException] = []
            for iterator in self._iterators:
                if isinstance(iterator, (Generator, Closing)):
                    try:
                        iterator.close()
                    except BaseException as error:  # the others are closed first
                        failed.append(error)
            raise_all(failed)


class Both:
    """What is ours, and can be iterated in sync code and in async code."""

    _scheduler: Scheduler

    def _follow(self, loop: Loop) -> Tie | None:
        """Has its results come on this loop, until that is let go; None if it can't leave its."""
        return self._scheduler.tie_to(loop)


class Closing(Both):
    """An iterator of ours, which wants to be closed where it is left early."""

    def close(self) -> None:
        """Ends the iteration: what is unfinished in it is cancelled, and its clean-up runs."""


def raise_all(failed: list[BaseException]) -> None:
    """What sources failed with as they were closed, if any did."""
    try:
        if len(failed) == 1:
            raise failed[0]
        if failed:
            raise BaseExceptionGroup(f"{len(failed)} sources failed in closing", failed)
    finally:
        failed.clear()  # else they, their tracebacks and the frames of these calls are cycles


def _after_fork() -> None:
    for source in tuple(_all):
        source.forked()


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
