"""An event loop's clock that stands still while the loop does.

Otherwise a pause between two runs would let timeouts expire whose data arrived in time: asyncio
looks at both in one pass, and the timer wins. asyncio's own loops ask their `time()`; for others,
such as uvloop's, there is `_foreign`.
"""

from __future__ import annotations

import asyncio
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
