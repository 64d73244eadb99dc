"""A hook that waits blocks the loop that it is called on, and is refused where that waits for it
(rule 4)."""

import asyncio
import signal
import threading

import pytest
from four_tools import returns

from aioutils import DeadlockError, Group, Pool, Yielder
from aioutils._waiting import Wait

pytestmark = [
    pytest.mark.timeout(10),
    pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning"),
]
hooks = pytest.mark.parametrize("kind", ["on_error", "callback"])


sleepers = []  # the loops that threads sleep for, having looked for the last time


@pytest.fixture(autouse=True)
def noted(monkeypatch):
    """Earlier, one that waits may look at a task which has failed, and not wait at all."""

    def sleep(wait, *args, **options):
        sleepers.append(wait._loop)
        sleeps(wait, *args, **options)

    sleeps = Wait.sleep
    monkeypatch.setattr(Wait, "sleep", sleep)
    yield
    sleepers.clear()


async def fails(other=None, driven=None):
    """Once a function of the other tool waits, and sleeps while another thread drives this one."""
    while other is not None and "lent=1" not in repr(other):
        await asyncio.sleep(0)
    while driven is not None and driven._scheduler.loop not in sleepers:
        await asyncio.sleep(0)
    raise ValueError


def spawn_with(kind, hook, make, other=None, *, driven=False):
    """A tool, and a task of it that fails and has the hook called."""
    tool = make(on_error=hook) if kind == "on_error" else make()
    task = tool.spawn(fails, other, tool if driven else None)
    if kind == "callback":
        task.add_done_callback(hook)
    return tool, task


async def ends_after(task):
    while not task.done():
        await asyncio.sleep(0)


WAITS = {
    "tool": lambda tool, task: tool.join(raise_error=False),
    "task": lambda tool, task: task.exception(),
    "one behind": lambda tool, task: tool.spawn(ends_after, task).result(),
}


@hooks
@pytest.mark.parametrize("what", WAITS)
def test_if_the_other_waits_first_the_hook_is_refused(kind, what, in_thread):
    def hook(_):
        try:
            other.join()
        except DeadlockError as error:
            refused.append(str(error))

    refused = []
    with Pool(2) as other:
        tool, task = spawn_with(kind, hook, Group, other, driven=True)
        other.spawn(WAITS[what], tool, task)
        joined = in_thread(other.join)
        tool.join(raise_error=False)
        assert joined()
        assert len(refused) == 1 and "hook of fails" in refused[0]
        tool.take_errors()
        tool.close()


@hooks
def test_if_the_hook_waits_first_the_other_is_refused(kind):
    def wait():
        try:
            tool.join()
        except DeadlockError as error:
            refused.append(str(error))

    refused = []
    with Pool(2) as other:
        tool, _ = spawn_with(kind, lambda _: other.join(), Group)
        other.spawn(wait)
        tool.join(raise_error=False)
        assert len(refused) == 1 and "hook of fails" in refused[0]
        tool.take_errors()
        tool.close()


@hooks
def test_a_hook_that_waits_for_one_that_iterates_its_tool(kind, in_thread):
    def hook(_):
        with pytest.raises(DeadlockError):
            other.join()
        refused.append(1)

    def iterate():
        try:
            return list(tool)
        except ValueError:
            return None

    refused = []
    with Pool(2) as other:
        tool, _ = spawn_with(kind, hook, Yielder, other)
        other.spawn(iterate)
        assert in_thread(other.join)()
        assert refused
        tool.close()


def test_a_hook_that_waits_for_one_that_iterates_while_another_thread_drives(in_thread, eventually):
    def hook(_):
        with pytest.raises(DeadlockError):
            other.join()
        refused.append(1)

    refused = []
    with Pool(2) as other:
        tool, _ = spawn_with("on_error", hook, Yielder, other, driven=True)
        drives = in_thread(list, tool)
        eventually(lambda: "running=1" in repr(tool))
        other.spawn(list, tool)
        assert in_thread(other.join)() and drives() == []
        assert refused
        tool.close()


@hooks
def test_closing_what_waits_for_the_hook_is_refused_before_it_begins(kind, in_thread):
    def hook(_):
        with pytest.raises(DeadlockError):
            other.close()
        refused.append(1)

    refused = []
    with Pool(2) as other:
        tool, _ = spawn_with(kind, hook, Group, other)
        other.spawn(tool.join, raise_error=False)
        joined = in_thread(other.join)
        tool.join(raise_error=False)
        assert joined() and refused
        assert other.spawn(returns(1)).result() == 1
        tool.take_errors()
        tool.close()


@hooks
def test_a_hook_may_wait_for_who_does_not_wait_for_it(kind):
    got = []
    with Pool(2) as other:
        tool, _ = spawn_with(kind, lambda _: got.append(other.spawn(returns(1)).result()), Group)
        tool.join(raise_error=False)
        assert got == [1]
        tool.take_errors()
        tool.close()


def test_a_hook_may_wait_for_who_waited_for_its_task_and_was_told_before(in_thread, eventually):
    """It blocks the loop, but he does not drive that, and is about to go on."""

    async def go_on():  # on the loop: an event of asyncio is for one thread
        event.set()

    event, got = asyncio.Event(), []
    with Pool(2) as other, Group() as tool:
        task = tool.spawn(event.wait)
        joined = in_thread(tool.join)
        eventually(lambda: "running=1" in repr(tool))
        waits = other.spawn(task.result)
        ended = in_thread(other.join)
        eventually(lambda: "lent=1" in repr(other) and task._watchers)
        task.add_done_callback(lambda _: got.append(waits.result()))
        tool.spawn(go_on)
        assert joined() and ended() and got == [True]


@pytest.mark.parametrize("inside", [True, False], ids=["in a function", "outside"])
def test_who_waits_for_a_loop_that_sync_code_blocks_for_him_is_refused(inside):
    async def main():
        async with Group() as group:
            task = group.spawn(asyncio.sleep, 0.01)
            with Pool(1) as pool:
                return pool.spawn(task.result).exception()

    def run():
        return asyncio.run(main())

    if inside:
        with Pool(1) as pool:
            error = pool.spawn(run).result()
    else:
        error = run()
    assert isinstance(error, DeadlockError)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs SIGUSR1")
def test_so_he_is_after_a_signal_handler_in_there_has_waited():
    def handler(*_):
        handled.append(third.spawn(returns, 1).result())
        has_waited.set()

    async def blocks():
        return other.spawn(asks).exception()

    def asks():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        assert has_waited.wait(5)
        waiting.result(timeout=1)

    handled, has_waited = [], threading.Event()
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with Group() as group, Group() as other, Group() as third:
            waiting = group.spawn(asyncio.sleep, 3600)
            error = group.spawn(blocks).result()
            waiting.cancel()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled == [1] and isinstance(error, DeadlockError)
