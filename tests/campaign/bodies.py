"""What carries out a work that is a plain function, in a worker thread, and what all have."""

import asyncio
import contextlib
import itertools
import time
from concurrent.futures import CancelledError
from functools import partial

from works import Boom, failure_of

from aioutils import ClosedError, DeadlockError, WrongLoopError, on


class Bodies:
    def __init__(self, tools, ledger):
        self.tools, self.ledger = tools, ledger
        self.puts = itertools.count()

    def of(self, work):
        body = getattr(self, work.kind)
        elsewhere = work.kind == "function" and work.tool in self.tools.elsewhere
        return on(self.tools.executor, body) if elsewhere else body

    def spawn(self, work):
        """False: the tool was closed meanwhile."""
        tool, ledger = self.tools[work.tool], self.ledger
        try:
            with ledger.placed(work.tool, work.number):
                body = self.of(work)
                direct = work.kind == "flow" or (work.kind == "coroutine" and work.clean_up == 0)
                work.task = tool.spawn(body(work)) if direct else tool.spawn(body, work)
        except ClosedError as error:
            ledger.promise(ledger.may_be_closed(), "closed by nobody:", repr(error))
            return False
        ledger.works.append(work)
        if work.calls_back:
            work.task.add_done_callback(partial(ledger.called_back, work))
        return True

    def put(self, number, tool):
        with contextlib.suppress(ClosedError), self.ledger.placed(tool, number):
            self.tools[tool].put(number)
            self.ledger.given[tool].append(number)

    def source(self, works, error=None):
        self.ledger.sources.add(works)
        try:
            for work in works:
                self.ledger.works.append(work)
                yield work
            if error is not None:
                raise error
        finally:
            self.ledger.sources.remove(works)

    async def asource(self, works, error=None):
        for work in self.source(works, error):
            await asyncio.sleep(0)
            yield work

    @contextlib.contextmanager
    def recorded(self, work):
        """From the begin of a work to its end, however it ends."""
        try:
            yield
            work.outcome = "returned"
        except (asyncio.CancelledError, GeneratorExit):
            work.outcome = "cancelled"
            raise
        except Boom as error:
            work.outcome, work.failure = "raised", failure_of(error)
            if work.is_task():
                self.ledger.failed.append(work.failure)
            raise
        finally:
            self.ledger.end(work)

    @contextlib.contextmanager
    def waiting(self, work, may_be_refused=False):
        """What may come of a wait, besides results and failures of what is waited for."""
        try:
            with self.ledger.lent(work):
                yield
        except Boom as error:
            self.ledger.see(error)
            raise
        except (TimeoutError, CancelledError) as error:
            self.ledger.see(error)
        except (DeadlockError, WrongLoopError, ClosedError) as error:
            self.ledger.see(error)
            if isinstance(error, ClosedError):
                closed = self.ledger.may_be_closed()
                self.ledger.promise(closed, "closed by nobody:", repr(error))
            else:
                self.ledger.refused = True
                may_be_refused = may_be_refused or self.ledger.may_be_refused or work.called
                self.ledger.promise(may_be_refused, work, "refused:", repr(error))

    def conclude(self, work):
        if work.fails:
            self.ledger.fail(work)
        return work.result

    def take_at_once(self, work, step):
        """The steps that wait for nothing."""
        if step.way == "put":
            number = (*work.number, "put", next(self.puts))
            if self.tools.yielders:
                self.put(number, self.tools.yielders[0])
        elif step.way in ("leave", "cancel"):
            spawned = [one for one in step.works if self.spawn(one)]
            if step.way == "cancel" and spawned:
                self.ledger.cancel(spawned[-1])
        else:
            return False
        return True

    # ---- in a worker thread

    def function(self, work):
        self.ledger.begin(work)
        with self.recorded(work):
            for step in work.steps:
                self.take_blocking(work, step)
            return self.conclude(work)

    def take_blocking(self, work, step):
        if step.way == "sleep":
            time.sleep(step.number)
        elif step.way == "elder":
            if work.elder is not None and work.elder.task is not None:
                with self.waiting(work):
                    self.ledger.check_result(work.elder, work.elder.task.result())
        elif step.way in ("map", "break"):
            with self.waiting(work):
                self.map_blocking(work, step)
        elif step.way == "apply":
            with self.waiting(work):
                self.apply(step.works)
        elif step.way == "call":
            with self.waiting(work):
                self.call(step.works, by=work)
        elif not self.take_at_once(work, step):
            works = [one for one in step.works if self.spawn(one)]
            for one in reversed(works) if step.way == "backwards" else works:
                with self.waiting(work):
                    seconds = 0.001 if step.way == "wait_for" else None
                    self.ledger.check_result(one, one.task.result(seconds))

    def apply(self, works):
        """One whose caller is cancelled goes on, as a task does whose result nobody awaits."""
        for work in works:
            self.ledger.works.append(work)
            work.applied = True
            try:
                result = self.tools[work.tool].apply(self.of(work), [work])
                self.ledger.check_result(work, result)
            except Boom as error:
                failed = failure_of(error) == work.failure
                self.ledger.promise(failed, work, "raised", repr(error))
                raise
            self.ledger.check_over([work])

    def call(self, works, by=None):
        """On the loop of this thread's sync calls, which is that of no tool."""
        for work in works:
            self.ledger.works.append(work)
            with self.ledger.iterating((work,), by=by):
                self.ledger.check_result(work, self.dual.sync(work))

    def map_blocking(self, work, step):
        works, tool = step.works, self.tools[step.works[0].tool]
        stream = tool.imap(self.of(works[0]), self.source(works), isolate=step.number < 0.7)
        most = len(works) if step.way == "map" else int(len(works) * step.number)
        results = []
        with self.ledger.iterating(works, by=work), contextlib.closing(stream):
            for result in stream:
                results.append(result)
                if len(results) >= most:
                    break
        expected = [one.result for one in works[: len(results)]]
        self.ledger.promise(results == expected, work, "imap gave", results, "for", expected)
