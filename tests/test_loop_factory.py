"""`loop_factory=`: tools on event loops that others make, uvloop's above all."""

import asyncio
import contextlib
import contextvars
import gc
import os
import signal
import socket
import sys
import time
import weakref
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest
import uvloop
from four_tools import DEBUG, finish, start

from aioutils import DeadlockError, Group, OrderedYielder, Pool, Yielder

VAR = contextvars.ContextVar("VAR", default="unset")
FACTORIES = [uvloop.new_event_loop, asyncio.new_event_loop, asyncio.SelectorEventLoop]


@pytest.fixture(params=FACTORIES, ids=["uvloop", "new_event_loop", "SelectorEventLoop"])
def factory(request):
    """It remembers the loops that it made."""

    def make():
        make.made.append(request.param())
        return make.made[-1]

    make.made = []
    return make


@pytest.mark.parametrize("own", [False, True], ids=["default", "own"])
@pytest.mark.parametrize("loop_factory", [None, *FACTORIES])
def test_a_function_in_an_executor_is_refused_to_wait_for_its_task(loop_factory, own):
    async def call(function):
        with ThreadPoolExecutor(1, initializer=VAR.set, initargs=("of the thread",)) as executor:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(executor if own else None, function)

    with Pool(1, loop_factory=loop_factory) as pool:
        with pytest.raises(DeadlockError):
            pool.spawn(call(pool.join)).result(5)
        assert pool.spawn(call(lambda: pool.spawn(int).result(5))).result(5) == 0
        assert pool.spawn(call(VAR.get)).result(5) == ("of the thread" if own else "unset")
        assert repr(pool) == "<Pool size=1 running=0 waiting=0>"


class Here(Executor):
    """What it takes over may have to be pickled, for all that the loop knows."""

    def submit(self, function, *args):
        self.function, future = function, Future()
        future.set_result(function(*args))
        return future


def test_what_an_executor_of_another_kind_is_given_is_the_function_itself():
    async def call():
        return await asyncio.get_running_loop().run_in_executor(executor, abs, -3)

    executor, pool = Here(), Pool(1)
    assert pool.spawn(call()).result(5) == 3
    assert executor.function is abs


async def running_loop():
    return asyncio.get_running_loop()


@pytest.mark.parametrize("kind", [Group, lambda **kw: Pool(2, **kw), Yielder, OrderedYielder])
def test_a_tool_runs_on_one_loop_of_the_factory_until_it_closes(kind, factory):
    with kind(loop_factory=factory) as tool:
        for _ in range(3):
            task = tool.spawn(running_loop)
            finish(tool)
            assert factory.made == [task.result()]
        assert not factory.made[0].is_closed()
    assert factory.made[0].is_closed()


def test_every_tool_has_a_loop_of_its_own(factory):
    with Group(loop_factory=factory) as one, Group(loop_factory=factory) as other:
        assert one.spawn(running_loop).result() is not other.spawn(running_loop).result()
        with Group(within=one) as inner:
            assert inner.spawn(running_loop).result() is factory.made[0]


def test_async_code_has_its_own_loop_already(factory):
    async def main():
        async with Group(loop_factory=factory) as group:
            return await group.spawn(running_loop()) is asyncio.get_running_loop()

    assert asyncio.run(main()) and not factory.made


def test_where_no_loop_can_be_made_the_tasks_stay(factory):
    def fails_once():
        if not failed:
            failed.append(True)
            raise OSError("too many open files")
        return factory()

    failed, group = [], Group(loop_factory=fails_once)
    task = group.spawn(asyncio.sleep, 0, "result")
    with pytest.raises(OSError, match="too many"):
        group.join()
    assert (group.join(), task.result()) == (True, "result")


def test_an_async_generator_that_is_let_go_is_closed(factory):
    closed = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(asyncio.get_running_loop())

    async def first():
        async for number in numbers():
            return number, asyncio.get_running_loop()

    with Group(loop_factory=factory) as group:
        number, loop = group.spawn(first).result()
    assert (number, closed) == (1, [loop])


def test_an_async_generator_that_outlives_its_loop_is_let_go_in_silence(factory):
    kept = []

    async def numbers():
        yield 1
        yield 2

    async def begin():
        kept.append(numbers())
        return await anext(kept[0])

    async def drop():  # where the loop can't be run: it is only closed
        tools.clear()
        return factory.made[0].is_closed()

    tools = [Group(loop_factory=factory)]
    assert tools[0].spawn(begin).result() == 1
    assert asyncio.run(drop())
    kept.clear()
    gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_asks_the_factory_again(run_script):
    done = run_script("""
        import asyncio, os, uvloop
        from aioutils import Group

        group = Group(loop_factory=uvloop.new_event_loop)
        group.spawn(asyncio.sleep, 0).result()
        if not (child := os.fork()):
            group.spawn(asyncio.sleep, 0.01).result()
            os._exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        group.spawn(asyncio.sleep, 0.01).result()
    """)
    assert (done.stdout, done.stderr) == ("3\n", "")


