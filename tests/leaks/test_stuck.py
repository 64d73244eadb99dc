"""A dropped tool is waited for as long as its clean-up can come to an end, and no longer."""

import asyncio
import queue
import threading
import time

import pytest

from aioutils import Group, _loop

uvloop = pytest.importorskip("uvloop")


def drop_while(clean_up, before=None, **options):
    """Drops a tool whose task cleans up like that; `before` ran, and was waited for."""

    async def work():
        try:
            await asyncio.sleep(3600)
        finally:
            await clean_up()

    group = Group(**options)
    if before is not None:
        group.spawn(before).result(timeout=10)
    group.spawn(work)
    group.join(timeout=0)


async def never():
    await asyncio.get_running_loop().create_future()


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_function_in_a_thread_is_waited_for():
    done = threading.Event()

    def function():
        time.sleep(0.25)  # longer than it takes to look twice
        done.set()

    group = Group()
    group.spawn(function)
    group.join(timeout=0.001)
    del group
    assert done.is_set()


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_function_of_asyncios_own_threads_is_waited_for():
    done = threading.Event()

    async def clean_up():
        await asyncio.to_thread(time.sleep, 0.25)
        done.set()

    drop_while(clean_up)
    assert done.is_set()


@pytest.mark.asyncios_loop
def test_a_timer_that_was_cancelled_is_nothing_to_wait_for(deadline):
    with deadline(5), pytest.warns(ResourceWarning, match="could not clean up"):
        drop_while(never)


async def stop():
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)


@pytest.mark.asyncios_loop
@pytest.mark.parametrize("before", [threading.get_ident, stop])
def test_an_idle_thread_and_the_timeout_of_an_earlier_wait_are_nothing_to_wait_for(
    before, deadline
):
    with deadline(5), pytest.warns(ResourceWarning, match="could not clean up"):
        drop_while(never, before)


def test_a_loop_that_does_not_tell_is_believed_for_a_while(deadline, monkeypatch):
    monkeypatch.setattr(_loop, "_BELIEF", 0.2)
    began = time.monotonic()
    with deadline(5), pytest.warns(ResourceWarning, match="could not clean up"):
        drop_while(never, loop_factory=uvloop.new_event_loop)
    assert time.monotonic() - began > 0.2


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_timer_is_waited_for_on_uvloop_too(monkeypatch):
    monkeypatch.setattr(_loop, "_BELIEF", 0.0)
    done = threading.Event()

    async def clean_up():
        await asyncio.sleep(0.25)
        done.set()

    drop_while(clean_up, loop_factory=uvloop.new_event_loop)
    assert done.is_set()


class Connection:
    """Like one of aiosqlite: it has a thread of its own, which calls the loop back."""

    def __init__(self, seconds):
        self._loop, self._calls = asyncio.get_running_loop(), queue.SimpleQueue()
        self._seconds = seconds
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        closed = self._calls.get()
        time.sleep(self._seconds)  # longer than it takes to look twice
        self._loop.call_soon_threadsafe(closed.set_result, None)

    async def close(self):
        closed = self._loop.create_future()
        self._calls.put(closed)
        await closed


async def uses_one(closed):
    connection = Connection(0.25)
    try:
        await asyncio.sleep(3600)
    finally:
        await connection.close()
        closed.append(True)


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_thread_of_the_users_own_that_may_call_back_is_waited_for():
    def drop():
        group = Group()
        group.spawn(uses_one, closed)
        group.join(timeout=0.001)

    async def drop_in_a_task():
        group = Group()
        group.spawn(uses_one, closed)
        await group.wait(timeout=0.001)

    closed = []
    drop()
    assert closed == [True]
    with Group() as group:
        group.spawn(drop_in_a_task)
        group.join()
        assert closed == [True, True]


@pytest.mark.asyncios_loop
def test_a_thread_that_does_not_call_back_is_believed_for_a_while(deadline, in_thread, monkeypatch):
    monkeypatch.setattr(_loop, "_BELIEF", 0.3)
    over = threading.Event()
    another = in_thread(over.wait)
    began = time.monotonic()
    with deadline(5), pytest.warns(ResourceWarning, match="could not clean up"):
        drop_while(never)
    assert time.monotonic() - began > 0.3
    over.set()
    another()


@pytest.mark.asyncios_loop
def test_the_main_thread_is_nothing_to_wait_for(deadline, in_thread):
    with deadline(5), pytest.warns(ResourceWarning, match="could not clean up"):
        in_thread(drop_while, never)()
