"""Work that misbehaves harms itself: the others end well, and what it did is told."""

import asyncio
import dataclasses
import gc
import logging
import threading
import time
import types
from concurrent.futures import CancelledError

import pytest
from four_tools import (
    fails,
    failure_of,
    failures_of,
    finish,
    forever,
    returns,
    start,
    until_cancelled,
)

from aioutils import Group, Pool, Yielder, dual

attributes = vars(BaseException)["__dict__"].__get__  # whatever the class of one answers


class Special(BaseException):
    pass


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """Nothing can be assigned to it, not even a traceback."""

    number: int = 1


class Unprintable(Exception):
    def __repr__(self):
        raise ValueError("no repr")

    __str__ = __repr__


class Unequal(Exception):
    __hash__ = None

    def __eq__(self, other):
        raise ValueError("no ==")


class NoNotes(Exception):
    def add_note(self, note):
        raise ValueError("no notes")


class KnowsAll(Exception):
    """As those that pass on what a response, say, has."""

    def __getattr__(self, name):
        return None


class KnowsNothing(Exception):
    def __getattr__(self, name):
        return getattr(self.response, name)


class NoTraceback(Exception):
    def with_traceback(self, trace):
        raise ValueError("no traceback")


class Unreadable(Exception):
    """Whoever asks it for anything gets another failure."""

    def __getattribute__(self, name):
        raise LookupError(name)


class Refuses(Exception):
    """The same, of single attributes."""

    def _refuse(self):
        raise LookupError

    __class__ = __traceback__ = __context__ = __notes__ = __dict__ = property(_refuse)


class Empty(Exception):
    def __len__(self):
        return 0


@types.coroutine
def _yields_nonsense():
    yield 42


async def yields_nonsense():
    await _yields_nonsense()


async def awaits_its_own_asyncio_task():
    await asyncio.current_task()


async def awaits_a_future_of_another_loop():
    loop = asyncio.new_event_loop()
    try:
        await loop.create_future()
    finally:
        loop.close()


async def closes_its_loop():
    asyncio.get_running_loop().close()


async def runs_a_loop_of_its_own():
    coroutine = asyncio.sleep(0)
    try:
        asyncio.run(coroutine)
    finally:
        coroutine.close()


async def recurses():
    await recurses()


FAILING = {
    "StopIteration": (lambda: fails(StopIteration(1)), RuntimeError),
    "StopAsyncIteration": (lambda: fails(StopAsyncIteration()), StopAsyncIteration),
    "GeneratorExit": (lambda: fails(GeneratorExit()), GeneratorExit),
    "a BaseException": (lambda: fails(Special()), Special),
    "MemoryError": (lambda: fails(MemoryError()), MemoryError),
    "a frozen exception": (lambda: fails(Frozen()), Frozen),
    "an exception without repr": (lambda: fails(Unprintable()), Unprintable),
    "an exception without ==": (lambda: fails(Unequal()), Unequal),
    "an exception without notes": (lambda: fails(NoNotes()), NoNotes),
    "an exception with all attributes": (lambda: fails(KnowsAll()), KnowsAll),
    "an exception whose attributes fail": (lambda: fails(KnowsNothing()), KnowsNothing),
    "an exception without traceback": (lambda: fails(NoTraceback()), NoTraceback),
    "an exception that can't be read": (lambda: fails(Unreadable()), Unreadable),
    "an exception that refuses": (lambda: fails(Refuses()), Refuses),
    "an exception that is false": (lambda: fails(Empty()), Empty),
    "bad yield": (yields_nonsense, RuntimeError),
    "awaiting itself": (awaits_its_own_asyncio_task, RuntimeError),
    "another loop's future": (awaits_a_future_of_another_loop, RuntimeError),
    "closing the loop": (closes_its_loop, RuntimeError),
    "a second loop": (runs_a_loop_of_its_own, RuntimeError),
    "recursion": (recurses, RecursionError),
}


