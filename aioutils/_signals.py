"""Signals while the main thread waits: noted at once, acted upon outside the loop.

A Python signal handler that raises does so wherever the main thread happens to be: inside
asyncio's own bookkeeping as well, and then clean-ups are lost. So, for as long as the main
thread drives or waits, the user's handlers of SIGINT, SIGTERM, SIGUSR1 and SIGALRM give way to
one that notes the signal and wakes the waiter, who calls the user's from a place where it may
raise.

Entered and left by the main thread only (elsewhere nothing happens); `_note` runs in the main
thread, between any two bytecodes, and so takes no lock.
"""

# Private, because `signal` turns numbers into members of enums, before and after: that costs
# several times what is done in between, and each wait comes here.
from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import asyncio
import contextlib
import functools
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, MethodType
from typing import Any

from . import _alarm
from ._handlers import Relay
from ._interrupted import comes_back, is_callback, mark
from ._waiting import now

_Handler = Callable[[int, FrameType | None], Any]

# SIGUSR1: with it, Celery tells a task that its time is up. SIGALRM: with it, everybody does.
_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGALRM")
_HELD = [int(getattr(signal, name)) for name in _NAMES if hasattr(signal, name)]

_TRIES = 100  # what breaks off a few lines more often than that is no handler

_main = threading.main_thread()
_innermost: Signals | None = None
_wakeup = -1  # the descriptor that we have signals written to


def _nothing() -> None:
    """Nobody waits for anything of ours, but asyncio may."""


def _briefly() -> None:
    """Nobody waits for anything: of itself it is over at once."""


class Signals:
    """Holds the user's handlers back; `deliver()` calls them for the signals that came.

    The second signal before the first was delivered goes to the user's handler at once, from
    within the signal: that is how a blocked loop and a stuck clean-up can be left. With
    `patient=False` the first one does. What the handler raises then may hit a task, which keeps it
    for as long as it cleans up: so it is noted as well, and ends the wait. Our own code and
    asyncio's come back by themselves, and would be left in a state in which nobody can go on: there
    it is only noted, unless a second has passed since.
    """

    __slots__ = (
        "_noted",
        "_outer",
        "_patient",
        "_raised",
        "_replaced",
        "_since",
        "_users",
        "_wake",
        "_wakes",
        "active",
    )

    def __init__(self, wake: Callable[[], None] = _nothing, patient: bool = True) -> None:
        self._wake = wake
        self._patient = patient
        self._noted: list[tuple[int, FrameType | None]] = []
        self._raised: BaseException | None = None  # from within a signal
        self._since: float = 0.0
        self._users: dict[int, _Handler] = {}
        self._replaced: dict[int, Any] = {}
        self._outer: Signals | None = None
        self._wakes: bool = False  # signals are written to a descriptor for it
        self.active: bool = False  # in the main thread

    def __enter__(self) -> Signals:
        global _innermost
        # Not current_thread(): in a thread that is ending it makes one up, which stays for ever.
        if self.active or threading.get_ident() != _main.ident:
            return self  # active: in the child of a fork it was entered again already
        self.active = True
        try:
            for number in _HELD:
                handler = _signal.getsignal(number)
                if handler is None or type(handler) is int:
                    continue  # none of Python's; as a rule all but SIGINT have none
                users = handler
                if handler is not signal.default_int_handler:
                    handler = _without_old(number, handler)
                    # Not what only has a loop called: it may come at any place.
                    if not callable(handler) or (type(handler) is Relay and handler.is_heard()):
                        continue
                    users = _users(number, handler)
                self._replaced[number], self._users[number] = handler, users
                _signal.signal(number, self._note)
            self._outer, _innermost = _innermost, self
        except BaseException:  # by a handler that was not replaced yet
            self._leave()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.active:
            self._leave()

    def _leave(self) -> None:
        """To the end, however often one of the handlers interrupts it that are back already; what
        they raise leaves, unless there is something to deliver."""
        global _innermost
        error: BaseException | None = None
        for _ in range(_TRIES):
            try:
                if _innermost is self:
                    _innermost = self._outer
                self._restore()
                break
            except BaseException as interrupt:
                error = interrupt
        self.active = False
        try:
            if error is not None:
                raise error
        finally:
            del error
            if self._noted or self._raised is not None:
                self.deliver()

    def _restore(self) -> None:
        if self._wakes:  # a second signal left the drive before that was taken back
            self.wakes_through(-1)
        for number, handler in reversed(self._replaced.items()):  # SIGINT last
            before = _signal.signal(number, handler)
            ours = type(before) is MethodType and before.__self__ is self
            if not (ours or before is handler):  # a task installed its own
                _signal.signal(number, _without_old(number, before))

    def deliver(self) -> None:
        """Calls the user's handlers for what was noted; whatever they raise goes through."""
        while self._noted:
            holding, (number, frame) = self._holding(), self._noted.pop(0)
            _alarm.ring_no_more()
            try:
                self._users[number](number, frame)
            except BaseException:
                self._patient = False
                raise
            finally:
                del frame  # it may be that of this call: a cycle
            for each in holding:
                if not each.active:  # it forked: in the child handlers are the user's again
                    each.__enter__()
        if self._raised is not None:
            error, self._raised = self._raised, None
            try:
                raise error
            finally:
                del error

    def _holding(self) -> list[Signals]:
        """Those that hold signals back: this one, and those around it first."""
        around = [] if self._outer is None else self._outer._holding()
        return [*around, self] if self.active else around

    def take_over(self) -> None:
        """What came where nothing may be interrupted, just before: it interrupts this wait."""
        outer = self._outer
        if outer is not None and not self.noted:
            self._noted, outer._noted = outer._noted, self._noted
            self._raised, outer._raised, self._since = outer._raised, None, outer._since

    def wakes_through(self, descriptor: int) -> bool:
        """Has signals written to the descriptor (-1: no more): one that another thread catches
        does not interrupt the main thread's `select`. Not if another library has that done."""
        global _wakeup
        if not self.active:
            return False
        self._wakes = True
        before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        if before == -1 or descriptor == -1:
            _wakeup = descriptor
            self._wakes = descriptor != -1
            return True
        signal.set_wakeup_fd(before)
        self._wakes = False
        return False

    @property
    def noted(self) -> bool:
        return bool(self._noted) or self._raised is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.active:  # what a task took for the user's, in a wait that is over
            handler, active = _without_old(number, self._note), _innermost
            if active is not None:
                active._users[number] = _users(number, handler)
            (handler if active is None else active._note)(number, frame)
            return
        if self._patient and not self.noted:
            self._noted.append((number, frame))
            if number == _alarm.ALARM:
                _alarm.ring_again()
            self._wake()
            return
        held = [each for each in self._noted if each[0] == number]
        self._noted = [each for each in self._noted if each[0] != number]
        again = number == _alarm.ALARM and _alarm.has_rung_again()
        _alarm.ring_no_more()
        try:
            handler = _signal.getsignal(number)
            for each in held:  # first: a handler that returns is called for each
                self._users[number](*each)
            if _signal.getsignal(number) is not handler:
                signal.raise_signal(number)  # that is for the handler which this one has set
            elif not again:
                self._users[number](number, frame)
        except BaseException as error:
            late = self._raised is not None and now() > self._since + _alarm.BLOCKED
            if self._raised is None:
                self._since = now()
            self._raised = error
            mark(error)
            self._wake()
            if is_callback(frame) or (frame is not None and frame.f_globals is globals()):
                return  # here handlers are taken and given back; what is noted is raised after it
            if late or self._wake is _nothing or not comes_back(frame, Signals._note.__code__):
                raise


