"""Done-callbacks, names and repr of a task."""

import logging

import pytest
from four_tools import fails, forever, returns

from aioutils import Group, Pool


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
