"""In which order finished work is handed out: two small strategies side by side.

`spawned` may be called from any thread, `ended` on the loop, `take` by whoever iterates. The
counts have one writer each, so that what is on its way can be told without a lock.
"""

import threading
from collections import deque

from ._job import RUNNING, Job
from ._waiting import Moment


class CompletionOrder(Moment):
    """As they complete."""

    __slots__ = ("_ready", "ended", "taken")

    def __init__(self) -> None:
        super().__init__()
        self.ended: int = 0
        self.taken: int = 0
        self._ready: deque[Job] = deque()

    def spawn(self, job: Job) -> None:
        """Before the job can start."""

    def put(self, job: Job) -> None:
        """A job that is done already, from any thread."""
        self._ready.append(job)

    def give(self, flow: Job, job: Job) -> None:
        """One of many results of `flow`."""
        self._ready.append(job)

    def backlog(self, flow: Job | None = None) -> int:
        """How many wait to be handed out; of `flow`, if that matters here."""
        return len(self._ready)

    def is_full(self, most: int) -> bool:
        """True if nothing new is to start, and something will be handed out without it."""
        return len(self._ready) >= most

    def end(self, job: Job) -> None:
        self.ended += 1
        self._ready.append(job)
        if self._watchers:
            self.tell()

    def ready(self) -> bool:
        """True if `take` has something."""
        return bool(self._ready)

    def take(self) -> Job | None:
        """Hands out the next finished job; None if there is none yet."""
        try:
            job = self._ready.popleft()
        except IndexError:
            return None
        self.taken += 1
        return job

    def restore(self, jobs: list[Job]) -> None:
        """Puts what was taken back to the head."""
        self.taken -= len(jobs)
        self._ready.extendleft(reversed(jobs))

    def clear(self) -> None:
        self._ready.clear()


class SpawnOrder(Moment):
    """As they were spawned: the first waits for nobody, the others for those before them."""

    __slots__ = ("_line", "_lock", "ended", "taken")

    def __init__(self) -> None:
        super().__init__()
        self.ended: int = 0
        self.taken: int = 0
        self._line: deque[Job] = deque()
        self._lock = threading.RLock()  # a signal handler may iterate too

    def spawn(self, job: Job) -> None:
        self._line.append(job)

    def put(self, job: Job) -> None:
        self.ended += 1
        self._line.append(job)

    def is_full(self, most: int) -> bool:
        if self.backlog() < most or not self._line:
            return False
        first = self._line[0]
        waits = first._lease is not None and bool(first._lease.targets)
        return self.ready() or (first._state is RUNNING and not waits)

    def give(self, flow: Job, job: Job) -> None:
        assert flow.items is not None
        flow.items.append(job)

    def backlog(self, flow: Job | None = None) -> int:
        return self.ended - self.taken if flow is None else len(flow.items or ())

    def end(self, job: Job) -> None:
        self.ended += 1
        if self._watchers:
            self.tell()

    def ready(self) -> bool:
        try:
            first = self._line[0]
        except IndexError:
            return False
        return bool(first.items) or first.reached()

    def take(self) -> Job | None:
        with self._lock:
            if not self.ready():
                return None
            first = self._line[0]
            if first.items:
                return first.items.popleft()
            self.taken += 1
            return self._line.popleft()

    def restore(self, jobs: list[Job]) -> None:
        self.taken -= len(jobs)
        self._line.extendleft(reversed(jobs))

    def clear(self) -> None:
        self._line.clear()


Order = CompletionOrder | SpawnOrder
