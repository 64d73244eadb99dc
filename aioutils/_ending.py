"""The end of a tool: left, or closed.

Closing waits: leftovers are cancelled and clean up, contexts are left, the loop goes. One does
that; others who close wait for him, but none for whom he waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from threading import get_ident

from ._failures import distinct, note, passes_unseen, shown
from ._job import Job
from ._joining import FIX, Ended
from ._lease import block, current, pause, refuse, refuse_circle
from ._loop import Loop
from ._options import OnExit
from ._owner import winding_down
from ._scheduler import Scheduler
from ._stay import Stay
from ._steps import Steps, arun, run
from ._waiting import Waitable
from .errors import DeadlockError, UnfinishedError


def close(scheduler: Scheduler) -> None:
    if scheduler.closed:
        _wait_for_closer(scheduler)
        return
    _refuse(scheduler)
    if scheduler.closer != get_ident():  # of a signal handler, say: the first goes on after it
        run(closing(scheduler), scheduler, FIX)


def is_refused(scheduler: Scheduler, error: BaseException | None) -> bool:
    """True if nothing may be waited for, and `error` goes before that: then it is not closed."""
    try:
        if not scheduler.closed:
            _refuse(scheduler)
        return False
    except DeadlockError as refusal:
        if error is None:
            raise
        for job in scheduler.unfinished():
            if job is not current.get():  # who has left the block goes on
                scheduler.ask(job)
        note(error, f"{scheduler!r} was cancelled, but not closed: {refusal}")
        return True


def leave(scheduler: Scheduler, on_exit: OnExit, error: BaseException | None) -> None:
    run(leaving(scheduler, on_exit, error), scheduler, FIX)


def _refuse(scheduler: Scheduler) -> None:
    """Where nothing is under way, there is nothing that would wait for itself."""
    if scheduler.loop is not None and (scheduler.parked or not scheduler.is_idle()):
        refuse(scheduler.bound(), Ended(scheduler), FIX)


async def aleave(scheduler: Scheduler, on_exit: OnExit, error: BaseException | None) -> None:
    if not scheduler.closed:
        _refuse_async(scheduler)
    await arun(leaving(scheduler, on_exit, error), scheduler, FIX)


async def aclose(scheduler: Scheduler) -> None:
    if scheduler.closed:
        await _await_closer(scheduler)
        return
    _refuse_async(scheduler)
    await arun(closing(scheduler), scheduler, FIX)


def _refuse_async(scheduler: Scheduler) -> None:
    if scheduler.parked or not scheduler.is_idle():
        scheduler.bind_running(scheduler)
        refuse_circle(Ended(scheduler), FIX)


class _Gone(Waitable):
    """The moment at which who closes it has come to the end."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def __repr__(self) -> str:
        return f"the end of {self._scheduler!r}"

    def reached(self) -> bool:
        return self._scheduler.gone.reached()

    def watch(self, notify: Callable[[], None]) -> None:
        self._scheduler.gone.watch(notify)

    def unwatch(self, notify: Callable[[], None]) -> object:
        return self._scheduler.gone.unwatch(notify)

    def blockers(self) -> Iterable[Waitable]:
        return (*self._scheduler.blockers(), *self._scheduler.parked)


def _wait_for_closer(scheduler: Scheduler) -> None:
    loop = _loop_to_go(scheduler)
    if loop is not None and scheduler.closer != get_ident():
        with suppress(DeadlockError):  # he waits for us
            block(loop, _Gone(scheduler), None, FIX)


async def _await_closer(scheduler: Scheduler) -> None:
    loop, gone = _loop_to_go(scheduler), _Gone(scheduler)
    if loop is None or (loop.private and (loop.is_here() or scheduler.closer == get_ident())):
        return
    cancelled: asyncio.CancelledError | None = None
    with suppress(DeadlockError):
        while not gone.reached():
            try:
                await pause(gone, FIX)
            except asyncio.CancelledError as error:  # raised at the end, as by the first
                cancelled = error
    if cancelled is not None:
        raise cancelled


def _loop_to_go(scheduler: Scheduler) -> Loop | None:
    """The loop of a closed tool, if somebody still leaves its contexts, or ends the loop; but not
    for what a task left behind there: that ends with the loop."""
    loop, me = scheduler.loop, current.get()
    if loop is None or scheduler.closer is None or scheduler.gone.reached() or loop.is_over():
        return None
    if loop.private and me is not None and me.reached() and me._lane.scheduler.loop is loop:
        return None
    return loop


