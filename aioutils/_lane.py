"""Slots, and the line of those that wait for one.

A pool has one lane. A group has two: an endless one for what is awaited, and one of 32 slots
for functions in worker threads. Lines are joined from any thread (`waiting.append`); all else
happens on the loop.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ._graph import reachable
from ._job import WAITING, Job
from ._turn import Turn
from ._waiting import Moment

if TYPE_CHECKING:
    from ._scheduler import Scheduler


class Lane:
    __slots__ = (
        "buffer",
        "dead",
        "held",
        "kept",
        "returning",
        "room",
        "scheduler",
        "size",
        "waiting",
        "wanted",
    )

    def __init__(self, scheduler: Scheduler, size: int | None) -> None:
        self.scheduler: Scheduler = scheduler
        self.size: int | None = size  # None: endless
        self.held: int = 0  # slots in use
        self.waiting: deque[Job] = deque()
        self.dead: int = 0  # jobs in `waiting` that were cancelled
        self.kept: int = 0  # jobs in `waiting` without room for a result; nothing else is there
        self.returning: deque[Turn] = deque()  # who lent a slot and wants it back
        self.buffer: int | None = None  # results that may wait to be handed out: then nobody new
        self.wanted: list[Job] | None = None  # of a yielder: whose end somebody outside waits for
        self.room: Moment | None = None  # of a yielder: for streams that were paused

    def free(self, most: int) -> int:
        """How many could start now, `most` at most."""
        if self.buffer is not None:
            most = min(most, self._opening())
        return most if self.size is None else min(most, self.size - self.held)

    def _opening(self) -> int:
        """As many as may end at once, and be handed out later. While somebody outside waits, over
        whatever chain, for a job in the line, whoever stands before it comes too: he may be the
        consumer himself."""
        scheduler, order = self.scheduler, self.scheduler.order
        assert order is not None and self.buffer is not None and self.wanted is not None
        if scheduler.ending or not order.is_full(self.buffer, self):
            return max(1, self.buffer - order.backlog())
        held_back = (job for job in reachable(self.wanted) if job._state is WAITING)
        return int(any(job._lane is self for job in held_back))

    def look(self) -> None:
        """Has what a yielder holds back look again: other jobs may be wanted now."""
        assert self.room is not None
        if self.room.is_watched():
            self.scheduler.post(self.room.tell)
        elif self.buffer is not None:
            self.scheduler.wake()

    def release(self) -> None:
        """A slot became free: to one who lent his, before anybody new."""
        while self.returning:
            if self.returning.popleft().grant():
                return
        self.held -= 1
        if self.waiting:
            self.scheduler.wake()

    def lend(self, job: Job) -> None:
        lease = job._lease
        if self.wanted is not None:
            self.look()  # who waits may wait for one that is kept out, or paused
        if self.size is None or lease is None or job.reached():
            return  # it was given up, just now: its slot is free
        lease.waits += 1
        if not lease.lent:
            lease.lent = True
            self.release()

    def take_back(self, job: Job) -> Turn | None:
        """Returns the turn to wait for, or None if the slot is there already."""
        lease = job._lease
        if self.size is None or lease is None:
            return None
        lease.waits -= 1
        if lease.waits or not lease.lent or job.reached():
            return None
        if lease.turn is None:
            if self.held < self.size:
                self.held += 1
                lease.lent = False
                return None
            lease.turn = Turn(job)
            self.returning.append(lease.turn)
        return lease.turn
