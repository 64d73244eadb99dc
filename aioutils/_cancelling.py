"""Cancelling: what waits never starts, what runs is asked to end, and each is asked once.

Whoever cancels one task cancels it, as often as he likes. But the end of a tool, or of an
iteration, asks only what was not asked before, by whomever: that cleans up already.

Asked for from any thread, at any time. It takes effect where nothing runs beside it: on the loop,
or while that stands still.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial

from . import _work
from ._admission import Admission
from ._job import CANCELLED, RUNNING, WAITING, Job
from ._lease import current
from ._options import Options
from ._order import Order
from ._roster import End
from ._runner import Hosted
from ._signals import held
from ._waiting import AllOf, Hold


class Cancelling(Admission):
    __slots__ = ("_asked",)

    def __init__(self, options: Options, order: Order | None) -> None:
        super().__init__(options, order)
        # Those that were asked to end; True: they were told.
        self._asked: weakref.WeakKeyDictionary[Job, bool] | None = None

    def cancel(self, job: Job, *, again: bool = True) -> bool:
        """Not `again`: if its host has done so, it has time to clean up."""
        with held():
            if self._cancel_waiting(job):
                return True
            if job.reached():
                return False
            self._note(job, told=False)
            self._touch(partial(self._cancel_running, job, again))
            return True

    def _cancel_waiting(self, job: Job) -> bool:
        """Returns False if it does not wait any more: another thread may have started it."""
        with self._lock:
            if job._state is not WAITING:
                return False
            self._blame(job)
            job._state = CANCELLED  # but it counts until those who wait for it were told
        _work.close(job._work)
        job._work = job._context = None
        self._touch(End(self._ended_unstarted, job))
        return True

    def cancel_all(self) -> None:
        """Everything that is unfinished, and what that spawns until it takes effect."""
        with held():
            for lane in self.lanes:
                for job in tuple(lane.waiting):
                    self._cancel_waiting(job)
            self._touch(self._cancel_unfinished)

    def cancel_late(self, job: Job) -> None:
        """One that came as all were cancelled; perhaps it runs by now, and was asked with them."""
        with held():
            if not self._cancel_waiting(job):
                self._touch(partial(self.ask, job))

    def _cancel_unfinished(self) -> None:
        for job in self.unfinished():
            if job._state is RUNNING or self._is_spawner_of(job):
                self.ask(job)

    def _is_spawner_of(self, job: Job) -> bool:
        """True of a job in the line that a task of this tool spawned."""
        spawner = None if job._context is None else job._context.get(current)
        return spawner is not None and spawner._lane.scheduler is self

    def ask(self, job: Job) -> None:
        """Cancels it, unless it was asked to end before: then it cleans up already."""
        with held():
            with self._lock:
                told = None if self._asked is None else self._asked.get(job)
                if told is None:
                    self._note(job, told=False)
            if told is None:
                self.cancel(job, again=False)
            elif told:  # else that is under way, in another thread
                self._touch(partial(self._ask_again, job))

    def was_asked(self, job: Job | None) -> bool:
        return self._asked is not None and job in self._asked

    def cleaning_up(self) -> AllOf:
        """The end of those that were asked to end by now."""
        return AllOf([job for job in self.unfinished() if self.was_asked(job)])

    def _blame(self, job: Job) -> None:
        """If a failure ends the rest now, a call of `map` or `imap` whose item is cancelled by that
        raises the failure, whoever else has seen it by then."""
        order = job._order
        if order is not None and order is not self.order:
            order.blame(job, self.failures.cause)

    def _note(self, job: Job, *, told: bool) -> None:
        with self._lock:
            if self._asked is None:
                self._asked = weakref.WeakKeyDictionary()
            self._asked[job] = told

    def _touch(self, action: Callable[[], object]) -> None:
        """Has `action` called where nothing runs beside it: on the loop, or while it stands still.

        A cancellation must not wait for the loop to start: a task whose time has come would run
        before it, and spawn another one that nobody cancels.
        """
        loop = self.loop
        if loop is None or loop.is_here():
            action()
        else:
            hold = Hold(loop, None)
            try:
                held = loop.hold(hold)
                if held:
                    action()
            finally:
                loop.let_go(hold)
            if not held:
                self.post(action)

    # On the loop.

    def _ended_unstarted(self, job: Job) -> None:
        try:
            self._hand_out(job)
            job.tell()
        finally:
            with self._lock:
                job._lane.dead += 1
            self._tell()

    def _ask_again(self, job: Job) -> None:
        """If it took back (`uncancel`) whatever it was asked, and so goes on."""
        if job._runner is not None and not job._runner.cancelling():
            self._blame(job)
            job._runner.cancel()

    def _cancel_running(self, job: Job, again: bool) -> None:
        runner = job._runner
        if job._state is RUNNING:
            self._blame(job)
        if runner is not None:
            self._note(job, told=True)
            if isinstance(runner, Hosted) and not again:
                runner.ask()
            else:
                runner.cancel()
        elif job._context is not None:  # about to start
            job._state = CANCELLED
            _work.close(job._work)
            job._work = job._context = None
            self._ended(job)
        elif job._state is RUNNING:  # in its first step
            self.post(partial(self._cancel_running, job, again))
