"""The handle of what was spawned."""

import asyncio
import time
from concurrent import futures

import pytest
from four_tools import MAKERS, fails, forever, returns
from on_a_loop import on_a_loop

from aioutils import Group, Task


@pytest.fixture
def group():
    with Group() as group:
        yield group


def test_result_drives_until_it_is_there(group):
    async def late():
        await asyncio.sleep(0.001)
        return "late"

    task = group.spawn(late())
    assert isinstance(task, Task)
    assert (task.done(), task.result(), task.done()) == (False, "late", True)


async def fails_in_handling():
    try:
        {}["own"]
    except KeyError:
        raise ValueError("mine")  # noqa: B904


async def awaits(task):
    try:
        raise LookupError("of somebody else")
    except LookupError:
        await task


@pytest.mark.parametrize(
    "ask",
    [
        lambda group: group.spawn(fails_in_handling()).result(),
        lambda group: group.spawn(awaits(group.spawn(fails_in_handling()))).result(),
        lambda group: group.map(lambda _: fails_in_handling(), [1]),
        lambda group: list(group.imap(lambda _: fails_in_handling(), [1])),
        lambda group: list(group.imap(returns, failing_source())),
    ],
    ids=["result", "await", "map", "imap", "source"],
)
def test_a_failure_keeps_its_own_context_whatever_is_handled_where_it_is_raised(group, ask):
    with pytest.raises(ValueError, match="mine") as caught:
        try:
            raise LookupError("of somebody else")
        except LookupError:
            ask(group)
    assert repr(caught.value.__context__) == "KeyError('own')"


async def failing_source():
    await fails_in_handling()
    yield


def test_a_failure_s_context_stays_when_it_is_raised_again(group):
    task = group.spawn(fails(ValueError("mine")))
    group.join(raise_error=False)
    for _ in range(2):
        with pytest.raises(ValueError, match="mine") as caught:
            try:
                raise LookupError("of somebody else")
            except LookupError:
                task.result()
        assert caught.value.__context__ is None


def test_result_may_be_asked_for_again(group):
    task = group.spawn(returns([]))
    assert task.result() is task.result()


def test_result_drives_no_longer_than_needed(group):
    other = group.spawn(forever())
    assert group.spawn(returns(1)).result() == 1
    assert not other.done()
    other.cancel()


def test_result_raises_the_tasks_own_exception(group):
    error = ValueError("own")
    task = group.spawn(fails(error))
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            task.result()
        assert caught.value is error


def test_exception_returns_it_or_none(group):
    error = ValueError()
    assert group.spawn(fails(error)).exception() is error
    assert group.spawn(returns(1)).exception() is None


def test_a_timeout_leaves_the_task_alone(group):
    event = asyncio.Event()
    task = group.spawn(event.wait)
    for wait in (task.result, task.exception):
        with pytest.raises(TimeoutError, match="wait"):
            wait(0.005)
    assert not task.done()
    event.set()
    assert task.result() is True


def test_a_timeout_of_0_drives_nothing(group):
    ran = []

    async def run():
        ran.append(1)

    task = group.spawn(run())
    for wait in (task.result, task.exception):
        with pytest.raises(TimeoutError):
            wait(timeout=0)
    assert ran == []
    group.join()
    assert task.result(timeout=0) is None


def test_a_negative_timeout_is_up_at_once(group):
    with pytest.raises(TimeoutError):
        group.spawn(forever()).result(-1)
    group.cancel()


def test_the_timeout_is_wall_time(group):
    task = group.spawn(forever())
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        task.result(0.02)
    assert time.monotonic() - start >= 0.02
    task.cancel()


def test_done_never_drives(group):
    task = group.spawn(returns(1))
    assert [task.done() for _ in range(10)] == [False] * 10


def test_cancel_before_the_start(group):
    task = group.spawn(returns(1))
    assert task.cancel() is True
    assert (task.done(), task.cancelled()) == (True, True)
    assert task.cancel() is False


def test_cancel_while_it_runs(group):
    log = []

    async def run():
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    task = group.spawn(run())
    group.join(timeout=0)
    assert task.cancel() is True
    assert (task.done(), log) == (False, [])
    assert group.join() is True
    assert (task.cancelled(), log) == (True, ["cleaned up"])


def test_cancel_after_the_end(group):
    task = group.spawn(returns(1))
    task.result()
    assert (task.cancel(), task.cancelled(), task.result()) == (False, False, 1)


def test_a_task_may_refuse_to_be_cancelled(group):
    async def refuse():
        try:
            await forever()
        except asyncio.CancelledError:
            return "refused"

    task = group.spawn(refuse())
    group.join(timeout=0)
    task.cancel()
    assert (task.result(), task.cancelled()) == ("refused", False)


