"""Where another loop runs in the caller's thread, one thread drives from wait to wait."""

import asyncio
import contextlib
import gc
import sys
import threading
import time

import pytest
from on_a_loop import on_a_loop

from aioutils import Group, Pool
from aioutils._helper import Seat

pytestmark = pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")


class Alarm(BaseException):
    pass


def helpers():
    return [t for t in threading.enumerate() if t.name == "aioutils helper"]


def gone(seconds=5):
    """True when none is left; one that was told to end does so soon."""
    deadline = time.monotonic() + seconds
    while helpers() and time.monotonic() < deadline:
        time.sleep(0.001)
    return not helpers()


async def before_and_after(n):
    before = threading.get_ident()
    await asyncio.sleep(0.001 * (n % 3))
    return before, threading.get_ident()


@pytest.mark.parametrize("isolate", [True, False])
@on_a_loop
async def test_a_stream_is_driven_by_one_thread(isolate):
    with Pool(3) as pool:
        seen = list(pool.imap(before_and_after, range(50), isolate=isolate))
    assert all(before == after for before, after in seen)
    assert (threading.get_ident(),) * 2 not in seen
    assert not helpers()


@on_a_loop
@pytest.mark.usefixtures("quick_pulls")
async def test_it_ends_as_soon_as_nothing_is_under_way():
    with Pool(3) as pool:
        results = pool.imap(before_and_after, range(3))
        next(results)
        assert len(helpers()) == 1
        assert len(list(results)) == 2
        assert not helpers()


@on_a_loop
async def test_it_stays_after_a_timeout_and_goes_on():
    with Group() as group:
        task = group.spawn(before_and_after, 2)
        assert group.join(timeout=0) is False
        (helper,) = helpers()
        assert task.result() == (helper.ident, helper.ident)
        group.join()
        assert not helpers()


@pytest.mark.filterwarnings("ignore:.*was dropped where it could not clean up:ResourceWarning")
@pytest.mark.parametrize("end", ["dropped", "closed"])
@on_a_loop
async def test_it_ends_with_a_tool_that_is_dropped_or_closed_elsewhere(end):
    group = Group()
    group.spawn(asyncio.sleep, 3600)
    group.join(timeout=0.01)
    assert len(helpers()) == 1
    if end == "closed":
        await asyncio.to_thread(group.close)
    else:
        del group
        gc.collect()
    assert gone()


@on_a_loop
async def test_it_does_not_keep_the_context_or_result_of_what_it_waited_for():
    class Value:
        def __del__(self):
            ended.append(True)

    async def value():
        return Value()

    ended = []
    with Pool(2) as pool:
        slow = pool.spawn(asyncio.sleep, 0.05)
        assert isinstance(pool.spawn(value).result(), Value)
        gc.collect()
        assert helpers()
        assert ended
        slow.result()


@on_a_loop
async def test_it_ends_as_another_thread_does_the_rest():
    with Group() as group:
        group.spawn(asyncio.sleep, 0.01)
        group.join(timeout=0)
        assert len(helpers()) == 1
        await asyncio.to_thread(group.join)
        assert gone()


@pytest.mark.filterwarnings("ignore:.*was dropped where it could not clean up:ResourceWarning")
@on_a_loop
async def test_it_ends_as_the_only_one_of_a_family_that_is_at_work_is_dropped():
    with Group() as parent:
        child = Group(within=parent)
        child.spawn(asyncio.sleep, 3600)
        child.join(timeout=0)
        assert len(helpers()) == 1
        del child
        gc.collect()
        assert gone()


@pytest.mark.parametrize("late", [True, False])
@on_a_loop
async def test_a_signal_as_it_is_about_to_begin_ends_the_wait(late, monkeypatch):
    """A second one, in the midst of what one does not interrupt."""

    def interrupted(seat, function):
        monkeypatch.undo()
        if late:
            seat.call(function)
        raise Alarm

    with Group() as group:
        group.spawn(asyncio.sleep, 0)
        monkeypatch.setattr(Seat, "call", interrupted)
        with pytest.raises(Alarm):
            group.join()
        assert group.spawn(before_and_after, 0).result(timeout=10)
    assert gone()


@on_a_loop
async def test_it_ends_as_another_thread_looks_and_finds_the_end():
    with Group() as group:
        task = group.spawn(asyncio.sleep, 3600)
        group.join(timeout=0)
        assert len(helpers()) == 1
        task.cancel()
        await asyncio.to_thread(group.join, timeout=0)
        assert gone()


@on_a_loop
async def test_it_ends_as_an_interrupt_of_another_thread_ends_the_rest():
    async def interrupts():
        raise KeyboardInterrupt

    with Group() as group:
        group.spawn(asyncio.sleep, 3600)
        group.join(timeout=0)
        assert len(helpers()) == 1
        group.spawn(interrupts)
        assert isinstance(await asyncio.to_thread(interruption_of, group.join), KeyboardInterrupt)
        assert gone()


def interruption_of(function):
    """The loop that awaits a thread would take it for its own."""
    with pytest.raises(KeyboardInterrupt) as interruption:
        function()
    return interruption.value


@on_a_loop
async def test_what_an_interrupt_cancels_cleans_up_in_its_thread():
    seen = []

    async def cleans_up():
        try:
            await asyncio.sleep(3600)
        finally:
            seen.append(threading.get_ident())
            await asyncio.sleep(0.01)
            seen.append(threading.get_ident())

    async def interrupts():
        seen.append(threading.get_ident())
        await asyncio.sleep(0)
        raise KeyboardInterrupt

    with Group() as group:
        for work in (cleans_up, cleans_up, interrupts):
            group.spawn(work)
        with pytest.raises(KeyboardInterrupt):
            group.join()
    assert len(seen) == 5
    assert len(set(seen)) == 1
    assert not helpers()


@on_a_loop
async def test_threads_with_loops_of_their_own_share_a_tool():
    """Each has a helper, of which one stays: none is lost, and none waits for ever."""

    async def use(n):
        for k in range(60):
            assert pool.map(before_and_after, [n, k])
            pool.join(timeout=0.001)
            with contextlib.closing(pool.imap(before_and_after, [0] * 4)) as results:
                next(results)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with Pool(3) as pool:
            uses = (asyncio.to_thread(asyncio.run, use(n)) for n in range(5))
            await asyncio.gather(*uses)
    finally:
        sys.setswitchinterval(interval)
    assert gone()
