"""An async source that takes its cancellation, gives what it still has, and ends."""

import asyncio
import gc

import pytest
from four_tools import forever, returns

from aioutils import DeadlockError, Pool, dual

pytestmark = pytest.mark.timeout(10)


class Buffered:
    def __init__(self, rest):
        self.rest = rest
        self.waits = self.closed = False

    async def items(self):
        yield 1
        try:
            self.waits = True
            await forever()
        except asyncio.CancelledError:
            for n in range(self.rest):
                yield n
        finally:
            self.closed = True


def by_close(pool, source):
    items = pool.imap(returns, source.items())
    assert next(items) == 1
    assert pool.join(timeout=0.01) is True  # it is no task of the pool
    items.close()


def by_cancelling_a_function(pool, source):
    def iterate():
        list(pool.imap(returns, source.items()))

    cancel(pool, pool.spawn(iterate), source)


def by_cancelling_a_task(pool, source):
    async def iterate():
        async for _ in pool.imap(returns, source.items()):
            pass

    cancel(pool, pool.spawn(iterate), source)


def by_cancelling_a_dual_generator(pool, source):
    cancel(pool, pool.spawn(lambda: list(dual(source.items).sync())), source)


def by_closing_the_pool(pool, source):
    pool.spawn(lambda: list(pool.imap(returns, source.items())))
    join_until_it_waits(pool, source)
    pool.close()


def join_until_it_waits(pool, source):
    while not source.waits:
        assert pool.join(timeout=0.01) is False


def cancel(pool, task, source):
    join_until_it_waits(pool, source)
    task.cancel()
    assert pool.join(5) is True
    assert task.cancelled()


ENDS = [
    by_close,
    by_cancelling_a_function,
    by_cancelling_a_task,
    by_cancelling_a_dual_generator,
    by_closing_the_pool,
]


@pytest.mark.parametrize("rest", [0, 1, 10, 10**9])
@pytest.mark.parametrize("end", ENDS)
def test_nobody_takes_that_and_it_ends(end, rest):
    source = Buffered(rest)
    with Pool(2) as pool:
        end(pool, source)
        assert source.closed


def test_those_that_never_began_leave_nothing():
    """They were cancelled before their first step."""

    async def refused():
        for _ in range(100):
            with pytest.raises(DeadlockError):
                list(pool.imap(returns, Buffered(0).items()))

    with Pool(2) as pool:
        pool.spawn(refused).result()
        assert pool.join() is True
        gc.collect()
        assert pool._scheduler.parked == []
