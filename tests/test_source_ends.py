"""How sources end: by failing, by being left, and by failing when they are left."""

import asyncio
import contextlib
import itertools
import threading
import time
from concurrent.futures import CancelledError

import pytest
from four_tools import until_cancelled
from on_a_loop import on_a_loop, wait_for
from test_source import both, double, methods, sources

from aioutils import ClosedError, DeadlockError, Pool


@both
@methods
@sources
def test_what_the_source_raises_comes_after_the_results_before_it(method, source, isolate):
    items, got = source(7, LookupError("no more")), []
    with pytest.raises(LookupError, match="no more"):
        for result in getattr(Pool(3), method)(double, items, isolate=isolate):
            got.append(result)
    assert sorted(got) == [2 * n for n in range(7)]
    assert items.closed


@both
@methods
@sources
def test_a_source_that_fails_at_once_fails_the_call(method, source, isolate):
    with pytest.raises(LookupError):
        list(getattr(Pool(3), method)(double, source(0, LookupError()), isolate=isolate))
    with pytest.raises(LookupError):
        Pool(3).map(double, source(2, LookupError()), return_exceptions=True, isolate=isolate)


@both
@methods
def test_an_exit_of_generators_that_an_async_source_raises_is_a_failure_as_any(method, isolate):
    async def numbers():
        yield 1
        raise GeneratorExit("from within")

    with Pool(3) as pool:
        stream = iter(getattr(pool, method)(double, numbers(), isolate=isolate))
        assert method == "map" or next(stream) == 2
        with pytest.raises(GeneratorExit, match="from within"):
            next(stream)
        assert pool.errors == []


@both
@methods
def test_a_cancellation_in_an_async_source_does_not_pass_for_its_end(method, isolate):
    async def numbers():
        yield 1
        raise asyncio.CancelledError  # of something that it awaited

    async def iterate():
        async with Pool(3) as pool:
            stream = getattr(pool, method)(double, numbers(), isolate=isolate)
            assert await anext(stream) == 2
            with pytest.raises(CancelledError, match="source was cancelled from within"):
                await anext(stream)
            return 1

    stream = getattr(Pool(3), method)(double, numbers(), isolate=isolate)
    assert next(stream) == 2
    with pytest.raises(CancelledError, match="source was cancelled from within"):
        next(stream)
    assert asyncio.run(iterate()) == 1


class Outcome(BaseException):
    """As those of pytest are."""


@both
@methods
def test_an_exception_of_any_class_in_an_async_source_does_not_pass_for_its_end(method, isolate):
    async def numbers():
        yield 1
        raise Outcome

    stream = getattr(Pool(3), method)(double, numbers(), isolate=isolate)
    assert next(stream) == 2
    with pytest.raises(Outcome):
        next(stream)


@both
@methods
@sources
@pytest.mark.parametrize("how", ["break", "close", "failure"])
def test_the_source_is_closed_where_the_loop_is_left(method, source, how, isolate):
    async def run(n):
        await asyncio.sleep(0)
        if how == "failure" and n == 5:
            raise ValueError(n)
        return n

    items, pool = source(), Pool(2)
    stream = getattr(pool, method)(run, items, isolate=isolate)
    if how == "failure":
        with pytest.raises(ValueError):
            list(stream)
    else:
        next(stream)
        if how == "close":
            stream.close()
        del stream
    assert items.closed
    assert len(pool) == 0


@both
@sources
def test_a_stream_that_was_never_begun_leaves_its_source_alone(source, isolate):
    items = source()
    stream = Pool(2).imap(double, items, isolate=isolate)
    stream.close()
    assert items.pulled == 0
    assert list(stream) == []


@both
def test_items_end_even_if_their_source_fails_in_closing(isolate):
    ended = []

    def source():
        try:
            yield from range(100)
        finally:
            raise LookupError("in closing")

    async def run(n):
        try:
            await (asyncio.Event().wait() if n else asyncio.sleep(0))
        finally:
            ended.append(n)

    with Pool(3) as pool:
        stream = pool.imap(run, source(), isolate=isolate)
        next(stream)
        with pytest.raises(LookupError, match="in closing"):
            stream.close()
        assert len(pool) == 0
        before = len(ended)
    assert len(ended) == before >= 1


def failing_in_closing(kind, ended, name="a source"):
    def plain():
        try:
            yield from range(10)
        finally:
            ended.append(name)
            raise LookupError(f"{name} in closing")

    async def asynchronous():
        try:
            for n in range(10):
                yield n
            await asyncio.Event().wait()
        finally:
            ended.append(name)
            raise LookupError(f"{name} in closing")

    return (plain if kind == "plain" else asynchronous)()


async def iterate(stream):
    return [item async for item in stream]


