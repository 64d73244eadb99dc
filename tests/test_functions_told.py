"""A function that is cancelled is told of it once, whatever context it runs in, and what fails in
the clean-up of what it left is told as well."""

import asyncio
import contextlib
import threading
from concurrent.futures import CancelledError
from contextvars import copy_context

import pytest
from four_tools import forever, interrupt, returns, torn_source

from aioutils import Group, Pool, Yielder, _stream, dual

pytestmark = pytest.mark.timeout(10)


async def torn():
    try:
        await forever()
    finally:
        raise OSError("torn")


@contextlib.asynccontextmanager
async def torn_session():
    try:
        await forever()
    finally:
        raise OSError("torn")
    yield


@contextlib.asynccontextmanager
async def silent():
    await forever()
    yield


def join(group):
    group.spawn(forever)
    return group.join()


def result(group):
    return group.spawn(forever).result()


def scope(group):
    with Group() as inner:
        inner.spawn(forever)


def context(group):
    return group.enter_async_context(silent())


def iteration(group):
    y = Yielder()
    y.spawn(forever)
    return list(y)


@pytest.mark.parametrize("wait", [join, result, scope, context, iteration])
@pytest.mark.parametrize("whose", ["another task", "a task that has ended", "nobody"])
def test_in_the_context_of_another_task_it_is_told_as_well(wait, whose):
    def function():
        try:
            log.append(wait(other))
        except CancelledError:
            log.append("told")
            raise

    async def spawns():
        spawned.append(pool.spawn(copy_context().run, function))
        if whose == "another task":
            with contextlib.suppress(asyncio.CancelledError):
                await spawned[0]

    log, spawned = [], []
    with Group() as other, Pool(3) as pool:
        if whose == "nobody":
            spawned.append(pool.spawn(copy_context().run, function))
        else:
            pool.spawn(spawns)
        assert pool.join(timeout=0.02) is False
        spawned[0].cancel()
        assert pool.join(5)
        assert log == ["told"] and spawned[0].cancelled()
        other.cancel()


@pytest.mark.parametrize("wait", [join, result, scope, context, iteration])
def test_it_is_told_although_nobody_drives_its_tool(wait):
    """Its thread looks for itself, as it begins to wait."""

    def function():
        assert go_on.wait(5)
        try:
            wait(other)
        except CancelledError:
            told.set()
            raise

    told, go_on = threading.Event(), threading.Event()
    with Group() as other, Pool(1) as pool:
        task = pool.spawn(function)
        assert pool.join(timeout=0.02) is False
        task.cancel()
        go_on.set()
        assert told.wait(5)
        assert pool.join(5) and task.cancelled()
        other.cancel()


def asks_result(pool, begun):
    task = pool.spawn(forever)
    begun()
    task.result()


def asks_exception(pool, begun):
    task = pool.spawn(forever)
    begun()
    task.exception()


def takes_completed(pool, begun):
    pool.spawn(forever)
    begun()
    for task in pool.as_completed():
        task.result()


def takes_items(pool, begun, **options):
    items = pool.imap(lambda n: returns(n) if n == 0 else forever(), range(3), **options)
    assert next(items) == 0
    begun()
    list(items)


def takes_outcomes(pool, begun):
    takes_items(pool, begun, return_exceptions=True)


WAYS = [asks_result, asks_exception, takes_completed, takes_items, takes_outcomes]


@pytest.mark.parametrize("end", ["cancel", "close"])
@pytest.mark.parametrize("way", WAYS)
def test_what_was_cancelled_with_it_tells_it(way, end):
    """Its clean-up is not told once more."""

    def begun():
        ready.set()
        assert go_on.wait(5)

    def function():
        try:
            way(pool, begun)
        except CancelledError:
            log.append("told")
        finally:
            log.append(other.spawn(returns, "cleaned up").result())

    log, ready, go_on = [], threading.Event(), threading.Event()
    with Group() as other:
        pool = Pool(4)
        pool.spawn(function)
        while not ready.is_set():
            assert pool.join(timeout=0.02) is False
        threading.Timer(0.03, go_on.set).start()
        if end == "close":
            pool.close()
        else:
            pool.cancel()
            assert pool.join(5)
            pool.close()
    assert log == ["told", "cleaned up"]


def test_it_is_told_by_an_item_too(monkeypatch, caplog):
    """That is cancelled with it after it has looked whether it was asked."""
    look = _stream.heed

    def looks(stream):
        asked = look(stream)
        if stream is items:
            ready.set()
            assert go_on.wait(5)
        return asked

    def function():
        nonlocal items
        got = pool.imap(lambda n: returns(n) if n == 0 else forever(), range(2))
        assert next(got) == 0
        items = got
        try:
            next(items)
        except CancelledError:
            log.append("told")
        finally:
            log.append(other.spawn(returns, "cleaned up").result())

    monkeypatch.setattr(_stream, "heed", looks)
    items, log, ready, go_on = None, [], threading.Event(), threading.Event()
    with Group() as other, Pool(4) as pool:
        pool.spawn(function)
        assert pool.join(timeout=0.02) is False and ready.is_set()
        pool.cancel()
        threading.Timer(0.03, go_on.set).start()
        assert pool.join(5)
    assert log == ["told", "cleaned up"] and caplog.messages == []


def leaves_scope(pool):
    with Group() as group:
        group.spawn(torn)
        group.join()


def leaves_map(pool):
    with Group() as group:
        group.map(lambda _: torn(), [1])


def leaves_call(pool):
    dual(torn).sync()


def leaves_generator(pool):
    @dual
    async def numbers():
        try:
            yield 1
            await forever()
        finally:
            raise OSError("torn")

    list(numbers.sync())


def leaves_source(pool):
    with Pool(2) as inner:
        list(inner.imap(lambda _: forever(), torn_source()))


def leaves_context(pool):
    with Group() as group:
        group.enter_async_context(torn_session())


LEAVES = [
    leaves_scope,
    leaves_map,
    leaves_call,
    leaves_generator,
    leaves_source,
    leaves_context,
]


@pytest.mark.parametrize("leave", LEAVES)
def test_what_fails_as_it_leaves_is_logged(leave, caplog):
    """Nobody reads the notes of a cancellation."""
    with Pool(2) as pool:
        task = pool.spawn(leave, pool)
        assert pool.join(timeout=0.02) is False
        task.cancel()
        assert pool.join(5)
        assert task.cancelled()
    failures = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [repr(failure) for failure in failures] == ["OSError('torn')"]


def test_outside_of_tasks_it_is_a_note():
    async def later():
        await asyncio.sleep(0.01)
        await interrupt()

    with Group() as group:
        group.spawn(later)
        with pytest.raises(KeyboardInterrupt) as caught:
            group.enter_async_context(torn_session())
        assert "OSError('torn')" in caught.value.__notes__[0]
