"""An executor of the user's, in which plain functions run, and who waits in its threads.

A function that waits for a task of its tool lends its thread, as it lends its slot. An executor
has so many threads and no more, and what waits in its line would wait for ever if all of them
did. So, for each function that waits, one call more runs in a thread of the tool's own:

- a call goes there at once if fewer run there than functions wait;
- else the first of those that wait in line moves there, when a function begins to wait, when one
  joins the line, and when one that ran there has ended.

Entered from any thread; the lock is never held while something else is called.
"""

import os
import threading
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context
from typing import Any

from ._work import Call


class Place:
    """One executor, whichever tools use it."""

    def __init__(self, executor: Executor) -> None:
        self._executor = weakref.ref(executor)
        self._lock = threading.Lock()
        self._line: dict[Submission, None] = {}  # of those some may run already
        self._waiting = 0  # functions that wait, in a thread that could run another one
        self._elsewhere = 0  # calls that run in threads of a tool's own

    @classmethod
    def of(cls, executor: Executor) -> "Place":
        with _making:
            place = _places.get(executor)
            if place is None:
                place = _places[executor] = cls(executor)
            return place

    def submit(self, work: Callable[[], Any], spare: Executor) -> "Submission":
        """Has it called by the executor, or by `spare` while a thread of the executor is lent."""
        executor = self._executor()
        assert executor is not None  # the tool, or the marked function, holds it
        submission = Submission(self, work, spare)
        if self._may_go_elsewhere():
            submission.run_elsewhere()
            return submission
        submission.run_in(executor)
        with self._lock:
            self._line[submission] = None
        submission.add_done_callback(self._ended)
        self._move_one()
        return submission

    @contextmanager
    def lending(self) -> Generator[None, None, None]:
        """While a function waits in one of the threads."""
        with self._lock:
            self._waiting += 1
        try:
            self._move_one()
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def leave(self) -> None:
        """A call that ran elsewhere has ended."""
        with self._lock:
            self._elsewhere -= 1
        self._move_one()

    def _may_go_elsewhere(self) -> bool:
        with self._lock:
            may = self._elsewhere < self._waiting
            self._elsewhere += may
            return may

    def _move_one(self) -> None:
        while (submission := self._first_in_line()) is not None:
            if submission.move():
                return
            with self._lock:
                self._elsewhere -= 1

    def _first_in_line(self) -> "Submission | None":
        with self._lock:
            if self._elsewhere >= self._waiting or not self._line:
                return None
            self._elsewhere += 1
            submission = next(iter(self._line))
            del self._line[submission]
            return submission

    def _ended(self, submission: Any) -> None:
        with self._lock:
            self._line.pop(submission, None)


_places: "weakref.WeakKeyDictionary[Executor, Place]" = weakref.WeakKeyDictionary()
_making = threading.Lock()


class Submission(Future[Any]):
    """The future of a call, wherever it runs in the end."""

    def __init__(self, place: Place, work: Callable[[], Any], spare: Executor) -> None:
        super().__init__()
        self._place, self._work, self._spare = place, work, spare
        self._inner: Future[Any] | None = None
        self._moving = self._unwanted = self._elsewhere = False

    def run_in(self, executor: Executor) -> None:
        self._inner = executor.submit(self._work)
        self._inner.add_done_callback(self._over)

    def run_elsewhere(self) -> None:
        self._elsewhere = True
        try:
            self.run_in(self._spare)
        except BaseException as error:  # no more threads
            self._place.leave()
            self.set_exception(error)

    def move(self) -> bool:
        """Takes it out of the executor's line; False if it runs already, or has ended."""
        self._moving = True
        moved = self._inner is not None and self._inner.cancel()
        self._moving = False
        if not moved or self.done():
            return False
        if self._unwanted:  # pragma: no cover: cancelled by the loop's thread, just now
            super().cancel()
            return False
        self.run_elsewhere()
        return True

    def cancel(self) -> bool:
        """Returns False if it runs already."""
        self._unwanted = True
        inner = self._inner
        return inner is not None and inner.cancel()

    def _over(self, inner: Future[Any]) -> None:
        if inner.cancelled():
            if not self._moving:
                if self._elsewhere:
                    self._place.leave()
                super().cancel()
            return
        self._inner = None
        if self._elsewhere:
            self._place.leave()
        failure = inner.exception()
        if failure is None:
            self.set_result(inner.result())
        else:
            self.set_exception(failure)
        del failure, inner  # a cycle


class InContext:
    """A call with the context variables of its task. In another process, where these can't go,
    it arrives as the call alone."""

    __slots__ = ("_call", "_context", "_place")

    def __init__(self, call: Call, context: Context, place: Place | None) -> None:
        self._call, self._context, self._place = call, context, place

    def __call__(self) -> Any:
        _here.place = self._place
        try:
            return self._context.run(self._call)
        finally:
            _here.place = None
            del self  # the frames of a failure lead to this one

    def __reduce__(self) -> tuple[Any, ...]:
        return Call, (self._call.function, self._call.args, self._call.kwargs)


def lending() -> AbstractContextManager[None]:
    """While the calling thread waits: the executor's, if it is one of an executor's."""
    place: Place | None = getattr(_here, "place", None)
    return nullcontext() if place is None else place.lending()


_here = threading.local()


def _after_fork() -> None:
    """A thread that the child does not have may have held it."""
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
