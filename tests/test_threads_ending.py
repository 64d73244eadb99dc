"""How plain functions end: failures, interrupts, cancellation (rules 7 and 17)."""

import asyncio
import contextlib
import threading
import time
from concurrent.futures import CancelledError

import pytest

from aioutils import Group, Pool, Yielder


def test_a_stop_iteration_is_told_as_everywhere_in_asyncio():
    with Group() as group:
        error = group.spawn(next, iter(())).exception()
    assert isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration)


def test_a_stop_iteration_ends_no_iteration():
    with Yielder() as y:
        y.spawn(next, iter(()))
        y.spawn(int)
        got = []
        with pytest.raises(RuntimeError):
            for result in y:
                got.append(result)
    assert got == [0]


def test_cancelled_error_of_a_function_is_its_end():
    def give_up():
        raise asyncio.CancelledError

    with Group() as group:
        task = group.spawn(give_up)
        group.join()
        assert task.cancelled()


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("make", [lambda: Group(threads=1), lambda: Pool(1)])
def test_who_waits_for_a_task_that_somebody_cancels_is_cancelled_as_well(kind, make):
    async def forever():
        begun.set()
        await asyncio.Event().wait()

    def plain():
        return tool.spawn(forever()).result()

    async def asynchronous():
        return await tool.spawn(forever())

    async def cancel():
        await begun.wait()
        for task in tool:
            if task.name.endswith("forever"):
                task.cancel()

    begun = asyncio.Event()
    with make() as tool:
        waits = tool.spawn(plain if kind == "plain" else asynchronous)
        canceller = Group(within=tool)
        canceller.spawn(cancel())
        assert tool.join()
        assert waits.cancelled() and tool.errors == []
        with pytest.raises(CancelledError):
            waits.result()
        canceller.close()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_system_exit_of_a_function_leaves_the_wait_after_the_others_cleaned_up(kind):
    log = []
    running = threading.Event()

    def leave():
        running.wait(5)
        raise kind(3)

    async def tidy():
        try:
            running.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    with Group() as group:
        group.spawn(tidy())
        group.spawn(leave)
        with pytest.raises(kind):
            group.join()
        assert log == ["cleaned up"]
        assert group.spawn(int).result() == 0


def test_a_function_that_is_cancelled_runs_to_its_end_and_is_waited_for():
    running, release, log = threading.Event(), threading.Event(), []

    def block():
        running.set()
        release.wait(5)
        log.append("ended")

    async def cancel():
        await asyncio.to_thread(running.wait, 5)
        task.cancel()
        await asyncio.sleep(0.001)
        assert not task.done()
        release.set()

    with Pool(2) as pool:
        task = pool.spawn(block)
        pool.spawn(cancel())
        pool.join()
        assert log == ["ended"] and task.cancelled()


def test_a_function_that_is_cancelled_keeps_its_slot_until_its_end():
    running, release, log = threading.Event(), threading.Event(), []

    def block():
        running.set()
        release.wait(5)
        log.append("first ends")

    with Pool(1) as pool:
        task = pool.spawn(block)
        assert pool.join(timeout=0) is False
        assert running.wait(5)
        task.cancel()
        pool.spawn(log.append, "second starts")
        assert pool.join(timeout=0.005) is False
        assert log == []
        release.set()
        pool.join()
    assert log == ["first ends", "second starts"]


def test_what_a_cancelled_function_returns_is_closed():
    running, release = threading.Event(), threading.Event()

    async def never():
        raise AssertionError

    coroutine = never()

    def block():
        running.set()
        release.wait(5)
        return coroutine

    with Pool(1) as pool:
        task = pool.spawn(block)
        pool.join(timeout=0)
        assert running.wait(5)
        task.cancel()
        release.set()
        pool.join()
    assert coroutine.cr_frame is None


def test_a_failure_of_a_cancelled_function_is_told():
    running, release = threading.Event(), threading.Event()

    def block():
        running.set()
        release.wait(5)
        raise ValueError("while cancelled")

    with Pool(1) as pool:
        task = pool.spawn(block)
        pool.join(timeout=0)
        assert running.wait(5)
        task.cancel()
        release.set()
        pool.join(raise_error=False)
        assert isinstance(task.exception(), ValueError)


