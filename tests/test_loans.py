"""What waits on the loop of a call, and the slot of the function that calls there."""

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_lending_dual import Bodies

from aioutils import Group, Pool, _lease, dual
from aioutils._loan import Loan


@pytest.fixture
def tools():
    """A pool of one, and a tool for the loop of the calls that its functions make."""
    with Pool(1) as pool, Group() as inner:
        yield pool, inner


def spawned(tool, count=2):
    """Waits until another thread has spawned a task there, and gives it time to wait for that."""
    give_up = time.monotonic() + 5
    while len(tool) < count:
        assert time.monotonic() < give_up
        time.sleep(0.001)
    time.sleep(0.01)


def test_a_function_has_its_slot_when_its_call_is_over_whatever_waits_on(tools):
    pool, inner = tools
    bodies, began = Bodies(), threading.Event()

    def child():
        began.set()
        with bodies:
            time.sleep(0.02)
        return "child"

    def wait():
        return pool.spawn(child).result()

    @dual
    async def leave():
        inner.spawn(wait)
        while not began.is_set():
            await inner.wait(0.001)

    def parent():
        leave.sync()
        with bodies:
            time.sleep(0.02)
        inner.cancel()

    pool.spawn(parent).result(timeout=10)
    assert began.is_set()
    assert bodies.most == 1


def test_what_waited_for_a_call_goes_on_in_the_slot_of_who_calls(tools):
    pool, inner = tools
    bodies, late = Bodies(), []

    def body():
        with bodies:
            time.sleep(0.02)

    def child():
        late.append(pool.spawn(body))

    def wait():
        pool.spawn(child).result()
        body()

    @dual
    async def call():
        await inner.spawn(wait)

    pool.spawn(lambda: call.sync()).result(timeout=10)
    late[0].result(timeout=10)
    assert bodies.most == 1


class Iteration:
    """Its second item comes from a function that begins to wait for `tool` between the two."""

    def __init__(self, tool, inner):
        self.tool, self.inner = tool, inner
        self.begun, self.first = threading.Event(), threading.Event()

    def wait(self):
        self.begun.set()
        self.first.wait()
        return self.tool.spawn(str, "child").result(timeout=5)

    @dual
    async def items(self):
        task = self.inner.spawn(self.wait)
        while not self.begun.is_set():
            await self.inner.wait(0.001)
        yield "first"
        yield await task

    def iterate(self):
        found = []
        for item in self.items.sync():
            found.append(item)
            if not self.first.is_set():
                self.first.set()
                spawned(self.tool)
        return found


def test_what_waits_between_two_items_has_the_slot_as_the_next_one_is_asked_for(tools):
    pool, inner = tools
    task = pool.spawn(Iteration(pool, inner).iterate)
    assert task.result(timeout=10) == ["first", "child"]
    assert pool.free_count() == 1


def test_so_has_an_executors_only_thread():
    with ThreadPoolExecutor(1) as executor, Group(executor=executor) as group, Group() as inner:
        task = group.spawn(Iteration(group, inner).iterate)
        assert task.result(timeout=10) == ["first", "child"]


def test_an_iteration_may_run_on_the_loop_of_the_call_that_iterates():
    @dual
    async def items():
        await asyncio.sleep(0.01)
        yield "item"

    @dual
    async def step(iterator):
        return await asyncio.to_thread(next, iterator)

    def parent():
        with contextlib.closing(items.sync()) as iterator:
            return step.sync(iterator)

    with Pool(1) as pool:
        assert pool.spawn(parent).result(timeout=10) == "item"


class Relay:
    """Waits in a thread for a task of another pool, which waits for one of `pool` as `go` comes."""

    def __init__(self, pool, other):
        self.pool, self.other = pool, other
        self.go = threading.Event()

    def wait(self):
        return self.other.spawn(self._wait).result()

    def _wait(self):
        self.go.wait()
        return self.pool.spawn(str, "child").result()

    async def begin(self):
        waits = asyncio.ensure_future(asyncio.to_thread(self.wait))
        while not len(self.other):
            await asyncio.sleep(0.001)
        return waits


