"""The loop that a thread keeps for its sync calls: what stays connected, and whose it is."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

import aiohttp
import pytest
from keep_alive import kept_alive

from aioutils import Pool, dual


@dual
async def loop():
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


def several(function, times=3):
    return lambda: [function() for _ in range(times)]


# ---- what stays connected -----------------------------------------------------------------


@pytest.fixture
def server():
    with kept_alive() as server:
        yield server


sessions = WeakKeyDictionary()  # of each loop


@dual
async def get(server):
    here = asyncio.get_running_loop()
    if here not in sessions:
        sessions[here] = aiohttp.ClientSession()
    async with sessions[here].get(server.url) as page:
        return await page.text()


@dual
async def leave():
    await sessions.pop(asyncio.get_running_loop()).close()


def test_a_client_stays_connected_from_call_to_call(server, in_thread):
    def work():
        pages = several(lambda: get.sync(server), 10)()
        leave.sync()
        return pages

    assert in_thread(work)() == ["/"] * 10
    assert server.accepted == 1


def test_in_each_of_20_threads(server, in_thread):
    def work():
        ready.wait()
        pages = several(lambda: get.sync(server), 5)()
        leave.sync()
        return pages

    ready = threading.Barrier(20)
    threads = [in_thread(work) for _ in range(20)]
    assert [thread() for thread in threads] == [["/"] * 5] * 20
    assert server.accepted == 20


@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
def test_in_a_notebook(server, in_thread):
    async def cell():
        return get.sync(server)

    def notebook():
        pages = several(lambda: asyncio.run(cell()))()
        leave.sync()
        return pages

    assert in_thread(notebook)() == ["/"] * 3
    assert server.accepted == 1


# ---- one loop each ------------------------------------------------------------------------


def test_each_thread_has_one_loop(in_thread):
    threads = [in_thread(several(loop.sync)) for _ in range(5)]
    loops = [set(thread()) for thread in threads]
    assert all(len(of_one) == 1 for of_one in loops)
    assert len(set.union(*loops)) == 5


def test_it_is_closed_with_its_thread(in_thread):
    assert in_thread(loop.sync)().is_closed()


def test_it_is_closed_with_the_threads_of_a_pool():
    with ThreadPoolExecutor(3) as executor:
        loops = set(executor.map(lambda _: loop.sync(), range(20)))
        assert not any(each.is_closed() for each in loops)
    assert all(each.is_closed() for each in loops)
    with Pool(3) as pool:
        loops = {pool.spawn(loop.sync).result() for _ in range(5)}
    assert all(each.is_closed() for each in loops)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc/self/fd")
def test_many_threads_one_after_the_other_leave_nothing(in_thread):
    def state():
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    in_thread(loop.sync)()
    before = state()
    for _ in range(100):
        in_thread(loop.sync)()
    assert state() == before
