"""What can't be cleaned up is given up, after as much as can be done, and it is said."""

import _thread
import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from concurrent.futures import CancelledError

import pytest
import uvloop
from four_tools import fails, forever, interrupt, keeps_an_interrupt, returns

from aioutils import Group, Pool, _eventloop
from aioutils._loop import Loop
from aioutils._scheduler import Scheduler

LOOPS = pytest.mark.parametrize("factory", [None, uvloop.new_event_loop], ids=["own", "uvloop"])


def dropped_inside_a_running_loop(work, *args):
    """Where no other loop can be run."""

    async def main():
        group = Group()
        group.spawn(work, *args)
        for _ in range(3):  # on a busy machine the time may be up before it begins
            while "running=0" in repr(group):
                group.join(timeout=0.01)
            group.join(timeout=0.01)
        del group
        gc.collect()

    with pytest.warns(ResourceWarning, match="dropped where it could not clean up"):
        asyncio.run(main())


pytestmark = pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")


def test_the_clean_up_of_a_task_that_is_given_up_goes_on_over_each_await():
    log = []

    async def tidy():
        try:
            await forever()
        finally:
            try:
                await asyncio.sleep(0)  # where no loop runs, this raises
            finally:
                try:
                    await asyncio.sleep(0)
                finally:
                    log.append("cleaned up")

    dropped_inside_a_running_loop(tidy)
    assert log == ["cleaned up"]


def test_what_is_no_coroutine_can_be_given_up_too():
    class Work:
        def __await__(self):
            try:
                yield from forever().__await__()
            finally:
                log.append("ended")

    log = []
    dropped_inside_a_running_loop(Work())
    assert log == ["ended"]


@pytest.mark.parametrize("kind", ["task", "stray"])
def test_what_swallows_its_end_a_hundred_times_is_left_alone(kind):
    swallowed = []

    async def stubborn():
        while len(swallowed) < 100 + (kind == "task"):  # one more ended what runs the task
            try:
                await forever()
            except GeneratorExit:
                swallowed.append(1)
        await forever()  # here the collector ends it

    async def leave_one():
        strays.append(asyncio.create_task(stubborn()))
        await forever()

    strays = []
    dropped_inside_a_running_loop(stubborn if kind == "task" else leave_one)
    strays.clear()
    gc.collect()
    assert len(swallowed) == 100 + (kind == "task")


def test_a_function_that_still_runs_as_its_tool_is_given_up_ends_its_thread(eventually):
    running, release, threads = threading.Event(), threading.Event(), []

    def block():
        threads.append(threading.current_thread())
        running.set()
        release.wait(5)

    dropped_inside_a_running_loop(block)
    assert running.wait(5)
    release.set()
    eventually(lambda: not threads[0].is_alive())


@pytest.mark.asyncios_loop  # nobody can ask uvloop whether anything can still happen
def test_a_clean_up_that_waits_for_nothing_that_could_happen_is_given_up():
    log = []

    async def waits_in_vain():
        try:
            await forever()
        finally:
            try:
                await forever()
            finally:
                log.append("given up")

    group = Group()
    group.spawn(waits_in_vain)
    group.join(timeout=0)
    with pytest.warns(ResourceWarning, match="dropped where it could not clean up"):
        del group
        gc.collect()
    assert log == ["given up"]


@LOOPS
def test_a_clean_up_that_takes_its_time_is_waited_for(factory):
    log = []

    async def slow():
        try:
            await forever()
        finally:
            await asyncio.sleep(0.15)  # longer than one look
            log.append("cleaned up")

    group = Group(loop_factory=factory)
    group.spawn(slow)
    group.join(timeout=0.001)
    del group
    gc.collect()
    assert log == ["cleaned up"]


def test_what_fails_in_the_clean_up_of_a_dropped_tool_is_logged(caplog):
    async def fail_in_cleaning_up():
        try:
            await forever()
        finally:
            raise KeyError("in finally")

    group = Group()
    group.spawn(fail_in_cleaning_up)
    group.join(timeout=0)
    del group
    gc.collect()
    assert "was dropped, and failed in cleaning up" in caplog.text and "in finally" in caplog.text


