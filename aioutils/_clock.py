"""An event loop's clock that stands still while the loop does.

Otherwise a pause between two runs would let timeouts expire whose data arrived in time: asyncio
looks at both in one pass, and the timer wins. `Standing` is for asyncio's own loops, which ask
their `time()`; `Timers` for others, such as uvloop's, whose timers follow a clock in C: there
timers are kept here, and the loop has one of its own for the first of them, while it runs.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from itertools import repeat, starmap
from typing import Any, TypeVar, TypeVarTuple, Unpack

from ._handlers import Handlers
from ._interrupted import leaves_by_itself
from ._runner import current, forgotten
from ._waiting import now

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# The wake-up sockets of the loops that are open. The collector finalizes what it finds in a cycle
# in any order: a tool whose loop it has robbed of its sockets could not clean up.
_wakeups: dict[int, object] = {}


class Standing(Handlers):
    """To be mixed into the class of a loop."""

    _now = staticmethod(now)  # that of the loop itself, if it has one: a virtual one, in tests
    _behind = 0.0  # seconds for which the clock stood still, all in all
    _stopped_at: float | None = None

    def prepare(self) -> None:
        super().prepare()
        self._held: list[asyncio.Handle] = []
        _wakeups[id(self)] = (getattr(self, "_ssock", None), getattr(self, "_csock", None))

    def close(self) -> None:
        try:
            super().close()
        finally:
            _wakeups.pop(id(self), None)

    def __del__(self) -> None:
        """Whose tool it is closes it, and the collector may have come here first."""

    def time(self) -> float:
        stopped_at = self._stopped_at
        return (self._now() if stopped_at is None else stopped_at) - self._behind

    def _own_time(self) -> float:
        return super().time()

    def run_forever(self) -> None:
        """Runs until `stop()`, and lets the clock go on for as long."""
        if self._stopped_at is not None:
            self._behind += self._now() - self._stopped_at
            self._stopped_at = None
        try:
            super().run_forever()
        finally:
            self._stopped_at = self._now()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Not for what has left the wait already, nor for tasks that were given up: what another
        thread ran just then finds its coroutine closed."""
        given_up = context.get("future") in forgotten
        if not (given_up or leaves_by_itself(context.get("exception"))):
            super().call_exception_handler(context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """asyncio carries no context there. The function has to know for which job it is called,
        or nobody could refuse it to wait for itself."""
        function: Any = func
        if executor is None or isinstance(executor, ThreadPoolExecutor):
            function = partial(_call_for, current.get(), func)
        return super().run_in_executor(executor, function, *args)

    def run_once(self) -> None:
        """Looks at what is ready, without waiting for more."""
        self.stop()
        self.run_forever()

    def has_ready(self, known: int) -> bool:
        """True if more than so many callbacks are to run as soon as it runs again: those of what
        has just ended, say, which `asyncio.run` would run before it returns.

        Private because asyncio has no way to ask.
        """
        return len(self._ready) > known  # type: ignore[attr-defined]

    def look_first(
        self, seen: Callable[[], object], then: Callable[[], object], context: Context
    ) -> asyncio.Handle:
        """In the next pass, what came over the network is handled first; `seen` is called, what was
        ready goes on, and after that, or it would starve, `then` is called.

        Private because asyncio has no way to look at the network before it goes on. A pass adds
        what came, then the timers that are due, the earliest of them first.
        """
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        # To its present end: other threads may add to it, and nobody else takes from it.
        self._held.extend(starmap(ready.popleft, repeat((), len(ready))))
        return self.call_at(-math.inf, self._looked, seen, then, context, context=context)

    def _looked(
        self, seen: Callable[[], object], then: Callable[[], object], context: Context
    ) -> None:
        seen()
        if self._held:
            self.go_on()
            self.call_soon(then, context=context)
        else:
            then()

    def go_on(self) -> None:
        """With what was ready; where the run ended early, in the next one."""
        held = self._held
        if held:
            self._ready.extendleft(starmap(held.pop, repeat((), len(held))))  # type: ignore[attr-defined]

    def wakeup_fd(self) -> int:
        """What `signal.set_wakeup_fd` writes to, as asyncio has it for its own handlers; -1 for a
        loop that sees to it itself.

        Private because asyncio gives it only to those who add signal handlers to the loop.
        """
        wakeup = getattr(self, "_csock", None)
        return -1 if wakeup is None else int(wakeup.fileno())


def _call_for(job: Any, function: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
    context = copy_context()
    context.run(current.set, job)
    del job  # the frames of a failure lead to this one
    return context.run(function, *args)


class Timers(Standing):
    """With timers of its own; what the loop's C code times itself goes by the loop's clock."""

    _heap: list[asyncio.TimerHandle]
    _cancelled = 0
    _alarm: asyncio.TimerHandle | None = None

    def prepare(self) -> None:
        super().prepare()
        self._heap = []

    def run_forever(self) -> None:
        self._arm()
        try:
            super().run_forever()
        finally:
            self._disarm()

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer and self.is_running():
            self._arm()
        return timer

    def has_ready(self, known: int) -> bool:
        """Not known, and not needed: what stops such a loop comes after what is ready."""
        return False

    def look_first(
        self, seen: Callable[[], object], then: Callable[[], object], context: Context
    ) -> asyncio.Handle:
        """What is ready can't be held back here, and goes first."""
        return self.call_soon(self._look, seen, then, context, context=context)

    def _look(
        self, seen: Callable[[], object], then: Callable[[], object], context: Context
    ) -> None:
        self.call_soon(seen, context=context)
        self.call_soon(then, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Called by the handle: half of the heap at most is dead."""
        self._cancelled += 1
        if self._cancelled > 100 and 2 * self._cancelled > len(self._heap):
            self._heap = [timer for timer in self._heap if not timer.cancelled()]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def _arm(self) -> None:
        self._disarm()
        if self._heap:
            delay = max(0.0, self._heap[0].when() - self.time())
            self._alarm = super().call_later(delay, self._ring, context=Context())

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        """Like asyncio: those that are due run in the next pass, where they may be cancelled."""
        now = self.time()
        while self._heap and self._heap[0].when() <= now:
            timer = heapq.heappop(self._heap)
            if timer.cancelled():
                self._cancelled -= 1
            else:
                self.call_soon(_run, timer, context=Context())
        self._arm()


def _run(timer: asyncio.TimerHandle) -> None:
    if not timer.cancelled():
        timer._run()  # as the loop does, in the context of the timer


_kinds: dict[type, type] = {}


def with_clock(loop: asyncio.AbstractEventLoop) -> Standing:
    """Gives the clock to a loop that another one made, and has not been run."""
    kind = type(loop)
    if kind not in _kinds:
        own: dict[str, Any] = {"__module__": kind.__module__}
        asks = isinstance(loop, asyncio.BaseEventLoop)
        if asks and kind.time is not asyncio.BaseEventLoop.time:
            own["_now"] = Standing._own_time
        _kinds[kind] = type(kind.__name__, (Standing if asks else Timers, kind), own)
    loop.__class__ = _kinds[kind]
    assert isinstance(loop, Standing)
    loop.prepare()
    return loop
