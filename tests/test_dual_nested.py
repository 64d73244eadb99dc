"""`.sync` where a loop runs already: in a notebook, in sync code that a coroutine calls, in tasks
of tools, in handlers and finalizers."""

import asyncio
import gc
import signal
import warnings

import pytest
from at_every_line import at_line
from four_tools import DEBUG
from on_a_loop import on_a_loop

from aioutils import DeadlockError, Group, Pool, dual

quietly = pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")


@dual
async def loop():
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


@dual
async def loops(depth):
    """That of this call, and those of the calls in it."""
    here = await loop()
    return [here, *(loops.sync(depth - 1) if depth else [])]


@dual
async def numbers(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i


# ---- in a running loop that is not ours ---------------------------------------------------


@quietly
@on_a_loop
async def test_it_works_in_a_notebook_and_keeps_its_loop_there():
    first = loop.sync()
    assert first is loop.sync() is not asyncio.get_running_loop()
    assert list(numbers.sync(3)) == [0, 1, 2]


@quietly
def test_a_thread_has_the_same_loop_within_a_notebooks_cell_and_without():
    async def cell():
        return loop.sync()

    assert asyncio.run(cell()) is loop.sync() is asyncio.run(cell())


def test_it_warns_once_that_it_blocks_the_running_loop():
    async def main():
        for _ in range(3):
            loop.sync()
            list(numbers.sync(2))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(main())
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert "await f()" in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.filterwarnings("error:this call blocks the event loop:RuntimeWarning")
def test_if_the_warning_is_an_error_nothing_is_left_behind():
    async def main():
        with pytest.raises(RuntimeWarning):
            loop.sync()

    asyncio.run(main())
    assert loop.sync()


# ---- in sync code that a coroutine of ours calls ------------------------------------------


@quietly
def test_calls_within_calls_have_loops_of_their_own(in_thread):
    first, second = in_thread(lambda: [loops.sync(4), loops.sync(4)])()
    assert len({id(each) for each in first}) == 5
    assert first[0] is second[0]
    assert first[1] is second[1]  # kept as well: what the inner call opened stays open too


@quietly
@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_calls_within_calls_leave_no_loop_open_when_their_thread_ends(depth, in_thread):
    assert all(each.is_closed() for each in in_thread(loops.sync, depth)())


@quietly
def test_a_failure_goes_up_through_all_calls(in_thread):
    @dual
    async def fails(depth):
        await asyncio.sleep(0)
        return fails.sync(depth - 1) if depth else 1 / 0

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            in_thread(fails.sync, 3)()


@quietly
def test_an_iteration_within_a_call_and_a_call_within_an_iteration(in_thread):
    @dual
    async def total(n):
        return sum(numbers.sync(n))

    @dual
    async def totals(n):
        async for i in numbers(n):
            yield total.sync(i)

    assert in_thread(lambda: list(totals.sync(4)))() == [0, 0, 1, 3]


@quietly
def test_an_iteration_cannot_wait_for_the_loop_that_it_runs_on(in_thread):
    @dual
    async def iterate(iterator):
        with pytest.raises(DeadlockError, match=r"would wait for itself.*async for"):
            next(iterator)

    def use():
        iterator = numbers.sync(3)
        assert next(iterator) == 0
        iterate.sync(iterator)
        return list(iterator)

    assert in_thread(use)() == [1, 2]


# ---- in tasks and functions of tools ------------------------------------------------------


@quietly
def test_it_works_in_the_tasks_of_tools():
    async def task():
        return loop.sync()

    with Pool(2) as pool:
        assert pool.spawn(task).result() is pool.spawn(task).result() is loop.sync()


def test_a_function_keeps_its_slot_during_a_call():
    """What it calls is its own work: a pool of two makes two requests at once, not a hundred."""
    now = most = 0

    @dual
    async def request():
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1

    @dual
    async def requests():
        for _ in range(2):
            await request()
            yield 1

    with Pool(2) as pool:
        for _ in range(10):
            pool.spawn(request.sync)
            pool.spawn(lambda: list(requests.sync()))
        pool.join()
    assert most == 2


def test_a_call_in_a_thread_of_a_call_has_the_loop_of_that_thread(in_thread):
    @dual
    async def outer():
        return await asyncio.to_thread(loop.sync), asyncio.get_running_loop()

    inner, own = in_thread(outer.sync)()
    assert inner is not own
    assert inner.is_closed() and own.is_closed()


@quietly
def test_a_task_that_waits_for_its_caller_is_refused():
    """Through a call: the caller waits for the call, which would wait for the caller."""
    me = []

    @dual
    async def back():
        return me[0].result(timeout=10)

    with Pool(2) as pool:
        me.append(pool.spawn(back.sync))
        with pytest.raises(DeadlockError, match="would wait for itself"):
            me[0].result()


# ---- in between ---------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="needs signal.SIGUSR2")
def test_a_signal_handler_may_call(run_script):
    done = run_script(
        """
        import asyncio, signal, warnings
        from aioutils import dual

        warnings.filterwarnings("ignore", "this call blocks the event loop", RuntimeWarning)

        @dual
        async def loop(by_handler=False):
            await asyncio.sleep(0)
            if not by_handler:
                signal.raise_signal(signal.SIGUSR2)
            await asyncio.sleep(0)
            return asyncio.get_running_loop()

        seen = []
        signal.signal(signal.SIGUSR2, lambda *_: seen.append(loop.sync(by_handler=True)))
        own = loop.sync()
        signal.raise_signal(signal.SIGUSR2)
        print(seen[0] is own, seen[1] is own)
        """,
        dev=True,
    )
    assert (done.stdout, done.stderr) == ("False True\n", "")


@quietly
def test_a_finalizer_may_call(in_thread):
    class Finalized:
        def __del__(self):
            seen.append(loop.sync())

    @dual
    async def drop():
        Finalized()
        cycle = Finalized()
        cycle.me = cycle
        del cycle
        gc.collect()
        return 1

    seen = []
    assert in_thread(drop.sync)() == 1
    assert len(seen) == 2


@quietly
@pytest.mark.timeout(60)
@pytest.mark.parametrize("call", [lambda: len(loops.sync(0)), lambda: list(numbers.sync(2))])
def test_a_call_may_come_in_between_any_two_lines_of_another(call, in_thread):
    handlers = [(lambda: len(loops.sync(0)), 1), (lambda: list(numbers.sync(2)), [0, 1])]

    def use():
        good, k = call(), 0
        while True:
            handler, result = handlers[k % 2]
            called, handled, place = at_line(k, call, handler)
            assert called == good, f"at {place}"
            if place is None:
                return k
            assert handled == result, f"at {place}"
            k += 3 if DEBUG else 1

    assert in_thread(use)(timeout=50) > 200


def test_a_group_of_a_task_and_a_call_share_no_loop():
    with Group() as group:
        assert group.spawn(loop()).result() is not loop.sync()
