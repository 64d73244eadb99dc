"""A signal handler, or a finalizer, may wait for a tool at any moment, even for the very one that
its thread is about to drive, or to leave: it has the result, or is refused, but nobody hangs."""

import asyncio
import time

import pytest
from at_every_line import at_line

from aioutils import DeadlockError, Group, Pool

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning"),
]


async def returns(value):
    await asyncio.sleep(0)
    return value


def join(group):
    task = group.spawn(returns, 1)
    group.join()
    return task.result()


def imap(group):
    return list(group.imap(returns, range(3)))


def cancel(group):
    with Pool(1) as pool:
        waiting = [pool.spawn(returns, 1), pool.spawn(time.sleep, 0)]
        waiting[1].cancel()
        return pool.join()


def share(group):
    with Group(within=group) as inner:
        return inner.spawn(returns, 1).result()


def outcomes(call, handler):
    """What the handler gets at one line after the other; the call must not feel it."""
    good, k = call(), 0
    while True:
        called, handled, place = at_line(k, call, handler)
        assert called == good, f"at {place}"
        if place is None:
            return
        yield handled
        k += 1


@pytest.mark.parametrize("call", [join, imap, cancel, share], ids=lambda call: call.__name__)
def test_a_handler_may_wait_between_any_two_lines(call):
    with Group() as group:
        handled = list(
            outcomes(lambda: call(group), lambda: group.spawn(returns, 2).result(timeout=10))
        )
    assert len(handled) > 200
    assert 2 in handled
    assert [o for o in handled if o != 2 and not isinstance(o, DeadlockError)] == []
