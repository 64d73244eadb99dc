"""The model: what must hold of what happened in a program."""

import asyncio
import contextlib
from collections import Counter
from concurrent.futures import CancelledError

from works import Boom, failure_of

from aioutils import ClosedError, DeadlockError, WrongLoopError


class Promises:
    def promise(self, holds, *what):
        if not holds:
            self.broken.append(" ".join(map(str, what)))

    # ---- what must hold at once

    def spawned(self, tool=None):
        """Works with tasks, of one tool or all."""
        works = [work for work in tuple(self.works) if work.task is not None]
        return works if tool is None else [work for work in works if work.tool == tool]

    def may_be_closed(self):
        return self.closing or self.tools.scopes

    def may_be_cancelled(self, work):
        """If nobody cancels, it is a failure that ended the rest, or the call of an item."""
        if not self.mood.calm:
            return True
        if work.tool in self.tools.scopes:
            return True
        return self.failed_fast() and (work.task is None or self._is_strict(work.tool))

    def failed_fast(self):
        raised = [work for work in tuple(self.works) if work.outcome == "raised"]
        return any(work.is_task() and self._is_strict(work.tool) for work in raised)

    def _is_strict(self, tool):
        return self.tools.on_error[tool] == "cancel"

    @contextlib.contextmanager
    def iterating(self, works, tool=None, by=None):
        """Around a call over them: what began in it has ended as it is left, however.

        tool: that whose call it is, if no task of it waits. by: the function that waits, if any:
        what it waits for is broken off if it is cancelled, as an item if its call fails.
        """
        refused = swallowed = False
        elsewhere = self.may_be_refused or works[0].called
        try:
            yield
        except (DeadlockError, WrongLoopError):
            refused = True  # what is left was cancelled, and can't be waited for
            if self.kept is not None:
                self.held.add(works)  # by the frames of the refusal, if it was that of the end
            raise
        except CancelledError as error:
            swallowed = elsewhere  # what ended it goes before a refusal
            with_it = by is not None and (by.task is None or was_asked(by.task))
            by_failure = with_it or not self.mood.calm or self.failed_fast()
            self.promise(by_failure, "was cancelled by nobody:", repr(error))
            if self.mood.strict and tool is not None:
                unseen = [failure_of(error) for error in self.tools[tool].errors]
                self.promise(self.failed[0] not in unseen, "not raised:", self.failed[0])
            raise
        except ClosedError:
            swallowed = elsewhere  # likewise: an item that never began
            raise
        except Boom as error:
            swallowed = elsewhere
            if self.mood.strict and tool is not None and not fails(error, works):
                spawned = self.spawned(tool)
                if fails(error, spawned):
                    self.check_done(spawned, "beside a failure that ended the rest")
            raise
        finally:
            if not refused:
                # Awaited on another loop than theirs, they were cancelled, and end after this.
                if not (swallowed and self._is_elsewhere(works[0].tool)):
                    self.check_over(works)
                closed = works not in self.sources or swallowed  # it is, in the end
                self.promise(closed, "not closed: the source of", works)

    def _is_elsewhere(self, tool):
        """True in async code that runs on another loop."""
        loop = self.tools[tool]._scheduler.loop
        here = loop is None or loop.is_here()
        return asyncio._get_running_loop() is not None and not here

    def check_done(self, spawned, when):
        for work in spawned:
            self.promise(work.task.done(), work, "goes on", when, work.task)
        self.check_over(spawned)

    def check_over(self, works):
        for work in works:
            self.promise(work.begun == work.ended, work, "runs on")

    def check_result(self, work, result):
        fits = result is None if work.kind == "flow" else result == work.result
        self.promise(fits, work, "gave", result)

    def check_end(self, number, spawned):
        """After a join: all that was spawned before it, and where nobody else is, all."""
        self.check_done(spawned, "after join()")
        if self.alone:
            tool = self.tools[number]
            self.promise(not len(tool), tool, "has tasks after join()")
            self.promise(not tool.errors, tool, "keeps failures to itself:", tool.errors)

    # ---- what must hold in the end

    def check(self):
        for work in self.works:
            self.promise(work.begun == work.ended <= 1, work, "begun", work.begun, work.ended)
            once = work.cancels <= 1 + work.cancel_calls
            self.promise(once, work, "was cancelled", work.cancels, "times")
            if work.task is not None:
                self._check_task(work)
        for tool in range(len(self.tools)):
            self._check_limit(tool)
            self._check_results(tool)
        self._check_failures()
        left = self.sources - self.held
        self.promise(not left, "not closed: the sources of", left)

    def _check_task(self, work):
        task = work.task
        self.promise(work.callbacks == work.calls_back, work, "called back", work.callbacks)
        self.promise(task.done() and task not in self.tools[work.tool], work, "goes on:", task)
        if not work.begun or work.outcome == "cancelled":
            self.promise(task.cancelled(), work, work.outcome, task)
            self.promise(self.may_be_cancelled(work), work, "was cancelled by nobody:", task)
        elif not (work.kind == "function" and task.cancelled()):  # it ran to its end all the same
            state = "failed" if work.outcome == "raised" else "done"
            self.promise(task._state.value == state, work, work.outcome, task)

    def _check_failures(self):
        for tool in self.tools:
            for error in tool.take_errors():
                self.see(error)
        for work in self.works:
            if work.outcome == "raised":
                logged = work.failure in self.logged and self.may_be_only_logged(work)
                told = logged or work.failure in self.seen
                self.promise(told, "lost:", work, work.failure)

    def may_be_only_logged(self, work):
        """By a tool that was left with it (closed early, dropped, its iteration broken off), or
        beside the cancellation of who has called it."""
        return work.called or work.tool in self.closing | self.cut_short | self.tools.scopes

    def _check_limit(self, number):
        limit = self.tools.limit(number, "function")
        most = self.most[number]
        self.promise(limit is None or most <= limit, self.tools[number], "had", most, "at once")
        self.promise(not self.running[number], self.tools[number], "still runs some")

    def _check_results(self, number):
        lists = self.handed_out[number]
        seen = Counter(result for results in lists for result in results)
        twice = [result for result, times in seen.items() if times > 1]
        self.promise(not twice, self.tools[number], "handed out twice:", twice)
        if self.tools.is_ordered(number):
            self._check_order(number, lists)
        whole = number not in self.cut_short and self.tools.on_error[number] != "cancel"
        if number in self.tools.yielders and whole:
            missing = set(self._results(number)) - set(seen)
            self.promise(not missing, self.tools[number], "never handed out:", missing)

    def _check_order(self, number, lists):
        places = {one: place for place, one in enumerate(self.line[number])}
        for results in lists:
            found = [
                (places[one[:-2]], one[-1]) if one[-2:-1] == ("item",) else (places[one], 0)
                for one in results
            ]
            self.promise(found == sorted(found), self.tools[number], "out of order:", results)

    def _results(self, number):
        yield from self.given[number]
        for work in self.works:
            if work.tool == number and work.outcome == "returned" and not work.task.cancelled():
                if work.result is not None and work.kind != "flow":
                    yield work.number


def was_asked(task):
    """To end, by whomever."""
    return task._lane.scheduler.was_asked(task)


def fails(error, works):
    return failure_of(error) in [work.failure for work in works]
