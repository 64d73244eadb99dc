"""Which loop a scheduler runs on, alone or as one of a family that shares it (`within=`).

A wait decides it, never a spawn: in sync code a loop of our own, in async code the running one.
Where nothing of the family is under way, and nobody waits for it, the next wait may decide anew.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack

from ._eventloop import LoopFactory
from ._lease import block
from ._loop import Loop
from ._owner import Worker
from ._signals import held
from ._waiting import Moment, Waitable
from .errors import WrongLoopError


class Family(list["Bound"]):
    """Those that share a loop, which changes under its lock."""

    def __init__(self, first: "Bound") -> None:
        super().__init__((first,))
        self._lock = threading.RLock()
        self.waits: list[None] = []  # on it, that have begun

    def untie(self) -> None:
        """The end of a wait. It takes no lock: the collector may be the one that ends it."""
        if self.waits:
            self.waits.pop()

    def forked(self) -> None:
        """In the child, where the other threads' waits never end; our own may have begun before."""
        self._lock = threading.RLock()
        self.waits = []


class Bound(Moment, Worker):
    # With slots all the way: beside a base that has some, attributes of a dict are slow.
    __slots__ = ("__weakref__", "_due", "_factory", "_family", "_lock", "loop")

    def __init__(self, factory: LoopFactory | None) -> None:
        super().__init__()
        self._factory: LoopFactory | None = factory
        self.loop: Loop | None = None
        self._lock = threading.RLock()
        self._due: bool = False
        self._family: Family = Family(self)

    def join_family(self, other: "Bound") -> None:
        """Shares the other's loop; when all else is made, for somebody may be driving it."""
        self._factory, self._family = other._factory, other._family
        self._family.append(self)
        if other.loop is not None:
            self.loop = other.loop
            self.loop.attach(self)

    def bound(self) -> Loop:
        """The loop of sync code, as it is at this moment."""
        loop, family = self.tie()
        family.untie()
        return loop

    def block(self, target: Waitable, timeout: float | None, fix: str) -> bool:
        """`_lease.block` on the loop that it is bound to, or is bound to by this."""
        loop, family = self.tie()
        try:
            return block(loop, target, timeout, fix)
        finally:
            family.untie()
            del target  # the frames of a failure lead to this one

    def tie(self) -> tuple[Loop, Family]:
        """The loop to wait on in sync code: one of our own, if none was bound yet. Until the
        family's `untie` nobody binds it to another one."""
        family = self._family
        with family._lock:
            old = self.loop
            if old is None:
                self._bind(Loop(factory=self._factory))
            elif not old.private:
                self._move(lambda: Loop(factory=self._factory))
            loop = self.loop
            assert loop is not None
            family.waits.append(None)
        if loop is not old:
            self._has_moved(old, family)
        return loop, family

    def tie_running(self, who: object) -> Family:
        """`tie` in async code, to the loop that runs in this thread; `who` is awaited there."""
        running, family = Loop.current(), self._family
        with family._lock:
            old = self.loop
            if old is None:
                self._bind(running)
            elif old is not running and not self._move(lambda: running):
                raise WrongLoopError(
                    f"{who!r} of {self!r} runs on another loop than the one that awaits it; "
                    "make one of the two tools with within= the other"
                )
            family.waits.append(None)
        if old is not running:
            self._has_moved(old, family)
        return family

    def bind_running(self, who: object) -> None:
        self.tie_running(who).untie()

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
            self._bind(to())
            return True

    def _is_tied(self) -> bool:
        if self.loop is None or self.loop.is_over():
            return False
        return bool(self._family.waits) or any(one._has_begun() for one in tuple(self._family))

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
        try:
            for member in tuple(family):
                if old is not None:
                    old.detach(member)
                member._due = False
                member.wake()
        except BaseException:  # a signal
            family.untie()
            raise

    def leave_family(self) -> None:
        """The others keep the loop."""
        self._family.remove(self)
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
