"""A function that runs code of its own before it waits, as it is cancelled, gets that all the same:
what it runs was not asked to end."""

import asyncio
import threading
import time
from concurrent.futures import Executor, Future

import pytest
from four_tools import forever, returns

from aioutils import Group, OrderedYielder, Pool, Yielder, on


@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
def test_a_loop_that_it_runs_does_not_take_it_away():
    async def main():
        log.append(other.spawn(returns, "went on").result())

    def function():
        begun.set()
        assert go_on.wait(5)
        asyncio.run(main())
        other.spawn(forever).result()

    log, begun, go_on = [], threading.Event(), threading.Event()
    with Group() as other, Pool(1) as pool:
        task = pool.spawn(function)
        assert pool.join(timeout=0.02) is False and begun.is_set()
        task.cancel()
        pool.join(timeout=0.01)
        go_on.set()
        ended = pool.join(5)
        other.cancel()
    assert ended and task.cancelled() and log == ["went on"]


class Inline(Executor):
    """Calls at once, in the thread that drives."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def test_a_call_that_an_executor_runs_in_its_thread_does_not_take_it_away():
    def function():
        with Group() as group:
            group.spawn(on(Inline(), int)).result()
        begun.set()
        other.spawn(forever).result()

    begun = threading.Event()
    with Group() as other, Pool(1) as pool:
        task = pool.spawn(function)
        assert pool.join(timeout=0.02) is False and begun.is_set()
        task.cancel()
        ended = pool.join(5)
        other.cancel()
    assert ended and task.cancelled()


@pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
def test_an_iteration_whose_next_item_is_always_there_is_broken_off(kind):
    def function():
        with kind() as y:
            y.put(0)
            for n in y:
                y.put(n + 1)
                if time.monotonic() > give_up:
                    break

    give_up = time.monotonic() + 5
    with Pool(1) as pool:
        task = pool.spawn(function)
        assert pool.join(timeout=0.02) is False
        task.cancel()
        pool.join()
    assert task.cancelled() and time.monotonic() < give_up
