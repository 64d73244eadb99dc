"""Done-callbacks, names and repr of a task."""

import asyncio
import contextlib
import logging
import threading
from functools import partial

import pytest
from four_tools import fails, finish, forever, interrupt, keeps_an_interrupt, returns, start

from aioutils import DeadlockError, Group, OrderedYielder, Pool, Yielder


@pytest.fixture
def group():
    with Group() as group:
        yield group


def test_callbacks_are_called_once_with_the_task_in_order(group):
    called = []
    task = group.spawn(returns(1))
    for name in "abc":
        task.add_done_callback(lambda task, name=name: called.append((name, task)))
    group.join()
    group.join()
    assert called == [("a", task), ("b", task), ("c", task)]


async def late(task):
    raise AssertionError(task)


class Late:
    async def told(self, task):
        raise AssertionError(task)


@pytest.mark.parametrize("callback", [late, Late().told, partial(late)])
def test_an_async_one_is_refused_as_nobody_would_await_it(group, callback):
    task = group.spawn(returns(1))
    with pytest.raises(TypeError, match=r"Task returns.*nobody would await.*late|told"):
        task.add_done_callback(callback)


def test_one_that_can_not_be_asked_what_it_is_is_called(group):
    """A proxy of what is there later."""

    class Proxy:
        @property
        def __class__(self):
            raise RuntimeError("unbound")

        def __call__(self, task):
            called.append(task)

    called = []
    task = group.spawn(returns(1))
    task.add_done_callback(Proxy())
    group.join()
    assert called == [task]


def test_one_that_gives_a_coroutine_is_told_of_and_the_coroutine_closed(group, caplog):
    given = []
    task = group.spawn(returns(1))
    task.add_done_callback(lambda task: given.append(late(task)) or given[-1])
    group.join()
    assert "which nobody awaits" in caplog.text
    assert given[0].cr_frame is None


def test_a_policy_that_gives_a_coroutine_fails_in_place_of_the_task():
    group = Group(on_error=lambda task: late(task))
    group.spawn(fails, ValueError("mine"))
    with pytest.raises(TypeError, match="which nobody awaits") as error:
        group.join()
    assert str(error.value.__context__) == "mine"


def test_a_policy_may_spawn_what_tells_of_the_failure():
    async def told(task):
        seen.append(task.exception())

    seen = []
    with Group(on_error=lambda task: group.spawn(told(task))) as group:
        group.spawn(fails, error := ValueError())
    assert seen == [error]


@pytest.mark.parametrize("end", ["result", "failure", "cancel"])
def test_callbacks_are_called_however_it_ends(group, end):
    called = []
    task = group.spawn(fails, ValueError()) if end == "failure" else group.spawn(returns, 1)
    task.add_done_callback(lambda task: called.append(task.done()))
    if end == "cancel":
        task.cancel()
    group.join(raise_error=False)
    group.take_errors()
    assert called == [True]


def test_a_callback_of_what_is_done_is_called_at_once(group):
    called = []
    task = group.spawn(returns(1))
    task.result()
    task.add_done_callback(called.append)
    assert called == [task]


def test_the_same_callback_twice_is_called_twice(group):
    called = []
    task = group.spawn(returns(1))
    task.add_done_callback(called.append)
    task.add_done_callback(called.append)
    task.result()
    assert called == [task, task]


def test_a_callback_may_take_the_result(group):
    results = []
    group.spawn(returns(1)).add_done_callback(lambda task: results.append(task.result()))
    group.join()
    assert results == [1]


def test_the_failure_of_a_callback_is_logged_and_harms_nobody(group, caplog):
    called = []
    task = group.spawn(returns(1))
    task.add_done_callback(lambda task: 1 / 0)
    task.add_done_callback(called.append)
    assert task.result() == 1
    group.join()
    assert called == [task]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("aioutils", logging.ERROR)
    assert "ZeroDivisionError" in caplog.text


def test_who_joins_in_another_thread_waits_for_the_callbacks(group, in_thread):
    def slowly(_):
        called.set()
        assert go_on.wait(5)

    called, go_on = threading.Event(), threading.Event()
    task = group.spawn(returns(1))
    task.add_done_callback(slowly)
    drives = in_thread(task.result)
    assert called.wait(5)
    assert group.join(timeout=0.01) is False
    go_on.set()
    assert drives() == 1 and group.join() is True


@pytest.mark.parametrize("callback", [None, 1, "name"])
def test_a_callback_must_be_callable(group, callback):
    with pytest.raises(TypeError, match="callable"):
        group.spawn(returns(1)).add_done_callback(callback)


def test_the_name_is_the_functions_until_it_is_set(group):
    task = group.spawn(returns(1))
    assert task.name == "returns"
    task.name = "page 7"
    assert (task.name, "page 7" in repr(task)) == ("page 7", True)


