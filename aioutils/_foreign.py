"""An event loop that another one made, such as uvloop's: it gets our clock too.

Where it does not ask its `time()`, because its timers follow a clock in C, timers are kept here,
and the loop has one of its own for the first of them, while it runs.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from typing import Any, TypeVarTuple, Unpack

from ._clock import Standing

Ts = TypeVarTuple("Ts")


class Foreign(Standing):
    """To be mixed into its class. What its C code times itself goes by its own clock."""

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

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        """Private, as uvloop's own is. That puts a coroutine into a queue which nobody can see:
        where it comes too late to be run, Python would say that it was never awaited."""
        if not self.is_closed():
            self.call_soon_threadsafe(self._close_generator, agen)

    def _close_generator(self, agen: AsyncGenerator[Any, Any]) -> None:
        self.create_task(agen.aclose())

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
        _kinds[kind] = type(kind.__name__, (Standing if asks else Foreign, kind), own)
    loop.__class__ = _kinds[kind]
    assert isinstance(loop, Standing)
    loop.prepare()
    return loop
