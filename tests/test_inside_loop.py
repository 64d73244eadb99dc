"""Blocking calls inside a running loop: they work, and waiting for oneself is refused (rule 4)."""

import asyncio
import sys
import threading
import time
import types
import warnings

import pytest
from four_tools import returns, until_cancelled
from on_a_loop import on_a_loop

from aioutils import DeadlockError, Group, Pool, Yielder
from aioutils._helper import Helper
from aioutils._loop import Loop
from aioutils._waiting import Event

quietly = pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")

CALLS = {
    "join": lambda group: group.join(),
    "result": lambda group: group.spawn(returns(1)).result() == 1,
    "exception": lambda group: group.spawn(returns(1)).exception() is None,
    "map": lambda group: group.map(returns, [1, 2]) == [1, 2],
    "imap": lambda group: list(group.imap(returns, [1, 2])) == [1, 2],
    "as_completed": lambda group: len(list(group.as_completed())) == 1,
    "close": lambda group: group.close() is None,
}


@quietly
@pytest.mark.parametrize("call", CALLS)
@on_a_loop
async def test_a_blocking_call_inside_another_loop_does_what_it_does_elsewhere(call):
    with Group() as group:
        group.spawn(asyncio.sleep(0.001))
        assert CALLS[call](group) is True


@quietly
@on_a_loop
async def test_a_yielder_can_be_iterated_inside_another_loop():
    y = Yielder()
    for n in range(3):
        y.spawn(returns(n))
    assert list(y) == [0, 1, 2]
    y.close()


@quietly
@on_a_loop
async def test_a_failure_comes_out_as_itself():
    async def divide():
        return 1 / 0

    with Group() as group, pytest.raises(ZeroDivisionError):
        group.spawn(divide()).result()


@quietly
@on_a_loop
async def test_sync_code_that_a_coroutine_calls_need_not_know():
    def squares(numbers):  # an ordinary function of an ordinary library
        with Pool(2) as pool:
            return pool.map(returns, [n * n for n in numbers])

    assert squares(range(4)) == [0, 1, 4, 9]


@quietly
@pytest.mark.parametrize(
    ("error", "pauses"),
    [(None, [0.2]), (KeyboardInterrupt, [0.2, 0]), (KeyboardInterrupt, [0, 0.2])],
)
@on_a_loop
async def test_as_a_call_returns_its_helper_threads_have_ended(error, pauses, monkeypatch):
    """After an interrupt a second one lets the tasks clean up."""

    async def work():
        if error is not None:
            raise error

    def run_long(helper):
        run(helper)
        time.sleep(left.pop(0) if left else 0)

    run, left = Helper._run, [*pauses]
    monkeypatch.setattr(Helper, "_run", run_long)
    with Group() as group:
        try:
            group.spawn(work())
            group.spawn(asyncio.sleep, 0 if error is None else 3600)
            group.join()
        except KeyboardInterrupt:
            assert error is not None
        assert [t.name for t in threading.enumerate() if t.name == "aioutils helper"] == []


@quietly
@on_a_loop
async def test_what_another_thread_took_just_then_is_waited_for_anew():
    class Taken(Event):
        """It has come, the helper sees, and leaves; but it is not there any more."""

        def reached(self):
            if threading.current_thread().name == "aioutils helper" and not left:
                left.append(True)
                return True
            return super().reached()

    async def come():
        target.come()

    left, target = [], Taken()
    with Group() as group:
        group.spawn(come())
        assert group._scheduler.bound().wait(target, timeout=5) is True
    assert left


@quietly
@on_a_loop
async def test_the_running_loop_stands_still_meanwhile():
    async def count():
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    passes = 0
    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    before = passes
    with Group() as group:
        group.spawn(asyncio.sleep(0.005))
        group.join()
    assert passes == before
    counting.cancel()


# ---- the warning ------------------------------------------------------------------------


def call_thrice():
    """How often it warns, in one loop."""

    async def main():
        with Group() as group:
            for _ in range(3):
                assert group.spawn(returns(1)).result() == 1

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(main())
    return caught


def test_it_warns_once_for_each_loop_at_the_line_of_the_call():
    for _ in range(2):
        (warning,) = call_thrice()
        assert warning.category is RuntimeWarning
        assert "blocks the event loop" in str(warning.message)
        assert "await" in str(warning.message)
        assert warning.filename == __file__


def test_it_does_not_warn_in_ipython(monkeypatch):
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: object()
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert call_thrice() == []


def test_it_warns_where_ipython_is_only_imported(monkeypatch):
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: None
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert len(call_thrice()) == 1


def test_outside_of_a_running_loop_nothing_warns():
    with Group() as group:
        assert group.spawn(returns(1)).result() == 1


# ---- waiting for oneself ----------------------------------------------------------------