def test_strays_that_fail_as_the_loop_closes_are_told_by_asyncio(nothing_leaks):
    async def stray():
        try:
            await forever()
        finally:
            await fails(KeyError("a stray's"))

    async def leave_one():
        strays.append(asyncio.create_task(stray()))
        await asyncio.sleep(0)

    strays = []
    with Group() as group:
        group.spawn(leave_one)
    assert strays[0].done()
    (complaint,) = nothing_leaks
    assert complaint.startswith("a task failed as its loop was closed")
    nothing_leaks.clear()


def test_strays_that_leave_strays_are_not_chased_for_ever(nothing_leaks):
    strays = []

    async def stray():
        try:
            await forever()
        except asyncio.CancelledError:
            await leave_one()

    async def leave_one():
        strays.append(asyncio.create_task(stray()))
        await asyncio.sleep(0)

    with Group() as group:
        group.spawn(leave_one)
    assert len(strays) == 4
    strays.clear()
    gc.collect()
    (complaint,) = nothing_leaks
    assert complaint.startswith("Task was destroyed but it is pending!")
    nothing_leaks.clear()


def test_a_loop_that_is_given_up_still_tells_of_failures(nothing_leaks):
    loop = asyncio.new_event_loop()
    _eventloop.abandon(loop)
    loop.call_exception_handler({"message": "lost", "exception": KeyboardInterrupt()})
    assert nothing_leaks == []
    loop.call_exception_handler({"message": "lost", "exception": ValueError()})
    assert nothing_leaks == ["lost"]
    nothing_leaks.clear()


def test_a_second_ctrl_c_gives_up_in_silence_what_another_thread_runs(in_thread, nothing_leaks):
    async def stuck():
        running.set()
        try:
            while True:
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            _thread.interrupt_main()
            while True:
                await asyncio.sleep(0)

    def once_it_waits():
        while signal.getsignal(signal.SIGINT) is users:
            time.sleep(0.001)
        _thread.interrupt_main()

    running, group, users = threading.Event(), Group(), signal.getsignal(signal.SIGINT)
    for _ in range(3):
        group.spawn(stuck)
    join = in_thread(group.join)
    assert running.wait(5)
    interrupted = in_thread(once_it_waits)
    with pytest.raises(KeyboardInterrupt):
        group.join()
    interrupted()
    assert join() is True
    gc.collect()
    assert nothing_leaks == []
    group.close()


def test_a_loop_that_is_given_up_tells_the_users_own_handler():
    told = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
    _eventloop.abandon(loop)
    loop.call_exception_handler({"message": "lost", "exception": KeyboardInterrupt()})
    assert told == ["lost"]


def test_a_second_ctrl_c_that_a_stuck_clean_up_keeps_leaves_it_all_the_same():
    """It may come while the task runs: then its exception hits the task, which awaits once more."""
    group = Group()
    task = group.spawn(keeps_an_interrupt)
    group.join(timeout=0)
    group.spawn(interrupt)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        group.join()
    assert time.monotonic() < start + 5
    assert task.cancelled() and len(group) == 0
    group.close()


def test_a_pool_that_a_second_ctrl_c_gave_up_is_as_good_as_new():
    """Its slots are free, that of the one who wanted his back as well; it has threads again, and
    no context binds it."""

    @contextlib.asynccontextmanager
    async def context():
        yield

    def interrupt():
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)

    async def stuck():
        interrupt()
        try:
            await forever()
        finally:
            interrupt()
            await forever()

    async def lends():
        tasks.extend([pool.spawn(stuck), pool.spawn(returns(1))])
        await tasks[0]

    async def elsewhere():
        return await pool.spawn(returns(2))

    pool, tasks = Pool(1), []
    pool.spawn(threading.get_ident).result()
    pool.spawn(lends)
    with pytest.raises(KeyboardInterrupt):
        pool.enter_async_context(context())
        pool.join()
    assert [task.cancelled() for task in tasks] == [True, True]
    assert len(pool) == 0 and pool.free_count() == 1
    assert pool.spawn(threading.get_ident).result()
    assert asyncio.run(elsewhere()) == 2
    pool.close()


