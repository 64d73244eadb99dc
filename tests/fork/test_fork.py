"""Parent and child both go on after a fork, whatever the tool was doing (rule 6)."""

import os
import sys

import pytest

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]


def test_a_fork_before_the_first_join(script):
    script("""
        group = Group()
        task = group.spawn(asyncio.sleep, 0.001, "both")
        wait = fork(lambda: print(task.result(), flush=True))
        assert task.result() == "both"
        wait()
        work(group)
    """)


def test_a_fork_between_joins(script):
    script("""
        group, pool, y = Group(), Pool(2), Yielder()
        for tool in group, pool:
            work(tool)
        y.put(1)
        assert list(y) == [1]
        def in_child():
            work(group)
            work(pool)
            y.spawn(asyncio.sleep, 0, 2)
            assert list(y) == [2]
            group.close()
            pool.close()
        wait = fork(in_child)
        work(group)
        wait()
        work(pool)
        group.close()
    """)


def test_many_forks_one_after_the_other(script):
    script("""
        group = Group()
        for _ in range(10):
            work(group)
            fork(work, group)()
    """)


def test_a_fork_of_a_fork(script):
    script("""
        group = Group()
        work(group)
        def in_child():
            work(group)
            fork(work, group)()
            work(group)
        wait = fork(in_child)
        work(group)
        wait()
    """)


def test_closing_in_the_child_leaves_the_parents_wake_ups_alone(script):
    """The child's copy of the loop shares the parent's epoll: closing it deafens the parent."""
    script("""
        group = Group()
        started = group.spawn(asyncio.sleep, 60)
        group.join(timeout=0.01)
        def in_child():
            global group, started
            group.close()
            del group, started
            import gc
            gc.collect()
        fork(in_child)()
        driver = threading.Thread(target=group.join)
        driver.start()
        time.sleep(0.05)
        group.spawn(lambda: None).result()      # needs a wake-up from another thread, twice
        started.cancel()                        # and this does: no timer rings before the alarm
        driver.join()
    """)


def test_a_fork_in_mid_join_from_another_thread(script):
    lines = script("""
        group = Group()
        running = threading.Event()
        async def slow():
            try:
                running.set()
                await asyncio.sleep(0.2)
                print("parent", flush=True)
            finally:
                running.set()
        group.spawn(slow)
        group.spawn(time.sleep, 0.2)
        driver = threading.Thread(target=group.join)
        driver.start()
        running.wait()
        wait = fork(work, group)
        wait()
        driver.join()
        work(group)
    """)
    assert lines == ["parent"]


def test_a_fork_from_inside_a_task(script):
    lines = script("""
        group = Group()
        waits = []
        async def forking():
            await asyncio.sleep(0.001)
            waits.append(fork(in_child))
            await asyncio.sleep(0.001)
            print("parent", flush=True)
        def in_child():
            # this code runs on the copy of the parent's running loop: only a thread can drive
            threads = [threading.Thread(target=work, args=[tool]) for tool in (None, Pool(2))]
            for thread in threads:
                thread.start()
            for thread in threads:  # or the child would end before they fail
                thread.join()
        group.spawn(forking)
        other = group.spawn(asyncio.sleep, 0.05, "other")
        group.join()
        assert other.result() == "other"
        waits[0]()
    """)
    assert lines == ["parent"]


def test_a_fork_from_a_function_in_a_worker_thread(script):
    script("""
        pool = Pool(2)
        def forking():
            return fork(work)
        task = pool.spawn(forking)
        pool.spawn(asyncio.sleep, 0.05)
        task.result()()
        work(pool)
    """)


def test_what_ran_is_the_parents_and_what_waited_is_both(script):
    lines = script("""
        pool = Pool(1)
        first = pool.spawn(asyncio.sleep, 0.05, "first")
        second = pool.spawn(asyncio.sleep, 0, "second")
        pool.join(timeout=0)
        def in_child():
            assert first.cancelled()
            print(second.result(), flush=True)
            assert pool.join() and len(pool) == 0
        wait = fork(in_child)
        assert first.result() == "first"
        assert second.result() == "second"
        wait()
    """)
    assert lines == ["second"]


def test_the_child_exits_in_silence_with_tools_that_ran(script):
    script("""
        group = Group()
        group.spawn(asyncio.sleep, 3600)
        group.spawn(time.sleep, 0.01)
        group.join(timeout=0.02)
        if os.fork():
            assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
            group.close()
    """)


def test_a_worker_in_which_no_exit_function_runs_ends_in_silence(script):
    """As those of multiprocessing before CPython 3.13; there they are taken out."""
    script("""
        import atexit
        group = Group()
        def use():
            work(group)
            sys.kept = Group()
            sys.kept.spawn(asyncio.sleep, 3600)
            sys.kept.spawn(int).result()
            dual(asyncio.sleep).sync(0)
            atexit._clear()
        process = multiprocessing.get_context("fork").Process(target=use)
        work(group)
        process.start()
        work(group)
        process.join()
        assert process.exitcode == 0
    """)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(script, method):
    script(f"""
        group = Group()
        def use():
            work(group)
        if __name__ == "__main__":
            work(group)
            context = multiprocessing.get_context({method!r})
            process = context.Process(target=use)
            process.start()
            work(group)
            process.join()
            assert process.exitcode == 0
            with context.Pool(2) as workers:
                workers.map(work, [None] * 4)
                workers.close()
                workers.join()
            work(group)
            # the server and the tracker outlive us for a moment, and hold our pipes
    """)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/fd")
def test_neither_side_loses_descriptors(script):
    script("""
        group = Group()
        work(group)
        count = lambda: len(os.listdir("/proc/self/fd"))
        before = count()
        def in_child():
            work(group)
            after = count()
            for _ in range(5):
                work(group)
            assert count() == after
        for _ in range(5):
            fork(in_child)()
        assert count() == before
    """)
