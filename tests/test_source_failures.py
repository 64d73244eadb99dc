"""What a source raised while results before it were still to be handed out, and never are."""

import asyncio
import gc
from concurrent.futures import CancelledError

import pytest
from on_a_loop import on_a_loop
from test_source import both, double, methods

from aioutils import Pool, _dropping


def plain(error):
    yield 1
    raise error


async def asynchronous(error):
    yield 1
    raise error


sources = pytest.mark.parametrize("source", [plain, asynchronous])
LOST = "<Pool size=2 running=0 waiting=0>: a source failed"


async def refuse(n):
    await asyncio.sleep(0.001)  # meanwhile the source fails
    raise ValueError(n)


async def iterate(stream):
    return [item async for item in stream]


@both
@sources
@pytest.mark.parametrize("way", ["map", "imap", "imap_unordered", "async for"])
def test_a_source_s_failure_rides_on_that_of_an_item_before_it(way, source, isolate, caplog):
    pool, items = Pool(2), source(KeyError("src"))
    with pytest.raises(ValueError, match="1") as caught:
        if way == "async for":
            asyncio.run(iterate(pool.imap(refuse, items, isolate=isolate)))
        else:
            list(getattr(pool, way)(refuse, items, isolate=isolate))
    assert caught.value.__notes__ == [f"{LOST}: KeyError('src')"]
    assert not caplog.records and pool.errors == []


@both
@methods
@sources
@pytest.mark.parametrize("way", ["break", "close"])
@pytest.mark.usefixtures("quick_pulls")
def test_a_source_s_failure_is_logged_when_its_iteration_is_left(
    way, source, method, isolate, caplog
):
    pool = Pool(2)
    stream = getattr(pool, method)(double, source(KeyError("src")), isolate=isolate)
    assert next(stream) == 2
    if way == "close":
        stream.close()
    gc.disable()  # the end of the last reference is enough
    try:
        del stream
    finally:
        gc.enable()
    (record,) = caplog.records
    assert record.name == "aioutils" and record.getMessage() == LOST
    assert repr(record.exc_info[1]) == "KeyError('src')"
    assert pool.errors == []
    caplog.clear()


@both
@sources
@pytest.mark.parametrize("way", ["break", "aclose"])
@on_a_loop
@pytest.mark.usefixtures("quick_pulls")
async def test_a_source_s_failure_is_logged_when_its_iteration_is_left_in_async_code(
    way, source, isolate, caplog
):
    async with Pool(2) as pool:
        stream = pool.imap(double, source(KeyError("src")), isolate=isolate)
        assert await anext(stream) == 2
        if way == "aclose":
            await stream.aclose()
        del stream
        gc.collect()
        (record,) = caplog.records
        assert record.getMessage() == LOST
        assert repr(record.exc_info[1]) == "KeyError('src')"
    caplog.clear()


@both
@sources
@on_a_loop
async def test_a_source_s_failure_is_logged_when_its_iteration_is_cancelled(
    source, isolate, caplog
):
    async def stay(_):
        await asyncio.Event().wait()

    pool = Pool(2)
    stream = pool.imap(stay, source(KeyError("src")), isolate=isolate)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await anext(stream)
    (record,) = caplog.records
    assert repr(record.exc_info[1]) == "KeyError('src')"
    assert pool.errors == []


@sources
@pytest.mark.usefixtures("quick_pulls")
def test_a_source_s_failure_is_logged_where_a_dropped_iteration_can_t_be_cleaned_up(
    source, caplog, monkeypatch
):
    pool = Pool(2)
    stream = pool.imap(double, source(KeyError("src")))
    assert next(stream) == 2
    with monkeypatch.context() as patch:
        patch.setattr(_dropping, "can_run", lambda loop, thread: False)
        del stream
    (record,) = caplog.records
    assert record.getMessage() == LOST
    caplog.clear()
    pool.close()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (plain, CancelledError),
        (asynchronous, CancelledError),
        (asynchronous, asyncio.CancelledError),
    ],
)
def test_a_cancellation_is_no_failure_of_a_source(source, error, caplog):
    stream = Pool(2).imap(double, source(error()))
    assert next(stream) == 2
    stream.close()
    assert not caplog.records


@sources
def test_a_source_s_failure_that_was_raised_is_told_once(source, caplog):
    stream = Pool(2).imap(double, source(KeyError("src")))
    assert next(stream) == 2
    with pytest.raises(KeyError) as caught:
        next(stream)
    stream.close()
    assert not hasattr(caught.value, "__notes__")
    assert not caplog.records
