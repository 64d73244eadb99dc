"""Who drives a loop.

Any thread may wait for what happens on it, at any time. Of those that do, one drives; the others
sleep until the driver tells them that what they wait for has come, or until it leaves and one of
them takes over:

- `_driver` and `_waiting` change under `_lock`, which nobody holds while running or sleeping;
- whoever is elected looks once more at what it waits for before it runs the loop: from then on
  that can change in its own thread only, where `notify()` stops the loop;
- whoever leaves, in whatever way, wakes the first sleeper if nobody drives; a sleeper that no
  longer needs to wait does the same when it leaves, so that somebody always takes over.

A loop that is run by others has no driver of ours: all sleep.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, Self

from ._driven import Driven
from ._eventloop import LoopFactory
from ._helper import Helper, Seat
from ._owner import _all, _owners
from ._signals import Signals
from ._waiting import Hold, Wait, now

if TYPE_CHECKING:
    from ._job import Job
    from ._loan import Loan
    from ._owner import Worker


class Election(Driven):
    """An event loop, and the right to run it."""

    def __init__(
        self,
        running: asyncio.AbstractEventLoop | None = None,
        factory: LoopFactory | None = None,
    ) -> None:
        super().__init__(running, factory)
        self._driver: Wait | None = None
        self._drivers_thread = 0
        self._waiting: list[Wait] = []
        self.blocked_by: Job | None = None  # what waits in it, for another loop
        # Of functions that wait on it for their own work, and of those on it that wait.
        self.callers: list[Loan] = []
        self.waits: list[Loan] = []
        self.tenants: list[weakref.ref[Job]] = []  # the functions that called last
        self.lost: list[str] = []  # whose tasks a host left unfinished as it closed it
        self._seat: Seat | None = None  # of who helped last
        _all.add(self)

    @classmethod
    def here(cls) -> Self | None:
        """The one that runs in this thread, if anybody has asked for it."""
        running = asyncio._get_running_loop()
        return None if running is None else _owners.get(id(running))  # type: ignore[return-value]

    def is_taken_here(self) -> bool:
        """True if the calling thread drives it; a signal handler, or a finalizer, may find it
        about to run, or just stopped, and would wait for ever for its own thread to go on."""
        return self._driver is not None and self._drivers_thread == threading.get_ident()

    def runs_now(self) -> bool:
        """True if somebody runs it, in whatever thread."""
        if self.private:
            return self._driver is not None
        return self._event_loop is not None and self._event_loop.is_running()

    def is_driven(self) -> bool:
        if self.private:
            return self._driver is not None and not isinstance(self._driver, Hold)
        return self.runs_now()

    def is_over(self) -> bool:
        """True of a host's loop that was closed."""
        return not self.private and self.event_loop.is_closed()

    def hold(self, hold: Hold) -> bool:
        """Keeps everybody from driving until `let_go`; False if somebody runs it already."""
        with self._lock:
            if self.private and self._driver is None:
                self._take(hold)
            return isinstance(self._driver, Hold) and self.is_taken_here()

    def let_go(self, hold: Hold) -> None:
        self._resign(hold)
        if not self.schedulers:
            self.release()  # the last one left meanwhile

    def _take(self, wait: Wait) -> None:
        self._drivers_thread = threading.get_ident()  # first, for those who look without a lock
        self._driver = wait

    def _wait(self, wait: Wait, deadline: float | None, signals: Signals) -> bool:
        may_drive = self.private and asyncio._get_running_loop() is None
        try:
            while True:
                signals.deliver()
                if wait.is_over():
                    return True
                left = None if deadline is None else deadline - now()
                if left is not None and left <= 0:
                    return False
                if may_drive and self._elect(wait):
                    over = self._drive(wait, deadline, signals)
                    self._resign(wait)
                    if over and not signals.noted:
                        return True
                    continue
                if not may_drive:
                    wait.open_mailbox()
                    if wait.helper is not None and wait.helper.is_gone():
                        wait.helper.check()
                        wait.helper = None
                    leaves = wait.before is not None and not wait.before.gives_way(wait)
                    if self.private and wait.helper is None and not leaves:
                        wait.helper = Helper(self, wait)
                        wait.helper.start()
                if self.is_over():
                    return False
                if not (wait.is_over() or signals.noted):
                    wait.sleep(left, looks=signals.active or not self.private)
        finally:
            try:
                self._resign(wait)
            finally:  # whatever comes
                if wait.helper is not None:
                    wait.helper.end()

    def take_seat(self) -> Seat | None:
        """For one more helper. Whoever has it has it alone."""
        with self._lock:
            seat, self._seat = self._seat, None
            return seat

    def keep_seat(self, seat: Seat) -> bool:
        """For the next helper, while something is under way; False if there is nothing to do."""
        if self.is_idle():
            return False
        with self._lock:
            if self._seat is not None:
                return False
            self._seat = seat
            return True

    def rest(self) -> None:
        """Lets the last helper's thread go if nothing is under way any more."""
        if self._seat is not None and self.is_idle():
            seat = self.take_seat()
            if seat is not None:  # pragma: no branch: another thread was quicker
                seat.end()

    def detach(self, scheduler: Worker, *, safe: bool = True, closed: bool = False) -> None:
        super().detach(scheduler, safe=safe, closed=closed)
        self.rest()

    def _elect(self, wait: Wait) -> bool:
        with self._lock:
            if self._driver is None:
                self._take(wait)
                return True
            wait.open_mailbox()
            if wait not in self._waiting:
                self._waiting.append(wait)
            return False

    def _resign(self, wait: Wait) -> None:
        with self._lock:
            if wait in self._waiting:
                self._waiting.remove(wait)
            if self._driver is wait:
                self._driver = None
            if self._driver is None and self._waiting:
                self._waiting[0].notify()
