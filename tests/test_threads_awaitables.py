"""Plain functions that return something to await: one task, first in a thread, then on the loop."""

import asyncio
import contextvars
import functools
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from on_a_loop import start_all

from aioutils import Group, Pool, Yielder, on


class Meeting:
    """Coroutines that go on when `parties` of them are there."""

    def __init__(self, parties):
        self.parties, self.now, self.all_here = parties, 0, asyncio.Event()

    async def attend(self):
        self.now += 1
        if self.now == self.parties:
            self.all_here.set()
        async with asyncio.timeout(5):
            await self.all_here.wait()

    def call(self):
        return self.attend()


async def forever():
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "make", [lambda: Group(threads=2), lambda: Yielder(threads=2), lambda: Yielder(buffer=50)]
)
def test_a_tool_without_limit_awaits_as_many_as_there_are(make):
    meeting, tool = Meeting(40), make()
    with tool:
        for _ in range(40):
            tool.spawn(meeting.call)
        list(tool) if isinstance(tool, Yielder) else tool.join()
        assert repr(tool) == f"<{type(tool).__name__} running=0 waiting=0>"
        assert tool._scheduler.main.held == tool._scheduler.calls.held == 0
    assert meeting.now == 40


@pytest.mark.parametrize("way", ["map", "imap", "imap_unordered"])
@pytest.mark.parametrize("isolate", [True, False])
def test_a_group_awaits_as_many_items_as_there_are(way, isolate):
    meeting = Meeting(40)
    with Group(threads=2) as group:
        results = getattr(group, way)(lambda _: meeting.call(), range(60), isolate=isolate)
        assert len(list(results)) == 60
        assert group._scheduler.main.held == group._scheduler.calls.held == 0
    assert meeting.now == 60


def test_a_group_awaits_as_many_items_of_an_async_source():
    meeting = Meeting(40)

    async def numbers():
        for number in range(40):
            yield number

    async def collect():
        async with Group(threads=2) as group:
            return [_ async for _ in group.imap(lambda _: meeting.call(), numbers())]

    assert len(asyncio.run(collect())) == 40


def test_items_are_pulled_for_threads_that_are_free_only():
    """What blocks is not piled up; what is awaited makes room for another one."""
    pulled, release = [], threading.Event()

    def source():
        for number in range(50):
            pulled.append(number)
            yield number

    def call(number):
        if number < 10:
            return asyncio.sleep(0.01 * number, number)
        return release.wait(5)

    with Group(threads=3) as group:
        results = group.imap(call, source())
        for expected in range(10):
            assert next(results) == expected
        assert len(pulled) == 13
        release.set()
        assert list(results) == [True] * 40


def test_an_item_of_a_group_that_fails_when_awaited():
    async def fail():
        await asyncio.sleep(0)
        raise ValueError("awaited")

    with Group(threads=1) as group:
        calls = [fail, int, fail]
        results = group.map(lambda call: call(), calls, return_exceptions=True)
        assert [str(result) for result in results] == ["awaited", "0", "awaited"]
        with pytest.raises(ValueError, match="awaited"):
            group.map(lambda call: call(), [*calls, forever])
        assert repr(group) == "<Group running=0 waiting=0>"


class Proxy:
    """As a framework's for a request, where there is none."""

    @property
    def __class__(self):
        raise RuntimeError("outside of a request")


def test_what_fails_if_asked_for_its_class_is_a_result_as_any():
    with Group() as group:
        assert type(group.spawn(Proxy).result()) is Proxy
        assert type(group.map(lambda _: weakref.proxy(Meeting(1)), [1])[0]) is weakref.ProxyType


def test_in_a_pool_the_slot_is_kept():
    most = now = 0

    async def count():
        nonlocal most, now
        now += 1
        most = max(most, now)
        async with asyncio.timeout(5):
            while most < 2:  # the second comes from a thread
                await asyncio.sleep(0.001)
        await start_all()
        now -= 1

    with Pool(2) as pool:
        for _ in range(10):
            pool.spawn(lambda: count())
        pool.join()
        assert pool.free_count() == 2
    assert most == 2


def test_what_is_awaited_counts_as_running_and_takes_no_thread():
    release = threading.Event()
    with Group(threads=1) as group:
        for _ in range(3):
            group.spawn(lambda: forever())
        assert group.spawn(threading.get_ident).result()
        assert repr(group) == "<Group running=3 waiting=0>"
        blocked = group.spawn(release.wait, 5)
        group.spawn(release.set)  # no second thread
        group.join(0.01)
        assert repr(group) == "<Group running=4 waiting=1>"
        release.set()
        assert blocked.result() is True
        group.cancel()
        group.join()
        assert repr(group) == "<Group running=0 waiting=0>"
        assert group.spawn(threading.get_ident).result()


