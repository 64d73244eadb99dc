"""Who waits for whom, and whether somebody would wait for himself.

The graph is that of jobs and of what they wait for. Its edges change under `_lock`, in any thread.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from ._job import RUNNING, Job
from ._waiting import Waitable
from .errors import DeadlockError

if TYPE_CHECKING:
    from ._election import Election
    from ._turn import Turn

_Ordered = dict[Waitable, None]  # a set, in order

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
    """The way from what is waited for to the one who wants to wait, if it can't come before that
    one goes on."""
    keepers = _stuck(start, goal)
    before: dict[Waitable, Waitable] = {}
    line = [start] if start in keepers else []
    for node in line:
        if node is goal:
            path: list[Waitable] = [goal]
            while path[-1] is not start:
                path.append(before[path[-1]])
            return path[::-1]
        for keeper in chain(*keepers[node]):
            if keeper is not start and keeper not in before:
                before[keeper] = node
                line.append(keeper)
    return None


def _stuck(start: Waitable, goal: Job) -> dict[Waitable, tuple[_Ordered, _Ordered]]:
    """Of all that `start` leads to, what can't come before the goal goes on, and what keeps it:
    each of its blockers, and all of its givers together. What has none comes, and lets others."""
    keepers: dict[Waitable, tuple[_Ordered, _Ordered]] = {}
    kept: dict[Waitable, list[Waitable]] = {}
    line, comes = [start], []
    while line:
        node = line.pop()
        if node in keepers:
            continue
        blockers, givers = keepers[node] = _keepers(node, goal)
        for keeper in chain(blockers, givers):
            kept.setdefault(keeper, []).append(node)
            line.append(keeper)
        if not (blockers or givers or node is goal):
            comes.append(node)
    for node in comes:
        del keepers[node]
    for node in comes:
        for other in kept.get(node, ()):
            if other in keepers:
                blockers, givers = keepers[other]
                blockers.pop(node, None)
                if node in givers:
                    givers.clear()
                if not (blockers or givers):
                    del keepers[other]
                    comes.append(other)
    return keepers


def _keepers(node: Waitable, goal: Job) -> tuple[_Ordered, _Ordered]:
    if node is goal or node.is_told():
        return {}, {}
    if node.needs(goal):
        return {goal: None}, {}
    blockers = dict.fromkeys(node.blockers())
    blockers.pop(node, None)  # a job that blocks its own loop
    return blockers, dict.fromkeys(node.givers())


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