def closing(scheduler: Scheduler) -> Steps[None]:
    """Cancels what is unfinished, leaves the contexts, last in first out, and ends the loop.

    Raises what failed in doing so; older failures that nobody has seen are logged.
    """
    failed = yield from _ending(scheduler)
    new = distinct([job for job in failed if scheduler.failures.see(job)])
    scheduler.failures.log(scheduler)
    if new:
        raise BaseExceptionGroup(f"{scheduler!r}: {len(new)} failed in closing", new)


def _ending(scheduler: Scheduler) -> Steps[list[Job]]:
    """Returns what failed in it."""
    if not scheduler.begin_closing():
        yield scheduler.gone  # another thread closes it
        return []
    old = set(scheduler.failures.jobs())
    try:
        yield from _shutting_down(scheduler)
    except BaseException:  # it leaves, and what failed beside it nobody would see
        scheduler.failures.log(scheduler)
        raise
    return [job for job in scheduler.failures.jobs() if job not in old]


def _shutting_down(scheduler: Scheduler) -> Steps[None]:
    try:
        if not scheduler.is_idle():
            for ended in winding_down([scheduler]):
                if scheduler.loop is not None:
                    yield ended
    finally:
        scheduler.closed = True  # what another thread spawns just now never starts
        if not scheduler.is_idle():
            scheduler.cancel_all()
        try:
            if scheduler.parked:
                yield from _leaving_contexts(scheduler)
        finally:
            part(scheduler)


def part(scheduler: Scheduler) -> None:
    """From a tool that has nothing left to do; with the last tool goes the loop."""
    scheduler.closed = True
    try:
        scheduler.shut()
    finally:  # Ctrl-C
        try:
            scheduler.leave_family()
            if scheduler.loop is not None:
                scheduler.loop.detach(scheduler, closed=not scheduler.dropped)
        finally:  # what a callback raises as the loop ends
            scheduler.gone.come()
            scheduler.tell()  # those who join or iterate it in other threads


def leaving(scheduler: Scheduler, on_exit: OnExit, error: BaseException | None) -> Steps[None]:
    """The end of a ``with`` block, which `error` left, if any. What fails then rides on it, or
    is logged, if nobody would see it there."""
    if error is None:
        try:
            yield from _finishing(scheduler, on_exit)
        except GeneratorExit:  # given up: nothing can be waited for any more
            raise
        except BaseException as failure:
            yield from leaving(scheduler, on_exit, failure)
            raise
        yield from closing(scheduler)
        return
    scheduler.cancel_all()
    failed = yield from _ending(scheduler)
    if passes_unseen(error):
        scheduler.failures.log(scheduler)
    new = distinct([job for job in failed if scheduler.failures.see(job)])
    note(error, *(f"while {scheduler!r} was closed: {shown(each)}" for each in new))
    old = scheduler.failures.take()
    note(error, *(f"a task of {scheduler!r} failed: {shown(each)}" for each in old))


def _finishing(scheduler: Scheduler, on_exit: OnExit) -> Steps[None]:
    ended = Ended(scheduler)
    if on_exit == "refuse":
        _refuse_unfinished(scheduler)
    elif on_exit == "cancel":
        scheduler.cancel_all()
    scheduler.hasten()
    yield ended
    ended.raise_all()


def _refuse_unfinished(scheduler: Scheduler) -> None:
    jobs = scheduler.unfinished()
    where: Mapping[Job, str] = scheduler.origins or {}
    if jobs:
        names = "".join(f"\n  {job!r}, spawned at {where.get(job, '?')}" for job in jobs)
        message = f"{scheduler!r} was left with unfinished tasks:{names}"
        scheduler.cancel_all()
        raise UnfinishedError(message)


def _leaving_contexts(scheduler: Scheduler) -> Steps[None]:
    interrupt: BaseException | None = None
    for job in reversed(tuple(scheduler.parked)):
        for _ in range(2):  # after one Ctrl-C it is left all the same, and so are the others
            if job.reached():
                break
            if isinstance(job, Stay):
                scheduler.post(job.leave)
            else:
                scheduler.ask(job)  # the source of an iteration
            try:
                yield job
            except BaseException as error:
                interrupt = interrupt or error
    if interrupt is not None:
        scheduler.abandon()
        raise interrupt
    scheduler.parked.clear()
