"""Which loop a scheduler runs on, alone or as one of a family that shares it (`within=`).

A wait decides it, never a spawn: in sync code a loop of our own, in async code the running one.
Where nothing of the family is under way, and nobody waits for it, the next wait may decide anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from weakref import ref

from ._eventloop import LoopFactory
from ._job import Job
from ._lease import block, current, heed, is_outside, refuse_circle, refuse_own
from ._loop import Loop
from ._owner import Worker
from ._signals import held
from ._waiting import Moment, Waitable, now
from ._warnings import warn_lost
from .errors import WrongLoopError


class Tie:
    """Somebody waits on the loop: for as long as he holds this, whatever ends his wait."""

    __slots__ = ("__weakref__", "blocks", "loop")

    loop: Loop
    blocks: bool  # a thread, and drives or is about to


class Family(list["Bound"]):
    """Those that share a loop, which changes under its lock."""

    def __init__(self, first: Bound) -> None:
        super().__init__((first,))
        self.forked()

    def tie(self, loop: Loop, *, blocks: bool) -> Tie:
        tie = Tie()
        tie.loop, tie.blocks = loop, blocks
        self.ties.add(ref(tie, self._untie))
        return tie

    def forked(self) -> None:
        """In the child, where the other threads' waits never end; our own may have begun before."""
        self._lock = threading.RLock()
        self.ties: set[ref[Tie]] = set()
        self._untie = self.ties.discard