def held() -> contextlib.AbstractContextManager[object]:
    """For a few lines which must not be interrupted, and which wait for nothing."""
    return Signals(_briefly) if _innermost is None else _HELD_ALREADY


_HELD_ALREADY = contextlib.nullcontext()


def _without_old(number: int, handler: Any) -> Any:
    """A task may keep ours to put it back later, when that wait is over, as uvicorn does: then it
    stands for the one that was there before."""
    while type(holder := getattr(handler, "__self__", None)) is Signals and not holder.active:
        handler = holder._replaced[number]
    return handler


def _users(number: int, handler: Any) -> _Handler:
    """The user's, which may be behind that of a wait around this one."""
    holder: Any = getattr(handler, "__self__", None)
    return holder._users[number] if type(holder) is Signals else _free(handler)


def _free(handler: _Handler) -> _Handler:
    """The handlers that only ask a loop to cancel what runs on it: that of `asyncio.run`, and the
    one that interrupts a cell with `await` in a notebook. While that code waits for us, its loop is
    not free to do so."""
    of_kernel = str(getattr(handler, "__module__", "")).startswith("ipykernel.")
    runner = handler.func if type(handler) is functools.partial else None
    of_runner = isinstance(getattr(runner, "__self__", None), asyncio.Runner)
    return signal.default_int_handler if of_kernel or of_runner else handler


def _after_fork() -> None:
    """In the child nobody waits: handlers are the user's again, and nothing wakes the parent."""
    global _innermost, _main, _wakeup
    _main = threading.main_thread()
    _alarm.forget()
    for number in _HELD:
        handler = replaced = _signal.getsignal(number)
        while isinstance(holder := getattr(handler, "__self__", None), Signals):
            handler = holder._replaced[number]
            holder._noted.clear()
        if handler is not replaced:
            _signal.signal(number, handler)
    while _innermost is not None:
        _innermost.active = _innermost._wakes = False
        _innermost = _innermost._outer
    if _wakeup != -1:
        signal.set_wakeup_fd(-1)
        _wakeup = -1


if hasattr(os, "register_at_fork"):  # pragma: no branch: not on Windows
    os.register_at_fork(after_in_child=_after_fork)
