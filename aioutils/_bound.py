"""Which loop a scheduler runs on, alone or as one of a family that shares it (`within=`).

A wait decides it, never a spawn: in sync code a loop of our own, in async code the running one.
Where nothing of the family is under way, the next wait may decide anew.
"""

import threading

from ._eventloop import LoopFactory
from ._loop import Loop
from ._owner import Worker
from ._waiting import Moment
from .errors import WrongLoopError


class Bound(Moment, Worker):
    # With slots all the way: beside a base that has some, attributes of a dict are slow.
    __slots__ = ("__weakref__", "_due", "_factory", "_family", "_lock", "loop")

    def __init__(self, factory: LoopFactory | None) -> None:
        super().__init__()
        self._factory: LoopFactory | None = factory
        self.loop: Loop | None = None
        self._lock = threading.RLock()
        self._due: bool = False
        self._family: list[Bound] = [self]

    def join_family(self, other: "Bound") -> None:
        """Shares the other's loop; when all else is made, for somebody may be driving it."""
        self._factory, self._family = other._factory, other._family
        self._family.append(self)
        if other.loop is not None:
            self.loop = other.loop
            self.loop.attach(self)

    def bound(self) -> Loop:
        """The loop to wait on in sync code: one of our own, if none was bound yet."""
        loop = self.loop
        if loop is None or not (loop.private or self._is_tied()):
            loop = self._bind(Loop(factory=self._factory), loop)
        return loop

    def bind_running(self, who: object) -> None:
        """Binds to the loop that runs in this thread; `who` is awaited there."""
        running, loop = Loop.current(), self.loop
        if loop is not running:
            if loop is not None and self._is_tied():
                raise WrongLoopError(
                    f"{who!r} of {self!r} runs on another loop than the one that awaits it; "
                    "make one of the two tools with within= the other"
                )
            self._bind(running, loop)

    def _is_tied(self) -> bool:
        return any(member._has_begun() for member in tuple(self._family))

    def _has_begun(self) -> bool:
        """True if something of it is under way on the loop."""
        raise AssertionError(type(self))

    def _bind(self, loop: Loop, old: Loop | None) -> Loop:
        """Returns the loop that it is bound to: another thread may have been quicker."""
        with self._family[0]._lock:
            if self.loop is not old:  # pragma: no cover: two threads bind it at the same moment
                assert self.loop is not None
                return self.loop
            family = tuple(self._family)
            for member in family:  # first, or after a signal nobody would pump it
                loop.attach(member)
            for member in family:
                member.loop = loop
        for member in family:
            if old is not None:
                old.detach(member)
            member._due = False
            member.wake()
        return loop

    def leave_family(self) -> None:
        """The others keep the loop."""
        self._family.remove(self)
        self._family = [self]  # of its own: it would hold those who stay, and leave later

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
