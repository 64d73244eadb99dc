"""A signal handler forks while its thread waits; the child goes on in the wait (rule 6)."""

import os

import pytest

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]


HANDLER = """
        warnings.filterwarnings("ignore", "this call blocks", RuntimeWarning)
        pid = None
        def fork_here(number, frame):
            global pid
            pid = os.fork()
            if not pid:
                signal.alarm(8)
        signal.signal(signal.SIGUSR1, fork_here)
        def ended(*words):
            if not pid:
                say(*words)
                work(pool)
                pool.close()
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            work(pool)
        pool = Pool(1)
        pool.spawn(os.kill, os.getpid(), signal.SIGUSR1)
        pool.spawn(asyncio.sleep, 0.01)
"""


@pytest.mark.parametrize(
    "wait",
    [
        "assert pool.join() is True and not task.cancelled()",
        "assert task.result() == 1",
        "assert task in pool.as_completed()",
    ],
)
def test_a_signal_handler_forks_and_the_child_goes_on_in_the_wait(script, wait):
    lines = script(f"""
        {HANDLER}
        task = pool.spawn(asyncio.sleep, 0.01, 1)
        pool.spawn(asyncio.sleep, 0.01)
        {wait}
        ended("waited")
    """)
    assert lines == ["waited"]


def test_ctrl_c_in_a_child_that_a_signal_handler_forked_lets_a_task_go_on_to_its_pause(script):
    lines = script(f"""
        {HANDLER}
        async def interrupt():
            if not pid:
                signal.raise_signal(signal.SIGINT)
                say("went on")
                await asyncio.sleep(9)
        pool.spawn(interrupt)
        try:
            pool.join()
            ended("joined")
        except KeyboardInterrupt:
            ended("interrupted")
    """)
    assert lines == ["went", "on", "interrupted"]


@pytest.mark.parametrize(
    "wait",
    [
        "assert pool.join() is True and not task.cancelled()",
        "assert task.result() == 1",
        "assert task in pool.as_completed()",
        "assert list(pool.imap(same, range(3))) == [0, 1, 2]",
        "assert pool.join(timeout=5) is True",
    ],
)
def test_it_does_so_inside_of_a_running_loop(script, wait):
    """There a helper thread drives, which the child has not."""
    lines = script(f"""
        {HANDLER}
        async def same(n):
            return n
        async def main():
            task = pool.spawn(asyncio.sleep, 0.01, 1)
            pool.spawn(asyncio.sleep, 0.01)
            {wait}
            ended("waited")
        asyncio.run(main())
    """)
    assert lines == ["waited"]


def test_it_does_so_too_if_the_helper_has_just_started(script):
    lines = script(f"""
        {HANDLER}
        start = threading.Thread.start
        def signalling(thread):
            start(thread)
            if thread.name == "aioutils helper" and pid is None:
                signal.raise_signal(signal.SIGUSR1)
        threading.Thread.start = signalling
        pool = Pool(1)
        async def main():
            pool.spawn(asyncio.sleep, 0.01)
            assert pool.join(timeout=5) is True
            ended("waited")
        asyncio.run(main())
    """)
    assert lines == ["waited"]


def test_a_look_at_what_can_be_done_at_once_ends_there_too(script):
    lines = script(f"""
        {HANDLER}
        async def until_it_forked():
            os.kill(os.getpid(), signal.SIGUSR1)
            while pid is None:
                time.sleep(0.001)
        pool = Pool(1)
        async def main():
            pool.spawn(until_it_forked)
            pool.join(timeout=0)
            ended("looked")
        asyncio.run(main())
    """)
    assert lines == ["looked"]


def test_what_held_signals_back_around_the_wait_does_so_in_the_child(script):
    lines = script(f"""
        {HANDLER}
        from aioutils._signals import Signals
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pool, inner = Pool(1), Signals()
        try:
            with Signals():
                with Signals():
                    with inner:
                        signal.raise_signal(signal.SIGUSR1)
                    assert pid is not None and not inner.active
                    signal.raise_signal(signal.SIGINT)
                    if not pid:
                        say("went on")
                raise AssertionError("not delivered")
        except KeyboardInterrupt:
            pass
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ended("interrupted")
    """)
    assert lines == ["went", "on", "interrupted"]


def test_it_does_so_while_a_done_callback_waits(script):
    """It waits as a task does, and the child counts such waits anew: circles are found there."""
    lines = script(f"""
        {HANDLER}
        joined = []
        other = Group()
        other.spawn(asyncio.sleep, 0).add_done_callback(lambda task: joined.append(pool.join()))
        other.join()
        assert joined == [True]
        one, two = Group(), Group()
        first = one.spawn(two.join)
        second = two.spawn(first.result)
        assert isinstance(first.exception(), ExceptionGroup)
        assert isinstance(second.exception(), DeadlockError)
        ended("waited")
    """)
    assert lines == ["waited"]