@both
@pytest.mark.parametrize("way", ["map", "for", "async for"])
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_what_a_source_raises_in_closing_rides_on_the_failure_that_ended_it(kind, way, isolate):
    async def refuse(n, *_):
        await asyncio.sleep(0)
        raise ValueError(n)

    ended, pool = [], Pool(2)
    sources = [failing_in_closing(kind, ended, name) for name in ("one", "two")]
    with pytest.raises(ValueError, match="0") as caught:
        if way == "map":
            pool.map(refuse, *sources, isolate=isolate)
        stream = pool.imap(refuse, *sources, isolate=isolate)
        list(stream) if way == "for" else asyncio.run(iterate(stream))
    assert ended == ["one", "two"]
    notes = "".join(caught.value.__notes__)
    assert "in closing" in notes
    assert pool.errors == []


@both
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_what_a_source_raises_in_closing_is_logged_when_its_iteration_is_dropped(
    kind, isolate, caplog
):
    ended, pool = [], Pool(2)
    for _ in pool.imap(double, failing_in_closing(kind, ended), isolate=isolate):
        break
    assert ended == ["a source"]
    (record,) = caplog.records
    assert "an iteration of <Pool" in record.getMessage()
    assert str(record.exc_info[1]) == "a source in closing"
    assert pool.errors == []
    pool.close()  # the record leads to the frame of this test, and so to the pool


@both
@pytest.mark.parametrize("kind", ["plain", "async"])
@on_a_loop
async def test_what_a_source_raises_in_closing_is_logged_when_its_iteration_is_cancelled(
    kind, isolate, caplog
):
    async def stay(_):
        await asyncio.Event().wait()

    ended, pool = [], Pool(2)
    stream = pool.imap(stay, failing_in_closing(kind, ended), isolate=isolate)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await anext(stream)
    assert ended == ["a source"]
    (record,) = caplog.records
    assert str(record.exc_info[1]) == "a source in closing"
    assert pool.errors == []


@both
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_of_several_sources_each_is_closed_though_one_of_them_fails_in_that(kind, isolate):
    async def total(*numbers):
        return sum(numbers)

    ended, pool = [], Pool(2)
    sources = [failing_in_closing(kind, ended, name) for name in ("one", "two", "three")]
    stream = pool.imap(total, *sources, isolate=isolate)
    next(stream)
    errors = []
    try:
        stream.close()
    except ExceptionGroup as error:
        errors += error.exceptions
    assert ended == ["one", "two", "three"]
    assert [str(error) for error in errors] == [f"{name} in closing" for name in ended]
    assert pool.errors == []


@both
def test_what_an_async_source_raises_in_being_closed_is_not_lost(isolate):
    async def source():
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            raise LookupError("in closing")

    pool, seen = Pool(2), []
    stream = pool.imap(double, source(), isolate=isolate)
    next(stream)
    try:
        stream.close()
    except LookupError as error:
        seen.append(error)
    seen += pool.take_errors()
    assert [str(error) for error in seen] == ["in closing"]


@both
@pytest.mark.timeout(5)
def test_an_async_iterator_whose_aclose_fails_does_not_hang(isolate):
    class Source:
        left = 3

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return self.left

        async def aclose(self):
            raise LookupError("in closing")

    with pytest.raises(LookupError, match="in closing"):
        list(Pool(2).imap(double, Source(), isolate=isolate))


@both
def test_an_async_source_that_is_slow_does_not_hold_back_results(isolate):
    class Source:
        def __init__(self):
            self.n = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.n += 1
            if self.n > 3:
                await asyncio.Event().wait()
            return self.n

    with Pool(4) as pool:
        stream = pool.imap_unordered(double, Source(), isolate=isolate)
        assert sorted(next(stream) for _ in range(3)) == [2, 4, 6]
        stream.close()


@both
def test_nothing_holds_a_slot_while_it_waits_for_an_async_source(isolate):
    class Source:
        def __aiter__(self):
            return self

        async def __anext__(self):
            await go_on.wait()
            raise StopAsyncIteration

    async def open_it():
        go_on.set()
        return "ran"

    go_on = asyncio.Event()
    pool = Pool(1)
    task = pool.spawn(open_it())
    assert list(pool.imap(double, Source(), isolate=isolate)) == []
    assert task.result() == "ran"


@both
@methods
def test_several_threads_may_consume_one_stream_whatever_its_source(method, in_thread, isolate):
    def source():
        yield from range(3)
        in_source.set()
        assert go_on.wait(5)
        yield from range(3, 30)

    def consume():
        got = []
        for result in stream:
            got.append(result)
        return got

    def open_later():
        assert in_source.wait(5)
        threading.Event().wait(0.05)  # the others come to the source meanwhile
        go_on.set()

    in_source, go_on = threading.Event(), threading.Event()
    with Pool(3) as pool:
        stream = getattr(pool, method)(double, source(), isolate=isolate)
        calls = [in_thread(consume) for _ in range(3)]
        open_later()
        got = [result for call in calls for result in call()]
    assert sorted(got) == [2 * n for n in range(30)]


