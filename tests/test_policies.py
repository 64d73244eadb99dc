"""Policies for failures, `on_error=`, in both worlds (rules 15 and 16)."""

import asyncio
import contextlib
import gc
import weakref
from concurrent.futures import CancelledError

import pytest
from four_tools import fails, finish, forever, returns, start, until_cancelled
from on_a_loop import afinish

from aioutils import Group, OrderedYielder, Pool, Yielder

GROUPS = {"Group": Group, "Pool": lambda **options: Pool(9, **options)}
YIELDERS = {"Yielder": Yielder, "OrderedYielder": OrderedYielder}


@pytest.fixture(params=["sync", "async"])
def end(request):
    """Waits until everything has ended, by joining or iterating, in one of the two worlds."""
    return finish if request.param == "sync" else lambda tool: asyncio.run(afinish(tool))


@pytest.fixture(params=GROUPS)
def make(request):
    return GROUPS[request.param]


@pytest.fixture(params=YIELDERS)
def make_yielder(request):
    return YIELDERS[request.param]


async def after(moments, work):
    for _ in range(moments):
        await asyncio.sleep(0)
    return await work


# ---- continue ---------------------------------------------------------------------------


def test_continue_lets_the_others_go_on_and_raises_all_failures_together(make, end):
    group = make()
    group.spawn(fails(ValueError(1)))
    good = group.spawn(asyncio.sleep(0.001, "value"))
    group.spawn(after(3, fails(KeyError(2))))
    with pytest.raises(ExceptionGroup, match="2 of 3 tasks failed") as caught:
        end(group)
    assert [repr(error) for error in caught.value.exceptions] == ["ValueError(1)", "KeyError(2)"]
    assert good.result() == "value"
    end(group)


# ---- cancel -----------------------------------------------------------------------------


def test_cancel_raises_the_first_failure_as_itself_once_the_rest_has_cleaned_up(make, end):
    log, error = [], ValueError("first")
    group = make(on_error="cancel")
    rest = group.spawn(until_cancelled(log))
    group.spawn(after(3, fails(error)))
    with pytest.raises(ValueError) as caught:
        end(group)
    assert caught.value is error
    assert rest.cancelled() and log == ["cleaned up"]


def test_cancel_has_the_other_failures_ride_on_the_first_as_notes(make, end):
    async def bad_end(n):
        try:
            await forever()
        finally:
            raise KeyError(n)

    group = make(on_error="cancel")
    for n in range(2):
        group.spawn(bad_end(n))
    group.spawn(after(3, fails(ValueError("first"))))
    with pytest.raises(ValueError, match="first") as caught:
        end(group)
    notes = sorted(note[-11:] for note in caught.value.__notes__)
    assert notes == ["KeyError(0)", "KeyError(1)"]
    assert group.errors == []


def test_cancel_never_starts_what_still_waits(end):
    started = []
    pool = Pool(1, on_error="cancel")
    pool.spawn(fails(ValueError()))
    waiting = pool.spawn(started.append, 1)
    with pytest.raises(ValueError):
        end(pool)
    assert waiting.cancelled() and started == []


def test_what_is_spawned_while_the_rest_is_cancelled_is_cancelled_too(make, end):
    async def one_more():
        try:
            await forever()
        finally:
            late.append(group.spawn(forever()))

    late, group = [], make(on_error="cancel")
    group.spawn(one_more())
    group.spawn(after(3, fails(ValueError())))
    with pytest.raises(ValueError):
        end(group)
    assert late[0].cancelled()


def test_a_group_that_raised_its_failure_takes_new_work(make, end):
    group = make(on_error="cancel")
    for _ in range(2):
        group.spawn(fails(ValueError("again")))
        with pytest.raises(ValueError, match="again"):
            end(group)
        task = group.spawn(returns("value"))
        end(group)
        assert task.result() == "value"


