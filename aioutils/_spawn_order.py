"""Results in the order in which their tasks were spawned: who is done early waits in a line.

`_line` is joined from any thread. Its head moves to `finished` when somebody looks, under the lock:
a consumer, or the loop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING

from ._job import CANCELLED, DONE, RUNNING, WAITING, Job
from ._order import Order

if TYPE_CHECKING:
    from ._lane import Lane


class SpawnOrder(Order):
    """As they were spawned: the first waits for nobody, the others for those before them."""

    __slots__ = ("_failed", "_line", "_lock", "_moving")

    def __init__(self) -> None:
        super().__init__()
        self._failed = False  # one without a result has come to the head
        self._line: deque[Job] = deque()
        self._moving = False
        self._lock = threading.RLock()  # a signal handler may iterate too

    def forked(self, left: Collection[Job]) -> bool:
        goes_on = super().forked(left)
        self._lock = threading.RLock()
        self._moving = False
        line, finished = self._line, self.finished
        if line and finished and line[0] is finished[-1]:  # it was about to leave the line
            line.popleft()
        self.ended = self.taken + len(finished)
        for job in line:
            if job not in left:
                if not job.reached():  # it is the parent's
                    job._state = CANCELLED
                self.ended += 1
            self.ended += len(job.items or ())
        return goes_on

    def spawn(self, job: Job) -> None:
        self._line.append(job)

    def put(self, job: Job) -> None:
        self.ended += 1
        self._line.append(job)

    def give(self, flow: Job, job: Job) -> None:
        assert flow.items is not None
        self.ended += 1
        flow.items.append(job)

    def backlog(self, flow: Job | None = None) -> int:
        if flow is None:
            return self.ended - self.taken
        at_head = not self.is_behind(flow)
        return len(flow.items or ()) + at_head * len(self.finished)

    def first(self) -> Job | None:
        try:  # in one step: another thread may take it
            return self._line[0]
        except IndexError:
            return None

    def is_full(self, most: int, lane: Lane) -> bool:
        if self.backlog() < most:
            return False
        if self.ready():
            return True
        first = self.first()
        if first is not None and first._state is WAITING:
            return first._lane is not lane  # it starts by itself, in the other one
        lease = None if first is None else first._lease
        paced = lease is None or all(target.paces for target in tuple(lease.targets))
        return first is not None and first._state is RUNNING and paced

    def ready(self) -> bool:
        if not self.finished and self._line:
            self._update()
        return bool(self.finished)

    def has_failed(self) -> bool:
        self._update()
        return self._failed

    def _update(self) -> None:
        with self._lock:
            if not self._moving:  # else this is a signal handler, in the midst of it
                self._moving = True
                try:
                    self._advance()
                finally:
                    self._moving = False

    def _advance(self) -> None:
        """Moves those at the head that have ended, and what the first has given until now."""
        line, finished = self._line, self.finished
        while line:
            first = line[0]
            state = first._state  # first: once it has ended it gives nothing more
            while first.items:
                finished.append(first.items.popleft())
            if state is RUNNING or state is WAITING:  # a call of `reached` would cost
                return
            if state is not DONE:
                self._failed = True
            finished.append(first)
            line.popleft()  # not before: `ready` would find nothing in either

    def clear(self) -> None:
        with self._lock:
            super().clear()
            line, unfinished = self._line, []
            for _ in range(len(line)):
                job = line.popleft()
                over = job.reached()
                while job.items:
                    job.items.popleft()
                    self.taken += 1
                if over:
                    self.taken += 1
                else:  # another thread spawned it just now
                    unfinished.append(job)
            line.extendleft(reversed(unfinished))

    def reset(self) -> None:
        with self._lock:
            self._line.clear()
            super().reset()
