"""Plain functions in worker threads (rules 7, 8, 10 and 17)."""

import asyncio
import contextvars
import threading
import time

import pytest

from aioutils import Group, Pool, Yielder

VAR = contextvars.ContextVar("VAR", default="unset")


class Meeting:
    """Lets functions in threads wait until `parties` of them are there, and counts them."""

    def __init__(self, parties):
        self.barrier = threading.Barrier(parties)
        self.lock = threading.Lock()
        self.now = self.most = 0

    def attend(self, meet=True):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            if meet:
                self.barrier.wait(5)
            else:
                time.sleep(0.001)
        finally:
            with self.lock:
                self.now -= 1


def test_functions_run_beside_each_other_in_threads_that_are_not_ours():
    meeting = Meeting(5)
    with Group() as group:
        tasks = [group.spawn(meeting.attend) for _ in range(5)]
        group.join()
        assert [task.result() for task in tasks] == [None] * 5
        assert group.spawn(threading.get_ident).result() != threading.get_ident()


@pytest.mark.parametrize("make", [lambda: Pool(3), lambda: Group(threads=3), lambda: Yielder(3)])
def test_so_many_threads_and_no_more(make):
    meeting = Meeting(3)
    with make() as tool:
        tasks = [tool.spawn(meeting.attend, meet=False) for _ in range(30)]
        tasks += [tool.spawn(meeting.attend) for _ in range(9)]
        for task in tasks:
            task.result()
    assert meeting.most == 3


def test_a_group_runs_32_at_once():
    meeting = Meeting(32)
    with Group() as group:
        for _ in range(64):
            group.spawn(meeting.attend)
        group.join()
    assert meeting.most == 32


def test_blocking_functions_keep_no_coroutine_of_a_group_waiting():
    release = threading.Event()

    async def open_it():
        release.set()

    with Group(threads=1) as group:
        group.spawn(release.wait, 5)
        group.spawn(open_it())
        group.join()
        assert release.is_set()


def test_threads_are_used_again():
    with Pool(1) as pool:
        idents = {pool.spawn(threading.get_ident).result() for _ in range(20)}
    assert len(idents) <= 2


def test_threads_end_with_the_tool():
    with Pool(3) as pool:
        threads = [pool.spawn(threading.current_thread) for _ in range(3)]
        pool.join()
        threads = [task.result() for task in threads]
    assert not any(thread.is_alive() for thread in threads)


def test_the_loop_goes_on_while_functions_block():
    ticks, release = [], threading.Event()

    async def tick():
        for n in range(100):
            ticks.append(n)
            await asyncio.sleep(0)
        release.set()

    with Pool(2) as pool:
        blocked = pool.spawn(release.wait, 5)
        pool.spawn(tick())
        assert blocked.result() is True
    assert len(ticks) == 100


def test_functions_see_the_context_of_the_spawn_and_keep_their_changes():
    def change():
        before = VAR.get()
        VAR.set("changed")
        return before, VAR.get()

    token = VAR.set("spawned")
    with Pool(1) as pool:
        tasks = [pool.spawn(change), pool.spawn(change)]
        VAR.reset(token)
        tasks.append(pool.spawn(VAR.get))
        pool.join()
        assert tasks[0].result() == tasks[1].result() == ("spawned", "changed")
        assert (tasks[2].result(), VAR.get()) == ("unset", "unset")


def test_what_a_function_spawns_sees_the_functions_context():
    def outer():
        VAR.set("outer")
        return group.spawn(VAR.get), group.spawn(look())

    async def look():
        return VAR.get()

    with Group() as group:
        first, second = group.spawn(outer).result()
        assert (first.result(), second.result()) == ("outer", "outer")


def test_a_function_that_returns_an_awaitable():
    async def double(x):
        await asyncio.sleep(0)
        return 2 * x, threading.get_ident()

    with Pool(1) as pool:
        result, ident = pool.spawn(lambda: double(21)).result()
    assert (result, ident) == (42, threading.get_ident())


def test_a_function_that_returns_a_task_of_its_own_full_pool():
    async def inner():
        return "inner"

    with Pool(1) as pool:
        assert pool.spawn(lambda: pool.spawn(inner())).result() == "inner"


def test_a_function_may_use_asyncio_run_and_tools_of_its_own():
    async def inner():
        return "inner"

    def outer():
        with Group() as group:
            nested = group.spawn(inner()).result()
        return asyncio.run(inner()), nested

    with Pool(1) as pool:
        assert pool.spawn(outer).result() == ("inner", "inner")


def test_a_timeout_of_result_in_a_function_comes_back_with_its_slot():
    async def forever():
        await asyncio.Event().wait()

    def wait():
        task = group.spawn(forever())
        try:
            task.result(0.005)
        except TimeoutError:
            task.cancel()
            return pool.free_count()

    with Group() as group, Pool(1) as pool:
        assert pool.spawn(wait).result() == 0
        pool.join()
        assert pool.free_count() == 1


def test_a_function_goes_on_driving_after_the_outer_wait_has_timed_out():
    """Then it is the worker thread that waits, and so the one that drives."""
    got = threading.Event()

    async def inner():
        await asyncio.sleep(0.02)
        return "inner"

    def outer():
        result = pool.spawn(inner()).result()
        got.set()
        return result

    with Pool(1) as pool:
        task = pool.spawn(outer)
        assert pool.join(timeout=0.005) is False
        assert got.wait(5)
        assert task.result() == "inner"
