"""What the frames of a failure lead to: the code that drove its task, where nothing may be kept.

From CPython 3.12 on the frames of a traceback know those that called them, after their end too. A
failure that somebody keeps, a tool for one, would keep what those frames had in their variables.
"""

import asyncio
import contextlib
import gc
import itertools
import weakref
from operator import methodcaller

import pytest
from four_tools import returns, start

from aioutils import Group, OrderedYielder, Pool, Yielder, dual

pytestmark = pytest.mark.usefixtures("no_collector")


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


async def fails(seconds=None):
    if seconds is not None:
        await asyncio.sleep(seconds)
    raise ValueError("kept")


@contextlib.asynccontextmanager
async def waiting():
    await asyncio.sleep(0.001)
    yield


@pytest.mark.parametrize("on_error", ["continue", str, "keep"])
@pytest.mark.parametrize("seconds", [None, 0, 0.001])
@pytest.mark.parametrize("make", [Yielder, OrderedYielder])
def test_break_ends_an_iteration_beside_a_failure(make, seconds, on_error):
    kept = []
    y = make(on_error=kept.append if on_error == "keep" else on_error)
    y.spawn(fails(seconds))
    y.spawn(asyncio.sleep, 0.01, 1)
    unfinished = y.spawn(asyncio.sleep, 60)
    for _ in y:
        break
    assert unfinished.cancelled()
    y.close()


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_break_at_a_failure_closes_the_source(method):
    async def fetch(n):
        await asyncio.sleep(0.001)
        if n == 3:
            raise ValueError(n)
        return n

    def numbers():
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    pool, closed = Pool(4), []
    for result in getattr(pool, method)(fetch, numbers(), return_exceptions=True):
        if isinstance(result, ValueError):
            break
    assert (closed, len(pool)) == ([True], 0)


def test_break_ends_a_dual_generator_beside_a_failure():
    @dual
    async def numbers():
        try:
            for n in itertools.count():
                kept.extend(await asyncio.gather(fails(0), return_exceptions=True))
                yield n
        finally:
            await asyncio.sleep(0)
            kept.append("closed")

    kept = []
    for _ in numbers.sync():
        break
    assert kept[1:] == ["closed"]


@pytest.mark.parametrize(
    "wait",
    [
        methodcaller("join", 0.01),
        methodcaller("map", returns, range(3)),
        methodcaller("starmap", returns, [(1,)]),
        methodcaller("apply", asyncio.sleep, (0.01,)),
        methodcaller("enter_async_context", waiting()),
    ],
    ids=["join", "map", "starmap", "apply", "enter"],
)
def test_a_tool_with_a_failure_is_cleaned_up_as_it_is_dropped(wait):
    group = Group()
    group.spawn(fails())
    unfinished = group.spawn(asyncio.sleep, 60)
    wait(group)
    dropped = weakref.ref(group)
    del group
    assert (dropped(), unfinished.cancelled()) == (None, True)


class Thing:
    """What a failure has in its frames."""


async def fails_with(thing, seconds):
    if seconds is not None:
        await asyncio.sleep(seconds)
    raise ValueError(thing)


def call_fails_with(thing, _):
    raise ValueError(thing)


def see_by_join(group, _):
    with contextlib.suppress(ValueError, ExceptionGroup):
        group[0].join()


def see_by_leaving(group, _):
    with contextlib.suppress(ValueError, ExceptionGroup), group[0]:
        pass


def see_by_taking(group, _):
    group[0].join(raise_error=False)
    assert len(group[0].take_errors()) == 1


def see_by_exception(_, task):
    assert task[0].exception() is not None


def see_by_result(_, task):
    with contextlib.suppress(ValueError):
        task[0].result()


def see_by_waiting(group, _):
    async def main():
        with contextlib.suppress(ValueError, ExceptionGroup):
            await group[0].wait()

    asyncio.run(main())


def see_by_taking_in_async_code(group, _):
    async def main():
        await group[0].wait(raise_error=False)
        assert len(group[0].take_errors()) == 1

    asyncio.run(main())


@pytest.mark.parametrize("on_error", ["continue", "cancel"])
@pytest.mark.parametrize("work", [fails_with, call_fails_with])
@pytest.mark.parametrize("seconds", [None, 0, 0.001])
@pytest.mark.parametrize(
    "see",
    [
        see_by_join,
        see_by_leaving,
        see_by_taking,
        see_by_exception,
        see_by_result,
        see_by_waiting,
        see_by_taking_in_async_code,
    ],
)
def test_a_failure_that_was_seen_is_in_no_cycle(see, work, seconds, on_error):
    thing = Thing()
    group, gone = [Group(on_error=on_error)], weakref.ref(thing)
    task = [group[0].spawn(work, thing, seconds)]
    del thing
    see(group, task)  # whose frames have no name for what they lead to
    task.clear()
    assert gone() is None


