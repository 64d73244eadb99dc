"""What a thread waits for, and how it is told that it has come.

A `Waitable` is looked at with `reached()`; whoever wants to know when to look again watches it.
All changes happen on a loop, so a notification comes from there; a `Wait` passes it on to its own
thread, wherever that is: in the loop, which it stops, or asleep, which it wakes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._election import Election
    from ._helper import Helper
    from ._job import Job


# For timeouts, which are of wall time. Not `monotonic` itself: what freezes time in tests replaces
# that in every module that has it, and a wait would never end.
now: Callable[[], float] = partial(monotonic)
del monotonic

A_LOOK = 3  # passes of the loop: I/O, then new work, then the first steps of that work
_LOOK = 0.2  # seconds


class Waitable:
    """Something that can be waited for."""

    __slots__ = ()

    paces = False  # who waits for it waits for those who take his results, and goes on by himself
    lends = True  # a function that waits for it in a worker thread lends its slot meanwhile
    has_givers = False
    heeds = False  # the cancellation of the function that waits: its wait is broken off

    def reached(self) -> bool:
        raise AssertionError(type(self))

    def watch(self, notify: Callable[[], None]) -> None:
        """Has `notify` called when it is time to look again."""

    def unwatch(self, notify: Callable[[], None]) -> object:
        """The end of watching."""

    def wanted(self, now: bool, by: Job | None = None) -> None:
        """Somebody waits for it, from now on, or no more: a job, or one outside of all tasks."""

    # For finding those who wait for themselves.

    def is_told(self) -> bool:
        """True if it is reached, and nothing keeps those from going on who waited for it."""
        return self.reached()

    def blockers(self) -> Iterable[Waitable]:
        """What must be reached before."""
        return ()

    def givers(self) -> Iterable[Waitable]:
        """Any one of these can bring it; empty if others can as well, or nobody knows."""
        return ()

    def needs(self, job: Job) -> bool:
        """True if whoever waits for it can't be done before the job is, whoever brings it."""
        return False

    def tells_failure(self) -> bool:
        """True if who waits for it is told by it of the failure that ended the rest of a tool."""
        raise AssertionError(type(self))

    def forget_others(self) -> None:
        """In the child of a fork: of the waits that watch, only those of this thread go on."""


class Moment(Waitable):
    """A waitable that keeps its watchers, and tells them all each time."""

    __slots__ = ("_watchers",)

    def __init__(self) -> None:
        self._watchers: list[Callable[[], None]] = []

    def watch(self, notify: Callable[[], None]) -> None:
        self._watchers.append(notify)

    def unwatch(self, notify: Callable[[], None]) -> object:
        try:  # no `suppress`: each wait comes here
            self._watchers.remove(notify)
        except ValueError:
            pass  # it was told, and is told once; or a fork has forgotten it
        return None

    def forget_others(self) -> None:
        self._watchers = [notify for notify in self._watchers if goes_on(notify)]

    def is_watched(self) -> bool:
        return bool(self._watchers)

    def tell(self) -> None:
        for notify in tuple(self._watchers):
            notify()


class Event(Moment):
    """A moment that comes once."""

    __slots__ = ("here",)

    def __init__(self) -> None:
        super().__init__()
        self.here: bool = False

    def come(self) -> None:
        self.here = True
        self.tell()

    def reached(self) -> bool:
        return self.here


class AllOf(Waitable):
    _and: str = " and "

    def __init__(self, waitables: Iterable[Waitable]) -> None:
        self._waitables = tuple(waitables)

    def __repr__(self) -> str:
        names, more = [repr(each) for each in self._waitables[:3]], len(self._waitables) - 3
        return self._and.join([*names, f"{more} more"] if more > 0 else names)

    def reached(self) -> bool:
        return all(waitable.reached() for waitable in self._waitables)

    def watch(self, notify: Callable[[], None]) -> None:
        for waitable in self._waitables:
            waitable.watch(notify)

    def unwatch(self, notify: Callable[[], None]) -> object:
        return [waitable.unwatch(notify) for waitable in self._waitables]

    def blockers(self) -> Iterable[Waitable]:
        return self._waitables


class AnyOf(AllOf):
    _and = " or "

    def reached(self) -> bool:
        return any(waitable.reached() for waitable in self._waitables)


class Wait:
    """One thread's wait: told by stopping the loop if it drives, else through its mailbox."""

    __slots__ = ("_loop", "_mailbox", "before", "caller", "helper", "target", "thread")

    def __init__(
        self, loop: Election, target: Waitable | None, before: Helper | None = None
    ) -> None:
        self._loop = loop
        # That of the wait which an interrupt has ended, if it has not left yet.
        self.before: Helper | None = before
        self.caller: int = threading.get_ident()  # even if a helper does the waiting
        self.thread: int | None = self.caller
        self.target = target
        self._mailbox: threading.Lock | None = None  # locked: nothing came
        self.helper: Helper | None = None

    def begin(self) -> None:
        if self.target is not None:  # pragma: no branch: only a Hold has none
            self.target.watch(self.notify)

    def is_over(self) -> bool:
        return self.target is None or self.target.reached()

    def end(self) -> None:
        if self.target is not None:  # pragma: no branch: only a Hold has none
            self.target.unwatch(self.notify)
            self.target = None

    def notify(self) -> None:
        loop = self._loop
        if loop._driver is not self:
            self._post()
        elif loop.is_here():
            loop.stop()
        else:
            self.wake()

    def wake(self) -> None:
        """The same from a signal handler or another thread."""
        event_loop = self._loop._event_loop
        if self._loop._driver is self and event_loop is not None:
            with suppress(RuntimeError):  # closed, just now, by the one who drove it
                event_loop.call_soon_threadsafe(event_loop.stop, context=self._loop._context)
        else:
            self._post()

    def _post(self) -> None:
        if self._mailbox is not None and self._mailbox.locked():
            with suppress(RuntimeError):  # another thread, or a signal, was quicker
                self._mailbox.release()

    def open_mailbox(self) -> None:
        if self._mailbox is None:
            mailbox = threading.Lock()
            mailbox.acquire()
            self._mailbox = mailbox

    def sleep(self, timeout: float | None, looks: bool) -> None:
        """`looks`: by itself, now and then. Neither a signal that another thread caught wakes a
        sleeper, the main thread, nor a host that closes its loop."""
        assert self._mailbox is not None
        longest = _LOOK if looks else threading.TIMEOUT_MAX
        self._mailbox.acquire(timeout=longest if timeout is None else min(timeout, longest))


class Waking(partial[None]):
    """What tells async code: in the child of a fork that is the parent's."""

    __slots__ = ()

    thread = None


def goes_on(notify: Callable[[], object]) -> bool:
    """In the child of a fork: False of what tells a wait, unless it is one of the thread that
    forked."""
    me = threading.get_ident()
    return getattr(getattr(notify, "__self__", notify), "thread", me) == me


class Hold(Wait):
    """Of a thread that does not drive, but keeps the others from it."""

    __slots__ = ()


class Passes(Moment):
    """One look at everything."""

    def __init__(self, loop: Election) -> None:
        super().__init__()
        self._owner, self._loop, self._left = loop, loop.event_loop, A_LOOK
        self._loop.call_soon_threadsafe(self._next)

    def _next(self) -> None:
        self._left -= 1
        if self._left:
            self._loop.call_soon(self._next)
        else:
            self.tell()

    def reached(self) -> bool:
        """Or there is another loop by now: a signal handler forked, and this is the child."""
        return not self._left or self._owner._event_loop is not self._loop