@pytest.mark.parametrize("kind", FAILING)
def test_work_that_fails_in_a_strange_way_is_a_failure_as_any(tool, kind):
    work, error = FAILING[kind]
    bad = [tool.spawn(work()) for _ in range(2)]
    good = tool.spawn(asyncio.sleep, 0.001, "good")
    failure = failure_of(tool)
    grouped = issubclass(type(failure), BaseExceptionGroup)
    failures = failure.exceptions if grouped else [failure]
    assert {type(failure) for failure in failures} == {error}
    assert len(failures) == 2 or len(attributes(failure)["__notes__"]) == 1
    assert good.result() == "good"
    assert [type(task.exception()) for task in bad] == [error] * 2
    assert tool.take_errors() == []


async def gives_and_fails(error):
    yield 1
    raise error


def in_the_block(error):
    with Group() as group:
        group.spawn(forever())
        start(group)
        raise error


UNREADABLE = {
    "a function": lambda error: Group().apply(call_fails, (error,)),
    "a shared task": lambda error: Pool(2).map(fails, [error], isolate=False),
    "a source": lambda error: Pool(2).map(returns, map(call_fails, [error])),
    "an async source": lambda error: Pool(2).map(returns, gives_and_fails(error)),
    "an async generator": lambda error: list(dual(gives_and_fails).sync(error)),
    "a call": lambda error: dual(fails).sync(error),
    "a block": in_the_block,
}


def call_fails(error):
    raise error


@pytest.mark.parametrize("make", [Unreadable, Refuses])
@pytest.mark.parametrize("way", UNREADABLE)
def test_one_that_cannot_be_read_is_raised_as_any(way, make):
    error = make()
    with pytest.raises(make) as caught:
        UNREADABLE[way](error)
    assert caught.value is error


def test_one_that_is_false_is_logged_where_nobody_saw_it(caplog):
    group = Group()
    group.spawn(fails(Empty()))
    group.join(raise_error=False)
    group.close()
    assert [record.exc_info[0] for record in caplog.records] == [Empty]


@pytest.mark.parametrize("kind", FAILING)
def test_it_ends_the_rest_where_that_was_asked_for(kind):
    work, error = FAILING[kind]
    with Group(on_error="cancel") as group:
        group.spawn(work())
        rest = group.spawn(forever())
        with pytest.raises(error):
            group.join()
        assert rest.cancelled()


def test_one_without_a_repr_is_noted_where_it_rides_on_another():
    async def fails_in_its_clean_up():
        try:
            await forever()
        finally:
            raise Unprintable

    with pytest.raises(KeyError) as caught, Group() as group:
        group.spawn(fails(Unprintable()))
        group.spawn(fails_in_its_clean_up())
        start(group)
        raise KeyError
    assert sum("Unprintable, whose repr() raised" in note for note in caught.value.__notes__) == 2


class CountsReads(list):
    reads = 0

    def __iter__(self):
        type(self).reads += 1
        return super().__iter__()


@pytest.mark.parametrize("make", [Yielder, lambda: Group(on_error="cancel")])
def test_many_failures_become_notes_in_one_go(make):
    """One by one, each compared with those before it, 100,000 took minutes."""

    async def fails_in_its_clean_up(n):
        try:
            await asyncio.sleep(0.001)
        finally:
            raise ValueError(n)

    tool = make()
    for n in range(100):
        tool.spawn(fails_in_its_clean_up(n))
    noted = KeyError()
    noted.__notes__ = CountsReads(["old", ["no text"]])
    tool.spawn(fails(noted))
    error = failure_of(tool)
    assert error is noted and CountsReads.reads < 5
    assert len(error.__notes__) == 102 and error.__notes__[:2] == ["old", ["no text"]]
    tool.close()


def test_a_frozen_exception_is_raised_again_and_again_with_its_own_traceback(tool):
    task = tool.spawn(fails(Frozen()))
    seen = []
    for _ in range(3):
        with pytest.raises(Frozen) as caught:
            task.result()
        seen.append(len(caught.traceback))
    assert len(set(seen)) == 1


@pytest.mark.parametrize("result", [None, 7])
def test_what_cancels_itself_and_returns_has_returned(tool, result):
    async def cancels_itself():
        asyncio.current_task().cancel()
        return result

    task = tool.spawn(cancels_itself())
    finish(tool)
    assert task.result() is result


