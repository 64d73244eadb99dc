"""An executor of the user's, in which plain functions run, and who waits in its threads.

A function that waits for a task of its tool lends its thread, as it lends its slot. An executor
has so many threads and no more, and what waits in its line would wait for ever if all of them
did. So, for each function that waits, one call more runs in a thread of the tool's own:

- a call goes there at once if fewer run there than functions wait;
- else the first of those that wait in line moves there, when a function begins to wait, when one
  joins the line, and when one that ran there has ended.

Entered from any thread; the lock is never held while something else is called.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context
from functools import partial
from typing import Any

from ._job import Job
from ._waiting import Event
from ._work import Call


class Place:
    """One executor, whichever tools use it.

    What leaves one of the three does so in one step, without the lock: the collector may end a
    call while this very thread has it.
    """

    def __init__(self, executor: Executor) -> None:
        key, forget = id(executor), _places.pop
        self._executor = weakref.ref(executor, lambda _: forget(key, None))
        self._lock = threading.RLock()
        self._line: OrderedDict[Submission, None] = OrderedDict()  # some may run already
        self._waiting: list[int] = []  # threads that wait, and could run another function
        self._elsewhere: set[Submission] = set()  # calls in threads of a tool's own

    @classmethod
    def of(cls, executor: Executor) -> Place:
        """By identity: executors may be equal, or not hashable."""
        place = _places.get(id(executor))
        return _places.setdefault(id(executor), cls(executor)) if place is None else place

    def submit(self, work: Callable[[], Any], spare: Executor) -> Submission:
        """Has it called by the executor, or by `spare` while a thread of the executor is lent."""
        executor = self._executor()
        assert executor is not None  # the tool, or the marked function, holds it
        submission = Submission(self, work, spare)
        if self._may_go_elsewhere(submission):
            if not submission.run_elsewhere():
                self.leave(submission)
            return submission
        submission.run_in(executor)
        self._line[submission] = None
        submission.add_done_callback(self._ended)
        self._move_one()
        return submission

    @contextmanager
    def lending(self, thread: int) -> Generator[None, None, None]:
        """While a function waits in this one of the threads."""
        self._waiting.append(thread)
        try:
            self._move_one()
            yield
        finally:
            self._waiting.remove(thread)

    def leave(self, submission: Submission) -> None:
        """A call that ran elsewhere has ended."""
        self._elsewhere.discard(submission)
        self._move_one()

    def forked(self) -> None:
        """In the child, which has one of the threads: it waits, the others and their calls are
        the parent's."""
        me = threading.get_ident()
        self._lock = threading.RLock()
        self._waiting = [thread for thread in self._waiting if thread == me]
        self._line.clear()
        self._elsewhere.clear()

    def _may_go_elsewhere(self, submission: Submission) -> bool:
        with self._lock:
            may = len(self._elsewhere) < len(self._waiting)
            if may:
                self._elsewhere.add(submission)
            return may

    def _move_one(self) -> None:
        while (submission := self._first_in_line()) is not None:
            if submission.move():
                return
            self._elsewhere.discard(submission)

    def _first_in_line(self) -> Submission | None:
        with self._lock:
            if len(self._elsewhere) >= len(self._waiting):
                return None
            try:
                submission, _ = self._line.popitem(last=False)
            except KeyError:
                return None
            self._elsewhere.add(submission)
            return submission

    def _ended(self, submission: Any) -> None:
        self._line.pop(submission, None)


_places: dict[int, Place] = {}  # by the id of the executor, until that goes


class Submission(Future[Any]):
    """The future of a call, wherever it runs in the end: pending as long as it is up to the
    executor, running as soon as it goes elsewhere. Thus it is moved or cancelled, never both."""

    def __init__(self, place: Place, work: Callable[[], Any], spare: Executor) -> None:
        super().__init__()
        self._place, self._work, self._spare = place, work, spare
        self._inner: Future[Any] | None = None  # the executor's
        self._moving = False

    def run_in(self, executor: Executor) -> None:
        self._inner = executor.submit(self._work)
        self._inner.add_done_callback(self._over)

    def run_elsewhere(self) -> bool:
        """Returns False if it was cancelled just now, or fails because no thread starts."""
        if not self.set_running_or_notify_cancel():
            return False
        self._inner = None
        try:
            inner = self._spare.submit(self._work)
        except BaseException as error:  # no more threads
            self.set_exception(error)
            del self  # else it, the error and this frame are a cycle
            return False
        inner.add_done_callback(self._left)
        return True

    def move(self) -> bool:
        """Takes it out of the executor's line; False if it runs already, or has ended."""
        inner = self._inner
        self._moving = True
        moved = inner is not None and inner.cancel()
        self._moving = False
        return moved and self.run_elsewhere()

    def cancel(self) -> bool:
        """Returns False if it runs already."""
        inner = self._inner
        return inner is not None and inner.cancel() and super().cancel()

    def _over(self, inner: Future[Any]) -> None:
        """In the executor, which may tell so late that it was moved meanwhile."""
        if not inner.cancelled():
            self._end(inner)
        elif not self._moving:
            super().cancel()

    def _left(self, inner: Future[Any]) -> None:
        self._place.leave(self)
        self._end(inner)

    def _end(self, inner: Future[Any]) -> None:
        self._inner = None
        failure = inner.exception()
        if failure is None:
            self.set_result(inner.result())
        else:
            self.set_exception(failure)
        del failure, inner  # a cycle


class InContext:
    """A call with the context variables of its task. In another process, where these can't go,
    it arrives as the call alone."""

    __slots__ = ("_asked", "_call", "_context", "_place")

    def __init__(self, call: Call, context: Context, place: Place | None, asked: Asked) -> None:
        self._call, self._context, self._place, self._asked = call, context, place, asked

    def __call__(self) -> Any:
        outer = _here.place, _here.asked
        _here.place, _here.asked = self._place, self._asked
        try:
            return self._context.run(self._call)
        finally:
            # Of an executor that calls at once, in a thread of another one.
            _here.place, _here.asked = outer
            del self  # the frames of a failure lead to this one

    def __reduce__(self) -> tuple[Any, ...]:
        return Call, (self._call.function, self._call.args, self._call.kwargs)


class Asked(Event):
    """The moment at which the job of a function was asked to end: the one that has it called,
    whatever context it runs in."""

    __slots__ = ("job",)

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def reached(self) -> bool:
        return super().reached() or self.job._lane.scheduler.was_asked(self.job)


class _Here(threading.local):
    place: Place | None = None  # in whose thread, or for whom, a function runs
    asked: Asked | None = None  # to end; until its wait was broken off


_here = _Here()


def lending() -> Callable[[], AbstractContextManager[None]]:
    """What lends the calling thread, from whatever thread, if it is one of an executor's."""
    place = _here.place
    return nullcontext if place is None else partial(place.lending, threading.get_ident())


def asked_to_end() -> Asked | None:
    """What comes when the function that runs in this thread is cancelled; None once it knows."""
    return _here.asked


def knows() -> None:
    """It was told, by a wait that was broken off: what it waits for now is its clean-up."""
    _here.asked = None


def _after_fork() -> None:
    for place in tuple(_places.values()):
        place.forked()


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
