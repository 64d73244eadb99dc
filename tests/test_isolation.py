"""What one item of `map` leaves behind for the next: nothing, whether tasks are reused or not."""

import asyncio
import contextlib
import time
from concurrent.futures import CancelledError
from contextvars import ContextVar

import pytest
from four_tools import DEBUG

from aioutils import Pool, _source

MANY = 1_000 if DEBUG else 10_000
both = pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])


class Array:
    """Like one of numpy's: what `==` gives has no truth value."""

    __hash__ = None

    def __eq__(self, other):
        raise ValueError("the truth value of an array is ambiguous")


def test_thousands_of_items_see_thousands_of_tasks():
    tasks = []  # kept alive, or an id might come again

    async def look(_):
        tasks.append(asyncio.current_task())

    Pool(100).map(look, range(MANY))
    assert len(set(map(id, tasks))) == MANY


@pytest.mark.asyncios_loop  # in uvloop's extra pass after `stop()` workers run out of items
def test_without_isolation_tasks_are_reused(monkeypatch):
    tasks = []
    # On a slow machine 16 items take that long to pull, and workers end as what there is is done.
    monkeypatch.setattr(_source, "_SLOW", 10)

    async def look(_):
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)

    Pool(100).map(look, range(MANY), isolate=False)
    assert len(tasks) == MANY
    assert len(set(map(id, tasks))) <= MANY // 10


@both
@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mine", "theirs"),
        (1, True),
        (0.0, 0),
        (Array(), Array()),
        ([1, 2], [1, 2]),
        (None, None.__class__),
    ],
    ids=["other", "1 and True", "0.0 and 0", "arrays", "equal lists", "None"],
)
@pytest.mark.parametrize("waits", [True, False], ids=["waits", "at once"])
def test_no_context_variable_passes_from_item_to_item(method, isolate, before, after, waits):
    variable = ContextVar("variable")
    variable.set(before)
    others = []

    async def change(_):
        if waits:
            await asyncio.sleep(0)
        if variable.get() is not before:
            others.append(variable.get())
        variable.set(after)
        if waits:
            await asyncio.sleep(0)

    for _ in getattr(Pool(3), method)(change, range(30), isolate=isolate):
        pass
    assert not others
    assert variable.get() is before


@both
def test_a_variable_that_an_item_sets_first_is_unset_for_the_next(isolate):
    variable = ContextVar("variable")

    async def change(n):
        seen = variable.get("nothing")
        await asyncio.sleep(0)
        variable.set(n)
        return seen

    assert set(Pool(3).map(change, range(30), isolate=isolate)) == {"nothing"}


@both
def test_what_an_item_sets_and_then_fails_stays_its_own(isolate):
    variable = ContextVar("variable", default="nothing")

    async def change(n):
        seen = variable.get()
        await asyncio.sleep(0)
        variable.set(n)
        raise ValueError(seen)

    got = Pool(3).map(change, range(30), return_exceptions=True, isolate=isolate)
    assert {str(error) for error in got} == {"nothing"}


@both
@pytest.mark.parametrize("how", ["swallowed", "pending", "raised"])
def test_an_item_that_cancels_its_own_task_does_not_cancel_the_next(isolate, how):
    async def run(n):
        task = asyncio.current_task()
        assert task.cancelling() == 0
        if n % 5 == 0:
            task.cancel()
            if how == "raised":
                await asyncio.sleep(0)
            elif how == "swallowed":
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    pass
        else:
            await asyncio.sleep(0)
        return n

    got = Pool(2).map(run, range(30), return_exceptions=True, isolate=isolate)
    assert [n for n in got if isinstance(n, int) and n % 5] == [n for n in range(30) if n % 5]
    cancelled = [n for n, each in enumerate(got) if isinstance(each, CancelledError)]
    assert not [error for error in got if isinstance(error, AssertionError)]
    assert how != "raised" or cancelled == list(range(0, 30, 5))


