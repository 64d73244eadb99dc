"""The end of the loop that a thread keeps for its sync calls: with the thread, at exit, and what
a fork makes of it."""

import asyncio
import contextlib
import logging
import os
import socket
import textwrap
import threading

import pytest

from aioutils import _sync_calls, dual


@dual
async def leave_a_task(log):
    async def run():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.001)
            logging.getLogger("test").info("tasks log")  # which asks for the current thread
            log.append("task cleaned up")

    kept.append(asyncio.create_task(run()))
    await asyncio.sleep(0)


@dual
async def leave_a_generator(log):
    async def generate():
        try:
            yield 1
        finally:
            await asyncio.sleep(0.001)
            log.append("generator cleaned up")

    kept.append(generate())
    await anext(kept[-1])


@dual
async def leave_a_connection(log):
    class Protocol(asyncio.Protocol):
        def connection_lost(self, error):
            log.append("connection cut")

    here, there = socket.socketpair()
    kept.append(there)
    kept.append(await asyncio.get_running_loop().create_connection(Protocol, sock=here))


@dual
async def leave_an_executor(log):
    await asyncio.to_thread(log.append, "executor used")


kept = []
ENDS = {
    leave_a_task: "task cleaned up",
    leave_a_generator: "generator cleaned up",
    leave_a_connection: "connection cut",
    leave_an_executor: "executor used",
}


@pytest.mark.asyncios_loop  # nobody knows which connections another one has
@pytest.mark.parametrize("leaving", ENDS, ids=lambda function: function.__name__)
def test_what_was_left_on_it_ends_before_its_thread(leaving, in_thread):
    log = []
    threads = threading.enumerate()
    in_thread(leaving.sync, log)()
    assert log == [ENDS[leaving]]
    assert threading.enumerate() == threads
    for thing in kept:
        with contextlib.suppress(AttributeError):
            thing.close()
    kept.clear()


def test_what_fails_in_the_end_is_told(in_thread, nothing_leaks):
    @dual
    async def leave_a_failure():
        async def run():
            try:
                await asyncio.sleep(3600)
            finally:
                raise ValueError("in the end")

        kept.append(asyncio.create_task(run()))
        await asyncio.sleep(0)

    in_thread(leave_a_failure.sync)()
    kept.clear()
    (message,) = nothing_leaks
    assert "a task failed as its loop was closed" in message
    nothing_leaks.clear()


EXITS = {
    "after calls": "",
    "a task": "leave_a_task.sync()",
    "a generator": "leave_a_generator.sync()",
    "a connection": "leave_a_connection.sync()",
    "a half iterated generator": "it = numbers.sync(); next(it)",
    "an executor": "to_thread.sync()",
    "calls within calls": "nested.sync(3)",
    "a call in a daemon thread": """
        started.clear()
        threading.Thread(target=sleep.sync, daemon=True).start(); started.wait()
        """,
    "a call that a daemon thread is about to wait for": """
        from aioutils import _loop
        def wait(loop, *args, **options):
            started.set(); time.sleep(0.2)
            return original(loop, *args, **options)
        started.clear(); original = _loop.Loop.wait; _loop.Loop.wait = wait
        threading.Thread(target=sleep.sync, daemon=True).start(); started.wait()
        atexit._run_exitfuncs(); time.sleep(0.3)
        """,
    "a daemon thread between calls": """
        def work():
            sleep.sync(0)
            time.sleep(3600)
        started.clear()
        threading.Thread(target=work, daemon=True).start(); started.wait()
        """,
    "a thread that ends after the main one": """
        def work():
            leave_a_task.sync()
            leave_a_connection.sync()
            threading.main_thread().join()
        threading.Thread(target=work).start()
        """,
    "an executor's threads": """
        from concurrent.futures import ThreadPoolExecutor
        executor = ThreadPoolExecutor(3)
        list(executor.map(lambda _: leave_a_task.sync(), range(3)))
        """,
    "a call at exit": "atexit.register(sleep.sync, 0)",
    "a call at exit, before anything else": "atexit._run_exitfuncs(); sleep.sync(0)",
    "in a running loop": """
        async def main():
            leave_a_task.sync(); leave_a_connection.sync()
        asyncio.run(main())
        """,
}