def test_a_task_that_stops_the_loop_stops_nothing(tool):
    async def stops():
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        asyncio.get_running_loop().stop()
        return "went on"

    task, other = tool.spawn(stops()), tool.spawn(asyncio.sleep, 0.005, "other")
    finish(tool)
    assert (task.result(), other.result()) == ("went on", "other")


def test_a_task_that_swallows_each_cancellation_ends_by_itself(tool):
    """`cancel()` asks; who does not listen goes on, and whoever waits for it waits."""

    async def stubborn():
        swallowed = 0
        while swallowed < 3:
            try:
                await forever()
            except asyncio.CancelledError:
                swallowed += 1
        return swallowed

    task = tool.spawn(stubborn())
    start(tool)
    for _ in range(2):
        task.cancel()
        start(tool)
        assert not task.done()
    task.cancel()
    assert task.result() == 3


def test_a_task_that_blocks_the_loop_delays_the_others_and_no_more(tool):
    others = [tool.spawn(asyncio.sleep, 0.001, n) for n in range(3)]

    async def block():
        time.sleep(0.05)

    tool.spawn(block())
    finish(tool)
    assert [task.result() for task in others] == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError("mine"), Special("mine"), Frozen()])
def test_a_callback_that_raises_is_told_and_the_others_are_called(tool, caplog, error):
    def fail(task):
        raise error

    called = []
    task = tool.spawn(returns(1))
    task.add_done_callback(fail)
    task.add_done_callback(called.append)
    finish(tool)
    assert called == [task] and task.result() == 1
    (record,) = caplog.records
    assert record.exc_info[1] is error


def test_a_callback_whose_failure_no_handler_can_show_keeps_nobody(tool, caplog):
    def fail(task):
        raise Unreadable

    task, called = tool.spawn(returns(1)), []
    task.add_done_callback(fail)
    task.add_done_callback(called.append)
    finish(tool)
    assert (called, task.result()) == ([task], 1)
    assert "Unreadable()" in caplog.messages[-1]


def test_nor_does_one_whose_failure_no_handler_takes(tool):
    def fail(_):
        raise LookupError

    task, called, handler = tool.spawn(returns(1)), [], logging.Handler()
    task.add_done_callback(fail)
    task.add_done_callback(called.append)
    handler.emit = fail
    logging.getLogger("aioutils").addHandler(handler)
    try:
        finish(tool)
    finally:
        logging.getLogger("aioutils").removeHandler(handler)
    assert (called, task.result()) == ([task], 1)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_callback_that_exits_leaves_the_wait_after_the_others_cleaned_up(tool, kind):
    def leave(task):
        raise kind(3)

    log, called = [], []
    rest = tool.spawn(until_cancelled(log))
    task = tool.spawn(returns(1))
    task.add_done_callback(leave)
    task.add_done_callback(called.append)
    with pytest.raises(kind):
        finish(tool)
    assert (log, called, task.result()) == (["cleaned up"], [task], 1)
    assert rest.cancelled() and len(tool) == 0
    with pytest.raises(kind):  # nobody waits: it is called at once, and the caller's
        task.add_done_callback(leave)
    assert tool.spawn(returns(2)).result() == 2


def test_a_finalizer_may_spawn(tool):
    class Spawns:
        def __del__(self):
            spawned.append(tool.spawn(returns("from __del__")))

    def drop():
        cycle = [Spawns()]
        cycle.append(cycle)
        del cycle
        gc.collect()

    async def drop_on_the_loop():
        drop()

    spawned = []
    drop()
    for work in (drop_on_the_loop, drop):
        tool.spawn(work)
        finish(tool)
        gc.collect()  # it does nothing while another thread collects
    finish(tool)
    assert [task.result() for task in spawned] == ["from __del__"] * 3


