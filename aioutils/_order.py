"""In which order finished work is handed out: two small strategies side by side.

`spawned` may be called from any thread, `ended` on the loop, `take` by whoever iterates.
"""

import threading
from collections import deque
from typing import Protocol

from ._job import Job


class Order(Protocol):
    def spawned(self, job: Job) -> None:
        """Called before the job can start."""

    def ended(self, job: Job) -> None: ...

    def ready(self) -> bool:
        """True if `take` has something."""

    def take(self) -> Job | None:
        """Hands out the next finished job; None if there is none yet."""

    def restore(self, jobs: list[Job]) -> None:
        """Puts what was taken back to the head."""

    def clear(self) -> None: ...


class CompletionOrder:
    """As they complete."""

    def __init__(self) -> None:
        self._ready: deque[Job] = deque()

    def spawned(self, job: Job) -> None:
        if job.reached():  # put(), not spawned
            self._ready.append(job)

    def ended(self, job: Job) -> None:
        self._ready.append(job)

    def ready(self) -> bool:
        return bool(self._ready)

    def take(self) -> Job | None:
        try:
            return self._ready.popleft()
        except IndexError:
            return None

    def restore(self, jobs: list[Job]) -> None:
        self._ready.extendleft(reversed(jobs))

    def clear(self) -> None:
        self._ready.clear()


class SpawnOrder:
    """As they were spawned: the first waits for nobody, the others for those before them."""

    def __init__(self) -> None:
        self._line: deque[Job] = deque()
        self._lock = threading.RLock()  # a signal handler may iterate too

    def spawned(self, job: Job) -> None:
        self._line.append(job)

    def ended(self, job: Job) -> None:
        pass

    def ready(self) -> bool:
        try:
            return self._line[0].reached()
        except IndexError:
            return False

    def take(self) -> Job | None:
        with self._lock:
            return self._line.popleft() if self.ready() else None

    def restore(self, jobs: list[Job]) -> None:
        self._line.extendleft(reversed(jobs))

    def clear(self) -> None:
        self._line.clear()