START = """
import asyncio, atexit, socket, sys, threading, time, warnings
from aioutils import *

warnings.filterwarnings("ignore", "this call blocks the event loop", RuntimeWarning)
if "uvloop" in sys.modules:  # it tells nobody of its connections, so who could cut them?
    warnings.filterwarnings("ignore", "unclosed resource|loop is closed", ResourceWarning)
kept, started = [], threading.Event()

@dual
async def sleep(seconds=3600):
    started.set()
    await asyncio.sleep(seconds)

@dual
async def numbers():
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)

@dual
async def leave_a_task():
    async def run():
        try:
            await sleep()
        finally:
            await asyncio.sleep(0.001)
    kept.append(asyncio.create_task(run()))
    await asyncio.sleep(0)

@dual
async def leave_a_generator():
    kept.append(numbers())
    await anext(kept[-1])

@dual
async def leave_a_connection():
    here, there = socket.socketpair()
    there.detach()  # it stays open, and nobody warns of it
    kept.append(await asyncio.open_connection(sock=here))

@dual
async def to_thread():
    await asyncio.to_thread(time.sleep, 0)

@dual
async def nested(depth):
    if depth:
        nested.sync(depth - 1)

sleep.sync(0)
"""


@pytest.mark.parametrize("dev", [False, True], ids=["plain", "dev"])
@pytest.mark.parametrize("state", EXITS)
def test_the_interpreter_exits_in_silence(run_script, state, dev):
    done = run_script(START + textwrap.dedent(EXITS[state]), dev=dev)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_was_left_on_the_main_threads_loop_ends_at_exit(run_script):
    code = """
        @dual
        async def leave():
            async def run():
                try:
                    await sleep()
                finally:
                    await asyncio.sleep(0.001)
                    print("cleaned up")
            kept.append(asyncio.create_task(run()))
            await asyncio.sleep(0)
        leave.sync()
        """
    done = run_script(START + textwrap.dedent(code))
    assert (done.stdout, done.stderr) == ("cleaned up\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("forking", ["the main thread", "another thread", "a call"])
def test_both_go_on_after_a_fork(run_script, forking):
    """The child has new loops, and does not hurt those of the parent's threads."""
    code = """
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)

        @dual
        async def loop():
            await asyncio.sleep(0.001)
            await asyncio.to_thread(time.sleep, 0)  # wakes the loop from another thread
            return asyncio.get_running_loop()

        def fork():
            if not (child := os.fork()):
                try:
                    mine = loop.sync()
                    assert mine is not parents and mine is loop.sync()
                    assert list(numbers.sync()) == [1, 2]
                finally:
                    sys.stdout.flush()
                    os._exit(0 if sys.exc_info()[0] is None else 1)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        @dual
        async def fork_in_a_call():
            await asyncio.sleep(0)
            return await asyncio.to_thread(fork)

        def other():
            global parents
            parents = loop.sync()
            it = numbers.sync()
            assert next(it) == 1
            ready.set()
            forked.wait()
            assert loop.sync() is parents
            assert list(it) == [2]

        ready, forked = threading.Event(), threading.Event()
        thread = threading.Thread(target=other)
        thread.start()
        ready.wait()
        own = loop.sync()
        if sys.argv[1] == "the main thread":
            print(fork())
        elif sys.argv[1] == "a call":
            print(fork_in_a_call.sync())
        else:
            with ThreadPoolExecutor(1) as executor:
                print(executor.submit(fork).result())
        forked.set()
        thread.join()
        assert loop.sync() is own
        """
    start = "import os\nfrom concurrent.futures import ThreadPoolExecutor\n" + START
    done = run_script(start + textwrap.dedent(code), forking, dev=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_thread_whose_only_call_was_refused_ends_in_silence(in_thread):
    @dual
    async def count(n):
        yield n

    for refuses in (count, leave_a_task):
        with pytest.raises(TypeError, match="positional"):
            in_thread(refuses.sync)()


def test_what_fails_as_the_calls_are_closed_is_logged(in_thread, caplog):
    async def fail_in_cleaning_up():
        try:
            await asyncio.sleep(3600)
        finally:
            raise ValueError("in the end")

    def call():
        _sync_calls.here().spawn(fail_in_cleaning_up)
        pause.sync()

    @dual
    async def pause():
        await asyncio.sleep(0.001)

    in_thread(call)()
    assert "failed in cleaning up" in caplog.text and "in the end" in caplog.text
