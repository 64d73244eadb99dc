"""What happened in a program, and the model: what must hold of it."""

import asyncio
import contextlib
import logging
import threading
from collections import Counter, defaultdict
from concurrent.futures import CancelledError

from works import Boom, failure_of

from aioutils import ClosedError, DeadlockError, UnfinishedError, WrongLoopError


class Ledger(logging.Handler):
    """As a handler of the library's log, it sees the failures that are logged."""

    def __init__(self, tools):
        super().__init__()
        self.tools = tools
        self.guard = threading.Lock()
        self.works = []  # spawned or mapped, in order of spawning
        self.raised, self.seen = set(), set()  # numbers of failures
        self.kept = None  # or a list of the failures themselves
        self.running, self.most = Counter(), Counter()  # of each tool
        self.handed_out = defaultdict(list)  # lists of numbers, one for each iteration, by tool
        self.given = defaultdict(list)  # numbers of what was put, and of the items of flows
        self.placing = threading.RLock()  # so that the order of spawning is known
        self.line = defaultdict(list)  # numbers in that order
        self.cut_short = set()  # tools of which an iteration ended early
        self.closing = set()
        self.may_be_refused = self.alone = self.nobody_cancels = False
        self.entered = 0
        self.sources = set()  # that began, and were not closed yet
        self.broken = []

    # ---- what happens

    def begin(self, work):
        work.begun += 1
        self.change(work, +1)

    def end(self, work):
        self.change(work, -1)
        work.ended += 1

    def change(self, work, more):
        if self.tools.limit(work.tool, work.kind) is not None:
            with self.guard:
                self.running[work.tool] += more
                self.most[work.tool] = max(self.most[work.tool], self.running[work.tool])

    @contextlib.contextmanager
    def lent(self, work):
        """While a task waits for others, it lends its slot."""
        self.change(work, -1)
        try:
            yield
        finally:
            self.change(work, +1)

    def fail(self, work, late=False):
        self.fail_at((*work.number, late))

    def fail_at(self, number):
        error = Boom(number)
        with self.guard:
            self.raised.add(number)
            if self.kept is not None:
                self.kept.append(error)
        raise error

    def cancel(self, work):
        with self.guard:
            work.cancel_calls += 1
        work.task.cancel()

    @contextlib.contextmanager
    def placed(self, tool, number):
        """Around what gives a result its place in an ordered yielder."""
        with self.placing if self.tools.is_ordered(tool) else contextlib.nullcontext():
            yield
            self.line[tool].append(number)

    @contextlib.asynccontextmanager
    async def context(self):
        """For a tool to enter; it must be left."""
        self.entered += 1
        try:
            yield
        finally:
            await asyncio.sleep(0)
            self.entered -= 1

    def see(self, error):
        """What reached somebody: itself, those that it holds, those on its notes."""
        with self.guard:
            self._see(error)

    def _see(self, error):
        if self.kept is not None:
            self.kept.append(error)
        self.seen.add(failure_of(error))
        for note in getattr(error, "__notes__", ()):
            self.seen.update(other for other in self.raised if repr(Boom(other)) in note)
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                self._see(one)

    def emit(self, record):
        if record.exc_info is not None:
            self.see(record.exc_info[1])

    def promise(self, holds, *what):
        if not holds:
            self.broken.append(" ".join(map(str, what)))

    @contextlib.contextmanager
    def expecting(self, tool):
        """Around what a thread does with a tool: what may leave it."""
        try:
            yield
        except (Boom, BaseExceptionGroup, UnfinishedError) as error:
            self.see(error)
        except (TimeoutError, CancelledError) as error:
            self.see(error)
        except ClosedError as error:
            self.see(error)
            self.promise(self.may_be_closed(), "closed by nobody:", repr(error))
        except (DeadlockError, WrongLoopError) as error:
            self.see(error)
            self.promise(self.may_be_refused, "refused:", repr(error))

    # ---- what must hold at once

    def spawned(self, tool=None):
        """Works with tasks, of one tool or all."""
        works = [work for work in tuple(self.works) if work.task is not None]
        return works if tool is None else [work for work in works if work.tool == tool]

    def may_be_closed(self):
        return self.closing or self.tools.scopes

    def may_be_cancelled(self, work):
        """If nobody cancels, it is a failure that ended the rest, or the call of an item."""
        if not self.nobody_cancels:
            return True
        fragile = self.tools.on_error[work.tool] == "cancel" or work.tool in self.tools.scopes
        return self.raised and (fragile or work.task is None)

    @contextlib.contextmanager
    def iterating(self, works):
        """Around a call over them: what began in it has ended as it is left, however."""
        refused = False
        try:
            yield
        except (DeadlockError, WrongLoopError):
            refused = True  # what is left was cancelled, and can't be waited for
            raise
        except CancelledError as error:
            seen = not self.nobody_cancels or self.seen & self.raised
            self.promise(seen, "instead of the failure, which nobody saw:", repr(error))
            raise
        finally:
            if not refused:
                self.check_over(works)
                self.promise(works not in self.sources, "not closed: the source of", works)

    def check_over(self, works):
        for work in works:
            self.promise(work.begun == work.ended, work, "runs on")

    def check_result(self, work, result):
        fits = result is None if work.kind == "flow" else result == work.result
        self.promise(fits, work, "gave", result)

    def check_end(self, number, spawned):
        """After a join: all that was spawned before it, and where nobody else is, all."""
        for work in spawned:
            self.promise(work.task.done(), work, "goes on after join():", work.task)
        self.check_over(spawned)
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
        self.promise(not self.sources, "not closed: the sources of", self.sources)

    def _check_task(self, work):
        task = work.task
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
                self.promise(work.failure in self.seen, "lost:", work, work.failure)

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
