"""Ctrl-C during `.sync`: the call is cancelled and cleans up, KeyboardInterrupt leaves, and the
thread's loop goes on."""

import signal
import sys
import textwrap

import pytest
from ctrl_c_script import run_with_start, script

__all__ = ["script"]

pytestmark = [
    pytest.mark.timeout(40),
    pytest.mark.skipif(sys.platform == "win32", reason="needs os.kill(pid, SIGINT)"),
]

DUALS = """
tidy = dual(tidy)
stuck = dual(stuck)

@dual
async def loop():
    await asyncio.sleep(0)
    return asyncio.get_running_loop()

@dual
async def numbers(log=print):
    try:
        yield 1
        running.set()
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        log("numbers cleaned up")

before = loop.sync()
"""


@pytest.fixture
def dual_script(script):
    return lambda code: script(DUALS + textwrap.dedent(code))


def test_uncaught_it_ends_the_script_with_one_traceback(run_script):
    code = DUALS + "shoot(0.02, when=running)\ntidy.sync()\n"
    done = run_with_start(run_script, code)
    assert done.returncode == -signal.SIGINT
    assert done.stdout == "tidy cleaned up\n"
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_the_call_cleans_up_and_the_loop_goes_on(dual_script):
    lines = dual_script("""
        for _ in range(3):
            running.clear()
            shoot(0.02, when=running)
            with interrupted():
                tidy.sync()
            assert loop.sync() is before
    """)
    assert lines == ["tidy cleaned up", "KeyboardInterrupt left"] * 3


def test_what_fails_in_the_clean_up_rides_along(dual_script):
    lines = dual_script("""
        @dual
        async def fails():
            try:
                running.set()
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0)
                raise ValueError("in the clean-up")
        shoot(0.02, when=running)
        try:
            fails.sync()
        except KeyboardInterrupt as error:
            print(*error.__notes__)
        assert loop.sync() is before
    """)
    assert lines == ["in its clean-up fails failed: ValueError('in the clean-up')"]


def test_a_second_one_gives_up_on_a_clean_up_that_is_stuck(dual_script):
    lines = dual_script("""
        shoot(0.1, 0.3, when=running)
        @dual
        async def call():
            running.set()
            await stuck()
        with interrupted():
            call.sync()
        assert loop.sync() is loop.sync()
    """)
    assert lines == ["stuck", "KeyboardInterrupt left"]


def test_an_iteration_cleans_up_and_has_ended(dual_script):
    lines = dual_script("""
        iterator = numbers.sync()
        say(next(iterator))
        shoot(0.02, when=running)
        with interrupted():
            next(iterator)
        say(list(iterator))
        assert loop.sync() is before
    """)
    assert lines == ["1", "numbers cleaned up", "KeyboardInterrupt left", "[]"]


def test_an_open_iteration_goes_on_after_a_call_was_interrupted(dual_script):
    lines = dual_script("""
        @dual
        async def count():
            for i in range(3):
                yield i
        iterator = count.sync()
        say(next(iterator))
        shoot(0.02, when=running)
        with interrupted():
            tidy.sync()
        say(list(iterator))
    """)
    assert lines == ["0", "tidy cleaned up", "KeyboardInterrupt left", "[1, 2]"]


def test_what_fails_in_closing_an_iteration_rides_along(dual_script):
    lines = dual_script("""
        def fail(_):
            raise ValueError("in closing")
        iterator = numbers.sync(fail)
        next(iterator)
        shoot(0.02, when=running)
        try:
            next(iterator)
        except KeyboardInterrupt as error:
            print(*error.__notes__)
    """)
    assert len(lines) == 1 and lines[0].endswith("failed in closing: ValueError('in closing')")


def test_in_a_notebook(dual_script):
    lines = dual_script("""
        async def cell():
            shoot(0.05, when=running)
            with interrupted():
                tidy.sync()
            assert loop.sync() is before
        # asyncio.run has a handler of its own
        with contextlib.closing(asyncio.new_event_loop()) as host:
            host.run_until_complete(cell())
    """)
    assert lines == ["tidy cleaned up", "KeyboardInterrupt left"]


def test_in_a_coroutine_of_asyncio_run(dual_script):
    lines = dual_script("""
        async def main():
            shoot(0.05, when=running)
            tidy.sync()
        with interrupted():
            asyncio.run(main())
        assert loop.sync() is before
    """)
    assert lines == ["tidy cleaned up", "KeyboardInterrupt left"]


def test_calls_within_calls_all_clean_up(dual_script):
    lines = dual_script("""
        @dual
        async def outer():
            try:
                tidy.sync("inner")
            finally:
                await asyncio.sleep(0.01)
                print("outer cleaned up")
        shoot(0.05, when=running)
        with interrupted():
            outer.sync()
        assert loop.sync() is before
    """)
    assert lines == ["inner cleaned up", "outer cleaned up", "KeyboardInterrupt left"]


def test_calls_in_other_threads_go_on(dual_script):
    lines = dual_script("""
        @dual
        async def work():
            await asyncio.sleep(0.3)
            return "worked"
        results = []
        thread = threading.Thread(target=lambda: results.append(work.sync()))
        thread.start()
        shoot(0.05, when=running)
        with interrupted():
            tidy.sync()
        thread.join()
        say(*results)
    """)
    assert lines == ["tidy cleaned up", "KeyboardInterrupt left", "worked"]
