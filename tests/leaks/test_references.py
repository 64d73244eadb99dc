"""Nothing holds a result, a failure or a tool longer than its user does.

The collector is off: what goes well goes at once. A failure is another matter. Its traceback
holds the frames of the task, which from CPython 3.12 on hold those of their callers, up to the
user's function and its variables: there one collection must do.
"""

import asyncio
import gc
import logging
import signal
import weakref

import pytest
from four_tools import DEBUG

from aioutils import Group, OrderedYielder, Pool, Yielder
from aioutils._waiting import Wait


class Thing:
    """Something big that a task returns, or has in a local variable."""


class Boom(Exception):
    pass


@pytest.fixture(autouse=True)
def _no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def things(eventually):
    """`things()` makes one; all that were made must be gone at the end of the test."""
    made = []

    def make():
        thing = Thing()
        made.append(weakref.ref(thing))
        return thing

    yield make
    eventually(lambda: all(ref() is None for ref in made), 1)
    assert made
    assert [ref for ref in made if ref() is not None] == []


TOOLS = [Group, lambda: Pool(2)]
YIELDERS = [Yielder, OrderedYielder, lambda: Yielder(2), lambda: OrderedYielder(2)]


@pytest.mark.parametrize("make", TOOLS)
def test_a_joined_tool_goes_at_once_with_its_results(make, things):
    group = make()
    task = group.spawn(asyncio.sleep, 0, things())
    group.spawn(things)
    group.join()
    tool, handle = weakref.ref(group), weakref.ref(task)
    del group, task
    assert tool() is None
    assert handle() is None


@pytest.mark.asyncios_loop  # uvloop holds a finished task until its next pass
@pytest.mark.parametrize("make", YIELDERS)
def test_what_was_handed_out_is_the_consumers_alone(make, things):
    y = make()
    for _ in range(3):
        y.spawn(asyncio.sleep, 0, things())
    y.put(things())
    handed_out = 0
    for result in y:
        ref = weakref.ref(result)
        del result
        assert ref() is None
        handed_out += 1
    assert handed_out == 4
    tool = weakref.ref(y)
    del y
    assert tool() is None


@pytest.mark.parametrize("make", TOOLS)
def test_arguments_and_locals_go_with_the_end_of_the_task(make, things):
    group = make()

    async def use(thing):
        other = things()
        await asyncio.sleep(0)
        return thing is other

    def call(thing):
        return thing is things()

    tasks = [group.spawn(use, things()), group.spawn(use(things())), group.spawn(call, things())]
    group.join()
    # the fixture's check comes while these are alive
    assert [task.result() for task in tasks] == [False] * 3
    things.kept = tasks


async def fail(things):
    local = things()
    await asyncio.sleep(0)
    raise Boom(local)


def fail_in_thread(things):
    local = things()
    raise Boom(local)


def join(make, work, things):
    group = make()
    group.spawn(work, things)
    with pytest.raises(ExceptionGroup) as caught:
        group.join()
    return weakref.ref(caught.value.exceptions[0])


def result(make, work, things):
    group = make()
    task = group.spawn(work, things)
    for _ in range(3):
        with pytest.raises(Boom) as caught:
            task.result()
    return weakref.ref(caught.value)


def iteration(make, work, things):
    y = make()
    y.spawn(work, things)
    y.spawn(work, things)
    with pytest.raises(Boom) as caught:
        list(y)
    return weakref.ref(caught.value)


def awaited(make, work, things):
    group = make()

    async def parent():
        try:
            await group.spawn(work, things)
        except Boom as error:
            return weakref.ref(error)

    return group.spawn(parent).result()


@pytest.mark.parametrize("work", [fail, fail_in_thread])
@pytest.mark.parametrize(
    ("see", "make"),
    [(see, make) for see in (join, result, awaited) for make in TOOLS]
    + [(iteration, make) for make in YIELDERS],
)
def test_a_failure_goes_with_the_first_collection(see, make, work, things, eventually):
    failure = see(make, work, things)
    eventually(lambda: gc.collect() >= 0 and failure() is None, 1)


@pytest.mark.parametrize("when", ["it waits", "it is about to start"])
@pytest.mark.parametrize("make", TOOLS)
def test_arguments_go_as_a_task_that_never_starts_is_cancelled(make, when, things):
    async def use(thing):
        """Never starts."""

    async def cancel():
        tasks[0].cancel()

    group, tasks = make(), []
    if when == "it is about to start":
        group.spawn(cancel)
    tasks.append(group.spawn(use, things()))
    if when == "it waits":
        tasks[0].cancel()
    tasks.append(group.spawn(asyncio.sleep, 0))
    assert group.join(timeout=5) is True
    things.kept = tasks  # the fixture's check comes while these are alive


