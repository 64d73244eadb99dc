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

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any

from ._place import Asked, InContext, Place
from ._raised import is_a
from ._runner import current
from ._work import Call, close, is_awaitable, is_stream

_numbers = itertools.count(1)


class Threads(Executor):
    def __init__(self) -> None:
        self._idle: deque[_Worker] = deque()
        self._closed = False
        self.calls = 0  # that run, here or on an executor

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
        ending = []
        while self._idle:
            ending.append(self._idle.pop())
            ending[-1].jobs.put(None)
        # All are told before one is waited for: Ctrl-C. In a thread that ends join() would make up
        # another one, which stays for ever.
        for worker in ending if wait and not thread_ends() else ():
            worker.join()

    def forked(self) -> None:
        """In the child, which has one of the threads at most: the one that forked ends."""
        self._closed = True

    def _done(self, worker: _Worker) -> None:
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


def are_there_others() -> bool:
    """True if there are threads that are neither the main one nor this one nor ours."""
    known = {threading.main_thread().ident, threading.get_ident()}
    threads = (thread for thread in threading.enumerate() if thread.ident not in known)
    return any(not thread.name.startswith("aioutils") for thread in threads)


async def call(
    work: Call, executor: Executor | None, threads: Threads, goes_on: Callable[[], object]
) -> Any:
    """Calls it with the context variables of this task: on the executor that it is bound to, or
    on `executor`, or, without either, in one of the threads. `goes_on` is called if what it
    returns is to be awaited."""
    executor = executor if work.executor is None else work.executor  # it may be falsy
    place = None if executor is None else Place.of(executor)
    context = copy_context()
    job = current.get()
    assert job is not None
    asked = Asked(job)
    carried = InContext(work, context, place, asked)
    future = threads.submit(carried) if place is None else place.submit(carried, threads)
    threads.calls += 1
    try:
        cancelled = await _end_of(future, asked)
    finally:
        threads.calls -= 1
    failure: BaseException | None = None
    try:
        if future.cancelled():
            raise cancelled or RuntimeError(f"{executor!r} was shut down before the call began")
        failure = future.exception()
        if is_a(failure, CancelledError):  # what it waited for was cancelled, and so is it
            raise cancelled or asyncio.CancelledError(*failure.args)
        if failure is not None:
            raise failure
        if cancelled is not None:
            close(future.result())
            raise cancelled
        result = future.result()
    finally:
        del failure, cancelled, future, carried, job, asked
    if not is_awaitable(result):
        if is_stream(result):
            raise TypeError(
                f"{work.function!r} gave {result!r}, which nobody would iterate: it gives many "
                "results, a task gives one; spawn into a yielder what the function gives"
            )
        return result
    goes_on()
    _adopt(context)
    # The frames of a failure lead to this one.
    del work, executor, threads, goes_on, place, context
    return await result


def _adopt(context: Context) -> None:
    """What the function set is seen by what it returned: both are one task."""
    before = copy_context()
    for variable, value in context.items():
        if before.get(variable, before) is not value:
            variable.set(value)


async def _end_of(future: Future[Any], asked: Asked) -> asyncio.CancelledError | None:
    """Waits for its end, and returns the cancellation that came meanwhile: a function that runs
    can't be stopped, and its slot is taken until it ends. But it is `asked`, where it waits."""
    loop = asyncio.get_running_loop()
    cancelled: asyncio.CancelledError | None = None
    try:
        while not future.done():
            waiter = loop.create_future()
            future.add_done_callback(partial(_tell, loop, waiter))
            try:
                await waiter
            except asyncio.CancelledError as error:
                cancelled = error
                if not future.cancel():
                    asked.come()
        return cancelled
    finally:
        future.cancel()  # given up; what is done does not mind
        del cancelled


def _tell(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None], _: Any) -> None:
    try:
        loop.call_soon_threadsafe(_set, waiter)
    except RuntimeError:
        pass  # the loop was given up and closed


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def thread_ends() -> bool:
    """True in a thread of which only its `threading.local` values are left."""
    me = threading.get_ident()
    if me == threading.main_thread().ident:
        return False
    return all(thread.ident != me for thread in threading.enumerate())
