"""A signal handler forks while its thread waits; the child goes on in the wait (rule 6)."""

import os

import pytest

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]


HANDLER = """
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