def test_a_cancelled_task_raises_the_futures_error_in_sync_code(group):
    task = group.spawn(forever())
    task.cancel()
    for wait in (task.result, task.exception):
        with pytest.raises(futures.CancelledError):
            wait()


BLOCKING = {
    "result": lambda group, task: task.result(),
    "exception": lambda group, task: task.exception(),
    "map": lambda group, task: group.map(cancel_me, [1]),
}


async def cancel_me(_):
    raise asyncio.CancelledError


@pytest.mark.parametrize("call", BLOCKING)
@pytest.mark.parametrize("kind", [asyncio.CancelledError, futures.CancelledError])
@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
def test_where_a_loop_runs_the_error_of_a_cancelled_task_is_of_both_kinds(group, call, kind):
    async def ask():
        with pytest.raises(kind):
            BLOCKING[call](group, task)
        return "caught"

    task = group.spawn(forever())
    task.cancel()
    assert asyncio.run(ask()) == "caught"
    with pytest.raises(futures.CancelledError) as caught:
        BLOCKING[call](group, task)
    assert not isinstance(caught.value, asyncio.CancelledError)
    assert "dropped" not in str(caught.value)  # the tool is here


@on_a_loop
async def test_in_async_code_the_error_of_a_cancelled_item_is_of_both_kinds():
    async with Group() as group:
        for kind in (asyncio.CancelledError, futures.CancelledError):
            with pytest.raises(kind):
                await anext(group.imap(cancel_me, [1]))


@pytest.mark.parametrize("tool", MAKERS)
def test_a_task_whose_tool_went_away_says_so(tool):
    with pytest.raises(futures.CancelledError, match=r"its \w+ was dropped; keep the tool"):
        MAKERS[tool]().spawn(returns(1)).result()


@on_a_loop
async def test_a_task_whose_tool_went_away_says_so_in_async_code():
    group = Group()
    begun, done = group.spawn(forever()), group.spawn(returns(1))
    assert await done == 1
    del group
    with pytest.raises(asyncio.CancelledError, match="its Group was dropped"):
        await begun
    assert await done == 1


def test_a_cancelled_task_raises_asyncios_error_in_async_code(group):
    cancelled = group.spawn(forever())
    cancelled.cancel()

    async def wait():
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return "went on"

    assert group.spawn(wait()).result() == "went on"


def test_await_gives_the_result_and_raises_the_exception(group):
    error = ValueError()

    async def wait():
        value = await group.spawn(returns(1))
        try:
            await group.spawn(fails(error))
        except ValueError as caught:
            return value, caught

    assert group.spawn(wait()).result() == (1, error)


def test_many_may_await_one_task(group):
    event = asyncio.Event()
    awaited = group.spawn(event.wait)

    async def wait():
        return await awaited

    waiting = [group.spawn(wait()) for _ in range(10)]
    group.join(timeout=0)
    event.set()
    assert [task.result() for task in waiting] == [True] * 10


def test_cancelling_one_who_awaits_leaves_the_awaited_alone(group):
    awaited = group.spawn(forever())

    async def wait():
        await awaited

    task = group.spawn(wait())
    group.join(timeout=0)
    task.cancel()
    with pytest.raises(futures.CancelledError):
        task.result()
    assert not awaited.done()
    awaited.cancel()


def test_awaiting_what_is_done_gives_the_loop_no_pause(group):
    done = group.spawn(returns(1))
    done.result()

    async def wait():
        passed = []
        asyncio.get_running_loop().call_soon(passed.append, 1)
        await done
        return passed.copy()

    assert group.spawn(wait()).result() == []


def test_completion_shows_what_is_for_users(group):
    public = {word for word in dir(group.spawn(returns(1))) if not word.startswith("_")}
    methods = {"add_done_callback", "cancel", "cancelled", "done", "exception", "result"}
    assert public == {"name", *methods}


def test_the_asyncio_task_has_its_name():
    async def named():
        before = asyncio.current_task().get_name()
        await asyncio.sleep(0)
        return before, asyncio.current_task().get_name()

    name = named.__qualname__
    with Group() as group:
        assert group.spawn(named()).result() == (name, name)
        task = group.spawn(named)
        task.name = "second"
        assert task.result() == ("second", "second")
        assert group.map(named_as, ["item"]) == ["named_as"]


async def named_as(_):
    return asyncio.current_task().get_name()


@pytest.mark.parametrize("wait", [futures.wait, lambda tasks: list(futures.as_completed(tasks))])
def test_it_is_no_future_of_an_executor(wait):
    with Group() as group:
        task = group.spawn(asyncio.sleep, 0)
        with pytest.raises(TypeError, match=r"no future for concurrent.futures: iterate as_compl"):
            wait([task])