@pytest.mark.parametrize("wait", ["join", "result"])
def test_who_takes_over_as_a_second_ctrl_c_gives_up_is_told(
    wait, in_thread, eventually, monkeypatch
):
    def drop_late(loop, **options):
        monkeypatch.undo()
        eventually(loop.runs_now)
        return loop._drop_event_loop(**options)

    async def stuck():
        waits.append(in_thread(group.join if wait == "join" else task.exception))
        await asyncio.sleep(0.02)  # the other thread sleeps now
        signal.raise_signal(signal.SIGINT)
        try:
            await forever()
        finally:
            monkeypatch.setattr(Loop, "_drop_event_loop", drop_late)
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
            await forever()

    waits, group = [], Group()
    task = group.spawn(stuck)
    with pytest.raises(KeyboardInterrupt):
        group.join()
    if wait == "join":
        assert waits[0]() is True
    else:
        with pytest.raises(CancelledError):
            waits[0]()
    group.close()


def test_who_enters_a_context_is_told_though_others_only_waited(in_thread, eventually):
    """What is parked comes after what waits in the line."""

    async def stuck():
        waits.append(in_thread(pool.enter_async_context, never_entered()))
        await asyncio.to_thread(eventually, lambda: pool._scheduler.parked)
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
        try:
            await forever()
        finally:
            late.append(pool.spawn(returns(1)))  # for which there is no slot
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
            await forever()

    waits, late, pool = [], [], Pool(1)
    pool.spawn(stuck)
    with pytest.raises(KeyboardInterrupt):
        pool.join()
    assert late[0].cancelled()
    with pytest.raises(CancelledError):
        waits[0]()
    pool.close()


# ---- functions in threads that wait for another tool: they go on, though their job has ended


@contextlib.asynccontextmanager
async def never_entered():
    await forever()
    yield


def closes(tool):
    tool.spawn(forever)
    tool.close()


def leaves_one_of_its_own(tool):
    with Pool(1, within=tool) as inner:
        inner.spawn(forever)


WAYS_TO_WAIT = {
    "result": lambda tool: tool.spawn(forever).result(),
    "join": lambda tool: (tool.spawn(forever), tool.join()),
    "imap": lambda tool: list(tool.imap(endless, range(3))),
    "close": closes,
    "with": leaves_one_of_its_own,
    "context": lambda tool: tool.enter_async_context(never_entered()),
}


async def endless(_):
    await forever()


async def two_ctrl_c(ready, during=None):
    """The second gives up what cleans up after the first, `during` included."""
    while not ready():
        await asyncio.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await forever()
    finally:
        if during is not None:
            await during()
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
        await forever()


class Held:
    """Holds a worker thread each time that it leaves `method`, until it is let go."""

    def __init__(self, monkeypatch, owner, method):
        inner = getattr(owner, method)

        def held(*args, **kwargs):
            try:
                return inner(*args, **kwargs)
            finally:
                if threading.current_thread().name.startswith("aioutils-"):
                    self.go_on.wait(5)

        self.go_on = threading.Event()
        monkeypatch.setattr(owner, method, held)


@pytest.mark.parametrize("way", WAYS_TO_WAIT)
def test_a_function_that_was_given_up_as_it_waited_wants_no_slot_of_a_tool_that_was_closed(
    way, in_thread, eventually, monkeypatch
):
    def wait():
        try:
            WAYS_TO_WAIT[way](inner)
        except CancelledError:
            pass
        finally:
            ended.append(way)

    ended = []
    outer = Group(threads=1)
    inner = Pool(1, within=outer)
    held = Held(monkeypatch, Loop, "wait")  # before it wants its slot back
    outer.spawn(wait)
    outer.spawn(two_ctrl_c, lambda: "lent=1" in repr(outer))
    with pytest.raises(KeyboardInterrupt):
        outer.join()
    outer.close()
    held.go_on.set()
    in_thread(inner.close)()
    eventually(lambda: ended)


def test_a_function_that_was_given_up_gets_what_it_waits_for_elsewhere(in_thread, eventually):
    async def runs():
        while not released.is_set():
            await asyncio.sleep(0.001)

    def waits():
        with pytest.raises(CancelledError):  # by the first; the second finds it in its clean-up
            other.join()
        results.append(other.join())

    results, released = [], threading.Event()
    group, other = Group(threads=1), Group()
    other.spawn(runs)
    drives = in_thread(other.join)
    group.spawn(waits)
    group.spawn(two_ctrl_c, lambda: "lent=1" in repr(group))
    with pytest.raises(KeyboardInterrupt):
        group.join()
    group.close()
    released.set()
    assert drives() is True
    eventually(lambda: results == [True])
    other.close()