async def fails_late(n):
    try:
        await asyncio.sleep(60 if n else 0)
    finally:
        await asyncio.sleep(0)
        if n:
            raise ValueError(n)


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_a_failure_that_ended_an_iteration_is_in_no_cycle_with_that(method, isolate):
    class Local:
        pass

    def iterate():
        local = Local()
        with Pool(3, on_error="cancel") as pool:
            pool.spawn(fails(0.01))
            results = getattr(pool, method)(asyncio.sleep, [60, 60], isolate=isolate)
            with contextlib.suppress(ValueError):
                list(results)
        return weakref.ref(local)

    assert iterate()() is None


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_a_failure_that_an_iteration_survived_is_in_no_cycle_with_that(method, isolate):
    class Local:
        pass

    async def goes_on(n):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60 * n)
        return n

    def iterate():
        local = Local()
        with Pool(3, on_error="cancel") as pool:
            results = getattr(pool, method)(goes_on, [0, 60, 60], isolate=isolate)
            assert next(results) == 0
            pool.spawn(fails(0.01))
            with pytest.raises(ValueError):
                pool.join()
            assert list(results) == [60, 60]
        return weakref.ref(local)

    assert iterate()() is None


@pytest.mark.parametrize("way", ["break", "close"])
def test_a_tool_whose_iteration_left_failing_clean_ups_is_cleaned_up_as_it_is_dropped(way):
    group = Group()
    stream = group.imap(fails_late, range(3))
    if way == "close":
        next(stream)
        stream.close()
    else:
        for _ in stream:
            break
    del stream
    unfinished = group.spawn(asyncio.sleep, 60)
    start(group)
    dropped = weakref.ref(group)
    del group
    assert (dropped(), unfinished.cancelled()) == (None, True)


def test_a_failure_in_the_clean_up_of_a_dropped_tool_does_not_keep_that():
    group = Group()
    task = group.spawn(fails_late, 1)
    start(group)
    dropped = weakref.ref(group)
    del group
    assert (dropped(), repr(task.exception(0))) == (None, "ValueError(1)")


@pytest.mark.parametrize(
    "fail",
    [
        methodcaller("map", fails, [0]),
        methodcaller("starmap", fails, [(0,)]),
        methodcaller("apply", fails),
        methodcaller("join"),
    ],
    ids=["map", "starmap", "apply", "join"],
)
def test_a_failure_that_is_kept_keeps_no_tool(fail):
    group = Group()
    group.spawn(fails(0.001))
    with pytest.raises((ValueError, ExceptionGroup)) as kept:
        fail(group)
    group.take_errors()
    dropped = weakref.ref(group)
    del group
    assert (dropped(), bool(kept.value.__traceback__)) == (None, True)


class Fails:
    """An async context manager that fails as it is entered, or as it is left."""

    def __init__(self, thing, at, later=True):
        self.thing, self.at, self.later = thing, at, later

    async def __aenter__(self):
        await self.come("entering")

    async def __aexit__(self, *_):
        await self.come("leaving")

    async def come(self, at):
        if self.later:
            await asyncio.sleep(0)
        if at == self.at:
            raise ValueError(self.thing)


async def gives_and_fails(thing):
    yield 1
    raise ValueError(thing)


async def exits_with(thing):
    raise SystemExit(thing)


def returns_what_fails(thing):
    return fails_with(thing, 0)


def by_entering(thing):
    Group().enter_async_context(Fails(thing, "entering"))


def by_entering_at_once(thing):
    Group().enter_async_context(Fails(thing, "entering", later=False))


def by_leaving(thing):
    with Group() as group:
        group.enter_async_context(Fails(thing, "leaving"))


def by_stream(thing):
    y = OrderedYielder()
    y.spawn(gives_and_fails(thing))
    list(y)


def by_exit(thing):
    group = Group()
    group.spawn(exits_with, thing)
    group.join()


def by_exit_of_a_source(thing):
    async def items():
        yield await exits_with(thing)

    Group().map(returns, items())


def by_returned(thing):
    Pool(2).apply(returns_what_fails, (thing,))


def by_returned_for_an_item(thing):
    Pool(2).map(returns_what_fails, [thing])


def by_call_in_a_thread(thing):
    Pool(2).apply(dual(fails_with).sync, (thing, 0))


@pytest.mark.parametrize(
    "fail",
    [
        by_entering,
        by_entering_at_once,
        by_leaving,
        by_stream,
        by_exit,
        by_exit_of_a_source,
        by_returned,
        by_returned_for_an_item,
        by_call_in_a_thread,
    ],
)
def test_a_failure_is_in_no_cycle_wherever_it_comes_from(fail, eventually):
    things = [Thing()]
    gone = weakref.ref(things[0])
    with contextlib.suppress(ValueError, ExceptionGroup, SystemExit):
        fail(things.pop())
    eventually(lambda: gone() is None, 1)  # a thread may be about to forget it