# ---- the clock stands still with the loop --------------------------------------------------


async def within(limit, waiting):
    async with asyncio.timeout(limit):
        return await waiting


def test_a_slow_consumer_makes_no_timeout_fire(factory):
    with Yielder(loop_factory=factory) as y:
        for n in range(3):
            y.spawn(within(0.2, asyncio.sleep(0.02 * n, n)))
        results = []
        for result in y.yielding():
            results.append(result)
            time.sleep(0.25)
        assert results == [0, 1, 2]


def test_what_had_arrived_is_read_before_a_timeout_fires(factory):
    reading, writing = os.pipe()

    async def read():
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(reading, came.set)
        try:
            return await within(0.05, came.wait())
        finally:
            loop.remove_reader(reading)

    with Group(loop_factory=factory) as group:
        task = group.spawn(read)
        start(group)
        os.write(writing, b"x")
        time.sleep(0.1)
        assert task.result() is True
    os.close(reading)
    os.close(writing)


def test_time_passes_only_while_the_loop_runs(factory):
    async def now():
        return asyncio.get_running_loop().time()

    with Group(loop_factory=factory) as group:
        begin = time.monotonic()
        before = group.spawn(now).result()
        stopped = time.monotonic()
        time.sleep(0.1)
        stood_still = time.monotonic() - stopped
        after = group.spawn(now).result()
        ran = time.monotonic() - begin - stood_still  # and a little more
        assert after - before < ran + 0.01  # uvloop counts in milliseconds
        group.spawn(asyncio.sleep, 0.05).result()
        assert group.spawn(now).result() - before >= 0.05


# ---- timers ------------------------------------------------------------------------------


def run(factory, function):
    """In a task, and for a moment longer."""

    async def main():
        function(asyncio.get_running_loop())
        await asyncio.sleep(0.05)

    with Group(loop_factory=factory) as group:
        group.spawn(main).result()


def test_timers_run_in_the_order_of_their_times(factory):
    ran = []

    def set_timers(loop):
        now = loop.time()  # once: a pause of this thread must not change their order
        for n in (3, 1, 2, 0):
            loop.call_at(now + 0.004 * n, ran.append, n)

    run(factory, set_timers)
    assert ran == [0, 1, 2, 3]


def test_cancelled_timers_do_not_run(factory):
    ran = []

    def set_timers(loop):
        timers = [loop.call_later(0.001 * (n % 5), ran.append, n) for n in range(1000)]
        for n, timer in enumerate(timers):
            if n % 100:
                timer.cancel()
        soon = loop.call_later(0, ran.append, "soon")
        loop.call_soon(soon.cancel)

    run(factory, set_timers)
    assert ran == list(range(0, 1000, 100))


def test_a_timer_that_fails_is_reported_and_stops_no_other(factory):
    reported, ran = [], []

    def set_timers(loop):
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        loop.call_later(0.001, int, "no number")
        loop.call_later(0.002, ran.append, 1)

    run(factory, set_timers)
    assert ran == [1] and isinstance(reported[0], ValueError)


def test_a_timer_is_set_on_no_closed_loop(factory):
    with Group(loop_factory=factory) as group:
        loop = group.spawn(running_loop).result()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, print)


def test_thousands_of_sleepers_wake(factory):
    with Group(loop_factory=factory) as group:
        for n in range(1_000 if DEBUG else 10_000):
            group.spawn(asyncio.sleep, 0.001 * (n % 7))
        assert group.join()


# ---- bad input ---------------------------------------------------------------------------


def test_what_is_no_factory_is_refused_at_the_call():
    with pytest.raises(TypeError, match=r"Group\(loop_factory=...\) is a function that makes"):
        Group(loop_factory=3)
    with pytest.raises(TypeError, match=r"within= shares a loop, so loop_factory= has no use"):
        Group(within=Group(), loop_factory=uvloop.new_event_loop)


@pytest.mark.filterwarnings("ignore:this call blocks the event loop")
@pytest.mark.parametrize("gives", [object, lambda: None, "closed", "running"])
def test_a_factory_that_makes_no_new_loop_is_named(gives):
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        if gives == "closed":
            loop.close()
        group = Group(loop_factory=gives if callable(gives) else lambda: loop)
        task = group.spawn(asyncio.sleep, 0)
        if gives == "running":

            async def wait():
                task.result()

            with pytest.raises(TypeError, match=r"loop_factory=.*, not a new event loop"):
                loop.run_until_complete(wait())
        else:
            with pytest.raises(TypeError, match=r"loop_factory=.*, not a new event loop"):
                task.result()
        task.cancel()


