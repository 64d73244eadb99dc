"""Whoever closes a tool that another one closes just then waits for that, but not for himself."""

import asyncio
import contextlib
import signal
import threading

import pytest
from four_tools import forever, start
from on_a_loop import on_a_loop

from aioutils import Group

pytestmark = pytest.mark.timeout(10)


class Slow:
    """A context that is left when it may, and says so."""

    def __init__(self, last=None):
        self.leaving, self.may_leave, self.log = threading.Event(), threading.Event(), []
        self._last = last  # what it does in the end

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.leaving.set()
        while not self.may_leave.is_set():
            await asyncio.sleep(0.001)
        if self._last is not None:
            await self._last()
        self.log.append("left")


def close(group):
    group.close()


def aclose(group):
    asyncio.run(group.aclose())


def leave(group):
    with contextlib.ExitStack() as stack:
        stack.push(group.__exit__)


def is_waited_for(group):
    """A second time: the first is who leaves the context."""
    return bool(group._scheduler.gone._watchers)


@pytest.mark.parametrize("way", [close, aclose, leave])
def test_a_second_close_waits_until_the_contexts_were_left(way, in_thread, eventually):
    def second():
        way(group)
        slow.log.append("second")

    group, slow = Group(), Slow()
    group.enter_async_context(slow)
    ends = [in_thread(group.close)]
    slow.leaving.wait(5)
    ends.append(in_thread(second))
    eventually(lambda: is_waited_for(group) or "second" in slow.log)
    slow.may_leave.set()
    for end in ends:
        end()
    assert slow.log == ["left", "second"]


@on_a_loop
async def test_so_does_a_second_aclose_though_it_is_cancelled():
    async def second():
        try:
            await group.aclose()
        finally:
            slow.log.append("second")

    slow = Slow()
    group = Group()
    await group.spawn(asyncio.sleep, 0)
    await asyncio.to_thread(group.enter_async_context, slow)
    closing = asyncio.create_task(group.aclose())
    while not slow.leaving.is_set():
        await asyncio.sleep(0)
    waiting = asyncio.create_task(second())
    while not (is_waited_for(group) or slow.log):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0.001)
    slow.may_leave.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await closing
    assert slow.log == ["left", "second"]


WAYS = {
    "close": lambda group: asyncio.sleep(0, group.close()),
    "aclose": lambda group: group.aclose(),
    "in a thread": lambda group: asyncio.to_thread(group.close),
    "in a task": lambda group: asyncio.create_task(group.aclose()),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_is_closed_from_within_does_not_wait_for_itself(way):
    slow = Slow(lambda: way(group))
    slow.may_leave.set()
    group = Group()
    group.enter_async_context(slow)
    group.close()
    assert slow.log == ["left"]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@on_a_loop
async def test_nor_in_async_code(way):
    slow = Slow(lambda: way(group))
    slow.may_leave.set()
    async with Group() as group:
        await asyncio.to_thread(group.enter_async_context, slow)
    assert slow.log == ["left"]


@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
@pytest.mark.parametrize("inside", [False, True], ids=["", "inside a running loop"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nor_does_what_a_task_left_behind_on_the_loop_that_ends(way, inside):
    async def stray():
        try:
            await forever()
        finally:
            await way(group)
            log.append("closed")

    async def leaves_behind():
        log.append(asyncio.create_task(stray()))
        await asyncio.sleep(0)

    async def call(function):
        function()

    log, group = [], Group()
    group.spawn(leaves_behind)
    asyncio.run(call(group.join)) if inside else group.join()
    asyncio.run(call(group.close)) if inside else group.close()
    assert log[1:] == ["closed"]


@pytest.mark.parametrize("kind", ["task", "context"])
def test_nor_does_a_signal_handler_in_the_midst_of_it(kind):
    def handle(*_):
        group.close()
        log.append("handled")

    async def signals():
        signal.raise_signal(signal.SIGINT)
        while not log:
            await asyncio.sleep(0.001)

    async def task():
        try:
            await forever()
        finally:
            await signals()
            log.append("left")

    group, slow = Group(), Slow(signals)
    slow.may_leave.set()
    log = slow.log
    if kind == "context":
        group.enter_async_context(slow)
    else:
        group.spawn(task)
        start(group)
    before = signal.signal(signal.SIGINT, handle)
    try:
        group.close()
    finally:
        signal.signal(signal.SIGINT, before)
    assert log == ["handled", "left"]
    assert group._scheduler.gone.reached()
