"""Who waits, who runs, and who is parked: what a scheduler keeps, and what can be asked of it.

Asked from any thread. A job on its way from waiting to running is in neither place for a moment,
so whoever moves it, and whoever looks at both, holds the lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, cast

from . import _eventloop, _work
from ._bound import Bound
from ._failures import Failures
from ._job import CANCELLED, RUNNING, WAITING, Job
from ._lane import Lane
from ._options import Options
from ._waiting import Event, Waitable

if TYPE_CHECKING:
    from ._joining import Ended
    from ._order import Order
    from ._scheduler import Scheduler


class End(partial[object]):
    """An action for the inbox that tells of the end of its first argument, a job: what is not done
    before a fork is done in the child as well."""


def nothing() -> None: ...


class Roster(Bound):
    __slots__ = (
        "_claimed",
        "_claiming",
        "_closing",
        "_hasty",
        "_inbox",
        "_telling",
        "calls",
        "closed",
        "closer",
        "failures",
        "gone",
        "joins",
        "kind",
        "lanes",
        "listeners",
        "main",
        "parked",
        "parking",
        "running",
    )

    def __init__(self, options: Options) -> None:
        super().__init__(options.loop_factory)
        size = options.size
        me = cast("Scheduler", self)
        self.kind: str = options.kind  # of tool, for messages
        self.main: Lane = Lane(me, size)
        self.calls: Lane = self.main if size is not None else Lane(me, options.threads)
        self.lanes: tuple[Lane, ...] = (self.main,)
        if self.calls is not self.main:
            self.lanes = (self.main, self.calls)
        self.parking: Lane = Lane(me, None)
        self.running: set[Job] = set()
        self._telling = 0  # have ended, and are being told of, on the loop
        self._claimed: int = 0  # how many ever began to run
        self._claiming: list[Job] = []  # out of the line, and perhaps not yet noted as running
        self.parked: list[Job] = []  # what takes no slot: contexts, first to last, and sources
        self.failures: Failures = Failures(options.on_error)
        self.closed: bool = False
        self._closing = False
        self.closer: int | None = None  # the thread that does
        self._hasty = 0  # how many wait for the end of everything
        self.gone: Event = Event()  # closed, and everything left
        self.joins: list[Ended] = []  # that somebody waits for
        self.listeners: list[Order] = []  # those who want to know of every task
        self._inbox: deque[Callable[[], object]] = deque()

    def __repr__(self) -> str:
        held = sum(lane.held for lane in self.lanes)
        words = [self.kind]
        if self.main.size is not None:
            words.append(f"size={self.main.size}")
        if self.closed:
            words.append("closed")
        else:
            words += [f"running={held}", f"waiting={self.waiting}"]
            if len(self.running) > held:
                words.append(f"lent={len(self.running) - held}")
        if self.failures:
            words.append(f"failed={len(self.failures)}")
        return f"<{' '.join(words)}>"

    @property
    def waiting(self) -> int:
        main, calls = self.main, self.calls
        waiting = len(main.waiting) - main.dead
        return waiting if calls is main else waiting + len(calls.waiting) - calls.dead

    def count(self) -> int:
        with self._lock:
            return len(self.running) + self.waiting

    @property
    def ending(self) -> bool:
        """True while somebody only waits for the end: nobody need hand anything out then."""
        return self._hasty > 0

    def has_room(self, order: Order | None, starting: dict[Order, int], more: int = 1) -> bool:
        """True if so many more items of an imap may start: they may end at once, as may those that
        are `starting`. Nobody may take results if somebody waits for the last task."""
        if order is None or order.buffer is None:
            return True
        most = order.buffer - (order.ended - order.taken) - starting.get(order, 0)
        if more > most and not (self.ending or self.joins or self.listeners):
            return False
        starting[order] = starting.get(order, 0) + more
        return True

    def let_in(self) -> None:
        """Has those looked at again that had no room: somebody made some, or waits for the end."""
        if self.main.kept or self.calls.kept:
            self._inbox.append(nothing)
            self.wake()

    def unfinished(self) -> list[Job]:
        with self._lock:
            waiting = [job for lane in self.lanes for job in tuple(lane.waiting)]
            running = [job for job in tuple(self.running) if not job.reached()]
            return [*running, *(job for job in waiting if job._state is WAITING)]

    def under_way(self) -> Iterator[Job]:
        """The same, one by one, some of them twice, or ended already."""
        yield from tuple(self.running)  # as a rule the first of them is enough
        with self._lock:
            jobs = [tuple(self.running), *(tuple(lane.waiting) for lane in self.lanes)]
        yield from chain.from_iterable(jobs)

    @property
    def ended(self) -> int:
        """How many jobs ever ended, failed or not."""
        return self._claimed - len(self.running)

    def is_idle(self) -> bool:
        main = self.main
        # Whatever is seen without the lock was there for a moment, and so is enough for a no.
        if not (self.running or self._inbox or len(main.waiting) > main.dead):
            calls = self.calls
            with self._lock:  # a job on its way from waiting to running is in neither
                waiting = len(main.waiting) > main.dead
                if calls is not main:
                    waiting = waiting or len(calls.waiting) > calls.dead
                telling = self._telling and not self._tells_here()
                if not (waiting or telling or self.running or self._inbox):
                    if not (self.parked and self.leaving()):
                        return True
        return self.gone.here  # what came after that nobody will do

    def _tells_here(self) -> bool:
        """True for those who are being told, and need not wait for themselves; but others wait
        for them, if they block the loop."""
        return self.loop is not None and self.loop.is_here() and self.loop.blocked_by is None

    def reached(self) -> bool:
        return self.is_idle()

    def leaving(self) -> list[Job]:
        """What is parked, was asked to end, and cleans up: the source of an iteration, say."""
        return [job for job in tuple(self.parked) if self.was_asked(job) and not job.reached()]

    def was_asked(self, job: Job | None) -> bool:
        """True if it was asked to end."""
        raise AssertionError(type(self))

    def blockers(self) -> Iterable[Waitable]:
        return [*self.unfinished(), *self.leaving(), *self.blocked()]

    def _has_begun(self) -> bool:
        with self._lock:
            if self.running or any(job._state is RUNNING for job in self.parked):
                return True
            due = self.waiting or self.parked or self._inbox
            return bool(due and self.loop is not None and self.loop.runs_now())

    def post(self, action: Callable[[], object]) -> None:
        """Has `action` called on the loop. From any thread."""
        self._inbox.append(action)
        if not self._due:
            self.wake()

    def begin_closing(self) -> bool:
        """Returns True for the first who closes."""
        with self._lock:
            first, self._closing = not self._closing, True
            if first:
                self.closer = threading.get_ident()
            return first

    def forked(self, here: bool) -> None:
        """In the child: what ran goes on in the parent only; what waits may run in both. `here`:
        from inside of its loop, in this thread."""
        self._lock = threading.RLock()
        claiming = [job for job in self._claiming if not job.reached()]
        for job in {*self.running, *claiming, *self.parked}:
            self._leave_to_parent(job)
        self.running, self.parked, self._claiming = set(), [], []
        self._inbox = deque(action for action in self._inbox if isinstance(action, End))
        untold = self._untold()
        for lane in self.lanes:
            waiting = [job for job in lane.waiting if job._state is WAITING or job in untold]
            for job in waiting:
                job.forget_others()
            lane.waiting = deque(waiting)
            lane.returning.clear()
            lane.held = lane.dead = lane.kept = 0
        if not here:
            self._telling = 0
        self._closing, self._hasty = self.closed, 0  # another thread closed it, or waited
        self.gone.forget_others()
        if self.closed and self.closer != threading.get_ident():  # it won't come to the end here
            self.gone.come()
        self.forget_others()
        self._due = False

    def _leave_to_parent(self, job: Job) -> None:
        _eventloop.inherit(job)
        _eventloop.inherit(job._runner)
        if job._context is not None:  # about to start
            _work.close(job._work)
        job.forget_others()
        for target in () if job._lease is None else job._lease.targets:
            target.forget_others()
        order, job._lease, job._order = job._order, None, None
        if not job.reached():  # else its callbacks are being called
            job._state = CANCELLED
            if order is not None:
                order.lose(job)
        job._lane = self.parking  # in the child the one that forked may end

    def left(self) -> set[Job]:
        """In the child: those that wait, or of whose end nobody was told."""
        return {*(job for lane in self.lanes for job in lane.waiting), *self._untold()}

    def _untold(self) -> set[Job]:
        return {action.args[0] for action in self._inbox if isinstance(action, End)}
