"""`cancel()` from any thread takes effect where nothing runs beside it: on the loop, or while that
stands still."""

import asyncio
import contextlib
import signal
import threading
from collections import deque

import pytest
from four_tools import MAKERS, fails, finish, forever, returns, start, until_cancelled
from on_a_loop import on_a_loop

from aioutils import Group, Pool, Yielder
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


def end_by_failing(group):
    group.spawn(fails(ValueError()))
    with pytest.raises(ValueError):
        group.join()


def end_by_leaving_with_a_failure(group):
    with pytest.raises(ValueError), group:
        raise ValueError


def end_by_ctrl_c(group):
    async def interrupt():
        signal.raise_signal(signal.SIGINT)
        await forever()

    group.spawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        group.join()


def end_by_leaving(group):
    with group:
        pass


def end_by_cancelling(group):
    group.cancel()
    group.join()


ENDS = [
    Group.close,
    end_by_cancelling,
    end_by_failing,
    end_by_leaving,
    end_by_leaving_with_a_failure,
    end_by_ctrl_c,
]


async def cleans_up(log):
    try:
        await forever()
    finally:
        while not log:  # until the test says that all ends
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        log.append("cleaned up")


def in_its_clean_up(**options):
    """A group, its task, which was cancelled and cleans up, and what that leaves behind."""
    log, group = [], Group(**options)
    task = group.spawn(cleans_up(log))
    start(group)
    task.cancel()
    start(group)
    assert not task.done()
    return group, task, log


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_a_tool_leaves_the_clean_up_alone_that_a_cancellation_began(end):
    group, _, log = in_its_clean_up(on_exit="cancel", on_error="cancel")
    log.append("end")
    end(group)
    assert log == ["end", "cleaned up"]
    group.close()


def test_so_does_a_tool_that_is_dropped():
    group, _, log = in_its_clean_up()
    log.append("end")
    del group, _
    assert log == ["end", "cleaned up"]


def test_so_does_an_iteration_that_is_closed():
    async def late():
        await asyncio.sleep(0.001)
        return 2

    log, y = [], Yielder()
    task = y.spawn(cleans_up(log))
    y.spawn(returns(1))
    y.spawn(late())
    iterator = iter(y)
    next(iterator)
    task.cancel()
    next(iterator)
    log.append("end")
    iterator.close()
    assert log == ["end", "cleaned up"]
    y.close()


@on_a_loop
async def test_so_does_async_with():
    log = []
    async with Group(on_exit="cancel") as group:
        task = group.spawn(cleans_up(log))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.append("end")
    assert log == ["end", "cleaned up"]


def test_a_cancellation_that_another_thread_has_under_way_is_the_one_that_counts(in_thread):
    """The thread asked first, but the loop runs, and is told later."""
    log, group = [], Group()
    task = group.spawn(cleans_up(log))

    async def ends_all():
        in_thread(task.cancel)()
        log.append("end")
        group.cancel()

    start(group)
    group.spawn(ends_all())
    group.join()
    assert (log, task.cancelled()) == (["end", "cleaned up"], True)
    group.close()


def test_a_second_cancellation_of_one_task_ends_its_clean_up():
    group, task, log = in_its_clean_up()
    task.cancel()
    group.join()
    assert log == [] and task.cancelled()
    group.close()


def test_it_does_so_at_once_after_the_first():
    async def waits():
        try:
            await other
        finally:
            try:
                await forever()
            finally:
                log.append("ended")

    async def cancels_twice():
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.append("told")

    log = []
    with Group() as group:
        other, task = group.spawn(forever), group.spawn(waits)
        start(group)
        group.spawn(cancels_twice).result()
        other.cancel()
        task.cancel()
    assert log == ["ended", "told"]


@pytest.mark.timeout(5)
@pytest.mark.parametrize("first", ["task", "tool"])
@pytest.mark.parametrize("end", ENDS)
def test_a_task_that_took_its_cancellation_back_is_cancelled_with_the_tool(first, end):
    async def goes_on():
        with contextlib.suppress(asyncio.CancelledError):
            await forever()
        asyncio.current_task().uncancel()
        log.append("goes on")
        await until_cancelled(log)

    log, group = [], Group(on_exit="cancel", on_error="cancel")
    task = group.spawn(goes_on())
    start(group)
    (task if first == "task" else group).cancel()
    start(group)
    assert log == ["goes on"]
    end(group)
    assert log == ["goes on", "cleaned up"]
    group.close()


@pytest.mark.timeout(5)
@pytest.mark.parametrize("end", ENDS)
def test_the_clean_up_after_a_timeout_of_its_own_is_cancelled_with_the_tool(end):
    async def times_out():
        async with asyncio.timeout(0):
            try:
                await forever()
            finally:
                cleaning.append(True)
                await forever()

    cleaning, group = [], Group(on_exit="cancel", on_error="cancel")
    group.spawn(times_out())
    while not cleaning:
        start(group)
    end(group)
    group.close()