@both
@sources
def test_a_closed_pool_pulls_no_more(source, isolate):
    items, pool = source(), Pool(2)
    stream = pool.imap(double, items, isolate=isolate)
    next(stream)
    pool.close()
    before = items.pulled
    with pytest.raises((RuntimeError, CancelledError)):
        while True:
            next(stream)
    assert items.pulled == before
    stream.close()
    assert items.closed


@both
@pytest.mark.parametrize("seconds", [0, 0.005])
def test_an_item_of_a_source_that_closed_the_pool_never_starts(seconds, isolate):
    def items():
        pool.close()
        time.sleep(seconds)  # so long that what was pulled is to begin first
        yield started.append

    async def run(start):
        start(1)

    started = []
    pool = Pool(2)
    with pytest.raises(ClosedError):
        next(pool.imap(run, items(), isolate=isolate))
    assert started == [] and len(pool) == 0


@both
@methods
@on_a_loop
@pytest.mark.timeout(5)
async def test_a_source_that_outlives_its_pool_in_another_thread_is_told(method, isolate):
    def source():
        pulled.set()
        assert closed.wait(5)
        yield from range(3)

    def consume():
        with pytest.raises(ClosedError):
            list(getattr(pool, method)(double, source(), isolate=isolate))

    pool, pulled, closed = Pool(2), threading.Event(), threading.Event()
    await pool.spawn(asyncio.sleep(0))
    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    await asyncio.to_thread(pulled.wait)
    await pool.aclose()
    closed.set()
    await asyncio.to_thread(thread.join, 2)
    assert not thread.is_alive()


def sync(stream, call):
    def source():
        try:
            for n in range(6):
                if n in (0, 3):
                    with pytest.raises(DeadlockError, match="source"):
                        call(stream())
                yield n
        finally:
            stream().log.append("closed")

    return source()


def asynchronous(stream, call):
    async def source():
        try:
            for n in range(6):
                if n in (0, 3):
                    with pytest.raises(DeadlockError):
                        if (awaitable := call(stream())) is not None:
                            await awaitable
                yield n
        finally:
            await asyncio.sleep(0)
            stream().log.append("closed")

    return source()


CALLS = {
    "close": (sync, lambda stream: stream.close()),
    "next": (sync, next),
    "close in async": (asynchronous, lambda stream: stream.close()),
    "aclose": (asynchronous, lambda stream: stream.aclose()),
    "next in async": (asynchronous, next),
}


@both
@methods
@pytest.mark.parametrize("source, call", CALLS.values(), ids=CALLS)
def test_a_source_is_refused_the_end_of_its_own_iteration_which_goes_on(
    source, call, method, isolate
):
    with Pool(2) as pool:
        stream = getattr(pool, method)(double, source(lambda: stream, call), isolate=isolate)
        stream.log = []
        assert sorted(stream) == [0, 2, 4, 6, 8, 10]
        assert stream.log == ["closed"]


@both
@methods
@pytest.mark.parametrize("source, call", CALLS.values(), ids=CALLS)
@on_a_loop
async def test_so_it_is_in_async_code(source, call, method, isolate):
    async with Pool(2) as pool:
        stream = getattr(pool, method)(double, source(lambda: stream, call), isolate=isolate)
        stream.log = []
        assert sorted(await iterate(stream)) == [0, 2, 4, 6, 8, 10]
        assert stream.log == ["closed"]


@both
@pytest.mark.parametrize("world", ["sync", "async"])
def test_a_source_that_awaits_a_result_of_its_own_iteration_is_refused(world, isolate):
    async def numbers():
        with pytest.raises(DeadlockError, match="next result of its own iteration"):
            await anext(stream)
        for n in range(3):
            yield n

    async def collect():
        return await iterate(stream)

    stream = Pool(2).imap(double, numbers(), isolate=isolate)
    results = list(stream) if world == "sync" else asyncio.run(collect())
    assert results == [0, 2, 4]


@both
def test_a_source_that_lets_this_through_has_failed_and_is_closed(isolate):
    def source():
        try:
            yield 1
            stream.close()
        finally:
            closed.append(True)

    closed, got = [], []
    with Pool(2) as pool:
        stream = pool.imap(double, source(), isolate=isolate)
        with pytest.raises(DeadlockError, match="return or raise in the source"):
            for result in stream:
                got.append(result)
    assert (got, closed) == ([2], [True])


@both
@methods
def test_an_item_is_refused_the_end_of_its_own_iteration_which_goes_on(method, isolate):
    async def close(n):
        with pytest.raises(DeadlockError):
            await stream.aclose() if n % 2 else stream.close()
        return n

    with Pool(2) as pool:
        stream = getattr(pool, method)(close, range(10), isolate=isolate)
        assert sorted(stream) == list(range(10))