@pytest.mark.parametrize("seen_by", ["result", "exception", "take_errors"])
def test_a_group_whose_failure_was_seen_elsewhere_takes_new_work(make, seen_by):
    with make(on_error="cancel") as group:
        bad, rest = group.spawn(fails(ValueError("mine"))), group.spawn(forever())
        if seen_by == "result":
            with pytest.raises(ValueError, match="mine"):
                bad.result()
        elif seen_by == "exception":
            assert str(bad.exception()) == "mine"
        else:
            group.join(raise_error=False)
            assert len(group.take_errors()) == 1
        group.join()
        assert rest.cancelled()
        assert group.spawn(returns("value")).result() == "value"


def test_who_raises_a_failure_late_takes_a_later_one_for_none_of_his():
    """It is raised as itself; he wanted his slot back first."""

    async def fails_first():
        await waited_for.wait()
        raise ValueError

    async def waits():
        with pytest.raises(ValueError):
            await group.wait()

    async def holds_the_slot():
        waited_for.set()
        await slot_is_free.wait()

    async def fails_again():
        slot_is_free.set()
        raise KeyError

    waited_for, slot_is_free = asyncio.Event(), asyncio.Event()
    with Group(on_error="cancel") as group, Pool(1, within=group) as pool:
        group.spawn(fails_first)
        late = pool.spawn(waits)
        pool.spawn(holds_the_slot)
        with pytest.raises(ValueError):
            group.join()
        assert not late.done()
        group.spawn(fails_again)
        late.result()
        with pytest.raises(KeyError):
            group.join()


def test_cancelled_tasks_are_no_failures_and_cancel_nobody(make, end):
    group = make(on_error="cancel")
    task, other = group.spawn(forever()), group.spawn(after(5, returns("value")))
    group.spawn(after(2, returns(0))).add_done_callback(lambda _: task.cancel())
    end(group)
    assert task.cancelled() and other.result() == "value"


@contextlib.asynccontextmanager
async def no_context():
    raise ValueError("alone")
    yield


@pytest.mark.parametrize("isolate", [True, False])
def test_what_fails_in_a_map_or_in_entering_a_context_cancels_nobody_else(make, isolate):
    with make(on_error="cancel") as tool:
        task = tool.spawn(forever())
        with pytest.raises(ValueError, match="alone"):
            tool.map(fails, [ValueError("alone")], isolate=isolate)
        with pytest.raises(ValueError, match="alone"):
            tool.enter_async_context(no_context())
        assert not task.done()
        task.cancel()


def test_a_task_that_iterates_takes_no_failure_from_those_who_wait_outside(make):
    """It is one of the rest, which that failure has ended."""

    async def iterates():
        async with contextlib.aclosing(group.imap(asyncio.sleep, [0, 60], [1, 2])) as results:
            assert await anext(results) == 1
            with pytest.raises(asyncio.CancelledError):
                await forever()
            with pytest.raises(asyncio.CancelledError):
                await anext(results)
            ended.append(True)

    async def cleans_up(_):
        try:
            await forever()
        finally:
            await asyncio.sleep(0.01)

    ended = []
    with make(on_error="cancel") as group:
        group.spawn(iterates())
        group.spawn(asyncio.sleep, 0.01).add_done_callback(lambda _: group.spawn(fails(KeyError())))
        with pytest.raises(KeyError):
            list(group.imap(cleans_up, range(2)))
    assert ended


def test_a_task_of_another_tool_that_iterates_is_told_before_the_rest_has_cleaned_up(make):
    """It may be waited for in there."""

    async def iterates():
        with pytest.raises(KeyError):
            async for _ in tool.imap(asyncio.sleep, [3600]):
                pass
        return "told"

    async def cleans_up():
        try:
            await forever()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            got.append(await task)

    got = []
    with make(on_error="cancel") as tool, Group(within=tool) as group:
        tool.spawn(cleans_up)
        task = group.spawn(iterates)
        start(group)
        tool.spawn(fails(KeyError()))
        assert task.result() == "told"
        tool.join()
    assert got == ["told"]


