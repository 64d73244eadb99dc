"""Ctrl-C at chosen moments: what leaves, what was cleaned up, and what a second one does.

Each script runs in a process of its own and shoots itself. What is stuck in them is stuck for a
minute, `run_script` waits for 15 seconds: "at once" is the difference.
"""

import signal
import sys

import pytest
from ctrl_c_script import run_with_start, script

__all__ = ["script"]

pytestmark = [
    pytest.mark.timeout(40),
    pytest.mark.skipif(sys.platform == "win32", reason="needs os.kill(pid, SIGINT)"),
]

# One that sleeps in the interpreter, where a signal wakes it, and one that computes; both longer
# than the test may take, so that it ends by the signal or not at all.
blocks = pytest.mark.parametrize("block", ["time.sleep(60)", "while True: pass"])


def test_uncaught_it_ends_the_script_with_one_traceback(run_script):
    code = """
    group = Group()
    group.spawn(tidy)
    shoot(0.02, when=running)
    group.join()
    """
    done = run_with_start(run_script, code)
    assert done.returncode == -signal.SIGINT
    assert done.stdout == "tidy cleaned up\n"
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_a_second_one_leaves_a_stuck_clean_up_at_once(script):
    lines = script("""
        group = Group()
        group.spawn(stuck)
        group.spawn(tidy)
        shoot_as(running, tidied)
        with interrupted():
            group.join()
    """)
    assert lines == ["stuck", "tidy cleaned up", "KeyboardInterrupt left"]


def test_a_second_one_leaves_a_task_that_swallows_cancellation(script):
    lines = script("""
        async def swallow():
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(60)
        with interrupted(), Pool(2) as pool:
            pool.spawn(swallow)
            pool.spawn(tidy)
            shoot_as(running, tidied)
    """)
    assert lines == ["tidy cleaned up", "KeyboardInterrupt left"]


@blocks
def test_a_second_one_leaves_a_blocked_loop_and_the_others_clean_up(script, block):
    lines = script(f"""
        async def blocking():
            await asyncio.sleep(0.01)
            begun.set()
            {block}
        group = Group()
        group.spawn(tidy)
        group.spawn(blocking)
        shoot(0.2, 0.2, when=begun)
        with interrupted():
            group.join()
    """)
    assert lines == ["tidy cleaned up", "KeyboardInterrupt left"]


@blocks
def test_a_second_one_leaves_a_loop_that_is_blocked_in_another_thread(script, block):
    lines = script(f"""
        async def blocking():
            running.set()
            {block}
        group = Group()
        group.spawn(blocking)
        threading.Thread(target=group.join, daemon=True).start()
        shoot(0.2, 0.3, when=running)
        with interrupted():
            group.join()
        say("on we go")
        os._exit(0)
    """)
    assert lines == ["KeyboardInterrupt left", "on we go"]


@blocks
def test_a_second_one_leaves_a_helper_thread_whose_loop_is_blocked(script, block):
    lines = script(f"""
        async def blocking():
            running.set()
            {block}
        async def cell():
            group = Group()
            group.spawn(blocking)
            shoot(0.2, 0.3, when=running)
            with interrupted():
                group.join()
            say("on we go")
            os._exit(0)
        asyncio.new_event_loop().run_until_complete(cell())
    """)
    assert lines == ["KeyboardInterrupt left", "on we go"]


def test_one_is_enough_for_sync_code_that_asyncio_run_waits_for(script):
    lines = script("""
        async def main():
            try:
                group = Group()
                group.spawn(tidy)
                shoot(0.02, when=running)
                group.join()
            finally:
                await asyncio.sleep(0.01)
                say("main cleaned up")
        with interrupted():
            asyncio.run(main())
    """)
    assert lines == ["tidy cleaned up", "main cleaned up", "KeyboardInterrupt left"]


ABANDONED = """
    begun, cleaning = threading.Event(), threading.Event()

    async def hangs():
        try:
            begun.set()
            await asyncio.sleep(60)
        finally:
            cleaning.set()
            await asyncio.sleep(60)

    async def cell():
        group = Group()
        for _ in range(20):
            group.spawn(hangs)
        with interrupted():
            group.join()
        group.close()

    def run():
        loop = asyncio.new_event_loop()
        loop.run_until_complete(cell())
        loop.close()
"""


def test_a_second_one_ends_a_helper_thread_before_what_it_drives(script):
    """Or it would run coroutines that are closed."""
    lines = script(f"""
    {ABANDONED}
    for _ in range(10):
        shoot(0, when=begun)
        shoot(0, when=cleaning)
        run()
        begun.clear()
        cleaning.clear()
    """)
    assert lines == ["KeyboardInterrupt left"] * 10


def test_a_second_one_ends_a_helper_thread_that_is_about_to_start(script):
    lines = script(f"""
    {ABANDONED}
    from aioutils._helper import Seat

    call = Seat.call

    def interrupted_call(seat, function):
        os.kill(os.getpid(), signal.SIGINT)
        call(seat, function)

    Seat.call = interrupted_call
    run()
    """)
    assert lines == ["KeyboardInterrupt left"]


def test_functions_in_threads_are_waited_for(script):
    lines = script("""
        def function():
            running.wait()
            begun.set()
            tidied.wait()
            print("function ended")
        pool = Pool(2)
        pool.spawn(function)
        pool.spawn(tidy)
        shoot_as(begun)
        with interrupted():
            pool.join()
    """)
    assert lines == ["tidy cleaned up", "function ended", "KeyboardInterrupt left"]


def test_a_second_one_leaves_a_function_that_is_stuck_in_a_thread(script):
    lines = script("""
        def function():
            running.wait()
            begun.set()
            time.sleep(60)  # longer than the test may take: only the second signal ends it
        pool = Pool(2)
        pool.spawn(function)
        pool.spawn(tidy)
        shoot_as(begun, tidied)
        with interrupted():
            pool.join()
        print("and the script can end")
    """)
    assert lines == ["tidy cleaned up", "KeyboardInterrupt left", "and the script can end"]


def test_leaving_with_gives_up_after_a_second_one_too(script):
    lines = script("""
        def function():
            running.set()
            time.sleep(60)  # longer than the test may take: only the second signal ends it
        with interrupted(), Group() as group:
            group.spawn(function)
            shoot(0.1, 0.3, when=running)
    """)
    assert lines == ["KeyboardInterrupt left"]


def test_the_entering_of_a_context_is_cancelled_and_cleans_up(script):
    lines = script("""
        @contextlib.asynccontextmanager
        async def connecting():
            await tidy("context")
            yield
        with interrupted(), Group() as group:
            shoot(0.02, when=running)
            group.enter_async_context(connecting())
    """)
    assert lines == ["context cleaned up", "KeyboardInterrupt left"]