WAITS = {
    "join": lambda group, me: group.join(),
    "as_completed": lambda group, me: list(group.as_completed()),
    "close": lambda group, me: group.close(),
    "result of itself": lambda group, me: me[0].result(),
}


@pytest.mark.parametrize("how", WAITS)
def test_a_coroutine_that_blocks_on_its_own_tool_is_refused(how):
    async def task():
        WAITS[how](group, me)

    me = []
    with Group() as group:
        me.append(group.spawn(task))
        with pytest.raises(DeadlockError, match=r"would wait for itself.*await"):
            me[0].result()


def test_a_coroutine_that_maps_on_its_own_tool_is_refused():
    async def task():
        group.map(returns, [1])

    with Group() as group, pytest.raises(DeadlockError, match=r"would wait for itself.*await"):
        group.spawn(task).result()


@pytest.mark.parametrize("how", [how for how in WAITS if how != "as_completed"])
def test_a_plain_function_that_waits_for_its_own_tool_is_refused(how):
    me = []
    with Group() as group:
        me.append(group.spawn(WAITS[how], group, me))
        with pytest.raises(DeadlockError, match=r"would wait for itself.*await"):
            me[0].result()


def test_a_plain_function_that_iterates_all_tasks_of_its_own_tool_is_refused(run_script):
    done = run_script(
        """
        from aioutils import DeadlockError, Group

        group = Group()
        task = group.spawn(lambda: list(group.as_completed()))
        try:
            task.result()
        except DeadlockError as error:
            print(error)
        """,
        timeout=10,
    )
    assert "would wait for itself" in done.stdout


@on_a_loop
async def test_a_blocking_call_in_the_block_of_async_with_is_refused():
    async with Group() as group:
        task = group.spawn(returns(1))
        with pytest.raises(DeadlockError, match=r"await tool\.wait\(\)"):
            group.join()
        with pytest.raises(DeadlockError, match="await task"):
            task.result()
        assert await task == 1


async def in_a_sync_block(log, error=None, begun=lambda: None):
    """Where `async` was forgotten; `begun` is called as the block waits for a task."""

    async def begins():
        begun()
        await until_cancelled(log)

    with Pool(2) as pool:
        log.append(pool)
        await pool.spawn(returns(1))  # from now on it is bound to this loop
        task = pool.spawn(begins)
        if error is not None:
            raise error
        await task


def test_what_leaves_a_sync_block_goes_before_its_refusal_to_wait():
    """A cancellation above all: nobody would see that it came."""

    async def main():
        view = asyncio.create_task(in_a_sync_block(log, begun=lambda: view.cancel()))
        await asyncio.wait([view])
        assert view.cancelled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit:
                await in_a_sync_block(log, begun=lambda: limit.reschedule(0))
        with pytest.raises(KeyError) as raised:
            await in_a_sync_block(log, KeyError("mine"))
        await asyncio.sleep(0.01)
        first, second, third = (each for each in log if isinstance(each, Pool))
        assert len(first) == len(second) == len(third) == 0
        return raised.value.__notes__

    log = []
    (note,) = asyncio.run(main())
    assert "was cancelled, but not closed" in note and "async with" in note
    assert log.count("cleaned up") == 2


def test_who_leaves_the_block_of_his_own_tool_goes_on():
    async def leaves():
        with pytest.raises(KeyError):
            with pool:
                other.append(pool.spawn(until_cancelled([])))
                raise KeyError("mine")
        await asyncio.sleep(0.001)
        return "went on"

    other = []
    pool = Pool(3)
    assert pool.spawn(leaves).result() == "went on"
    assert other[0].cancelled()
    pool.close()


def test_the_end_of_a_sync_block_is_refused_once_and_cancels_nothing():
    async def main():
        with pytest.raises(DeadlockError, match="async with") as raised:
            with Group() as group:
                await group.spawn(returns(1))
                task = group.spawn(returns(2))
        assert raised.value.__context__ is None
        return await task

    assert asyncio.run(main()) == 2


FIXES = {
    "map": ("async for", lambda group: group.map(returns, [1])),
    "imap": ("async for", lambda group: list(group.imap(returns, [1]))),
    "as_completed": ("async for", lambda group: list(group.as_completed())),
    "apply": ("await task", lambda group: group.apply(returns, (1,))),
    "join": ("await tool.wait", lambda group: group.join()),
    "enter": ("async with", lambda group: group.enter_async_context(Manager())),
}


class Manager:
    async def __aenter__(self):
        raise AssertionError

    async def __aexit__(self, *error):
        raise AssertionError

    def __repr__(self):
        return "<my manager>"


