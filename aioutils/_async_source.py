"""An async iterable as the source of a `map` or `imap`: pulled on the loop, by a job that holds no
slot."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ._aclosing import Aclosing, aclose
from ._each import Each
from ._job import FAILED, Job
from ._lease import current, until
from ._scheduler import Scheduler
from ._signals import held
from ._source import ASKS_ITSELF, TOGETHER, Both, Items, Source, raise_all
from ._waiting import Moment
from .errors import DeadlockError

if TYPE_CHECKING:
    from ._bound import Tie
    from ._loop import Loop


class AsyncSource(Items, Moment):
    """An async iterable."""

    over: bool
    error: BaseException | None

    def __init__(
        self,
        crew: Each,
        items: AsyncIterable[Any],
        scheduler: Scheduler,
        both: tuple[Any, ...] = (),
    ) -> None:
        Moment.__init__(self)
        self._scheduler = scheduler
        self._items = items
        self._both = both  # what it is made of, if all of that is ours
        self._plain: Source | None = None
        self._ties: list[Tie | None] = []
        self._job: Job | None = None
        Items.__init__(self, crew)

    def chosen(self, *, blocks: bool) -> Source | AsyncSource:
        """In sync code, where results come on another loop and can't leave it, a plain one."""
        if not (blocks and self._both):
            return self
        with self._lock:
            if self._plain is None and not self.over:
                ours = self._scheduler.tie()
                if not self.may_run_on(ours.loop):
                    self._plain = Source(self.crew, self._both)
            return self if self._plain is None else self._plain

    def may_run_on(self, loop: Loop) -> bool:
        """False if the results that it is made of can't come there; else they will."""
        self._ties = []  # first: by these they could not leave another one
        self._ties = [items._follow(loop) for items in self._both]
        return None not in self._ties

    def let_go(self) -> None:
        super().let_go()
        self._both = ()

    def may_pull(self) -> bool:
        wanted = self._job is None or (self.is_watched() and self.crew.room() > 0)
        return wanted and not self.over

    def pull(self) -> bool:
        """Has the puller start, or go on."""
        with self._lock:
            if self._job is None and not self.over:
                with held():  # a signal would leave a coroutine that nobody awaits
                    work = self._pull_all(self._items)
                    self._job = Job(self._scheduler.parking, work, copy_context(), "source")
                    self._scheduler.park(self._job)
                return False
        watchers, self._watchers = self._watchers, []
        for notify in watchers:
            self._scheduler.post(notify)
        return False

    def is_calling(self) -> bool:
        job = self._job
        return job is not None and current.get() is job and not job.reached()

    def check_wait(self) -> None:
        if self.is_calling():
            raise DeadlockError(ASKS_ITSELF)

    def reached(self) -> bool:
        """True if there is room for one more, or none is wanted any more."""
        return self.over or self.crew.room() > 0

    def jobs(self) -> list[Job]:
        jobs = super().jobs()
        return jobs if self._job is None else [*jobs, self._job]

    def givers(self) -> Iterator[Job]:
        yield from super().givers()
        if self._job is not None and not self.over and self.crew.room() > 0:
            yield self._job

    def needs(self, job: Job) -> bool:
        return job is self._job or super().needs(job)

    def forked(self) -> None:
        super().forked()
        self.forget_others()
        if self._job is not None and not self.over:  # the puller is the parent's
            self._lose()

    def close(self) -> None:
        """The puller has closed it. Raises what that failed with, unless somebody has seen it."""
        self._ties, job = [], self._job
        if job is not None and job._state is FAILED and self._scheduler.failures.see(job):
            self._job = None  # else it, the error and the frames on the way are a cycle
            try:
                raise job.error()
            finally:
                del self, job

    async def _pull_all(self, items: AsyncIterable[Any]) -> None:
        try:
            iterator = aiter(items)
            async with Aclosing(iterator):
                while True:
                    await until(self)
                    if self.over:  # it took its cancellation, and gave what it still had
                        break
                    try:
                        item = await anext(iterator)
                    except StopAsyncIteration:
                        break
                    self.crew.start_all((item,))
                    del item  # it may wait long for the next one
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            loop = self._scheduler.loop
            given_up = loop is None or not loop.is_here()
            # Or nobody iterates any more: it was cancelled, or the tool has a failure.
            if given_up or self.over:
                raise
            self.error = error
        finally:
            self.over, self._ties = True, []
            self.crew.order.tell()
            del self


def source_of(scheduler: Scheduler, crew: Each, iterables: tuple[Any, ...]) -> Source | AsyncSource:
    """The source of one item each, for one iterable, or of tuples of one of each."""
    plain = [items for items in iterables if not isinstance(items, AsyncIterable)]
    if not plain:
        items = iterables[0] if len(iterables) == 1 else _zip(*iterables)
        ours = all(isinstance(items, Both) for items in iterables)
        return AsyncSource(crew, items, scheduler, iterables if ours else ())
    for items in iterables:
        if isinstance(items, AsyncIterable) and not isinstance(items, Both):
            names = f"{type(plain[0]).__name__} and {type(items).__name__}"
            raise TypeError(
                "map takes plain iterables or async ones, not both in one call: here "
                f"{names}. Instead {TOGETHER}"
            )
    return Source(crew, iterables)


async def _zip(*iterables: AsyncIterable[Any]) -> AsyncIterator[tuple[Any, ...]]:
    iterators = [aiter(items) for items in iterables]
    try:
        while True:
            try:
                yield tuple([await anext(iterator) for iterator in iterators])
            except StopAsyncIteration:
                return
    finally:
        failed: list[BaseException] = []
        for iterator in iterators:
            try:
                await aclose(iterator)
            except BaseException as error:  # the others are closed first
                failed.append(error)
        raise_all(failed)