def test_a_factory_that_gives_the_loop_of_another_tool_is_refused():
    loop = asyncio.new_event_loop()
    with Group(loop_factory=lambda: loop) as first, Group(loop_factory=lambda: loop) as second:
        assert first.spawn(asyncio.sleep, 0, 1).result() == 1
        with pytest.raises(TypeError, match=r"loop_factory=.*, not a new event loop"):
            second.spawn(asyncio.sleep, 0).result()
        second.cancel()


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.kill(pid, SIGINT)")
def test_ctrl_c_cleans_up_on_uvloop(run_script):
    done = run_script("""
        import asyncio, os, signal, threading, uvloop
        from aioutils import Group

        async def work():
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                print("cleaned up")

        group = Group(loop_factory=uvloop.new_event_loop)
        group.spawn(work)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            group.join()
        except KeyboardInterrupt:
            print("left", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        group.spawn(asyncio.sleep, 0).result()
        group.close()
    """)
    assert (done.stdout, done.stderr) == ("cleaned up\nleft True\n", "")


def test_a_loop_ends_in_an_orderly_way_though_a_thread_stops_it_too_late():
    class Loop(asyncio.SelectorEventLoop):
        async def shutdown_asyncgens(self):
            self.call_soon_threadsafe(self.stop)
            await asyncio.sleep(0.001)
            await super().shutdown_asyncgens()
            ended.append(self)

    ended = []
    with Group(loop_factory=Loop) as group:
        loop = group.spawn(running_loop).result()
    assert ended == [loop] and loop.is_closed()


@pytest.mark.parametrize("isolate", [True, False])
def test_nothing_begins_before_the_network_was_looked_at(factory, isolate):
    async def work(n):
        if len(read) < sent:
            early.append(n)
        if n == 0:
            asyncio.get_running_loop().add_reader(here, lambda: read.extend(here.recv(9)))
        for _ in range(n % 3):
            await asyncio.sleep(0)

    async def leave():
        asyncio.get_running_loop().remove_reader(here)

    here, there = socket.socketpair()
    sent, read, early = 0, [], []
    with here, there, Pool(2, loop_factory=factory) as pool:
        for _ in pool.imap(work, range(40), isolate=isolate):
            there.send(b"x")
            sent += 1
        pool.spawn(leave).result()
    assert (sent, early) == (40, [])


@pytest.mark.parametrize("make_loop", FACTORIES)
def test_a_loop_that_stands_still_keeps_no_task_that_stopped_it(make_loop):
    """Two end one pass apart, and each stops it: the one gives a result, and with the other all has
    ended. What uvloop keeps of the second, until it runs again, the collector can't see."""

    async def fetch(n):
        for _ in range(n + 1):
            await asyncio.sleep(0)
        if n == 1:
            raise ValueError(n)

    def run():
        pool = Pool(2, loop_factory=make_loop)
        results = pool.imap(fetch, range(2), return_exceptions=True)
        assert next(results) is None
        failure = next(results)  # which leads to this frame, and so to the pool
        assert isinstance(failure, ValueError)
        return weakref.ref(pool)

    pool = run()
    gc.collect()
    assert pool() is None


class Request:
    """What the context of a caller, or of a task, leads to."""


@pytest.mark.parametrize("make_loop", [None, *FACTORIES])
def test_a_loop_that_stands_still_keeps_no_task_that_a_signal_stopped_too(make_loop):
    """The task ends in the step that the signal comes in: the loop is stopped twice."""

    async def work(request):
        VAR.set(request)
        signal.raise_signal(signal.SIGUSR1)

    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    try:
        with Group(loop_factory=make_loop) as group:
            request = Request()
            alive = weakref.ref(request)
            group.spawn(work, request)
            del request
            group.join()
            gc.collect()
            assert alive() is None and heard
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("make_loop", [None, *FACTORIES])
def test_a_timeout_that_did_not_come_keeps_no_caller(make_loop):
    def view(request):
        VAR.set(request)
        assert group.join(3600)

    with Group(loop_factory=make_loop) as group:
        group.spawn(asyncio.sleep, 0).result()  # a factory sees the caller's context, on purpose
        request = Request()
        alive = weakref.ref(request)
        group.spawn(asyncio.sleep, 0.001)
        contextvars.Context().run(view, request)
        del request
        gc.collect()
        assert alive() is None