async def fail_at_once(things):
    raise Boom(things())


@pytest.mark.parametrize("make", YIELDERS)
def test_an_item_of_a_stream_goes_while_that_waits_for_the_next(make):
    async def items():
        for _ in range(2):
            yield Boom()
            await asyncio.sleep(0.01)

    y = make()
    y.spawn(items())
    handed_out = 0
    for item in y:
        item = weakref.ref(item)
        assert item() is None
        handed_out += 1
    assert handed_out == 2


@pytest.mark.parametrize("work", [fail_at_once, fail, fail_in_thread])
@pytest.mark.parametrize("make", TOOLS)
def test_a_failure_that_is_kept_keeps_no_task(make, work, things):
    group = make()
    task = group.spawn(work, things)
    with pytest.raises(Boom) as caught:
        task.result()
    failure, ref = caught.value, weakref.ref(task)
    del task, caught
    gc.collect()
    assert ref() is None
    del failure
    gc.collect()


def test_a_tool_closed_by_with_goes_at_once(things):
    with Pool(2) as pool:
        for _ in range(4):
            pool.spawn(asyncio.sleep, 0, things())
    tool = weakref.ref(pool)
    del pool
    assert tool() is None


def test_a_timeout_leaves_nothing_behind(things):
    group = Group()
    task = group.spawn(asyncio.sleep, 0.05, things())
    for _ in range(3):
        with pytest.raises(TimeoutError):
            task.result(timeout=0.001)
        assert group.join(timeout=0.001) is False
    tool = weakref.ref(group)
    group.join()
    del group, task
    assert tool() is None


def test_an_interrupt_leaves_nobody_behind_who_waits():
    async def interrupt():
        raise KeyboardInterrupt

    with Group() as group:
        for _ in range(3):
            group.spawn(interrupt())
            with pytest.raises(KeyboardInterrupt):
                group.join()
        gc.collect()
        assert [thing for thing in gc.get_objects() if isinstance(thing, Wait)] == []


def test_an_interrupt_goes_at_once():
    class Interrupt(KeyboardInterrupt):
        pass

    def handler(number, frame):
        raise Interrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        with Group() as group:
            for _ in range(30):  # the function's thread may end before its task was cancelled
                group.spawn(signal.raise_signal, signal.SIGINT)
                try:
                    group.join()
                except Interrupt as error:
                    ref = weakref.ref(error)
                assert ref() is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_ten_thousand_tasks_one_after_the_other_take_no_more_memory_than_a_hundred(caplog):
    caplog.set_level(logging.ERROR, "asyncio")  # slow callbacks, in debug mode: pytest keeps them
    group = Group()

    def count(tasks):
        for _ in range(tasks):
            group.spawn(asyncio.sleep, 0)
        group.join()
        return len(gc.get_objects())

    count(100)
    before = count(100)
    assert count(2000 if DEBUG else 10_000) - before < 100


def test_a_scope_that_was_dropped_where_it_cannot_clean_up_is_forgotten_by_the_others():
    async def drop():
        return weakref.ref(Group(within=outer)._scheduler)

    outer = Group()
    dropped = [outer.spawn(drop).result() for _ in range(3)]
    gc.collect()
    assert [scheduler() for scheduler in dropped] == [None] * 3
    outer.close()


@pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
def test_a_closed_yielder_holds_no_results(kind, things):
    async def make():
        return things()

    y = kind()
    for _ in range(3):
        y.spawn(make)
    next(iter(y))
    y.put(things())
    y.close()
    assert not y.errors  # it is still there


class Doubles:
    """A function whose end can be seen."""

    async def __call__(self, item):
        return 2 * item


class Numbers:
    """An endless source whose end can be seen, or one with an end."""

    def __init__(self, end):
        self.end, self.next = end, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.next == self.end:
            raise StopIteration
        self.next += 1
        return self.next


class AsyncNumbers(Numbers):
    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("end", [2, None])
@pytest.mark.parametrize("kind", [Numbers, AsyncNumbers])
def test_an_iteration_that_is_kept_after_its_end_keeps_neither_source_nor_function(
    kind, end, isolate
):
    function, source = Doubles(), kind(end)
    gone = weakref.ref(function), weakref.ref(source)
    pool = Pool(2)
    stream = pool.imap(function, source, isolate=isolate)
    del function, source
    assert next(stream) == 2
    if end is None:
        stream.close()
    else:
        assert list(stream) == [4]
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
    assert list(stream) == []
