"""An iteration of a closed tool says so, instead of passing for one that is over."""

import pytest
from four_tools import forever, returns
from on_a_loop import on_a_loop

from aioutils import ClosedError, Group, Pool, Yielder

ITERATIONS = {"as_completed": (Group, Group.as_completed), "yielder": (Yielder, iter)}
iterations = pytest.mark.parametrize("kind, iterate", ITERATIONS.values(), ids=ITERATIONS)


@iterations
def test_one_that_was_not_begun(kind, iterate):
    with kind() as tool:
        tool.spawn(returns(1))
        results = iterate(tool)
    with pytest.raises(ClosedError):
        next(results)


@iterations
@on_a_loop
async def test_one_that_was_not_begun_in_async_code(kind, iterate):
    async with kind() as tool:
        tool.spawn(returns(1))
        results = iterate(tool)
    with pytest.raises(ClosedError):
        await anext(results)


def test_one_that_waits_as_another_thread_closes_the_tool(in_thread):
    pool = Pool(2)
    task = pool.spawn(forever)
    items = in_thread(list, pool.imap(lambda _: forever(), range(3)))
    while len(pool) < 2:
        assert not task.done()
    pool.close()
    with pytest.raises(ClosedError):
        items()
