"""Handing out: one mechanism for yielders, `map`, `imap`, `as_completed`, in both worlds.

It takes finished jobs from an order; where there is none it pulls its source, if it has one and
there is room, and where there is nothing to pull it waits until one of both has changed. What it
hands out of a job, and what becomes of failures, its `Hand` says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import TYPE_CHECKING, Any, NoReturn

from ._async_source import AsyncSource
from ._failures import ride
from ._hand import SKIP, Hand
from ._job import Job
from ._order import Order
from ._puller import Puller
from ._raised import is_a
from ._source import Source
from ._steps import Steps
from ._waiting import AllOf, Waitable, now
from .errors import DeadlockError, WrongLoopError

if TYPE_CHECKING:
    from ._tool import Tool

WAIT, LOOK, END = object(), object(), object()


class Handout(Waitable):
    """The results of a tool, or of one call of it; what waits for the next one is a `Stream`."""

    has_givers = True
    heeds = True
    _begun = False
    _over = True  # until it is made

    def __init__(
        self,
        tool: Tool,
        order: Order,
        hand: Hand,
        source: Source | AsyncSource | None = None,
        timeout: float | None = None,
    ) -> None:
        self._tool = tool
        self._scheduler = tool._scheduler
        self._order = order
        self._hand = hand
        self._ready: deque[Job] = deque()  # what is handed out as it is, once it has begun
        self._source = source
        self._timeout = timeout
        self._thread = get_ident()
        self._deadline: float | None = None
        self._asking = False  # for leave to wait
        self._puller: Puller | None = None
        self._over = False

    def _begin(self, *, blocks: bool) -> Any:
        """The first step; `blocks`: in sync code."""
        try:
            if self._source is not None:
                self._source = self._source.chosen(blocks=blocks)
            self._begun = True
            if self._hand.plain:
                self._ready = self._order.finished
            self._deadline = None if self._timeout is None else now() + self._timeout
            if isinstance(self._source, Source) and not self._scheduler.is_idle():
                return LOOK  # what was spawned before begins first: the source may wait for it
            return self._step()
        finally:
            del self  # as in `_step`

    def _step(self) -> Any:
        """The next item, or WAIT, or END; LOOK: what was pulled took its time, and is to begin."""
        try:
            while not self._over:
                if self._source is not None:  # else it ends, if another thread closes the tool now
                    self._tool._opened()
                self._hand.check()
                job = self._order.take()
                if job is not None:
                    try:
                        item = self._hand.give(job)
                    finally:
                        del job  # else it, its failure and the traceback are a cycle
                    if item is not SKIP:
                        return item
                elif self._source is not None and self._source.may_pull():
                    if self._source.pull():
                        self._tool._opened()  # the source may have closed it
                        return LOOK
                elif self._at_end():
                    self._over = True
                    self._order.causes.clear()  # of items that went on
                    self._order.tell()  # another thread may wait for the next result
                    self._hand.end(None if self._source is None else self._source.end())
                else:
                    if self._source is not None:
                        self._source.check_wait()
                        self._source.crew.refill()
                    return WAIT
            return END
        finally:
            del self  # else who keeps what its source raised keeps it: the frames lead here

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - now())

    def _time_is_up(self) -> NoReturn:
        self._over = True
        self._hand.restore()
        raise TimeoutError(f"{self._tool!r}: not all results within {self._timeout} s")

    def _was_refused(self, error: BaseException) -> bool:
        return self._asking and is_a(error, DeadlockError, WrongLoopError)

    def _give_up(self, error: BaseException) -> None:
        """Waits for nothing, which would be refused as well; what others spawned goes on."""
        self._over = True
        if self._source is None:
            self._hand.restore()
        else:
            for job in self._jobs():
                self._scheduler.ask(job)
        self._hand.end_early()
        self._end_source(error)

    def _end_source(self, error: BaseException | None) -> None:
        """Before its end, because of `error`, if any. It may have failed already: that was to be
        raised after the results before it."""
        try:
            if self._source is not None:
                self._ride(error, self._source.take_error(), "a source failed")
                self._source.close()
        finally:
            del self, error  # as in `_step`

    def _ride(self, error: BaseException | None, failure: BaseException | None, what: str) -> None:
        ride(error, failure, f"{self._scheduler!r}: {what}")

    def _at_end(self) -> bool:
        if self._source is None:
            over = self._scheduler.closed or self._scheduler.is_idle()
            return over and not self._order.ready()
        return self._source.over and self._order.taken == self._source.crew.pulled

    def _stopping(self, error: BaseException | None = None) -> Steps[None]:
        """Cancels what is unfinished, because of `error`, if any, and waits for its end."""
        self._over = True
        self._order.tell()  # another thread may wait for the next result
        hasty = False
        try:
            while jobs := self._jobs():  # the second time, what the clean-up spawned
                for job in jobs:
                    self._scheduler.ask(job)
                if not hasty:  # what cleans up may wait for what is held back until we take
                    hasty = True
                    self._scheduler.hasten()
                yield AllOf(jobs)
        finally:
            if hasty:
                self._scheduler.linger()
            self._hand.end_early()
            self._order.clear()
            self._hand.make_room()
            try:
                self._end_source(error)
            finally:
                if self._source is not None:
                    self._source.let_go()
                del self, error  # as in `_step`

    def _dropped(self) -> list[Job]:
        """What is unfinished, where nothing can be waited for."""
        jobs = self._jobs()
        if self._source is not None:
            self._ride(None, self._source.take_error(), "a source failed")
            try:
                self._source.drop()
            except Exception as error:
                self._ride(None, error, "a source failed in closing")
        return jobs

    def _jobs(self, *, stop: bool = True) -> list[Job]:
        """What is unfinished; nothing else will start then, unless one only looks."""
        if not self._begun:
            return []
        if self._source is not None:
            jobs = self._source.stop() if stop else self._source.jobs()
            return [job for job in jobs if not job.reached()]
        return [job for job in self._scheduler.unfinished() if job._order is self._order]

    def _is_source(self) -> bool:
        """True if it is our own source that calls."""
        return self._source is not None and self._source.is_calling()

    def _left_to_end(self) -> AllOf | None:
        """What whoever closes it waits for; not the source, which would wait for itself."""
        if self._over:
            return None
        if self._is_source():
            raise DeadlockError(
                f"an iteration of {self._tool!r} can't be closed by its own source, which is to "
                "give an item just now: return or raise in the source, or break out of the loop "
                "over the results"
            )
        jobs = self._jobs(stop=False)
        return AllOf(jobs) if jobs else None

    # As something to be waited for: there is something to hand out or to pull, or it is the end.

    def __repr__(self) -> str:
        return f"the next result of {self._scheduler!r}"

    def reached(self) -> bool:
        source = self._source
        if source is None:
            self._order.told = False
            goes_on = False
        else:
            goes_on = source.crew.goes_on()
        if not goes_on and self._order.ready():
            return True
        if self._over or self._scheduler.closed or self._at_end() or self._hand.fails():
            return True
        return source is not None and source.may_pull()

    def watch(self, notify: Callable[[], None]) -> None:
        source = self._source
        if isinstance(source, Source) and source.is_inert and source.crew.whole:
            self._puller = Puller(self, notify)  # one: `map` keeps its iteration to itself
            self._order.watch(self._puller.notify)
        else:
            self._order.watch(notify)
        self._scheduler.watch(notify)

    def unwatch(self, notify: Callable[[], None]) -> None:
        puller, self._puller = self._puller, None
        if puller is not None:
            puller.stop()
            self._order.unwatch(puller.notify)
        else:
            self._order.unwatch(notify)
        self._scheduler.unwatch(notify)

    def pull_here(self) -> None:
        """On the loop, while somebody waits: unless there is something that he has to know."""
        source = self._source
        assert isinstance(source, Source)
        ends = self._scheduler.closed or self._hand.fails() or self._order.has_failed()
        if not ends and source.may_pull():
            source.pull(here=True)

    def blockers(self) -> Iterable[Waitable]:
        return self._scheduler.blocked()

    def givers(self) -> Iterable[Waitable]:
        first = self._order.first()
        if first is not None:
            return [first]
        return self._scheduler.under_way() if self._source is None else self._source.givers()

    def needs(self, job: Job) -> bool:
        """Any other job may give the next result, but not the last one."""
        return self._hand.needs(job) if self._source is None else self._source.needs(job)