@pytest.mark.parametrize("world", ["sync", "async"])
@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_a_failure_that_a_task_passes_on_is_what_ends_a_map(make, method, world):
    """It has been seen by that task, and is on its way, as others are found cancelled."""

    async def works(n):
        if n == 0:
            await forever()
        child = group.spawn(fails(KeyError(n)))
        try:
            await child
        except asyncio.CancelledError:
            try:
                await child
            finally:
                await asyncio.sleep(0.01)

    async def collect():
        return [result async for result in getattr(group, method)(works, range(2))]

    with make(on_error="cancel") as group:
        with pytest.raises(KeyError) as caught:
            if world == "sync" or method == "map":
                list(getattr(group, method)(works, range(2)))
            else:
                asyncio.run(collect())
        assert caught.value.__context__ is None or not caught.value.__suppress_context__
        group.join()


async def fails_once_begun(begun, most, error):
    """As so many items have."""
    while len(begun) < most:
        await asyncio.sleep(0)
    raise error


async def ends_slowly(begun):
    begun.append(1)
    try:
        await forever()
    finally:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
def test_the_failure_that_ends_two_iterations_is_raised_in_both(make, method, isolate):
    """In whichever order: the one in a task of another tool is told of it first."""

    async def iterates():
        with pytest.raises(KeyError) as caught:
            async for _ in group.imap(ends_at_once, [begun], isolate=isolate):
                pass
        return caught.value

    async def ends_at_once(begun):
        begun.append(1)
        await forever()

    begun = []
    with make(on_error="cancel") as group, Group(within=group) as other:
        task = other.spawn(iterates())
        group.spawn(fails_once_begun(begun, 3, KeyError("first")))
        with pytest.raises(KeyError) as caught:
            list(getattr(group, method)(ends_slowly, [begun] * 2, isolate=isolate))
        assert caught.value is task.result()
        assert group.join() and other.join()


def test_the_failure_that_ends_the_iterations_of_three_threads_is_raised_in_both(make, in_thread):
    def iterates():
        with pytest.raises(KeyError) as caught:
            list(group.imap(ends_slowly, [begun]))
        return caught.value

    begun = []
    with make(on_error="cancel") as group:
        group.spawn(fails_once_begun(begun, 3, KeyError("first")))
        threads = [in_thread(iterates) for _ in range(3)]
        assert len({id(wait()) for wait in threads}) == 1


@pytest.mark.parametrize("seconds", [0, 0.03])
@pytest.mark.parametrize("isolate", [True, False])
def test_an_iteration_raises_what_ended_it_once_the_rest_has_cleaned_up(make, isolate, seconds):
    """The first failure, with what failed in cleaning up as its notes, however late."""

    async def cleans_up(seconds, error=None):
        try:
            await forever()
        finally:
            await asyncio.sleep(seconds)
            ended.append(seconds)
            if error is not None:
                raise error

    begun, ended = [], []
    with make(on_error="cancel") as group:
        group.spawn(cleans_up(seconds, ValueError("in cleaning up")))
        group.spawn(cleans_up(0.04))
        group.spawn(fails_once_begun(begun, 2, KeyError("first")))
        with pytest.raises(KeyError, match="first") as caught:
            list(group.imap(ends_slowly, [begun] * 2, isolate=isolate))
        assert sorted(ended) == [seconds, 0.04]
        assert "in cleaning up" in caught.value.__notes__[0]
        assert group.join()


@pytest.mark.parametrize("isolate", [True, False])
def test_who_raises_after_another_one_waits_for_the_rest_as_well(make, isolate):
    """But not for what was spawned since."""

    async def iterates():
        with pytest.raises(KeyError):
            async for _ in group.imap(until_begun_and_cancelled, [begun], isolate=isolate):
                raise AssertionError
        raised.append(group.spawn(forever()))

    async def until_begun_and_cancelled(begun):
        begun.append(1)
        await forever()

    async def cleans_up():
        try:
            await forever()
        finally:
            while not raised:
                await asyncio.sleep(0)
            await asyncio.sleep(0.03)
            ended.append(1)

    begun, raised, ended = [], [], []
    with make(on_error="cancel", on_exit="cancel") as group, Group(within=group) as other:
        group.spawn(cleans_up())
        group.spawn(fails_once_begun(begun, 3, KeyError()))
        other.spawn(iterates())
        with pytest.raises(KeyError):
            list(group.imap(ends_slowly, [begun] * 2, isolate=isolate))
        assert ended and not raised[0].done()


