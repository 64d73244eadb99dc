"""Tools in reference cycles: the collector keeps no order, and may come to a task before its tool.

Then it has closed the task's coroutine, as Python does with every coroutine that it finds: what
the `finally` blocks of such a task await is lost. All else must end as it does elsewhere.
"""

import asyncio
import gc
import logging
import sys
import warnings

import pytest

from aioutils import Pool, _dropping


@pytest.fixture(autouse=True)
def _collect_when_told():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def said(caplog, monkeypatch):
    """What was said while tools were collected: warnings, logs, exceptions in finalizers."""
    said = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda hook: said.append(f"unraisable {hook.exc_value!r}")
    )
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")

        def collected():
            for _ in range(3):
                gc.collect()
            texts = [str(warning.message) for warning in caught]
            caught.clear()
            records = [record.getMessage() for record in caplog.records]
            caplog.clear()
            return said + texts + records

        yield collected


@pytest.mark.asyncios_loop  # what hangs on an open uvloop is no garbage to Python: see README
def test_a_task_that_lent_its_slot_is_closed_in_silence(said):
    async def child():
        await asyncio.sleep(3600)

    def use():
        async def parent():
            await pool.spawn(child())

        works = [parent(), parent()]  # older than the pool: the collector comes to them first
        pool = Pool(1)
        pool.me = pool
        for work in works:
            pool.spawn(work)
        assert pool.join(timeout=0) is False

    use()
    assert [text for text in said() if "no running event loop" in text] == []


@pytest.mark.asyncios_loop  # libuv holds an open uvloop
def test_who_waits_on_a_loop_that_was_given_up_is_left_alone(said, in_thread):
    async def work():
        await asyncio.sleep(3600)

    def use():
        async def parent():
            await asyncio.gather(pool.spawn(work), pool.spawn(work))

        pool = Pool(1)
        pool.me = pool
        pool.spawn(parent)
        pool.join(timeout=0)

    in_thread(use)()
    assert [text for text in said() if "closed" in text and "dropped where" not in text] == []


@pytest.mark.asyncios_loop
def test_a_coroutine_that_the_collector_closed_first_is_no_failure(said):
    def use():
        async def inner():
            await asyncio.sleep(3600)

        async def outer():
            await innermost

        innermost, work = inner(), inner()  # older than the pool, and known to it alone
        pool = Pool(2)
        pool.me = pool, innermost, work
        pool.spawn(work)
        pool.spawn(outer())
        pool.join(timeout=0)

    use()
    assert ["could not clean up" in text for text in said()] == [True]


def test_what_tells_the_collector_from_others_runs_no_line_of_python():
    """In one a signal could be handled, and what its handler raises is printed, and lost."""
    seen, called = [], []

    class Cycle:
        def __del__(self):
            seen.append(bool(_dropping._collector))

    def trace(frame, event, arg):
        if event == "call":
            called.append(frame.f_code.co_name)

    cycle = Cycle()
    cycle.self = cycle
    del cycle
    sys.setprofile(trace)
    try:
        gc.collect()
    finally:
        sys.setprofile(None)
    Cycle()
    assert seen == [True, False]
    assert called == ["__del__"]
