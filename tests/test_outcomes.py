"""`return_exceptions`: failures are items, and those that reach nobody are not lost."""

import asyncio

import pytest

from aioutils import Group, Pool


async def fail(n):
    raise ValueError(n)


def with_failing_source(pool, isolate):
    def source():
        yield 1
        yield 2
        raise LookupError("no more")

    pool.map(fail, source(), return_exceptions=True, isolate=isolate)


def starmap_with_failing_source(pool, isolate):
    async def source():
        yield (1,)
        yield (2,)
        raise LookupError("no more")

    pool.starmap(fail, source(), return_exceptions=True, isolate=isolate)


def with_interrupt(pool, isolate):
    async def fail_or_wait(n):
        await (asyncio.sleep(0.01) if n == 3 else fail(n))
        raise KeyboardInterrupt

    pool.map(fail_or_wait, [1, 2, 3], return_exceptions=True, isolate=isolate)


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("call", [with_failing_source, starmap_with_failing_source, with_interrupt])
def test_a_map_that_ends_with_an_error_has_the_failures_ride_on_it(call, isolate):
    pool = Pool(3)
    with pytest.raises((LookupError, KeyboardInterrupt)) as caught:
        call(pool, isolate)
    notes = "\n".join(caught.value.__notes__)
    assert "ValueError(1)" in notes and "ValueError(2)" in notes
    assert not pool.errors
    pool.close()


def test_of_two_exits_in_one_pass_the_first_one_leaves():
    async def exits(code):
        await both.wait()
        raise SystemExit(code)

    async def begin():
        both.set()

    both = asyncio.Event()
    with Group() as group:
        for work in (exits(1), exits(2), begin()):
            group.spawn(work)
        with pytest.raises(SystemExit) as left:
            group.join()
    assert left.value.code == 1
