"""How an iteration of a dual async generator ends: left early, or by a failure."""

import asyncio
import contextlib
import gc
import warnings
import weakref
from concurrent.futures import CancelledError

import pytest
from test_dual_items import Boom, nothing, numbers

from aioutils import _sync_calls, dual


def leave_by_break(log):
    for i in numbers.sync(9, log):
        if i == 1:
            break


def leave_by_close(log):
    with contextlib.closing(numbers.sync(9, log)) as iterator:
        assert (next(iterator), next(iterator)) == (0, 1)


def leave_by_exception(log):
    with pytest.raises(Boom):
        for i in numbers.sync(9, log):
            if i == 1:
                raise Boom
    gc.collect()  # the traceback that pytest has kept


def leave_by_del(log):
    iterator = numbers.sync(9, log)
    assert (next(iterator), next(iterator)) == (0, 1)
    del iterator


LEAVING = [leave_by_break, leave_by_close, leave_by_exception, leave_by_del]


@pytest.mark.parametrize("leave", LEAVING, ids=lambda leave: leave.__name__)
def test_leaving_early_runs_its_finally_blocks(leave):
    log = []
    leave(log)
    assert log == [0, 1, "closed"]


def test_left_before_its_beginning_it_never_begins():
    log = []
    numbers.sync(3, log)
    with contextlib.closing(numbers.sync(3, log)):
        pass
    assert log == []


def test_closing_twice_and_iterating_after_closing():
    iterator = numbers.sync(3)
    next(iterator)
    iterator.close()
    iterator.close()
    assert list(iterator) == []


# ---- failures -----------------------------------------------------------------------------


@dual
async def fails_at(n, error):
    for i in range(n):
        yield i
    await asyncio.sleep(0)
    raise error


@pytest.mark.parametrize("kind", [Boom, SystemExit, KeyboardInterrupt, ExceptionGroup])
def test_a_failure_comes_after_the_items_before_it(kind):
    error = kind("group", [Boom()]) if kind is ExceptionGroup else kind("own")
    got = []
    with pytest.raises(kind) as caught:
        for i in fails_at.sync(2, error):
            got.append(i)
    assert got == [0, 1]
    assert caught.value is error
    assert nothing.sync() is None


def test_after_a_failure_it_has_ended():
    iterator = fails_at.sync(0, Boom())
    with pytest.raises(Boom):
        next(iterator)
    assert list(iterator) == []


def test_a_cancellation_from_within_is_not_taken_for_the_end():
    iterator = fails_at.sync(1, asyncio.CancelledError())
    assert next(iterator) == 0
    with pytest.raises(CancelledError, match="source was cancelled from within"):
        next(iterator)


@dual
async def fails_in_closing():
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)
        raise Boom("in closing")


def test_what_fails_in_closing_is_raised_by_close():
    iterator = fails_in_closing.sync()
    next(iterator)
    with pytest.raises(Boom, match="in closing"):
        iterator.close()
    iterator.close()
    assert _sync_calls.here().errors == []


def test_what_fails_in_closing_where_nobody_can_catch_it_is_logged(caplog):
    for _ in fails_in_closing.sync():
        break
    (record,) = caplog.records
    assert str(record.exc_info[1]) == "in closing"
    assert _sync_calls.here().errors == []


def test_wrong_arguments_are_refused_at_the_call():
    with pytest.raises(TypeError, match="argument"):
        numbers.sync()


def test_iterations_leave_nothing_behind():
    def objects():
        for _ in range(3):
            gc.collect()
        return len(gc.get_objects())

    def iterate(times):
        for _ in range(times):
            assert list(numbers.sync(2)) == [0, 1]
            leave_by_break([])
            with pytest.raises(Boom):
                list(fails_at.sync(1, Boom()))

    iterate(20)
    before = objects()
    iterate(300)
    assert objects() - before < 100
    calls = _sync_calls.here()
    assert (len(calls), calls.errors) == (0, [])
    assert len(calls._scheduler.loop.schedulers) == 1


def test_items_go_with_their_consumer():
    class Page:
        pass

    @dual
    async def pages():
        for _ in range(3):
            yield Page()

    gc.collect()
    gc.disable()
    try:
        for page in pages.sync():
            ref = weakref.ref(page)
            del page
            assert ref() is None
    finally:
        gc.enable()


def test_dropped_where_it_cannot_clean_up_it_warns_once_by_its_name():
    async def drop():
        iterator = numbers.sync(9)
        next(iterator)
        del iterator

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(drop())
    texts = [str(each.message) for each in caught if each.category is ResourceWarning]
    assert len(texts) == 1 and "<numbers.sync" in texts[0]