def test_a_function_that_is_given_up_as_it_lends_its_slot_leaves_the_pool_no_slot_more(
    monkeypatch, eventually
):
    def post(scheduler, action):
        if threading.current_thread().name.startswith("aioutils-"):
            waits.set()
            go_on.wait(5)
        posted(scheduler, action)

    def function():
        try:
            inner.join()
        finally:
            ended.append(True)

    waits, go_on, posted = threading.Event(), threading.Event(), Scheduler.post
    monkeypatch.setattr(Scheduler, "post", post)
    pool, ended = Pool(1), []
    inner = Group(within=pool)
    pool.spawn(function)
    inner.spawn(two_ctrl_c, waits.is_set)
    with pytest.raises(KeyboardInterrupt):
        pool.join()
    go_on.set()
    eventually(lambda: ended)
    assert pool.spawn(returns, 1).result() == 1
    assert pool.free_count() == 1
    pool.close()
    inner.close()


def test_a_tool_that_is_made_during_the_clean_up_is_given_up_with_the_others(eventually):
    async def cleaning():
        cleans.set()
        while not runs.is_set():
            await asyncio.sleep(0.001)

    async def run():
        runs.set()
        await forever()

    def wait():
        with pytest.raises(CancelledError), Group() as other:
            other.spawn(forever).result()
        assert cleans.wait(5)
        with Pool(1, within=group) as late:
            tasks.extend(late.spawn(run) for _ in range(2))
            joined.append(late.join())
            eventually(lambda: late.free_count() == 1)  # the main thread may still be at it
            joined.append("free")

    cleans, runs, tasks, joined = threading.Event(), threading.Event(), [], []
    group = Group(threads=1)
    group.spawn(wait)
    group.spawn(two_ctrl_c, lambda: True, cleaning)
    with pytest.raises(KeyboardInterrupt):
        group.join()
    eventually(lambda: joined == [True, "free"])
    assert [task.cancelled() for task in tasks] == [True, True]
    group.close()


@pytest.mark.parametrize("kind", ["part", "function"])
def test_who_is_given_up_as_he_wants_his_slot_back_is_told_while_another_thread_drives(
    kind, in_thread, eventually, monkeypatch
):
    """And ends there. A part of a task is no task: nobody else could end it."""

    def drop_late(loop, **options):
        monkeypatch.undo()
        waits.append(in_thread(pool.join))
        eventually(loop.runs_now)
        return loop._drop_event_loop(**options)

    async def late():
        monkeypatch.setattr(Loop, "_drop_event_loop", drop_late)

    async def part():
        try:
            await other.spawn(released.wait)
        finally:
            ended.append("part")

    async def lends():
        await asyncio.gather(part())

    def function():
        try:
            other.spawn(released.wait).result()
        finally:
            ended.append("function")

    def wants_it_back():
        released.set()
        return pool._scheduler.main.returning

    waits, ended, released = [], [], asyncio.Event()
    pool = Pool(1)
    other = Group(within=pool)
    pool.spawn(lends if kind == "part" else function)
    pool.spawn(two_ctrl_c, wants_it_back, late)
    with pytest.raises(KeyboardInterrupt):
        pool.join()
    assert waits[0]() is True
    assert pool.spawn(returns, 1).result() == 1
    eventually(lambda: ended == [kind])
    in_thread(pool.close)()
    in_thread(other.close)()


# ---- two who wait for the end of a tool at the same time: what the one takes back the other has


def test_one_comes_back_and_the_other_still_waits_for_the_end():
    scheduler = Pool(1)._scheduler
    scheduler.hasten()
    scheduler.hasten()
    scheduler.linger()
    assert scheduler.ending
    scheduler.linger()
    assert not scheduler.ending


def test_one_has_cleaned_up_and_the_other_still_starts_nothing():
    group = Group()
    group._scheduler.stop()
    group._scheduler.stop()
    group._scheduler.go_on()
    task = group.spawn(returns(1))
    group.join()
    assert task.cancelled()
    group._scheduler.go_on()
    assert group.spawn(returns(2)).result() == 2


def test_an_inbox_that_another_thread_has_emptied_is_no_error():
    """It gave up on everything while this one was about to look."""
    with Group() as group:
        assert group._scheduler._posted()() is None
        assert group.spawn(returns(1)).result() == 1
