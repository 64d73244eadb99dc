"""Signals: what users' handlers and tasks make of them, and the tool afterwards (rule 17)."""

import sys

import pytest
from ctrl_c_script import script

__all__ = ["script"]

pytestmark = [
    pytest.mark.timeout(40),
    pytest.mark.skipif(sys.platform == "win32", reason="needs os.kill(pid, SIGINT)"),
]


def test_a_handler_that_does_not_raise_is_called_for_each_signal_and_the_wait_goes_on(script):
    lines = script("""
        calls = []
        handler = lambda number, frame: calls.append(number)
        signal.signal(signal.SIGINT, handler)
        group = Group()
        async def until_three():
            running.set()
            while len(calls) < 3:
                await asyncio.sleep(0.01)
            return "done"
        task = group.spawn(until_three)
        shoot(0.05, 0.2, 0.2, when=running)
        print(task.result(), calls == [signal.SIGINT] * 3)
        print(group.join(), signal.getsignal(signal.SIGINT) is handler)
    """)
    assert lines == ["done True", "True True"]


def test_an_ignored_signal_stays_ignored(script):
    lines = script("""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        group = Group()
        async def shot():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.05)
        group.spawn(shot)
        print(group.join(), signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
    """)
    assert lines == ["True True"]


def test_sigterm_without_a_handler_kills_as_ever(script):
    lines = script(
        """
        group = Group()
        group.spawn(tidy)
        shoot(0.02, number=signal.SIGTERM, when=running)
        group.join()
        """,
        returncode=-15,
    )
    assert lines == []


def test_sigterm_with_a_handler_that_exits_cleans_up_first(script):
    lines = script(
        """
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
        with Pool(1) as pool:
            pool.spawn(tidy, "first")
            pool.spawn(tidy, "never started")
            shoot(0.02, number=signal.SIGTERM, when=running)
        """,
        returncode=7,
    )
    assert lines == ["first cleaned up"]


def test_what_a_handler_of_sigusr1_raises_leaves_the_wait(script):
    """Celery's soft_time_limit; raised inside of asyncio, it would be logged and forgotten."""
    lines = script("""
        class TimeIsUp(Exception):
            pass

        def end(number, frame):
            raise TimeIsUp

        async def task():
            loop = asyncio.get_running_loop()
            loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
            await tidy()

        signal.signal(signal.SIGUSR1, end)
        with interrupted(TimeIsUp), Group() as group:
            group.spawn(task)
        assert signal.getsignal(signal.SIGUSR1) is end
    """)
    assert lines == ["tidy cleaned up", "TimeIsUp left"]


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
def test_raised_by_a_task_it_leaves_after_the_others_cleaned_up(script, kind):
    lines = script(f"""
        async def fail():
            await asyncio.sleep(0.01)
            raise {kind}
        group = Group()
        group.spawn(tidy)
        task = group.spawn(fail)
        with interrupted({kind}):
            group.join()
        print(len(group), group.join())
    """)
    assert lines == ["tidy cleaned up", f"{kind} left", "0 True"]


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
def test_raised_by_a_function_in_a_thread_it_leaves_too(script, kind):
    lines = script(f"""
        def fail():
            running.wait()
            raise {kind}
        group = Group()
        group.spawn(tidy)
        group.spawn(fail)
        with interrupted({kind}):
            group.join()
        print(group.join())
    """)
    assert lines == ["tidy cleaned up", f"{kind} left", "True"]


def test_the_tool_goes_on_afterwards(script):
    lines = script("""
        group = Group()
        for n in range(3):
            running.clear()
            group.spawn(tidy, n)
            shoot(0.02, when=running)
            with interrupted():
                group.join()
            task = group.spawn(asyncio.sleep, 0.001, "fine")
            print(group.join(), task.result())
    """)
    assert lines == [
        line
        for n in range(3)
        for line in (f"{n} cleaned up", "KeyboardInterrupt left", "True fine")
    ]


def test_the_tool_goes_on_after_a_second_one_too(script):
    lines = script("""
        group = Group()
        group.spawn(stuck)
        group.spawn(tidy)
        shoot(0.02, 0.3, when=running)
        with interrupted():
            group.join()
        print(len(group))
        task = group.spawn(asyncio.sleep, 0.001, "fine")
        print(group.join(), task.result())
        group.close()
    """)
    assert lines == ["stuck", "tidy cleaned up", "KeyboardInterrupt left", "0", "True fine"]


def test_what_cleans_up_already_is_not_cancelled_again(script):
    lines = script("""
        async def slow():
            try:
                await asyncio.sleep(60)
            finally:
                running.set()
                await asyncio.sleep(0.2)
                print("cleaned up to the end")
        with interrupted(), Group() as group:
            group.spawn(slow)
            group.join(timeout=0)
            group.cancel()
            shoot(0.02, when=running)
            group.join()
    """)
    assert lines == ["cleaned up to the end", "KeyboardInterrupt left"]


def test_what_tasks_spawn_while_they_are_cancelled_does_not_go_on_for_ever(script):
    lines = script("""
        group = Group()
        async def link():
            running.set()
            try:
                await asyncio.sleep(0)
            finally:
                group.spawn(link)
        group.spawn(link)
        shoot(0.05, when=running)
        with interrupted():
            group.join()
        print(len(group))
    """)
    assert lines == ["KeyboardInterrupt left", "0"]


def test_a_signal_that_another_thread_catches_reaches_the_wait(script):
    lines = script("""
        group = Group()
        group.spawn(tidy)
        threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,)).start()
        with interrupted():
            group.join()
    """)
    assert lines == ["tidy cleaned up", "KeyboardInterrupt left"]


def test_a_function_that_waits_in_its_thread_is_freed(script):
    lines = script("""
        pool = Pool(1)
        def function():
            try:
                return pool.spawn(tidy).result()
            except BaseException as error:
                print("function got", type(error).__name__)
                raise
        pool.spawn(function)
        shoot(0.02, when=running)
        with interrupted():
            pool.join()
    """)
    assert lines == ["tidy cleaned up", "function got CancelledError", "KeyboardInterrupt left"]


def test_the_driver_in_another_thread_goes_on_with_new_work(script):
    lines = script("""
        group = Group()
        group.spawn(tidy)
        results = []
        driver = threading.Thread(target=lambda: results.append(group.join()))
        driver.start()
        shoot(0.05, when=running)
        with interrupted():
            group.join()
        driver.join()
        print(results, len(group))
    """)
    assert lines == ["tidy cleaned up", "KeyboardInterrupt left", "[True] 0"]
