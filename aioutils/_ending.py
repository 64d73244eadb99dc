"""The end of a tool: left, or closed.

Closing waits: leftovers are cancelled and clean up, contexts are left, the loop goes.
"""

from collections.abc import Mapping

from ._failures import distinct, note, passes_unseen, shown
from ._job import Job
from ._joining import FIX, Ended
from ._lease import refuse, refuse_circle
from ._options import OnExit
from ._owner import winding_down
from ._scheduler import Scheduler
from ._stay import Stay
from ._steps import Steps, arun, run
from .errors import UnfinishedError


def close(scheduler: Scheduler) -> None:
    if scheduler.closed:
        return
    _refuse(scheduler)
    run(closing(scheduler), scheduler, FIX)


def leave(scheduler: Scheduler, on_exit: OnExit, error: BaseException | None) -> None:
    if not scheduler.closed:
        _refuse(scheduler)
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
    if not scheduler.closed:
        _refuse_async(scheduler)
        await arun(closing(scheduler), scheduler, FIX)


def _refuse_async(scheduler: Scheduler) -> None:
    if scheduler.parked or not scheduler.is_idle():
        scheduler.bind_running(scheduler)
        refuse_circle(Ended(scheduler), FIX)


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
        scheduler.leave_family()
        if scheduler.loop is not None:
            scheduler.loop.detach(scheduler)
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
        scheduler.cancel_all()
        raise UnfinishedError(f"{scheduler!r} was left with unfinished tasks:{names}")


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