@pytest.mark.usefixtures("quick_pulls")
def test_the_items_in_line_after_one_that_swallowed_the_end_of_the_pool_never_start():
    pool, started = Pool(1), []

    async def run(n):
        started.append(n)
        pool.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return n

    stream = pool.imap(run, range(3), buffer=3, isolate=False)
    assert next(stream) == 0
    with pytest.raises(CancelledError):
        next(stream)
    assert started == [0]


@both
def test_a_full_buffer_costs_no_processor_time(isolate):
    async def run(n):
        if n == 0:
            await asyncio.sleep(0.5)  # 50 items take their time too, under coverage in debug mode
        return n

    pool = Pool(2)
    wall, busy = time.monotonic(), time.thread_time()
    assert list(pool.imap(run, range(50), isolate=isolate)) == list(range(50))
    assert time.thread_time() - busy < (time.monotonic() - wall) / 5


@both
def test_joining_the_pool_inside_the_loop_over_its_imap_ends(isolate):
    async def run(n):
        await asyncio.sleep(0)
        return n

    pool, got = Pool(4), []
    for n in pool.imap(run, range(20), buffer=1, isolate=isolate):
        assert pool.join()
        got.append(n)
    assert got == list(range(20))


@both
def test_closing_the_pool_inside_the_loop_starts_nothing_more(isolate):
    started = []

    async def run(n):
        started.append(n)
        await (asyncio.Event().wait() if n else asyncio.sleep(0))

    pool = Pool(2)
    stream = pool.imap_unordered(run, range(100), isolate=isolate)
    next(stream)
    before = list(started)
    pool.close()
    assert started == before
    stream.close()


@both
def test_cancelling_the_pool_inside_the_loop_starts_nothing_more(isolate):
    started = []

    async def run(n):
        started.append(n)
        await (asyncio.Event().wait() if n else asyncio.sleep(0))

    pool = Pool(2)
    stream = pool.imap_unordered(run, range(100), isolate=isolate)
    next(stream)
    before = list(started)
    pool.cancel()
    pool.join()
    assert started == before
    stream.close()


@both
@pytest.mark.parametrize("how", ["cancel", "close", "with"])
def test_a_pool_whose_buffer_is_full_can_be_ended(run_script, how, isolate):
    done = run_script(
        """
        import asyncio, itertools, sys
        from aioutils import Pool

        async def run(n):
            for _ in range(10 if n == 0 else 0):
                await asyncio.sleep(0)
            if n == 4:
                await asyncio.Event().wait()
            return n

        how, isolate = sys.argv[1], sys.argv[2] == "True"
        try:
            with Pool(4) as pool:
                stream = pool.imap(run, itertools.count(), buffer=1, isolate=isolate)
                print(next(stream))
                if how == "cancel":
                    pool.cancel()
                    pool.join()
                elif how == "close":
                    pool.close()
                else:
                    raise LookupError
        except LookupError:
            pass
        print("ended")
        """,
        how,
        str(isolate),
        timeout=5,  # a process of its own, because a loop that never rests can't be interrupted
    )
    assert done.stdout.split() == ["0", "ended"]


@both
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_system_exit_of_an_item_leaves_the_call_after_the_others_cleaned_up(kind, isolate):
    began, ended = [], []

    async def run(n):
        if n == 3:
            raise kind(n)
        began.append(n)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(n)

    with Pool(4) as pool:
        with pytest.raises(kind) as caught:
            pool.map(run, range(10), isolate=isolate)
        assert caught.value.args == (3,)
        assert began[:3] == [0, 1, 2] and sorted(ended) == began
        assert pool.map(abs, [-1]) == [1] and pool.free_count() == 4


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_without_isolation_items_see_the_context_of_the_call(method):
    variable = ContextVar("variable")

    async def look(_):
        return variable.get()

    variable.set("of the call")
    stream = getattr(Pool(2), method)(look, range(6), isolate=False)
    seen = [next(stream)]
    variable.set("of a pull")
    assert set(seen + list(stream)) == {"of the call"}
