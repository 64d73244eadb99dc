"""A tool that a thread keeps in a `threading.local`: it goes as the last of its thread."""

import asyncio
import os
import threading

import pytest
from four_tools import start

from aioutils import Group


async def tidy(log):
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0)
        log.append("cleaned up")


def test_it_cleans_up_as_its_thread_ends_and_leaves_no_thread_behind(in_thread):
    log, kept = [], threading.local()

    def use():
        kept.group = Group()
        kept.group.spawn(tidy, log)
        start(kept.group)

    before = threading.enumerate()
    in_thread(use)()
    assert log == ["cleaned up"]
    assert threading.enumerate() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("kept", ["group", "iteration"])
def test_a_fork_by_another_thread_leaves_its_loop_alone(run_script, kept):
    """The child destroys what the parent's other threads kept, before it knows of the fork; their
    loops share the parent's wake-up descriptors."""
    done = run_script(
        """
        import os, sys, threading, time, warnings
        from aioutils import Group

        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        kept, ready, forked = threading.local(), threading.Event(), threading.Event()

        async def numbers():
            yield 1
            yield 2

        async def identity(number):
            return number

        def use():
            kept.group = Group()
            kept.group.spawn(time.sleep, 0).result()
            if sys.argv[1] == "iteration":
                kept.iteration = kept.group.imap(identity, numbers())
                assert next(kept.iteration) == 1
            ready.set()
            forked.wait()
            kept.group.spawn(time.sleep, 0.01).result(timeout=5)  # wakes the loop from its thread
            if sys.argv[1] == "iteration":
                assert next(kept.iteration) == 2
            kept.group.close()
            print("woken")

        thread = threading.Thread(target=use)
        thread.start()
        ready.wait()
        if not (child := os.fork()):
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        forked.set()
        thread.join()
        """,
        kept,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "woken\n", "")