@both
def test_sync_code_in_a_task_is_not_refused_an_end_that_needs_no_wait(isolate):
    async def item(n):
        raise LookupError(n)

    def source():
        time.sleep(0.002)  # the loop runs before it is known to be the last
        yield 1

    async def take():
        stream = pool.imap(item, source(), isolate=isolate, return_exceptions=True)
        assert isinstance(await anext(stream), LookupError)
        return next(stream, "end")

    with Pool(2) as pool:
        assert pool.spawn(take).result() == "end"


def test_a_refusal_that_a_source_catches_is_none_of_its_iteration(eventually):
    """What fails later leaves once the rest has cleaned up, though it is of the same class."""

    async def item(n):
        started.append(n)
        while n == 0 and not refused:  # what iterates would wait for itself
            with contextlib.suppress(TimeoutError):
                await wait_for(consumer, 0.01)
        if n == 0:
            raise DeadlockError("its own")
        while n == 1 and not full:
            await asyncio.sleep(0)
        return n if n == 1 else await until_cancelled(log)

    def source():
        yield from range(3)
        eventually(lambda: len(started) == 3)
        full.append(True)
        eventually(lambda: stream._order.ended == 1)
        eventually(lambda: "lent=1" in repr(pool))
        with pytest.raises(DeadlockError):
            next(stream)
        refused.append(True)
        eventually(lambda: stream._order.ended == 2)
        raise LookupError

    def consume():
        with pytest.raises(DeadlockError, match="its own"):
            next(stream)
        return list(log)

    started, full, refused, log = [], [], [], []
    with Pool(4) as pool:
        stream = pool.imap(item, source(), buffer=1)
        consumer = pool.spawn(consume)
        assert consumer.result() == ["cleaned up"]


@both
@on_a_loop
async def test_a_source_may_be_over_as_something_that_it_started_ends_the_iteration(isolate):
    async def numbers():
        tasks.append(asyncio.create_task(ends()))
        yield 1

    async def ends():
        await go_on.wait()
        await stream.aclose()

    async def stays(_):
        await asyncio.Event().wait()

    tasks, go_on = [], asyncio.Event()
    async with Pool(2) as pool:
        stream = pool.imap(stays, numbers(), isolate=isolate)
        waits = asyncio.create_task(anext(stream, None))
        while not stream._source.over:
            await asyncio.sleep(0)
        go_on.set()
        await tasks[0]
        assert await waits is None


class Cursor:
    """An async source whose end takes its time."""

    def __init__(self, error=None):
        self.error, self.log = error, []

    async def rows(self):
        try:
            for n in itertools.count():
                yield n
        finally:
            await asyncio.sleep(0.01)
            self.log.append("given back")
            if self.error is not None:
                raise self.error

    def function(self, pool, isolate):
        for row in pool.imap(double, self.rows(), isolate=isolate):
            if row > 2:
                return row

    async def coroutine(self, pool, isolate):
        async for row in pool.imap(double, self.rows(), isolate=isolate):
            if row > 2:
                return row


@both
@pytest.mark.parametrize("reader", ["function", "coroutine"])
def test_join_waits_for_the_clean_up_of_a_source_that_a_task_left(reader, isolate):
    cursor = Cursor()
    with Pool(3) as pool:
        task = pool.spawn(getattr(cursor, reader), pool, isolate)
        assert pool.join() is True
        assert cursor.log == ["given back"] and task.result() == 4


@both
@on_a_loop
async def test_so_does_wait_in_async_code(isolate):
    cursor = Cursor()
    async with Pool(3) as pool:
        pool.spawn(cursor.coroutine, pool, isolate)
        assert await pool.wait() is True
        assert cursor.log == ["given back"]


@pytest.mark.parametrize("reader", ["function", "coroutine"])
def test_join_tells_what_failed_in_that_clean_up(reader):
    cursor = Cursor(OSError("not given back"))
    with Pool(3) as pool:
        pool.spawn(getattr(cursor, reader), pool, True)
        with pytest.raises(ExceptionGroup) as info:
            pool.join()
    assert str(info.value.exceptions[0]) == "not given back"
    assert ": 1 of " in info.value.message  # the source is no task, and counts all the same


def test_a_join_in_that_clean_up_is_refused():
    async def rows():
        try:
            for n in itertools.count():
                yield n
        finally:
            with pytest.raises(DeadlockError):
                await pool.wait()
            log.append("refused")

    async def reader():
        async for _ in pool.imap(double, rows(), buffer=1):
            break

    log = []
    with Pool(3) as pool:
        pool.spawn(reader)
        pool.join()
    assert log == ["refused"]