@pytest.fixture
def relay():
    with Pool(1) as pool, Pool(1) as other:
        yield Relay(pool, other)


def test_what_one_call_left_is_awaited_by_the_next_one(relay):
    left = []

    @dual
    async def start():
        left.append(await relay.begin())

    @dual
    async def finish():
        relay.go.set()
        return await left.pop()

    def parent():
        start.sync()
        return finish.sync()

    assert relay.pool.spawn(parent).result(timeout=10) == "child"


def test_one_call_after_the_other_iterates_on_the_loop_of_a_third(relay):
    @dual
    async def items():
        waits = await relay.begin()
        yield "first"
        yield await waits

    @dual
    async def begin():
        return await asyncio.to_thread(items.sync)

    @dual
    async def step(iterator):
        return await asyncio.to_thread(next, iterator)

    def parent():
        with contextlib.closing(begin.sync()) as iterator:
            first = step.sync(iterator)
            relay.go.set()
            return first, step.sync(iterator)

    assert relay.pool.spawn(parent).result(timeout=10) == ("first", "child")


def test_one_of_two_that_call_on_a_loop_leaves_it(relay):
    made, left = [], threading.Event()

    @dual
    async def items():
        yield await asyncio.to_thread(relay.wait)

    @dual
    async def short():
        while not len(relay.other):
            await asyncio.sleep(0.001)

    @dual
    async def both():
        async with Pool(2) as pool:
            pool.spawn(make)
            return await pool.spawn(take)

    def make():
        made.append(items.sync())
        short.sync()
        left.set()

    def take():
        while not made:
            time.sleep(0.001)
        threading.Thread(target=go).start()
        with contextlib.closing(made[0]) as iterator:
            return next(iterator)

    def go():
        left.wait()
        relay.go.set()

    assert relay.pool.spawn(lambda: both.sync()).result(timeout=10) == "child"


def test_what_a_function_left_lends_its_slot_while_it_calls(tools):
    pool, inner = tools
    began, ended = threading.Event(), threading.Event()

    def child():
        return pool.spawn(str, "child").result()

    @dual
    async def call():
        return await inner.spawn(child)

    def left():
        began.set()
        ended.wait()
        return call.sync()

    @dual
    async def leave():
        task = pool.spawn(left)
        while not began.is_set():
            await pool.wait(0.001)
        tasks.append(task)

    tasks = []
    with Group() as group:
        group.spawn(leave.sync).result(timeout=10)
        ended.set()
        assert tasks[0].result(timeout=5) == "child"


def test_so_it_does_for_what_begins_to_wait_between_two_of_its_calls(tools):
    pool, inner = tools
    began, ended, waits, go = (threading.Event() for _ in range(4))

    def child():
        waits.set()
        go.wait()
        return pool.spawn(str, "child").result()

    @dual
    async def first():
        children.append(inner.spawn(child))
        while not waits.is_set():
            await inner.wait(0.001)

    @dual
    async def second():
        return await children[0]

    def left():
        began.set()
        ended.wait()
        first.sync()
        go.set()
        spawned(pool)
        return second.sync()

    @dual
    async def leave():
        tasks.append(pool.spawn(left))
        while not began.is_set():
            await pool.wait(0.001)

    tasks, children = [], []
    with Group() as group:
        group.spawn(leave.sync).result(timeout=10)
        ended.set()
        assert tasks[0].result(timeout=5) == "child"


def test_what_a_function_left_lends_no_slot_of_the_next_one(relay):
    bodies = Bodies()

    @dual
    async def leave():
        await relay.begin()

    @dual
    async def body():
        with bodies:
            await asyncio.sleep(0.02)

    relay.pool.spawn(leave.sync).result(timeout=10)
    tasks = [relay.pool.spawn(lambda: body.sync()) for _ in range(3)]
    for task in tasks:
        task.result(timeout=10)
    assert bodies.most == 1
    relay.go.set()


