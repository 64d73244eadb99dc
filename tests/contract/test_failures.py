"""No failure is lost (rules 12 to 16, collecting)."""

import asyncio
import logging
import traceback
from concurrent.futures import CancelledError

import pytest
from four_tools import MAKERS, fails, failure_of, failures_of, finish, forever, returns

from aioutils import Group
from aioutils._joining import Ended


def test_the_others_go_on_and_the_failure_is_told(tool):
    tool.spawn(fails(KeyError("first")))
    good = tool.spawn(returns(1))
    (failure,) = failures_of(tool)
    assert (repr(failure), good.result()) == ("KeyError('first')", 1)


def test_every_failure_is_told(tool):
    for n in range(3):
        tool.spawn(fails(ValueError(n)))
    told = failures_of(tool)
    assert len(told) == 3
    assert all(f"ValueError({n})" in f"{error!r}" for n, error in enumerate(told))


def test_a_failure_that_was_told_is_not_told_again(tool):
    tool.spawn(fails(ValueError()))
    failure_of(tool)
    assert tool.errors == []
    finish(tool)


def test_a_failure_that_result_raised_is_not_told_again(tool):
    task = tool.spawn(fails(ValueError("mine")))
    with pytest.raises(ValueError, match="mine"):
        task.result()
    assert tool.errors == []
    finish(tool)


def test_a_failure_that_exception_returned_is_not_told_again(tool):
    error = ValueError("mine")
    task = tool.spawn(fails(error))
    assert task.exception() is error
    finish(tool)


def test_a_failure_that_an_await_raised_is_not_told_again(tool):
    async def catch():
        try:
            await tool.spawn(fails(ValueError("mine")))
        except ValueError as error:
            return str(error)

    task = tool.spawn(catch())
    finish(tool)
    assert task.result() == "mine"


def test_errors_is_a_snapshot_of_what_nobody_has_seen(tool):
    error = ValueError()
    task = tool.spawn(fails(error))
    tool.spawn(returns(1)).result()
    while not task.done():
        tool.spawn(returns(1)).result()
    snapshot = tool.errors
    assert snapshot == [error] == tool.errors
    snapshot.clear()
    assert tool.errors == [error]
    assert failures_of(tool) == [error]


def test_take_errors_hands_them_out_once(tool):
    errors = [ValueError(n) for n in range(3)]
    tasks = [tool.spawn(fails(error)) for error in errors]
    while not all(task.done() for task in tasks):
        tool.spawn(returns(1)).result()
    assert tool.take_errors() == errors
    assert (tool.take_errors(), tool.errors) == ([], [])
    finish(tool)


def test_cancelled_tasks_are_no_failures(tool):
    task = tool.spawn(forever())
    task.cancel()
    finish(tool)
    assert task.cancelled() and tool.errors == []


def test_a_task_that_cancels_itself_is_no_failure(tool):
    async def give_up():
        raise asyncio.CancelledError

    task = tool.spawn(give_up())
    finish(tool)
    assert task.cancelled()
    with pytest.raises(CancelledError):
        task.result()


def test_two_tasks_that_fail_with_one_exception_tell_it_once(tool):
    error = ValueError()
    tool.spawn(fails(error))
    tool.spawn(fails(error))
    assert failures_of(tool) == [error]


def test_a_failure_has_the_traceback_of_the_task_and_none_of_ours(tool):
    def deep():
        raise ValueError("deep")

    async def outer():
        await asyncio.sleep(0)
        deep()

    for work in (outer, deep):
        error = tool.spawn(work).exception()
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert names == (["outer", "deep"] if work is outer else ["deep"])


def test_a_traceback_does_not_grow_when_it_is_raised_again(tool):
    task = tool.spawn(fails(ValueError()))
    depths = []
    for _ in range(5):
        with pytest.raises(ValueError) as caught:
            task.result()
        depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert len(set(depths)) == 1


def test_base_exceptions_are_collected_as_well(tool):
    class Special(BaseException):
        pass

    tool.spawn(fails(Special("a")))
    good = tool.spawn(returns(1))
    (failure,) = failures_of(tool)
    assert type(failure) is Special and good.result() == 1


def test_generator_exit_is_a_failure_like_others(tool):
    tool.spawn(fails(GeneratorExit("mine")))
    (failure,) = failures_of(tool)
    assert repr(failure) == "GeneratorExit('mine')"


def test_a_failure_while_cleaning_up_after_a_cancel_is_told(tool):
    async def stubborn():
        try:
            await forever()
        finally:
            raise ValueError("in finally")

    task = tool.spawn(stubborn())
    tool.spawn(asyncio.sleep, 0).add_done_callback(lambda _: task.cancel())
    (failure,) = failures_of(tool)
    assert str(failure) == "in finally" and not task.cancelled()