@pytest.mark.parametrize("call", FIXES)
@on_a_loop
async def test_on_the_running_loop_the_fix_names_the_async_form_and_another_tool(call):
    fix, block = FIXES[call]
    group = Group()
    await group.spawn(returns(1))  # from now on it is bound to this loop
    async with group:
        task = group.spawn(returns(1))
        with pytest.raises(
            DeadlockError, match=f"{fix}.* Another tool, for sync code only"
        ) as raised:
            block(group)
        assert call != "enter" or "entering context <my manager> would" in str(raised.value)
        group.take_errors()
        await task


def test_in_a_task_on_the_tools_own_loop_there_is_no_word_of_another_tool():
    async def task():
        group.apply(returns, (1,))

    with Group() as group:
        with pytest.raises(DeadlockError, match="await task") as raised:
            group.spawn(task).result()
    assert "Another tool" not in str(raised.value)


@pytest.mark.parametrize("timeout", [None, 10, 0, -1])
@on_a_loop
async def test_awaiting_the_end_of_ones_own_tool_is_refused(timeout):
    async def join():
        await group.wait(timeout)

    async with Group() as group:
        with pytest.raises(DeadlockError, match="would wait for itself"):
            await group.spawn(join())


@quietly
@pytest.mark.parametrize("second", ["in a coroutine", "in a worker thread"])
@pytest.mark.parametrize("first", ["in a coroutine", "in a worker thread"])
def test_a_task_that_waits_for_its_tool_through_a_second_tool_is_refused(first, second):
    def spawn(tool, function, where):
        async def coroutine():
            return function()

        return tool.spawn(coroutine if where == "in a coroutine" else function)

    def back():
        one.join()

    def forth():
        spawn(two, back, second).result()

    with Group() as one, Group() as two:
        task = spawn(one, forth, first)
        with pytest.raises(DeadlockError, match="would wait for itself"):
            task.result(timeout=10)
        two.take_errors()


@quietly
def test_a_task_may_block_on_a_tool_that_does_not_wait_for_it():
    async def blocks():
        with Pool(2) as inner:
            return sum(inner.map(returns, range(5)))

    with Group() as group:
        assert group.spawn(blocks).result() == 10


@quietly
@on_a_loop
async def test_an_interrupt_that_comes_with_what_was_waited_for_leaves_after_the_clean_ups():
    drive = Loop._drive

    def leave_slowly(*args):
        try:
            drive(*args)
        finally:
            time.sleep(0.05)  # the caller looks first

    async def leave():
        raise KeyboardInterrupt

    async def tidy():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    log = []
    with Group() as group:
        group.spawn(tidy)
        task = group.spawn(leave)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Loop, "_drive", leave_slowly)
            task.result()
        assert log == ["cleaned up"]


@on_a_loop
async def test_joining_for_no_time_at_all_makes_progress_here_too():
    async def steps():
        for n in range(5):
            done.append(n)
            await asyncio.sleep(0)

    group, done = Group(), []
    group.spawn(steps())
    for _ in range(20):
        if group.join(0):
            break
    assert done == [0, 1, 2, 3, 4] and group.join(0)
    await asyncio.to_thread(group.close)


@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
@on_a_loop
async def test_if_no_thread_can_be_started_the_tasks_stay(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    group = Group()
    begun, task = group.spawn(asyncio.sleep, 0.02, 1), group.spawn(asyncio.sleep(0, 2))
    assert await asyncio.to_thread(group.join, 0) is False  # they begin, and no helper stays
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread, to drive for"):
            group.join()
    assert (begun.result(), task.result()) == (1, 2)
    group.close()


@pytest.mark.filterwarnings("error:this call blocks the event loop:RuntimeWarning")
@on_a_loop
async def test_if_the_warning_is_an_error_the_tasks_stay():
    group = Group()
    tasks = [group.spawn(asyncio.sleep(0, n)) for n in range(2)]
    with pytest.raises(RuntimeWarning, match="blocks the event loop"):
        tasks[0].result()
    assert [await task for task in tasks] == [0, 1]
    await group.aclose()


@on_a_loop
async def test_waiting_for_less_than_no_time_lets_the_others_go_on():
    group = Group()
    task = group.spawn(asyncio.sleep(0, "done"))
    while not await group.wait(-1):
        pass
    assert task.result() == "done"
    await group.aclose()


@on_a_loop
async def test_joining_for_no_time_at_all_leaves_another_thread_that_drives_alone(in_thread):
    async def stay():
        while not released.is_set():
            await asyncio.sleep(0.001)

    group, released = Group(), threading.Event()
    group.spawn(stay)
    join = in_thread(group.join)
    while not (group._scheduler.loop and group._scheduler.loop.runs_now()):
        await asyncio.sleep(0)
    assert group.join(0) is False
    released.set()
    await asyncio.to_thread(join)
    assert group.join(0) is True
    await asyncio.to_thread(group.close)