def test_what_a_finalizer_spawns_while_its_tool_closes_is_cancelled(tool):
    class Spawns:
        def __del__(self):
            spawned.append(tool.spawn(until_cancelled(log, started=begun)))

    async def holds():
        kept = Spawns()
        await forever()
        del kept

    spawned, log, begun = [], [], threading.Event()
    tool.spawn(holds())
    start(tool)
    tool.close()
    assert len(spawned) == 1 and spawned[0].cancelled()
    assert log == ["cleaned up"] * begun.is_set()  # it may not have begun


@pytest.mark.parametrize("error", [ValueError("mine"), GeneratorExit("mine"), Special("mine")])
@pytest.mark.usefixtures("quick_pulls")
def test_a_consumer_that_raises_leaves_with_its_own_exception(error):
    log = []

    async def work(n):
        try:
            await asyncio.sleep(0 if n == 0 else 3600)
        finally:
            log.append(n)
        return n

    with Pool(3) as pool:
        with pytest.raises(type(error), match="mine"):
            for _ in pool.imap(work, range(100)):
                raise error
        gc.collect()
        assert sorted(log) == [0, 1, 2]
        assert pool.spawn(returns(1)).result() == 1


def test_a_cancelled_error_of_its_own_cancels_nobody_else(tool):
    async def gives_up():
        raise asyncio.CancelledError("of its own")

    async def waits_for_it():
        with pytest.raises(asyncio.CancelledError):
            await first
        return "goes on"

    first = tool.spawn(gives_up())
    second = tool.spawn(waits_for_it())
    finish(tool)
    assert first.cancelled() and second.result() == "goes on"
    with pytest.raises(CancelledError):
        first.result()


# ---- plain functions, in threads ---------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (StopIteration, RuntimeError),
        (StopAsyncIteration, StopAsyncIteration),
        (GeneratorExit, GeneratorExit),
        (Special, Special),
        (MemoryError, MemoryError),
    ],
)
def test_a_function_that_fails_in_a_strange_way_is_a_failure_as_any(tool, kind, seen):
    error = kind("mine")
    task = tool.spawn(call_fails, error)
    good = tool.spawn(asyncio.sleep, 0.001, "good")
    failure = failures_of(tool)[0]
    assert failure is task.exception() and type(failure) is seen
    assert error in (failure, failure.__cause__)
    assert good.result() == "good"
    assert tool.take_errors() == []


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_raised_by_a_task_in_a_thread_leaves_the_wait_once(tool, kind):
    def leave():
        begun.wait(10)
        raise kind("mine")

    log, begun = [], threading.Event()
    rest = tool.spawn(until_cancelled(log, started=begun))
    task = tool.spawn(leave)
    with pytest.raises(kind, match="mine") as caught:
        finish(tool)
    assert (log, len(tool)) == (["cleaned up"], 0)
    assert rest.cancelled() and task.exception() is caught.value
    assert not finish(tool) and tool.spawn(returns(2)).result() == 2


@pytest.mark.parametrize("kind", [asyncio.CancelledError, CancelledError])
def test_a_cancelled_error_of_its_own_from_a_function_cancels_nobody_else(tool, kind):
    task = tool.spawn(call_fails, kind("of its own"))
    good = tool.spawn(asyncio.sleep, 0.001, "good")
    assert finish(tool) in (None, ["good"])
    assert task.cancelled() and good.result() == "good"
    with pytest.raises(CancelledError):
        task.result()
    assert tool.take_errors() == []


# ---- a pool of one -----------------------------------------------------------------------


def test_everything_works_in_a_pool_of_one():
    async def tree(depth):
        if not depth:
            return 1
        tasks = [pool.spawn(tree(depth - 1)), pool.spawn(tree, depth - 1)]
        return 1 + sum(await asyncio.gather(*tasks))

    def in_thread(depth):
        return sum(pool.map(tree, range(depth)))

    with Pool(1) as pool:
        assert pool.spawn(tree, 5).result() == 63
        assert pool.spawn(in_thread, 4).result() == 1 + 3 + 7 + 15
        assert sum(pool.imap_unordered(tree, range(4))) == 26
        pool.spawn(fails(ValueError()))
        assert len(failures_of(pool)) == 1
        assert pool.free_count() == 1