def test_failures_of_different_times_are_told_together(tool):
    first, second = ValueError(1), ValueError(2)
    task = tool.spawn(fails(first))
    while not task.done():
        tool.spawn(returns(1)).result()
    tool.spawn(fails(second))
    told = failures_of(tool)
    assert told[0] is first and repr(second) in f"{told[1]!r}"


@pytest.mark.parametrize("end", ["closed", "dropped"])
def test_a_tool_that_goes_away_logs_what_nobody_has_seen(make, end, caplog):
    tool = make()
    task = tool.spawn(fails(ValueError("nobody saw me")))
    while not task.done():
        tool.spawn(returns(1)).result()
    if end == "closed":
        tool.close()
    del tool, task
    (record,) = [record for record in caplog.records if record.name == "aioutils"]
    assert record.levelno == logging.ERROR
    assert "nobody saw me" in caplog.text


def test_a_tool_that_goes_away_logs_nothing_that_was_seen(make, caplog):
    tool = make()
    tool.spawn(fails(ValueError()))
    failure_of(tool)
    tool.close()
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["Group", "Pool"])
def test_joins_failures_come_as_one_group_that_says_what_happened(kind):
    with MAKERS[kind]() as tool:
        for n in range(3):
            tool.spawn(returns(n))
        tool.spawn(fails(KeyError("first")))
        tool.spawn(fails(KeyError("second")))
        with pytest.raises(ExceptionGroup) as caught:
            tool.join()
    message = caught.value.message
    assert "2 of 5 tasks failed" in message
    assert f"<{kind}" in message and "KeyError('first')" in message


def test_the_message_of_join_counts_tasks_that_fail_with_the_same_exception():
    async def uses(task):
        await task

    with Group() as group:
        for _ in range(2):  # those of which was told before are not counted again
            group.spawn(returns(1))
            task = group.spawn(fails(ValueError("once")))
            for _ in range(4):
                group.spawn(uses, task)
            with pytest.raises(ExceptionGroup, match="5 of 6 tasks failed") as caught:
                group.join()
            assert len(caught.value.exceptions) == 1


def test_it_counts_no_batch_before_whose_failures_were_seen():
    with Group() as group:
        for _ in range(3):
            tasks = [group.spawn(fails(ValueError())) for _ in range(2)]
            group.spawn(returns(1))
            group.join(raise_error=False)
            assert all(task.exception() for task in tasks)
        group.map(returns, range(5))
        assert group.join() is True
        group.spawn(fails(ValueError()))
        group.spawn(returns(1))
        with pytest.raises(ExceptionGroup, match="1 of 2 tasks failed") as caught:
            group.join()
    assert len(caught.value.exceptions) == 1


def test_it_counts_the_batch_whose_failures_nobody_saw():
    with Group() as group:
        for _ in range(2):
            group.spawn(fails(ValueError()))
            group.spawn(returns(1))
            group.join(raise_error=False)
        with pytest.raises(ExceptionGroup, match="2 of 4 tasks failed") as caught:
            group.join()
    assert len(caught.value.exceptions) == 2


def test_what_failed_as_another_join_raised_is_counted_from_then_on():
    """It came between the end of that one and what it raised."""
    with Group() as group:
        group.spawn(fails(ValueError()))
        group.spawn(returns(1))
        first = Ended(group._scheduler)
        group.join(raise_error=False)
        assert first.reached()
        group.spawn(fails(LookupError()))
        group.join(raise_error=False)
        with pytest.raises(ExceptionGroup, match="1 of 2 tasks failed"):
            first.raise_all()
        with pytest.raises(ExceptionGroup, match="1 of 1 tasks failed"):
            group.join()


def test_it_does_not_count_a_context_that_failed_to_be_entered():
    class Fails:
        async def __aenter__(self):
            raise LookupError

        async def __aexit__(self, *_): ...

    with Group() as group:
        with pytest.raises(LookupError):
            group.enter_async_context(Fails())
        group.spawn(returns(1))
        group.spawn(fails(ValueError()))
        with pytest.raises(ExceptionGroup, match="1 of 2 tasks failed"):
            group.join()


def test_join_can_raise_nothing():
    with Group() as group:
        error = ValueError()
        group.spawn(fails(error))
        assert group.join(raise_error=False) is True
        assert group.errors == [error]
        with pytest.raises(ExceptionGroup) as caught:
            group.join()
        assert caught.value.exceptions == (error,)
        assert group.join() is True


def test_base_exceptions_make_it_a_base_exception_group():
    class Special(BaseException):
        pass

    with Group() as group:
        group.spawn(fails(Special()))
        group.spawn(fails(ValueError()))
        with pytest.raises(BaseExceptionGroup) as caught:
            group.join()
        assert not isinstance(caught.value, ExceptionGroup)
        assert sorted(type(error).__name__ for error in caught.value.exceptions) == [
            "Special",
            "ValueError",
        ]