def test_nor_does_what_begins_to_wait_when_the_function_has_ended(tools):
    pool, inner = tools
    bodies, began, ended = Bodies(), threading.Event(), threading.Event()

    def wait():
        began.set()
        ended.wait()
        return pool.spawn(str, "child").result()

    @dual
    async def leave():
        inner.spawn(wait)
        while not began.is_set():
            await inner.wait(0.001)

    @dual
    async def body():
        with bodies:
            await asyncio.sleep(0.02)

    def parent():
        if not ended.is_set():
            ended.set()
            spawned(pool, 4)
        body.sync()

    pool.spawn(leave.sync).result(timeout=10)
    tasks = [pool.spawn(parent) for _ in range(3)]
    for task in tasks:
        task.result(timeout=10)
    assert bodies.most == 1


def test_who_calls_as_the_only_wait_of_the_loop_ends_keeps_his_slot(monkeypatch):
    bodies, waits, made = Bodies(), [], []
    ends, called, went_on = threading.Event(), threading.Event(), threading.Event()

    class Slow(Loan):
        """That of the wait, which is held where it has asked who lends for it."""

        def _above(self):
            above = super()._above()
            if not (self._is_on and self.job in waits):
                return above
            if self._has_begun:
                ends.set()
                called.wait(5)
                time.sleep(0.02)
            self._has_begun = True
            return above

        _has_begun = False

    monkeypatch.setattr(_lease, "Loan", Slow)

    @dual
    async def items():
        yield "first"
        called.set()
        await asyncio.to_thread(went_on.wait, 5)
        with bodies:
            await asyncio.sleep(0.05)
        yield "second"

    def wait():
        other.spawn(time.sleep, 0.05).result()

    def body():
        with bodies:
            time.sleep(0.05)

    @dual
    async def call():
        waits.append(inner.spawn(wait))
        await waits[0]
        pool.spawn(body)
        went_on.set()
        with bodies:
            await asyncio.sleep(0.05)

    def make():
        made.append(items.sync())
        assert next(made[0]) == "first"
        call.sync()

    def take():
        assert ends.wait(5)
        with contextlib.closing(made[0]) as iterator:
            assert next(iterator) == "second"

    with Pool(2) as pool, Group() as inner, Group() as other:
        pool.spawn(make)
        pool.spawn(take)
        assert pool.join(10)
    assert ends.is_set() and called.is_set()
    assert bodies.most == 2


def test_an_executor_has_its_thread_when_what_waited_for_a_call_is_over():
    bodies = Bodies()

    def body():
        with bodies:
            time.sleep(0.01)

    with ThreadPoolExecutor(1) as executor, Group(executor=executor) as group, Group() as inner:

        @dual
        async def call():
            await inner.spawn(lambda: group.spawn(int).result())
            group.spawn(body)
            with bodies:
                await asyncio.sleep(0.02)

        group.spawn(lambda: call.sync())
        assert group.join(10)
        assert bodies.most == 1


def test_an_executors_thread_is_lent_until_the_slot_of_the_caller_is_back():
    with ThreadPoolExecutor(1) as executor, Pool(1) as pool, Pool(1) as other:
        second = []

        @dual
        async def through_the_executor():
            async with Pool(1, executor=executor) as inner:
                return await inner.spawn(str, "f")

        def late():
            time.sleep(0.1)
            return through_the_executor.sync()

        def waits():
            second.append(pool.spawn(late))
            other.spawn(time.sleep, 0.05).result()
            return "waited"

        @dual
        async def call():
            async with Pool(2, executor=executor) as inner:
                return await inner.spawn(waits)

        assert pool.spawn(lambda: call.sync()).result(timeout=10) == "waited"
        assert second[0].result(timeout=10) == "f"
