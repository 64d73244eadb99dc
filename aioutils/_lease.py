"""The slot that a task lends while it waits.

A task that awaits another one of its pool would hold the slot that the other one needs, so it
lends it. It is found by a context variable, because the await may come from an asyncio task
that it started (`gather`, `wait_for`, `TaskGroup`). A slot is lent once, however many of these
wait, and is taken back before the last of them goes on.

`block` and `pause` are the two ends at which a wait begins: in sync code and in async code. Leases
change on the loop of their task.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ._graph import Driving, Hook, check, enter, leave
from ._job import Job, at_once
from ._loan import Loan
from ._loop import Loop
from ._place import asked_to_end, knows, lending
from ._runner import current as current
from ._turn import Turn
from ._waiting import AnyOf, Waitable, Waking
from .errors import DeadlockError, cancelled


def block(loop: Loop, target: Waitable, timeout: float | None, fix: str) -> bool:
    """Waits in sync code; `loop` is the one that has to run for it. False: time is up. The first
    wait of a function that is cancelled is broken off, if the target heeds that."""
    asked = heed(target) if target.heeds else None
    goal = target if asked is None else AnyOf((target, asked))
    me, here = _waiting_here()
    try:
        refuse_own(loop, target, fix)
    except DeadlockError:
        if target.reached():
            return True
        raise
    if me is None:
        target.wanted(True)
        try:
            ended = loop.wait(goal, timeout)
            if asked is not None:
                heed(target)
            return ended
        finally:
            target.wanted(False)
            del loop, target, goal, asked  # the frames of a failure lead to this one
    if target.reached():
        return True
    own = here if isinstance(me, Hook) else me._lane.scheduler.loop
    assert own is not None
    outer = None if here is None else here.blocked_by  # of a signal handler in such a wait
    loan = Loan(me, own, None if here is own else lending(), None if target.lends else loop)
    driving = Driving(loop)
    enter(me, target, fix, here, driving)
    try:
        try:
            loan.begin()
            ended = loop.wait(goal, timeout, job=me)
        finally:
            loan.end()
        if asked is not None:
            heed(target)
        return ended
    finally:
        if here is not None:
            here.blocked_by = outer
        leave(me, target, driving)
        # The frames of a failure lead to this one.
        del me, own, here, loop, driving, target, loan, goal, asked


def heed(target: Waitable) -> Waitable | None:
    """If the function that runs here was asked to end, it learns of that, once: what it waits for
    may have come as well, or have been cancelled with it. Returns what comes when it is asked."""
    asked = asked_to_end()
    # Not a loop that the function runs, or a done-callback that it adds: they were not asked.
    if asked is None or at_once.calling or asyncio._get_running_loop() is not None:
        return None
    if asked.reached():
        knows()
        try:
            raise cancelled(f"{asked.job!r}, which was to wait for {target!r}")
        finally:
            del target, asked
    return asked


def refuse(loop: Loop, target: Waitable, fix: str) -> None:
    """Raises if a wait for `target` that begins here would never end."""
    refuse_own(loop, target, fix)
    me, here = _waiting_here()
    if me is not None:
        check(me, target, fix, here)


def refuse_own(loop: Loop, target: Waitable, fix: str) -> None:
    """The same, if that is because of where it begins, whoever waits for whom."""
    if loop.is_here() or loop.is_taken_here():
        other = "" if loop.private else " Another tool, for sync code only, works."
        text = f"{target!r} would wait for itself: this code runs on its loop. {fix}{other}"
        raise DeadlockError(text)
    if loop.stands_still_here():
        raise DeadlockError(
            f"{target!r} would be waited for without end: it belongs to an event loop of this very "
            "thread, which does not run now. Await it in async code there."
        )


def refuse_circle(target: Waitable, fix: str) -> None:
    """`refuse` where no loop stands still for it: in async code, or where one only looks."""
    me = _running_job()
    if me is not None:
        check(me, target, fix)


async def pause(target: Waitable, fix: str, timeout: float | None = None) -> bool:
    """Waits in async code, on the running loop. False: time is up."""
    me = _running_job()
    if me is None:
        target.wanted(True)
        try:
            return await until(target, timeout)
        finally:
            target.wanted(False)
    own = me._lane.scheduler.loop
    enter(me, target, fix)
    lends = own is not None and own.is_here()
    cancelled = False
    if lends:
        me._lane.lend(me)
    try:
        return await until(target, timeout)
    except GeneratorExit:  # by the collector, or given up: nothing can be awaited any more
        lends = False
        raise
    except asyncio.CancelledError:
        cancelled = lends
        raise
    finally:
        turn = me._lane.take_back(me) if lends else None
        leave(me, target)
        if cancelled and turn is None:
            turn = await _turn_of_others(me)
        if turn is not None:
            await _although_cancelled(turn)


async def until(target: Waitable, timeout: float | None = None) -> bool:
    """The same for what is no task's business: nothing is lent, and nobody is asked."""
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    while not target.reached():
        if deadline is not None and loop.time() >= deadline:
            return False
        future = loop.create_future()
        notify = Waking(_set, future)
        timer = None if deadline is None else loop.call_at(deadline, notify)
        target.watch(notify)
        try:
            if not target.reached():  # in another thread, just now: nobody would tell us
                await future
        finally:
            target.unwatch(notify)
            if timer is not None:
                timer.cancel()
    return True


async def _turn_of_others(job: Job) -> Turn | None:
    """A cancelled `gather` raises with the first of its parts that ends, while the last one waits
    for the slot: so each waits for that. They leave their waits in one pass over the loop."""
    lease = job._lease
    if lease is None or not lease.waits:
        return None
    with suppress(asyncio.CancelledError):  # one is on its way
        await asyncio.sleep(0)
    return lease.turn


async def _although_cancelled(turn: Turn) -> None:
    """The cancelled need their slot as well: they have to clean up."""
    cancelled: asyncio.CancelledError | None = None
    while not turn.reached():
        try:
            await until(turn)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _set(future: asyncio.Future[None]) -> None:
    loop = future.get_loop()
    # Closed: its tool was given up, and the collector hides from us who waits there.
    if loop.is_closed():
        return
    try:
        if asyncio._get_running_loop() is loop:
            future.set_result(None)
        else:  # another thread closed the tool, say
            loop.call_soon_threadsafe(_set, future)
    except (asyncio.InvalidStateError, RuntimeError):
        pass  # told twice; cancelled, by a signal handler too, or closed, just now


def _waiting_here() -> tuple[Job | None, Loop | None]:
    """Who waits in sync code, if not one outside of everything, and the loop that stands still for
    that: an async task's own, or one that a function runs, or that calls back."""
    me, here = _running_job(), Loop.here()
    if me is None and here is not None:
        me = Hook(current.get())
    return me, here


def is_outside() -> bool:
    """True in sync code that is run by no task, and calls nobody back."""
    return _waiting_here() == (None, None)


def _running_job() -> Job | None:
    job = current.get()
    return None if job is None or job.reached() else job