class Bound(Moment, Worker):
    # With slots all the way: beside a base that has some, attributes of a dict are slow.
    __slots__ = ("__weakref__", "_due", "_factory", "_family", "_lock", "loop")

    parked: list[Job]  # what stays on the loop

    def __init__(self, factory: LoopFactory | None) -> None:
        super().__init__()
        self._factory: LoopFactory | None = factory
        self.loop: Loop | None = None
        self._lock = threading.RLock()
        self._due: bool = False
        self._family: Family = Family(self)

    def join_family(self, other: Bound) -> None:
        """Shares the other's loop; when all else is made, for somebody may be driving it."""
        family = other._family
        with family._lock:  # another thread may be binding it
            self._factory, self._family = other._factory, family
            family.append(self)
            if other.loop is not None:
                self.loop = other.loop
                self.loop.attach(self)

    def bound(self) -> Loop:
        """The loop of sync code, as it is at this moment."""
        return self.tie().loop

    def block(self, target: Waitable, timeout: float | None, fix: str) -> bool:
        """`_lease.block` on the loop that it is bound to, or is bound to by this."""
        deadline = None if timeout is None else now() + timeout
        tie = self.tie()
        try:
            while not block(tie.loop, target, timeout, fix):
                if not tie.loop.is_over():
                    return False
                timeout = None if deadline is None else max(0.0, deadline - now())
                tie = self.tie()
            return True
        finally:
            del self, tie, target  # the frames of a failure lead to this one

    def blocked(self) -> list[Job]:
        """The one that its loop stands still for, if it does: nothing ends before that goes on."""
        loop = self.loop
        blocker = None if loop is None else loop.blocked_by
        return [] if blocker is None else [blocker]

    def look(self, target: Waitable, fix: str) -> None:
        """The same for what comes without waiting."""
        heed(target)
        tie = self.tie()
        try:
            refuse_own(tie.loop, target, fix)
            refuse_circle(target, fix)
            tie.loop.run_once(current.get())
        finally:
            del tie, target

    def settle(self, timeout: float | None = None) -> bool:
        """After a wait outside of all tasks: what these dropped is closed before sync code goes on.
        False if there was nothing, if it can't be, or if `timeout` seconds passed first."""
        loop = self.loop
        if loop is None or not (loop.orphans and loop.private and is_outside()):
            return False
        tie = self.tie()
        try:
            return tie.loop.settle(timeout)
        finally:
            if tie.loop.is_left():  # another thread closed the tool meanwhile
                tie.loop.release()
            del tie

    def tie(self) -> Tie:
        """To the loop to wait on in sync code: one of our own, if none was bound yet. Nobody binds
        the family to another one until this is let go, with `del` if an exception may keep it."""
        family = self._family
        with family._lock:
            old = self.loop
            if old is None:
                self._bind(Loop(factory=self._factory))
            elif not old.private:
                self._move(lambda: Loop(factory=self._factory))
            loop = self.loop
            assert loop is not None
            tie = family.tie(loop, blocks=True)
        if loop is not old:
            self._has_moved(old, family)
        return tie

    def tie_running(self, who: object) -> Tie:
        """`tie` in async code, to the loop that runs in this thread; `who` is awaited there."""
        tie = self.tie_to(Loop.current())
        if tie is None:
            whose = "" if repr(self) in repr(who) else f" of {self!r}"
            fix = "let it end there first, or, of two tools, make one with within= the other"
            if any(one.parked for one in tuple(self._family)):
                fix = (
                    "so do its open contexts and sources; of two tools, make one with within= the "
                    "other; a single one is used in sync code, or closed with "
                    "'await asyncio.to_thread(tool.close)'"
                )
            raise WrongLoopError(
                f"{who!r}{whose} runs on another loop than the one that awaits it: {fix}"
            )
        return tie

    def tie_to(self, loop: Loop) -> Tie | None:
        """To a loop on which it is awaited; None if it can't leave the one that it has."""
        family = self._family
        with family._lock:
            old = self.loop
            if old is None:
                self._bind(loop)
            elif old is not loop and not self._move(lambda: loop):
                return None
            tie = family.tie(loop, blocks=False)
        if old is not loop:
            self._has_moved(old, family)
        return tie

    def bind_running(self, who: object) -> None:
        self.tie_running(who)

    def _move(self, to: Callable[[], Loop]) -> bool:
        """Binds it to another loop; False if something is under way on the one that it has.

        That one may be running, in another thread. It takes jobs out of the line under these locks,
        and none of a tool that moved meanwhile.
        """
        with held(), ExitStack() as locks:
            for member in tuple(self._family):
                locks.enter_context(member._lock)
            if self._is_tied():
                return False
            if self.loop is not None and self.loop.is_over():
                self.loop.lost = [repr(one) for one in tuple(self._family) if one._lose()]
            self._bind(to())
            return True

    def blocks_thread(self) -> bool:
        """True if one waits for something of the family."""
        ties = [tie() for tie in tuple(self._family.ties)]
        return any(tie is not None and tie.blocks for tie in ties)

    def _is_tied(self) -> bool:
        if self.loop is None or self.loop.is_over():
            return False
        return bool(self._family.ties) or any(one._has_begun() for one in tuple(self._family))

    def _lose(self) -> bool:
        """What is under way on a loop that a host has closed never ends; True if there was any."""
        raise AssertionError(type(self))

    def _has_begun(self) -> bool:
        """True if something of it is under way on the loop."""
        raise AssertionError(type(self))

    def _bind(self, loop: Loop) -> None:
        family = tuple(self._family)
        for member in family:  # first, or after a signal nobody would pump it
            loop.attach(member)
        for member in family:
            member.loop = loop

    def _has_moved(self, old: Loop | None, family: Family) -> None:
        """Not under the lock: with its last tool the old loop ends, and runs for that."""
        for member in tuple(family):
            if old is not None:
                old.detach(member)
            member._due = False
            member.wake()
        while old is not None and old.lost:
            warn_lost(old.lost.pop())

    def leave_family(self) -> None:
        """The others keep the loop."""
        self._family.remove(self)
        if self._family:
            self._family = Family(self)  # of its own: it would hold those who stay, and leave later

    def wake(self) -> None:
        """Has `pump` called on the loop, which also does so by itself whenever it starts."""
        if self._due:
            return
        self._due = True
        if self.loop is None:
            return
        try:
            self.loop.wake()
        except BaseException:  # a signal: without this nobody would wake the loop any more
            self._due = False
            raise
