"""How tools end: `with`, `close()`, early exits (rules 2, 15 and 18)."""

import asyncio
import contextvars
import gc
import threading

import pytest
from four_tools import finish, forever, returns, start, until_cancelled

from aioutils import Group, _tool


def test_close_cancels_what_runs_and_waits_for_its_clean_up(tool):
    log = []
    task = tool.spawn(until_cancelled(log))
    start(tool)
    tool.close()
    assert log == ["cleaned up"] and task.cancelled()


def test_close_closes_what_never_started(tool):
    coroutine = returns(1)
    task = tool.spawn(coroutine)
    tool.close()
    assert task.cancelled() and coroutine.cr_frame is None


def test_closing_again_does_nothing(tool):
    tool.spawn(returns(1))
    tool.close()
    tool.close()


def test_close_of_a_tool_that_was_never_used(tool):
    tool.close()


def test_close_raises_what_failed_in_cleaning_up(tool):
    async def stubborn():
        try:
            await forever()
        finally:
            raise ValueError("in finally")

    tool.spawn(stubborn())
    start(tool)
    with pytest.raises(ExceptionGroup) as caught:
        tool.close()
    assert [str(error) for error in caught.value.exceptions] == ["in finally"]


def test_close_waits_for_a_task_that_swallows_its_cancellation(tool):
    async def swallow():
        try:
            await forever()
        except asyncio.CancelledError:
            await asyncio.sleep(0.001)
        return "ended"

    task = tool.spawn(swallow())
    start(tool)
    tool.close()
    assert task.result() == "ended"


def test_close_runs_what_a_clean_up_waits_for(tool):
    async def tidy():
        try:
            await forever()
        finally:
            log.append(await tool.spawn(returns("from a task")))

    log = []
    tool.spawn(tidy())
    start(tool)
    tool.close()
    assert log == ["from a task"]


def test_close_does_not_wait_for_what_a_clean_up_started(tool):
    """Else it would never end."""

    async def tidy():
        try:
            await forever()
        finally:
            started.append(tool.spawn(forever()))

    started = []
    tool.spawn(tidy())
    start(tool)
    closing = threading.Thread(target=tool.close, daemon=True)
    closing.start()
    closing.join(2)
    ended = not closing.is_alive()
    started[0].cancel()
    closing.join()
    assert ended, "close() waited for a task that was spawned while it closed"


def test_close_ends_async_generators_on_their_loop(tool):
    log = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            log.append("ended")

    async def take():
        generator = numbers()
        kept.append(generator)
        return await anext(generator)

    kept = []
    assert tool.spawn(take()).result() == 1
    tool.close()
    assert log == ["ended"]


def test_close_ends_the_default_executor_and_what_was_left_on_the_loop(tool):
    async def leave():
        await asyncio.to_thread(int)
        strays.append(asyncio.create_task(until_cancelled(log)))
        await asyncio.sleep(0)

    log, strays = [], []
    tool.spawn(leave()).result()
    tool.close()
    assert log == ["cleaned up"] and strays[0].cancelled()


def test_close_in_one_thread_ends_the_wait_of_another(make, in_thread):
    """Time and again: whoever leaves last, the loop is closed."""
    for _ in range(50):
        tool = make()
        running = threading.Event()
        tool.spawn(until_cancelled([], started=running))
        wait = in_thread(finish, tool)
        assert running.wait(5)
        tool.close()
        wait()
    del tool, wait
    gc.collect()


def test_two_threads_may_close_at_once(make, in_thread):
    for _ in range(20):
        tool, log = make(), []
        tool.spawn(until_cancelled(log))
        start(tool)
        closing = [in_thread(tool.close), in_thread(tool.close)]
        for close in closing:
            close()
        assert log == ["cleaned up"]


def test_interpreter_exit_is_silent_about_what_tasks_had_started(run_script):
    """asyncio tasks of their own, which the tool does not know."""
    done = run_script(
        """
        import asyncio
        from aioutils import Group

        async def children():
            async with asyncio.TaskGroup() as children:
                children.create_task(asyncio.Event().wait())

        async def stray():
            strays.append(asyncio.create_task(asyncio.Event().wait()))
            await asyncio.gather(asyncio.Event().wait())

        strays, group = [], Group()
        group.spawn(children())
        group.spawn(stray())
        print(group.join(timeout=0.01))
        """
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_plain_function_of_another_tool_may_close_what_spawns_in_its_clean_up(tool):
    log, started = [], threading.Event()

    async def spawn_as_it_ends():
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            tool.spawn(until_cancelled(log))
            await asyncio.sleep(0.001)

    def close():
        tool.spawn(spawn_as_it_ends)
        start(tool)
        tool.close()

    with Group() as group:
        group.spawn(close).result()
    assert started.is_set() and log == ["cleaned up"]


def test_what_is_spawned_just_as_another_thread_closes_never_starts(tool, monkeypatch, in_thread):
    """It closes between the look at whether the tool is open, and the task's place in the line."""

    def close_first():
        in_thread(tool.close)()
        return contextvars.copy_context()

    monkeypatch.setattr(_tool, "copy_context", close_first)
    task = tool.spawn(returns(1))
    assert task.cancelled() and len(tool) == 0
