"""Who waits for whom, and whether somebody would wait for himself.

The graph is that of jobs and of what they wait for. Its edges change under `_lock`, in any thread.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from ._job import RUNNING, Job
from ._waiting import Waitable
from .errors import DeadlockError

if TYPE_CHECKING:
    from ._election import Election
    from ._turn import Turn

_lock = threading.RLock()
_waited_for: Counter[int] = Counter()  # jobs, by id, that other jobs wait for
_collective = 0  # waits of jobs for more than one job
_forks = 0  # between the process that was imported into and this one


class Lease:
    """What a job waits for, and whether its slot is lent."""

    __slots__ = ("forks", "lent", "targets", "turn", "waits")

    def __init__(self) -> None:
        self.targets: list[Waitable] = []
        self.waits = 0
        self.lent = False
        self.turn: Turn | None = None
        self.forks = _forks


class Hook(Job):
    """Code that is no task's, or of one that has ended, and blocks a loop: a done-callback, what
    `on_error` is. It stands for that code while it waits."""

    __slots__ = ()

    def __init__(self, after: Job | None) -> None:
        self._name = "code outside of tasks" if after is None else f"hook of {after._name}"
        self._state = RUNNING
        self._order = self._lease = self._watchers = None

    def blockers(self) -> Iterable[Waitable]:
        return () if self._lease is None else tuple(self._lease.targets)


class Driving(Waitable):
    """That a thread drives no loop any more, on which it waits: what comes does not help it as
    long as a task blocks that loop."""

    def __init__(self, loop: Election) -> None:
        self._loop, self._thread = loop, threading.get_ident()

    def __repr__(self) -> str:
        return "the loop that it drives"

    def reached(self) -> bool:
        driver = self._loop._driver
        return driver is None or driver.caller != self._thread

    def blockers(self) -> Iterable[Waitable]:
        blocker = self._loop.blocked_by
        return [] if blocker is None else [blocker]


def enter(
    me: Job,
    target: Waitable,
    fix: str,
    blocked: Election | None = None,
    driving: Driving | None = None,
) -> None:
    """The begin of a wait, or a DeadlockError; `blocked` is a loop that stands still for it."""
    with _lock:
        check(me, target, fix, blocked)
        if blocked is not None:
            blocked.blocked_by = me
        if me._lease is None:
            me._lease = Lease()
        me._lease.targets += [target] if driving is None else [target, driving]
        _count(target, 1)
    target.wanted(True, me)


def leave(me: Job, target: Waitable, driving: Driving | None = None) -> None:
    """Its end."""
    with _lock:
        lease = me._lease
        # Else a fork came in between, and nothing is counted any more.
        if lease is not None and lease.forks == _forks:
            lease.targets.remove(target)
            if driving is not None:
                lease.targets.remove(driving)
            _count(target, -1)
    target.wanted(False, me)


def check(me: Job, target: Waitable, fix: str, blocked: Election | None = None) -> None:
    """Raises a DeadlockError, which names the circle, if the target waits for me."""
    with _lock:
        if blocked is None:
            _check(me, target, fix)
            return
        outer, blocked.blocked_by = blocked.blocked_by, me
        try:
            _refuse(me, target, fix)
        finally:
            blocked.blocked_by = outer


def _check(me: Job, target: Waitable, fix: str) -> None:
    if not _collective and id(me) not in _waited_for and target is not me:
        # Nobody waits for me, so there is no way to me.
        if isinstance(target, Job) or (target.has_givers and not target.needs(me)):
            return
    _refuse(me, target, fix)


def _refuse(me: Job, target: Waitable, fix: str) -> None:
    path = way(target, me)
    if path is not None:
        circle = " -> ".join(map(repr, [me, *path]))
        raise DeadlockError(f"{me!r} would wait for itself: {circle}. {fix}")


def way(start: Waitable, goal: Job) -> list[Waitable] | None:
    """The way from what is waited for to the one who wants to wait, if there is one."""
    after: dict[Waitable, Waitable | None] = {start: None}  # of each that leads there, the next one
    line = [(start, _look(start, goal))]  # from the start to here
    leads: bool | None = None  # what was looked at just now; None: the look begins
    while line:
        node, look = line[-1]
        try:
            blocker = look.send(leads)
        except StopIteration as end:
            line.pop()
            after[node] = end.value
            leads = end.value is not None
        else:
            leads = after[blocker] is not None if blocker in after else None
            if leads is None:
                after[blocker] = None
                line.append((blocker, _look(blocker, goal)))
    if not leads:
        return None
    path = [start]
    while (node := path[-1]) is not goal and (then := after[node]) is not None:
        path.append(then)
    return path


def _look(node: Waitable, goal: Job) -> Generator[Waitable, bool | None, Waitable | None]:
    """Yields what is to be looked at, and is sent whether that leads to the goal. Returns the next
    on the way, if there is one: one of all the blockers is enough, or every one of the givers."""
    if node is goal:
        return goal
    if node.is_told():
        return None
    if node.needs(goal):
        return goal
    for blocker in node.blockers():
        if (yield blocker):
            return blocker
    giver: Waitable | None = None
    for giver in node.givers():
        if not (yield giver):
            return None
    return giver


def reachable(jobs: Iterable[Job]) -> Iterator[Job]:
    """These, and the jobs that they wait for, over whatever chain."""
    line: list[Waitable] = list(jobs)
    seen: set[Job] = set()
    while line:
        job = line.pop()
        if isinstance(job, Job) and job not in seen:
            seen.add(job)
            yield job
            if job._lease is not None:
                line += job._lease.targets


def is_waited_for(job: Job) -> bool:
    """True if another job waits for its end."""
    return id(job) in _waited_for


def _count(target: Waitable, more: int) -> None:
    global _collective
    if not isinstance(target, Job):
        _collective += more
        return
    _waited_for[id(target)] += more
    if not _waited_for[id(target)]:
        del _waited_for[id(target)]


def _after_fork() -> None:
    global _lock, _collective, _forks
    _lock = threading.RLock()
    _forks += 1
    _waited_for.clear()
    _collective = 0


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
