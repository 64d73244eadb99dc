"""`cancel()` from any thread takes effect where nothing runs beside it: on the loop, or while that
stands still."""

import asyncio
import threading
from collections import deque

import pytest
from four_tools import MAKERS, finish, forever, returns
from on_a_loop import on_a_loop

from aioutils import Group, Pool
from aioutils._loop import Loop


@on_a_loop
async def test_in_async_code_another_threads_cancellation_takes_effect_in_the_hosts_thread():
    told, here = [], threading.get_ident()
    async with Pool(1) as pool:
        runs, waits = pool.spawn(forever()), pool.spawn(returns(1))
        waits.add_done_callback(lambda _: told.append(threading.get_ident()))
        await asyncio.sleep(0)
        await asyncio.to_thread(waits.cancel)
        await asyncio.sleep(0.001)
        runs.cancel()
    assert waits.cancelled() and told == [here]


def test_a_cancellation_while_another_thread_cancels_comes_after_that(in_thread):
    log = []

    def cancel_the_second_elsewhere(_):
        in_thread(second.cancel)()
        log.append("first")

    with Pool(1) as pool:
        pool.spawn(returns(0)).result()  # now there is a loop
        first, second = pool.spawn(returns(1)), pool.spawn(returns(2))
        first.add_done_callback(cancel_the_second_elsewhere)
        second.add_done_callback(lambda _: log.append("second"))
        first.cancel()
        pool.join()
        assert first.cancelled() and second.cancelled()
    assert log == ["first", "second"]


def test_what_waits_as_another_thread_cancels_never_starts_though_tasks_start_just_then(in_thread):
    began, cancelled, started = threading.Event(), threading.Event(), []

    async def first():
        began.set()
        cancelled.wait(5)

    async def second():
        started.append(True)

    with Pool(1) as pool:
        pool.spawn(first())
        task = pool.spawn(second())
        join = in_thread(pool.join)
        began.wait(5)
        pool.cancel()
        cancelled.set()
        assert join() is True
        assert task.cancelled() and started == []


def test_whoever_holds_the_loop_still_ends_it_if_its_last_tool_is_closed_meanwhile(
    in_thread, monkeypatch
):
    def let_go_late(loop, hold):
        in_thread(group.close)()
        let_go(loop, hold)

    async def running_loop():
        return asyncio.get_running_loop()

    group = Group(loop_factory=asyncio.SelectorEventLoop)
    loop = group.spawn(running_loop()).result()
    task, let_go = group.spawn(returns(1)), Loop.let_go
    monkeypatch.setattr(Loop, "let_go", let_go_late)
    task.cancel()
    assert loop.is_closed()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_cancel_leaves_alone_what_is_spawned_after_it_though_the_loop_was_busy(make, in_thread):
    async def block():
        blocked.set()
        released.wait(5)

    async def spawns():
        children.append(tool.spawn(forever()))
        await block()
        await forever()

    blocked, released, children = threading.Event(), threading.Event(), []
    tool = make()
    early = tool.spawn(spawns())
    end = in_thread(finish, tool)
    assert blocked.wait(5)
    tool.cancel()
    late = tool.spawn(returns("late"))
    released.set()
    end()
    assert late.result() == "late"
    assert early.cancelled() and children[0].cancelled()
    tool.close()


@pytest.mark.parametrize("end", [Group.cancel, Group.close])
def test_a_task_that_starts_as_all_are_cancelled_is_cancelled_once(end):
    """Another thread drives, as those in the line were looked at, and as they were cancelled."""

    class Line(deque):
        driven = False

        def __iter__(self):
            jobs = list(super().__iter__())
            if not self.driven:
                self.driven = True
                group.join(0)
            return iter(jobs)

    async def clean_up():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            log.append("cleaned up")

    log, group = [], Group()
    for lane in group._scheduler.lanes:
        lane.waiting = Line()
    task = group.spawn(clean_up)
    end(group)
    if end is Group.cancel:
        group.join()
    assert (log, task.cancelled()) == (["cleaned up"], True)
    group.close()
