"""What a thread waits for, and how it is told that it has come.

A `Waitable` is looked at with `reached()`; whoever wants to know when to look again watches it.
All changes happen on a loop, so a notification comes from there; a `Wait` passes it on to its own
thread, wherever that is: in the loop, which it stops, or asleep, which it wakes.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from ._signals import Signals

if TYPE_CHECKING:
    from ._election import Election


_LOOK = 0.2  # seconds


class Waitable:
    """Something that can be waited for."""

    __slots__ = ()

    paces = False  # who waits for it waits for those who take his results, and goes on by himself
    lends = True  # a function that waits for it in a worker thread lends its slot meanwhile

    def reached(self) -> bool:
        raise AssertionError(type(self))

    def watch(self, notify: Callable[[], None]) -> None:
        """Has `notify` called when it is time to look again."""

    def unwatch(self, notify: Callable[[], None]) -> object:
        """The end of watching."""

    def wanted(self, now: bool) -> None:
        """Somebody outside of all tasks waits for it, from now on, or no more."""

    def blockers(self) -> "Iterable[Waitable]":
        """What must be reached before; for finding those who wait for themselves."""
        return ()

    def tells_failure(self) -> bool:
        """True if who waits for it is told by it of the failure that ended the rest of a tool."""
        return False

    def forget_others(self) -> None:
        """In the child of a fork: of those who watch, only waits of this thread go on."""


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

    __slots__ = ("_here",)

    def __init__(self) -> None:
        super().__init__()
        self._here = False

    def come(self) -> None:
        self._here = True
        self.tell()

    def reached(self) -> bool:
        return self._here


class AllOf(Waitable):
    def __init__(self, waitables: Iterable[Waitable]) -> None:
        self._waitables = tuple(waitables)

    def reached(self) -> bool:
        return all(waitable.reached() for waitable in self._waitables)

    def watch(self, notify: Callable[[], None]) -> None:
        for waitable in self._waitables:
            waitable.watch(notify)

    def unwatch(self, notify: Callable[[], None]) -> object:
        return [waitable.unwatch(notify) for waitable in self._waitables]

    def blockers(self) -> Iterable[Waitable]:
        return self._waitables


class Wait:
    """One thread's wait: told by stopping the loop if it drives, else through its mailbox."""

    __slots__ = ("_loop", "_mailbox", "helper", "target", "thread")

    def __init__(self, loop: "Election", target: Waitable | None) -> None:
        self._loop = loop
        self.thread: int | None = threading.get_ident()
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
            loop.event_loop.stop()
        else:
            self.wake()

    def wake(self) -> None:
        """The same from a signal handler or another thread."""
        event_loop = self._loop._event_loop
        if self._loop._driver is self and event_loop is not None:
            with suppress(RuntimeError):  # closed, just now, by the one who drove it
                event_loop.call_soon_threadsafe(event_loop.stop)
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


def goes_on(notify: Callable[[], object] | None) -> bool:
    """In the child of a fork: True of what tells a wait of the thread that forked."""
    return getattr(getattr(notify, "__self__", None), "thread", None) == threading.get_ident()


class Hold(Wait):
    """Of a thread that does not drive, but keeps the others from it."""

    __slots__ = ()


class Helper(Waitable):
    """A thread that drives for one whose own thread runs another loop, in its context."""

    def __init__(self, loop: "Election", caller: Wait) -> None:
        self._error: BaseException | None = None
        self._loop, self._target, self._caller = loop, caller.target, caller
        self._wait = Wait(loop, self)
        self._over = False
        caller.open_mailbox()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self._thread.name = "aioutils helper"

    def start(self) -> None:
        with Signals():  # not in the midst of it: it must be known to run, to be ended
            self._thread.start()

    def _run(self) -> None:
        target = self._target
        assert target is not None
        target.watch(self._wait.notify)
        try:
            with Signals(self._wait.wake) as nothing:  # not the main thread: no signals here
                self._loop._wait(self._wait, None, nothing)
        except BaseException as error:
            self._error = error
        finally:
            target.unwatch(self._wait.notify)
            self._target = None
            self._caller.wake()

    def check(self) -> None:
        """Raises what its thread was left by."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error

    def end(self) -> None:
        self._over = True
        self._wait.wake()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def reached(self) -> bool:
        target = self._target
        return self._over or target is None or target.reached()


class Passes(Moment):
    """One look at everything: I/O, then new work, then the first steps of that work."""

    def __init__(self, loop: asyncio.AbstractEventLoop, passes: int = 3) -> None:
        super().__init__()
        self._loop, self._left = loop, passes
        loop.call_soon_threadsafe(self._next)

    def _next(self) -> None:
        self._left -= 1
        if self._left:
            self._loop.call_soon(self._next)
        else:
            self.tell()

    def reached(self) -> bool:
        return not self._left
