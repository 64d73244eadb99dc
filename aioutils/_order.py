"""In which order results are handed out: as they complete, or, in `_spawn_order`, as spawned.

`spawn` and `put` come from any thread, `give` and `end` from the loop, `take` from whoever
consumes. What waits to be handed out is `ended - taken`, two counts that have one writer each, so
that it can be told without a lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from ._job import DONE, Job
from ._waiting import Moment

if TYPE_CHECKING:
    from ._lane import Lane


class Order(Moment):
    """What both have in common: `finished` is the line of those whose turn it is."""

    __slots__ = ("awaited", "buffer", "causes", "ended", "finished", "taken", "told")

    def __init__(self) -> None:
        super().__init__()
        self.ended: int = 0
        self.taken: int = 0
        self.buffer: int | None = None  # of imap: results that may wait; then no item starts
        self.awaited: set[Job] = set()  # functions of a group's imap that run in no thread any more
        self.causes: dict[Job, Job] = {}  # what was cancelled for the sake of which failure
        self.finished: deque[Job] = deque()
        self.told: bool = False  # whoever waits, since he last looked

    def spawn(self, job: Job) -> None:
        """Before the job can start."""

    def put(self, job: Job) -> None:
        """A job that is done already, from any thread."""
        raise AssertionError(type(self))

    def give(self, flow: Job, job: Job) -> None:
        """One of many results of `flow`."""
        raise AssertionError(type(self))

    def end(self, job: Job) -> None:
        """Counts it, and tells who waits, once until he looks."""
        self.ended += 1
        if self._watchers and not self.told:
            self.told = True
            self.tell()

    def leave_thread(self, job: Job) -> None:
        """On the loop: what it returned is awaited there, and its thread is for another one."""
        self.awaited.add(job)
        job.watch(partial(self.awaited.discard, job))
        self.tell()

    def blame(self, job: Job, cause: Job | None) -> None:
        """The job is cancelled, for the sake of that failure or for none; perhaps once more."""
        if cause is None:
            self.causes.pop(job, None)
        else:
            self.causes[job] = cause

    def lose(self, job: Job) -> None:
        """In the child of a fork: a job that goes on in the parent only, and is cancelled here."""

    def backlog(self, flow: Job | None = None) -> int:
        """How many wait to be handed out; of `flow`, if that matters here."""
        return self.ended - self.taken

    def is_behind(self, flow: Job) -> bool:
        """True if others are to be handed out before the results of `flow`."""
        return self.first() not in (None, flow)

    def first(self) -> Job | None:
        """The one that nothing can be handed out before, if there is one."""
        return None

    def is_full(self, most: int, lane: Lane) -> bool:
        """True if nothing new of the lane is to start, and something comes without it."""
        return self.backlog() >= most

    def ready(self) -> bool:
        """True if `take` has something."""
        return bool(self.finished)

    def has_failed(self) -> bool:
        """True if one whose turn it is, or was, has no result."""
        raise AssertionError(type(self))

    def take(self) -> Job | None:
        """Hands out the next finished job; None if there is none yet."""
        if not self.ready():
            return None
        try:
            job = self.finished.popleft()
        except IndexError:  # pragma: no cover: another thread took it, just now
            return None
        self.taken += 1
        if self._watchers:  # another thread, which may pull now, or is at the end
            self.tell()
        return job

    def take_done(self, results: list[Any]) -> None:
        """The same for all that can be handed out as they are: their results."""
        finished, append, before = self.finished, results.append, len(results)
        try:
            while finished:
                job = finished.popleft()
                if job._state is not DONE:
                    finished.appendleft(job)
                    break
                append(job._outcome)
        finally:
            self.taken += len(results) - before

    def restore(self, jobs: list[Job]) -> None:
        """Puts what was taken back to the head."""
        self.taken -= len(jobs)
        self.finished.extendleft(reversed(jobs))

    def clear(self) -> None:
        """What has ended until now is not handed out."""
        self.causes.clear()  # whose frames may lead to who keeps this
        while self.take() is not None:
            pass

    def reset(self) -> None:
        """After the last job, or what was the last."""
        self.finished.clear()
        self.taken = self.ended

    def forked(self, left: Collection[Job]) -> bool:
        """In the child, where those that are `left` still end. Another thread may have been at any
        line, so one of the counts is made anew. False if only other threads waited for results."""
        watched = self.is_watched()
        self.awaited.clear()
        self.forget_others()
        return self.is_watched() or not watched

    def unknown(self, begun: int) -> int:
        """In the child: how many of so many have not ended, and are not in a line here either."""
        return 0


class CompletionOrder(Order):
    """As they complete."""

    __slots__ = ()

    def put(self, job: Job) -> None:
        self.ended += 1
        self.finished.append(job)

    def give(self, flow: Job, job: Job) -> None:
        self.put(job)

    def lose(self, job: Job) -> None:
        self.put(job)

    def forked(self, left: Collection[Job]) -> bool:
        self.taken = self.ended - len(self.finished)  # not counted yet: what one took just now
        return super().forked(left)

    def unknown(self, begun: int) -> int:
        return begun - self.ended

    def end(self, job: Job) -> None:
        self.ended += 1
        self.finished.append(job)
        if self._watchers and not self.told:
            self.told = True
            self.tell()
