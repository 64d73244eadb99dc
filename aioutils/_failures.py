"""The failures that nobody has seen yet: none is lost.

A failure is seen once its exception was raised or returned to somebody, rode along as a note, or
was given to the user's own `on_error`. Added to on the loop; everything else from any thread (a
dict's own operations are atomic).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Literal, NoReturn
from weakref import ref

from . import _work
from ._job import FAILED, Job
from ._order import Order
from ._raised import attributes, context_of, is_a, set_context, trace_of
from ._runner import current

_log = logging.getLogger("aioutils")

OnError = Literal["continue", "cancel"] | Callable[[Any], object]


class Failures:
    def __init__(self, on_error: OnError = "continue") -> None:
        self.on_error: OnError = on_error
        self.failing: bool = False  # fast: the first failure has come, and is to be raised
        self._first: ref[Job] | None = None  # that one; its frames may lead to who keeps this
        self.failed: int = 0  # jobs, whoever has seen it: some may fail with the same exception
        # Of how many jobs was told before, and of how many that failed; and how many there were as
        # the last join ended. What failed by then and was seen since is not counted again.
        self.told: tuple[int, int] = (0, 0)
        self._joined: tuple[int, int] = (0, 0)
        self._unseen: dict[Job, None] = {}  # in order of failing

    def __len__(self) -> int:
        return len(self._unseen)

    def arrive(self, job: Job) -> bool:
        """Returns True if the rest is to be cancelled."""
        if self.on_error == "continue":
            self.add(job)
            return False
        if self.on_error != "cancel":
            try:
                _work.call_back(self.on_error, job)
            except BaseException as error:  # a failure of its own, the job's is its context
                job.fail(error)
            else:
                return False
        self.add(job)
        if self.cause is None:
            self._first = ref(job)
        self.failing = True
        return True

    @property
    def cause(self) -> Job | None:
        """The failure that ends the rest, until somebody raises it."""
        return self._first() if self.failing and self._first is not None else None

    def add(self, job: Job) -> None:
        """One that nobody has seen, or whom it was handed out to in vain."""
        if not self._unseen:
            self.told = max(self.told, self._joined)
        self._unseen[job] = None

    def see(self, job: Job) -> bool:
        """Returns True if nobody had seen it before."""
        return self._unseen.pop(job, self) is None

    def jobs(self) -> list[Job]:
        return list(self._unseen)

    def errors(self) -> list[BaseException]:
        return distinct(self.jobs()) if self._unseen else []

    def take(self) -> list[BaseException]:
        self.failing = False
        return self._see(self.jobs()) if self._unseen else []

    def take_of(self, order: Order) -> list[BaseException]:
        """Those of one call."""
        return self._see(job for job in self.jobs() if job._order is order)

    def see_all(self, errors: list[BaseException], counts: tuple[int, int]) -> None:
        """They are about to be raised, together; `counts` are those of `end_join`."""
        ids = set(map(id, errors))
        if [job for job in self.jobs() if id(job._outcome) in ids and self.see(job)]:
            self.failing = False  # else another thread raised them, and it may be of later ones
        self.told = max(self.told, counts)

    def end_join(self, counts: tuple[int, int]) -> None:
        """So many jobs had ended, and failed, by then."""
        self._joined = max(self._joined, counts)

    def raise_of(self, jobs: list[Job], who: object) -> None:
        """Raises the first of those that nobody has seen as itself, the others as its notes."""
        self.failing = False
        errors = self._see(jobs)
        try:
            if errors:
                raise_first(errors, who)
        finally:
            del errors, jobs  # else the traceback and they are a cycle

    def log(self, who: object) -> None:
        """The last chance to be seen, as the tool goes."""
        for error in self.take():
            complain(error, "%s went away with a failure that nobody saw", who)

    def _see(self, jobs: Iterable[Job]) -> list[BaseException]:
        return distinct([job for job in jobs if self.see(job)])


def raise_all(
    errors: list[BaseException], who: object, failed: int, ended: int, fast: bool
) -> NoReturn:
    """As one whose message says the most, or, where the first ended the rest, that one."""
    try:
        if fast:
            raise_first(errors, who)
        message = f"{who!r}: {failed} of {ended} tasks failed, first {shown(errors[0])}"
        raise BaseExceptionGroup(message, errors)
    finally:
        del errors  # else they, the traceback and this frame are a cycle


def raise_first(errors: list[BaseException], who: object) -> NoReturn:
    failed = f"{who!r}: another one failed: "
    note(errors[0], *(f"{failed}{shown(other)}" for other in errors[1:]))
    try:
        raise_itself(errors[0])
    finally:
        del errors  # else they, the traceback and this frame are a cycle


def raise_itself(error: BaseException) -> NoReturn:
    """What is handled where somebody asks for it has nothing to do with it."""
    context = context_of(error)
    try:
        raise error
    finally:
        set_context(error, context)
        del error, context


def passes_unseen(error: BaseException) -> bool:
    """True of what ends a task, a function or a generator from outside: nobody reads its notes."""
    if is_a(error, asyncio.CancelledError, GeneratorExit):
        return True
    return is_a(error, CancelledError) and current.get() is not None


def ride(error: BaseException | None, failure: BaseException | None, what: str) -> None:
    """What failed beside what leaves is a note of that, or logged, if nobody reads it."""
    if failure is None or failure is error or is_a(failure, CancelledError, asyncio.CancelledError):
        return
    if error is None or passes_unseen(error):
        complain(failure, "%s", what)
    else:
        note(error, f"{what}: {shown(failure)}")


def note(error: BaseException, *texts: str) -> None:
    """Adds the notes, each once, however many."""
    own = attributes(error)
    kept, new = own.get("__notes__"), dict.fromkeys(texts)
    old = list(kept) if isinstance(kept, (list, tuple)) else []
    for known in old:
        if isinstance(known, str):
            new.pop(known, None)
    if new:
        own["__notes__"] = [*old, *new]


def complain(error: BaseException, text: str, *args: object) -> None:
    """Logs it. Whoever does has more to do, on the loop too: handlers may fail, and so may they
    all with an exception that can't be shown."""
    info = type(error), error, trace_of(error)  # of an exception alone it is asked if it is true
    try:
        _log.error(text, *args, exc_info=info)
    except Exception:
        with suppress(Exception):
            _log.error(f"{text}: %s", *args, shown(error))
    finally:
        del error, info  # else the error, its traceback and this frame are a cycle


def shown(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception as failure:  # or the failure of a task would be lost for the sake of its name
        return f"<{type(error).__name__}, whose repr() raised {type(failure).__name__}>"


def distinct(jobs: Iterable[Job]) -> list[BaseException]:
    """Each exception once, with its own traceback: two tasks may fail with the same one."""
    return list({id(job._outcome): job.error() for job in jobs if job._state is FAILED}.values())