@pytest.mark.parametrize("isolate", [True, False])
def test_with_return_exceptions_what_a_failure_ended_is_handed_out_as_cancelled(make, isolate):
    begun = []
    with make(on_error="cancel") as group:
        group.spawn(fails_once_begun(begun, 2, KeyError("first")))
        items = group.map(ends_slowly, [begun] * 2, isolate=isolate, return_exceptions=True)
        assert [type(item) for item in items] == [CancelledError] * 2
        with pytest.raises(KeyError, match="first"):
            group.join()


def test_an_iteration_ends_with_the_failure_that_ended_it_whoever_has_seen_that(make):
    async def forgives():
        with contextlib.suppress(asyncio.CancelledError):
            await forever()
        with pytest.raises(KeyError):
            await failed

    begun = []
    with make(on_error="cancel") as group:
        failed = group.spawn(fails_once_begun(begun, 2, KeyError("seen")))
        group.spawn(forgives())
        with pytest.raises(KeyError, match="seen"):
            list(group.imap(ends_slowly, [begun] * 2))
        assert group.join()


def test_a_map_that_begins_as_a_failure_ends_the_rest_ends_with_it(make):
    async def begins():
        async for _ in group.imap(returns, range(1)):
            raise AssertionError("nothing starts any more")

    def starts_late(_):
        late.append(other.spawn(begins()))

    late = []
    with make(on_error="cancel") as group, Group(within=group) as other:
        group.spawn(ends_slowly([]))
        group.spawn(fails(KeyError("before"))).add_done_callback(
            lambda task: asyncio.get_running_loop().call_later(0.001, starts_late, task)
        )
        group.join()  # the one that iterates is given the failure first
        with pytest.raises(KeyError, match="before"):
            late[0].result()


async def stays(n):
    if n:
        await forever()
    return n


def test_an_iteration_that_is_taken_up_after_its_failure_leaves_alone_what_is_new(make):
    """Its failure was handled: new tasks are not waited for, nor are their failures taken."""
    with make(on_error="cancel") as group:
        results = group.imap(stays, range(3))
        assert next(results) == 0
        group.spawn(fails(KeyError("before")))
        with pytest.raises(KeyError):
            group.join()
        new = group.spawn(after(3, forever()))
        later = group.spawn(after(9, fails(ValueError("later"))))
        with pytest.raises(KeyError, match="before"):
            next(results)
        assert not new.done() and not later.done()
        with pytest.raises(ValueError, match="later"):
            group.join()


@pytest.mark.parametrize("isolate", [True, False])
def test_an_item_that_a_failure_did_not_end_ends_as_it_does(make, isolate):
    """One before it was cancelled for the sake of a failure, and did not care."""

    async def works(n):
        if n == 1:
            with contextlib.suppress(asyncio.CancelledError):
                await forever()
        if n == 2:
            raise asyncio.CancelledError("by itself")
        return n

    async def items():
        yield 0
        yield 1
        while not handled:
            await asyncio.sleep(0.001)
        yield 2

    handled = []
    with make(on_error="cancel") as group:
        results = group.imap(works, items(), isolate=isolate)
        assert next(results) == 0
        group.spawn(after(9, fails(KeyError("before"))))
        with pytest.raises(KeyError):
            group.join()
        handled.append(True)
        assert next(results) == 1
        with pytest.raises(CancelledError):
            next(results)


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("again", ["the user", "a failure"])
def test_an_item_that_is_cancelled_once_more_ends_as_the_second_one_says(make, again, isolate):
    async def works(n):
        if n:
            with contextlib.suppress(asyncio.CancelledError):
                await forever()
            asyncio.current_task().uncancel()
            await forever()
        return n

    with make(on_error="cancel") as group:
        results = group.imap(works, range(2), isolate=isolate)
        assert next(results) == 0
        group.spawn(after(3, fails(KeyError("first"))))
        assert not group.join(0.05)
        assert [type(error) for error in group.take_errors()] == [KeyError]
        if again == "the user":
            group.cancel()
        else:
            group.spawn(after(3, fails(ValueError("second"))))
        with pytest.raises(CancelledError if again == "the user" else ValueError):
            next(results)


