"""What Group adds to the contract of all tools: join, and iterating its tasks."""

import asyncio

import pytest
from four_tools import DEBUG, fails, forever, returns, until_cancelled

from aioutils import DeadlockError, Group, Pool


def test_join_returns_true_at_once_if_there_is_nothing_to_do():
    with Group() as group:
        assert group.join() is True
        assert group.join(timeout=0) is True


def test_join_returns_false_when_the_time_is_up_and_goes_on_the_next_time():
    event = asyncio.Event()
    with Group() as group:
        task = group.spawn(event.wait)
        assert group.join(timeout=0.005) is False
        assert not task.done() and len(group) == 1
        event.set()
        assert group.join(timeout=10) is True
        assert task.result() is True


def test_join_with_timeout_0_does_what_needs_no_waiting():
    with Group() as group:
        quick, slow = group.spawn(returns(1)), group.spawn(forever())
        assert group.join(timeout=0) is False
        assert quick.done() and not slow.done()
        slow.cancel()
        assert group.join(timeout=0) is True


def test_join_with_timeout_0_goes_on_after_a_task_that_stops_the_loop():
    async def stop():
        asyncio.get_running_loop().stop()

    with Group() as group:
        group.spawn(stop())
        group.spawn(asyncio.sleep, 0)
        assert group.join(timeout=0) is True


def test_an_interrupt_by_a_task_in_join_with_timeout_0_leaves_after_the_others_cleaned_up():
    async def interrupt():
        raise KeyboardInterrupt

    with Group() as group:
        task = group.spawn(asyncio.sleep, 3600)
        group.spawn(interrupt())
        with pytest.raises(KeyboardInterrupt):
            group.join(timeout=0)
        assert task.cancelled() and len(group) == 0


def test_join_with_timeout_0_gets_on_each_time():
    steps = []

    async def run():
        for step in range(100):
            steps.append(step)
            await asyncio.sleep(0)

    with Group() as group:
        group.spawn(run())
        before = -1
        while not group.join(timeout=0):
            assert len(steps) > before
            before = len(steps)
    assert steps == list(range(100))


def test_a_join_that_ran_out_of_time_raises_no_failure_yet():
    with Group() as group:
        stuck = group.spawn(forever())
        group.spawn(fails(ValueError()))
        assert group.join(timeout=0.005) is False
        assert len(group.errors) == 1
        stuck.cancel()
        with pytest.raises(ExceptionGroup):
            group.join()


def test_a_single_failure_is_a_group_too():
    with Group() as group:
        group.spawn(fails(ValueError("alone")))
        with pytest.raises(ExceptionGroup, match="1 of 1 tasks failed"):
            group.join()


def test_except_star_sorts_them():
    with Group() as group:
        group.spawn(fails(ValueError()))
        group.spawn(fails(KeyError()))
        caught = []
        try:
            group.join()
        except* ValueError as errors:
            caught += errors.exceptions
        except* KeyError as errors:
            caught += errors.exceptions
        assert [type(error) for error in caught] == [ValueError, KeyError]


def test_failures_keep_their_tracebacks_in_the_group():
    async def where_it_happened():
        raise ValueError

    with Group() as group:
        group.spawn(where_it_happened())
        with pytest.raises(ExceptionGroup) as caught:
            group.join()
    trace = caught.value.exceptions[0].__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    assert trace.tb_frame.f_code.co_name == "where_it_happened"


def test_with_joins_even_what_the_last_task_spawned():
    ended = []

    async def run(n):
        await asyncio.sleep(0)
        if n:
            group.spawn(run(n - 1))
        ended.append(n)

    with Group() as group:
        group.spawn(run(5))
    assert ended == [5, 4, 3, 2, 1, 0]


def test_a_group_runs_any_number_at_once():
    now, most, many = 0, 0, 1_000 if DEBUG else 5_000

    async def run():
        nonlocal now, most
        now += 1
        most = max(most, now)
        await all_there.wait() if now < many else all_there.set()
        now -= 1

    all_there = asyncio.Event()
    with Group() as group:
        for _ in range(many):
            group.spawn(run())
    assert most == many


def test_what_is_spawned_into_the_clean_up_after_a_failure_is_cancelled_even_if_that_was_seen():
    log, late = [], []

    def see(task):
        assert isinstance(task.exception(), ValueError)
        late.append(group.spawn(returns(1)))

    with Group(on_error="cancel") as group:
        group.spawn(until_cancelled(log))
        group.spawn(fails(ValueError())).add_done_callback(see)
        group.join()
        assert late[0].cancelled() and log == ["cleaned up"]
        assert group.spawn(returns(2)).result() == 2


def test_iter_may_cancel_while_it_goes():
    with Group() as group:
        tasks = [group.spawn(forever()) for _ in range(10)]
        group.join(timeout=0)
        for task in group:
            task.cancel()
        group.join()
        assert all(task.cancelled() for task in tasks) and list(group) == []


def test_unfinished_tasks_survive_many_short_joins():
    ended = []

    async def run(n):
        await asyncio.sleep(0.001 * n)
        ended.append(n)

    with Group() as group:
        for n in range(20):
            group.spawn(run(n))
        while not group.join(timeout=0.002):
            pass
    assert sorted(ended) == list(range(20))


def test_a_failure_that_came_after_the_end_that_was_waited_for_is_kept_for_the_next():
    """Who waited has to wait for its slot as well, and meanwhile the group got new work:

    `waits` lent the only slot; the group ends, with the first failure;
    `busy` has the slot, and the group fails a second time;
    `waits` has its slot again, and raises what it waited for.
    """

    async def waits():
        with pytest.raises(ExceptionGroup) as caught:
            await group.wait()
        assert [repr(error) for error in caught.value.exceptions] == ["ValueError('first')"]
        assert [repr(error) for error in group.take_errors()] == ["ValueError('second')"]

    async def busy():
        begin.set()
        await ended(first)
        await ended(group.spawn(fails(ValueError("second"))))

    async def ended(task):
        while not task.done():
            await asyncio.sleep(0)  # which keeps the slot

    async def fail_first():
        await begin.wait()
        raise ValueError("first")

    begin = asyncio.Event()
    with Pool(1) as pool, Group(within=pool) as group:
        first = group.spawn(fail_first())
        pool.spawn(waits())
        pool.spawn(busy())
        pool.join()


def test_what_apply_may_not_wait_for_is_not_called():
    """Else who falls back to `await` would have it done twice."""

    async def main():
        async with Group() as group:
            await group.spawn(returns(1))
            with pytest.raises(DeadlockError):
                group.apply(called.append, (1,))

    called = []
    asyncio.run(main())
    assert called == []


def test_what_apply_failed_with_is_raised_though_it_was_a_refusal():
    async def fail():
        raise failure

    failure = DeadlockError("of its own")
    with Group() as group, pytest.raises(DeadlockError) as raised:
        group.apply(fail)
    assert raised.value is failure
