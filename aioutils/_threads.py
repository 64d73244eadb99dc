"""Worker threads for plain functions, as an executor.

Not a ThreadPoolExecutor, because how many may run is the lane's business (a function that
waits for a task lends its thread, and another may start), and because its threads keep the
interpreter from ending after a second Ctrl-C. What holds:

- `submit` never waits: it takes an idle thread or starts one;
- a thread that is done with a job goes idle, and forgets the job;
- after `shutdown` idle threads end at once, busy ones after their job;
- threads are daemons: at exit nobody waits for them.

`submit` and `shutdown` are called by one thread at a time; `_idle` is shared with the workers.
"""

import asyncio
import inspect
import itertools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any

from ._work import Call, close

_numbers = itertools.count(1)


class Threads(Executor):
    def __init__(self) -> None:
        self._idle: deque[_Worker] = deque()
        self._closed = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        job = (future, function, args, kwargs)
        try:
            self._idle.pop().jobs.put(job)
        except IndexError:
            _Worker(self, job).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._closed = True
        while self._idle:
            worker = self._idle.pop()
            worker.jobs.put(None)
            if wait:
                worker.join()

    def _done(self, worker: "_Worker") -> None:
        self._idle.append(worker)
        if self._closed:  # shutdown may have missed it; a second None does no harm
            worker.jobs.put(None)


class _Worker(threading.Thread):
    def __init__(self, threads: Threads, job: tuple[Any, ...]) -> None:
        super().__init__(name=f"aioutils-{next(_numbers)}", daemon=True)
        self._threads = threads
        self.jobs: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self.jobs.put(job)

    def run(self) -> None:
        while (job := self.jobs.get()) is not None:
            future, function, args, kwargs = job
            if future.set_running_or_notify_cancel():
                try:
                    result = function(*args, **kwargs)
                except BaseException as error:
                    self._threads._done(self)
                    future.set_exception(error)
                else:
                    self._threads._done(self)
                    future.set_result(result)
                    del result
            else:
                self._threads._done(self)
            del job, future, function, args, kwargs


async def call(executor: Executor, work: Call) -> Any:
    """Calls it in a worker thread with the context variables of this task."""
    future = asyncio.wrap_future(executor.submit(work.within, copy_context()))
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error  # a function can't be stopped: its slot is taken until it ends
    result, failure = future.result()
    try:
        if cancelled is not None and (failure is None or isinstance(failure, CancelledError)):
            close(result)  # what it waited for was cancelled with it
            raise cancelled
        if failure is not None:
            raise failure
    finally:
        del failure, cancelled
    return await result if inspect.isawaitable(result) else result