def test_leaving_the_block_raises_by_the_same_policy():
    with pytest.raises(ValueError), Group(on_error="cancel") as group:
        group.spawn(forever())
        group.spawn(fails(ValueError()))

    with pytest.raises(ExceptionGroup), Group() as group:
        group.spawn(fails(ValueError()))


# ---- a function -------------------------------------------------------------------------


def test_a_function_gets_each_failed_task_and_nothing_is_kept(make, end):
    failed = []
    group = make(on_error=failed.append)
    bad = [group.spawn(after(n, fails(ValueError(n)))) for n in range(3)]
    good = group.spawn(after(9, returns("value")))
    group.spawn(forever()).cancel()
    end(group)
    assert failed == bad and good.result() == "value"
    assert [str(task.exception()) for task in failed] == ["0", "1", "2"]
    assert group.errors == []


def test_a_function_that_fails_is_a_failure_that_cancels_the_rest(make, end):
    def bad_policy(task):
        raise KeyError("in on_error")

    log, group = [], make(on_error=bad_policy)
    group.spawn(until_cancelled(log))
    group.spawn(after(3, fails(ValueError("mine"))))
    with pytest.raises(KeyError, match="in on_error") as caught:
        end(group)
    assert repr(caught.value.__context__) == "ValueError('mine')"
    assert log == ["cleaned up"]
    end(group)


def test_an_endless_crawl_does_not_grow(make, end):
    alive, most, failures = weakref.WeakSet(), [], []

    async def visit(n):
        if n % 500 == 0:
            gc.collect()
            most.append(len(alive))
        if n:
            alive.add(group.spawn(visit(n - 1)))
        raise ValueError(n)

    group = make(on_error=lambda task: failures.append(0))
    alive.add(group.spawn(visit(3000)))
    end(group)
    assert len(failures) == 3001 and len(most) == 7
    assert max(most) < 10


# ---- yielders ---------------------------------------------------------------------------


def results_of(tool, end):
    """What was handed out, and what was raised; in async code as well."""
    results = []

    async def collect():
        async for result in tool:
            results.append(result)

    try:
        if end is finish:
            for result in tool:
                results.append(result)
        else:
            asyncio.run(collect())
    except Exception as error:
        return results, error
    return results, None


def test_a_yielder_that_continues_gives_every_result_and_then_the_failure(make_yielder, end):
    y = make_yielder()
    y.spawn(fails(ValueError("first")))
    y.spawn(after(5, returns("value")))
    y.spawn(after(2, fails(KeyError("other"))))
    results, error = results_of(y, end)
    assert results == ["value"] and repr(error) == "ValueError('first')"
    assert len(error.__notes__) == 1 and "KeyError('other')" in error.__notes__[0]


def test_a_yielder_that_cancels_raises_at_once_after_the_clean_up(make_yielder, end):
    log, y = [], make_yielder(on_error="cancel")
    y.spawn(until_cancelled(log))
    y.spawn(after(3, fails(ValueError("first"))))
    results, error = results_of(y, end)
    assert results == [] and repr(error) == "ValueError('first')"
    assert log == ["cleaned up"]
    y.spawn(returns("new"))
    assert results_of(y, end) == (["new"], None)


def test_a_yielder_gives_failed_tasks_to_a_function_and_results_to_you(make_yielder, end):
    failed = []
    y = make_yielder(on_error=failed.append)
    bad = y.spawn(fails(ValueError()))
    y.spawn(after(3, returns("value")))
    assert results_of(y, end) == (["value"], None)
    assert failed == [bad] and y.errors == []
