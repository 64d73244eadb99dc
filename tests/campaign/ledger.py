"""What happened in a program."""

import asyncio
import contextlib
import logging
import threading
from collections import Counter, defaultdict
from concurrent.futures import CancelledError

from promises import Promises
from works import Boom, failure_of

from aioutils import ClosedError, DeadlockError, UnfinishedError, WrongLoopError


class Ledger(Promises, logging.Handler):
    """As a handler of the library's log, it sees the failures that are logged."""

    def __init__(self, tools):
        super().__init__()
        self.tools = tools
        self.guard = threading.Lock()
        self.works = []  # spawned or mapped, in order of spawning
        # Numbers of failures; what was only logged has reached nobody.
        self.raised, self.seen, self.logged = set(), set(), set()
        self.failed = []  # those of tasks, in order
        self.kept = None  # or a list of the failures themselves
        self.running, self.most = Counter(), Counter()  # of each tool
        self.handed_out = defaultdict(list)  # lists of numbers, one for each iteration, by tool
        self.given = defaultdict(list)  # numbers of what was put, and of the items of flows
        self.placing = threading.RLock()  # so that the order of spawning is known
        self.line = defaultdict(list)  # numbers in that order
        self.cut_short = set()  # tools of which an iteration ended early
        self.closing = set()
        self.may_be_refused = self.alone = self.refused = False
        self.entered = 0
        self.sources = set()  # that began, and were not closed yet
        self.held = set()  # of iterations that can't be dropped
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
            self._see(error, self.seen)

    def _see(self, error, numbers):
        if self.kept is not None:
            self.kept.append(error)
        numbers.add(failure_of(error))
        for note in getattr(error, "__notes__", ()):
            numbers.update(other for other in self.raised if repr(Boom(other)) in note)
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                self._see(one, numbers)

    def emit(self, record):
        if record.exc_info is not None:
            with self.guard:
                self._see(record.exc_info[1], self.logged)

    def called_back(self, work, task):
        with self.guard:
            work.callbacks += 1
        self.promise(task is work.task and task.done(), work, "called back with", task)

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
            self.refused = True
            self.see(error)
            self.promise(self.may_be_refused, "refused:", repr(error))