def test_repr_tells_the_state():
    with Pool(1) as pool:
        running, waiting = pool.spawn(forever()), pool.spawn(returns(1))
        assert repr(running) == "<Task forever waiting>"
        pool.join(timeout=0)
        assert repr(running) == "<Task forever running>"
        assert repr(waiting) == "<Task returns waiting>"
        running.cancel()
        failed = pool.spawn(fails(ValueError()))
        pool.join(raise_error=False)
        states = [repr(task).split()[-1] for task in (running, waiting, failed)]
        assert states == ["cancelled>", "done>", "failed>"]
        pool.take_errors()


def test_tasks_compare_by_identity_and_can_be_keys(group):
    first, second = group.spawn(returns(1)), group.spawn(returns(1))
    assert first != second and len({first, second, first}) == 2


def test_a_callback_that_would_wait_where_nobody_can_run_the_loop_is_refused(group, caplog):
    """`cancel()` keeps the loop from running until it is done, and calls the callbacks."""
    group.spawn(returns(0)).result()  # now there is a loop
    waiting, other = group.spawn(returns(1)), group.spawn(returns(2))
    waiting.add_done_callback(lambda _: other.result())
    waiting.cancel()
    assert "DeadlockError" in caplog.text and not other.done()
    assert other.result() == 2


@pytest.mark.parametrize("timeout", [0, 5])
def test_so_is_one_that_would_join_there_and_told_of_the_way_out(group, timeout):
    def join(_):
        with pytest.raises(DeadlockError, match="outside of the tasks join"):
            group.join(timeout)
        refused.append(True)

    refused = []
    group.spawn(returns(0)).result()  # now there is a loop
    waiting = group.spawn(returns(1))
    waiting.add_done_callback(join)
    waiting.cancel()
    assert refused


# ---- a callback that spawns with itself again, without asking `cancelled()` ----------------


@pytest.mark.parametrize("end", ["close", "close what waits", "with", "fail"])
@pytest.mark.parametrize("make", [Group, partial(Pool, 50), Yielder, OrderedYielder])
def test_an_endless_chain_of_callbacks_ends_with_its_tool(make, end, caplog):
    def again(task):
        spawned.append(tool.spawn(forever))
        spawned[-1].add_done_callback(again)

    spawned, tool = [], make(on_error="cancel" if end == "fail" else "continue")
    if end == "fail":
        tool.spawn(fails, ValueError())
    again(None)
    if end == "close":
        start(tool)
    with contextlib.suppress(ValueError), contextlib.closing(tool):
        if end == "with":
            with tool:
                start(tool)
                raise ValueError
        if end == "fail":
            finish(tool)
    assert len(tool) == 0 and all(task.cancelled() for task in spawned)
    assert len(spawned) < 5
    (record,) = caplog.records
    assert isinstance(record.exc_info[1], RuntimeError)
    assert "asks task.cancelled() first" in caplog.text


def test_what_a_callback_spawns_as_its_tool_closes_is_cancelled_without_a_word(group, caplog):
    def tidy(task):
        spawned.append(group.spawn(forever))

    spawned = []
    for _ in range(3):
        group.spawn(forever).add_done_callback(tidy)
    group.join(timeout=0)
    group.close()
    assert [task.cancelled() for task in spawned] == [True] * 3 and not caplog.records


def test_what_a_callback_spawns_as_its_tool_is_given_up_is_cancelled():
    group, spawned = Group(), []
    task = group.spawn(keeps_an_interrupt)
    task.add_done_callback(lambda _: spawned.append(group.spawn(returns(1))))
    group.join(timeout=0)
    group.spawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        group.join()
    assert [task.cancelled() for task in spawned] == [True] and len(group) == 0
    spawned[0].cancel()
    last = group.spawn(returns(2))
    assert group.join() and last.result() == 2
    group.close()


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("kind", [Group, partial(Pool, 1)])
def test_asyncio_wait_is_refused_at_once(kind, ended):
    """It would wait for ever, with nobody who drives, or with a full pool."""

    async def wait(task):
        with pytest.raises(TypeError, match=r"no future for asyncio.wait\(\): await as_completed"):
            await asyncio.wait([task])
        done, pending = await asyncio.wait([asyncio.ensure_future(task)])
        return done.pop().result(), pending

    with kind() as tool:
        task = tool.spawn(returns(1))
        if ended:
            task.result()
        assert tool.spawn(wait, task).result() == (1, set())
        other = tool.spawn(returns(2))
        with pytest.raises(TypeError, match=r"asyncio\.wait"):
            asyncio.run(asyncio.wait([other]))
        assert other.result() == 2