def test_what_is_awaited_may_wait_for_others_of_its_tool():
    async def wait_for(*works):
        return await asyncio.gather(*(group.spawn(work) for work in works))

    with Group(threads=1) as group:
        tasks = [group.spawn(lambda: wait_for(int, lambda: wait_for(str))) for _ in range(5)]
        assert [task.result() for task in tasks] == [[0, [""]]] * 5
        assert repr(group) == "<Group running=0 waiting=0>"


def test_a_thread_that_the_function_left_behind_may_wait_for_others_of_the_group():
    """In the name of the task, which lends its slot for it, and takes it back."""

    async def stay(others):
        await left_behind.wait()
        return await asyncio.gather(*others)

    def call():
        context, waits = contextvars.copy_context(), threading.Event()
        blocked = group.spawn(forever())

        def wait():
            waits.set()
            try:
                blocked.result(0.05)
            except TimeoutError:
                blocked.cancel()
            group.spawn(leave())

        threading.Thread(target=context.run, args=(wait,), daemon=True).start()
        assert waits.wait(5)
        return stay([group.spawn(int), group.spawn(lambda: asyncio.sleep(0))])

    async def leave():
        left_behind.set()

    left_behind = asyncio.Event()
    with Group(threads=1) as group:
        assert group.spawn(call).result() == [0, None]
        group.join()
        assert repr(group) == "<Group running=0 waiting=0>"
        assert group._scheduler.main.held == group._scheduler.calls.held == 0


def test_somebody_outside_may_wait_for_it_beside_a_full_buffer():
    yielder = Yielder(buffer=1)
    yielder.put("in the buffer")
    task = yielder.spawn(lambda: asyncio.sleep(0.001, "slept"))
    assert task.result(5) == "slept"
    assert list(yielder) == ["in the buffer", "slept"]
    yielder.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_it_may_fork():
    async def fork():
        await asyncio.sleep(0)
        pid = os.fork()
        if not pid:
            os._exit(group._scheduler.main.held + group._scheduler.calls.held)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    with Group(threads=1) as group:
        others = [group.spawn(lambda: forever()) for _ in range(2)]
        assert group.spawn(lambda: fork()).result() == 0
        for other in others:
            other.cancel()
        group.join()
        assert repr(group) == "<Group running=0 waiting=0>"


def decorated(function):
    @functools.wraps(function)
    def call(*args):
        return function(*args)

    return call


VAR = contextvars.ContextVar("VAR", default="unset")


@pytest.mark.parametrize("make", [Group, lambda: Pool(1)])
@pytest.mark.parametrize("place", ["own thread", "executor"])
def test_what_the_function_sets_is_seen_by_what_it_returns_and_by_nobody_else(make, place):
    async def look():
        await asyncio.sleep(0)
        seen.append(VAR.get())
        VAR.set("changed by what was awaited")

    def call():
        seen.append(VAR.get())
        VAR.set("set")
        return look()

    seen = []
    with ThreadPoolExecutor(1) as executor, make() as tool:
        function = call if place == "own thread" else on(executor, call)
        tool.spawn(function).result()
        tool.spawn(function).result()
        assert seen == ["unset", "set"] * 2
        assert VAR.get() == "unset"


def test_a_decorator_that_is_not_async_makes_no_difference():
    async def double(n):
        return 2 * n

    with Group(threads=1) as group:
        tasks = [group.spawn(decorated(double), n) for n in range(3)]
        assert [task.result() for task in tasks] == [0, 2, 4]
        assert group.map(decorated(double), range(3)) == [0, 2, 4]


def test_a_slot_that_a_thread_of_the_function_lends_comes_back_where_it_was():
    def function():
        waiting = group.spawn(asyncio.sleep, 0.05)
        threading.Thread(target=contextvars.copy_context().run, args=(waiting.result,)).start()
        while task._lease is None or not task._lease.lent:
            time.sleep(0.001)
        return asyncio.sleep(0.01, "returned")

    group = Group(threads=1)
    task = group.spawn(function)
    assert task.result(5) == "returned"
    assert group.join(5)
    assert group.spawn(int).result(5) == 0
    assert repr(group) == "<Group running=0 waiting=0>"