def test_close_waits_for_functions():
    log, running, release = [], threading.Event(), threading.Event()

    def block():
        running.set()
        release.wait(5)
        time.sleep(0.01)
        log.append("ended")

    pool = Pool(1)
    pool.spawn(block)
    pool.join(timeout=0)
    assert running.wait(5)
    release.set()
    pool.close()
    assert log == ["ended"]


def test_functions_already_in_threads_go_on_between_two_waits():
    running, release, ended = threading.Event(), threading.Event(), threading.Event()

    def block():
        running.set()
        release.wait(5)
        ended.set()
        return "done"

    with Group() as group:
        task = group.spawn(block)
        assert group.join(timeout=0) is False
        assert running.wait(5)
        release.set()
        assert ended.wait(5) and not task.done()
        assert task.result() == "done"


# ---- an interrupt comes while a function in its thread drives ---------------------------------


def result_of_a_task(group, work):
    group.spawn(work).result()


def looks_at_a_scope(group, work):
    with Group(within=group) as inner:
        inner.spawn(work)
        while not inner.join(timeout=0):
            pass


def result_in_a_task_of_another_tool(group, work):
    async def block():
        group.spawn(work).result()

    with Group() as other:
        other.spawn(block)


@pytest.fixture
def driven_by_a_function():
    """`driven_by_a_function(call, kind)`: in it `call` drives into a task that raises `kind`."""

    @contextlib.contextmanager
    def drive(call, kind, log):
        alone, over = threading.Event(), threading.Event()

        async def leave():
            raise kind(3)

        async def tidy():
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                log.append("cleaned up")

        def function():
            alone.wait(5)
            try:
                call(group, leave)
            except kind:
                log.append("interrupted")
                raise
            finally:
                over.set()

        with Group() as group:
            group.spawn(tidy)
            task = group.spawn(function)
            group.join(timeout=0)  # then nobody drives
            alone.set()
            assert over.wait(5)
            yield group, task

    return drive


BLOCKS = pytest.mark.filterwarnings("ignore:this call blocks the event loop")
DRIVERS = [
    result_of_a_task,
    looks_at_a_scope,
    pytest.param(result_in_a_task_of_another_tool, marks=BLOCKS),
]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("call", DRIVERS)
def test_an_interrupt_leaves_the_function_that_drives_and_then_the_join(
    driven_by_a_function, call, kind
):
    log = []
    with driven_by_a_function(call, kind, log) as (group, _):
        with pytest.raises(kind):
            group.join()
        assert log == ["interrupted", "cleaned up"]
        assert group.spawn(int).result() == 0


@pytest.mark.parametrize("call", DRIVERS)
def test_an_interrupt_that_the_function_swallows_has_cancelled_everything(
    driven_by_a_function, call
):
    def swallow(*args):
        with contextlib.suppress(KeyboardInterrupt):
            call(*args)

    log = []
    with driven_by_a_function(swallow, KeyboardInterrupt, log) as (group, task):
        assert group.join()
        assert task.cancelled()
        assert log == ["cleaned up"]


def test_an_interrupt_that_passes_through_a_waiting_function_is_no_second_one():
    log = []

    async def leave():
        raise KeyboardInterrupt

    def function():
        group.spawn(leave).result()

    async def tidy():
        try:
            await asyncio.Event().wait()
        finally:
            while not waits.done():
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
            log.append("cleaned up")

    with Group() as group:
        group.spawn(tidy)
        waits = group.spawn(function)
        with pytest.raises(KeyboardInterrupt):
            group.join()
        assert log == ["cleaned up"]


def test_a_function_that_hands_on_the_interrupt_of_a_task_is_no_second_one():
    """The first is being heeded by then: the others clean up to the end."""

    async def exits():
        await asyncio.sleep(0.01)
        raise KeyboardInterrupt

    async def slow():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            log.append("cleaned up")

    def hands_on():
        with contextlib.suppress(CancelledError, KeyboardInterrupt):
            task.result()
        task.result()  # the same again

    log, pool = [], Pool(3)
    task = pool.spawn(exits)
    pool.spawn(slow)
    pool.spawn(hands_on)
    with pytest.raises(KeyboardInterrupt):
        pool.join()
    assert log == ["cleaned up"]
    pool.close()
