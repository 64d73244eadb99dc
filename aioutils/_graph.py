"""Who waits for whom, and whether somebody would wait for himself.

The graph is that of jobs and of what they wait for. Its edges change under `_lock`, in any thread.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ._job import Job
from ._waiting import Waitable
from .errors import DeadlockError

if TYPE_CHECKING:
    from ._election import Election
    from ._turn import Turn

_lock = threading.RLock()
_waited_for: Counter[int] = Counter()  # jobs, by id, that other jobs wait for
_collective = 0  # waits of jobs for more than one job


class Lease:
    """What a job waits for, and whether its slot is lent."""

    __slots__ = ("lent", "targets", "turn", "waits")

    def __init__(self) -> None:
        self.targets: list[Waitable] = []
        self.waits = 0
        self.lent = False
        self.turn: Turn | None = None


def enter(me: Job, target: Waitable, fix: str, blocked: Election | None = None) -> None:
    """The begin of a wait, or a DeadlockError; `blocked` is a loop that stands still for it."""
    with _lock:
        if blocked is None:
            _check(me, target, fix)
        else:
            outer, blocked.blocked_by = blocked.blocked_by, me
            try:
                _refuse(me, target, fix)
            except DeadlockError:
                blocked.blocked_by = outer
                raise
        if me._lease is None:
            me._lease = Lease()
        me._lease.targets.append(target)
        _count(target, 1)
    target.wanted(True, me)


def leave(me: Job, target: Waitable) -> None:
    """Its end."""
    with _lock:
        if me._lease is not None:  # else a fork came in between, and nothing is counted any more
            me._lease.targets.remove(target)
            _count(target, -1)
    target.wanted(False, me)


def check(me: Job, target: Waitable, fix: str) -> None:
    """Raises a DeadlockError, which names the circle, if the target waits for me."""
    with _lock:
        _check(me, target, fix)


def _check(me: Job, target: Waitable, fix: str) -> None:
    if isinstance(target, Job) and target is not me:
        if not _collective and id(me) not in _waited_for:
            return  # nobody waits for me, so there is no way to me
    _refuse(me, target, fix)


def _refuse(me: Job, target: Waitable, fix: str) -> None:
    path = way(target, me)
    if path is not None:
        circle = " -> ".join(map(repr, [me, *path]))
        raise DeadlockError(f"{me!r} would wait for itself: {circle}. {fix}")


def way(start: Waitable, goal: Waitable) -> list[Waitable] | None:
    """The way from what is waited for to the one who wants to wait, if there is one."""
    came_from: dict[int, tuple[Waitable, int | None]] = {id(start): (start, None)}
    line = [start]
    while line:
        node = line.pop()
        if node is goal:
            path, at = [node], came_from[id(node)][1]
            while at is not None:
                node, at = came_from[at]
                path.append(node)
            return path[::-1]
        if node.reached():
            continue
        for blocker in node.blockers():
            if id(blocker) not in came_from:
                came_from[id(blocker)] = (blocker, id(node))
                line.append(blocker)
    return None


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
    global _lock, _collective
    _lock = threading.RLock()
    _waited_for.clear()
    _collective = 0


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
