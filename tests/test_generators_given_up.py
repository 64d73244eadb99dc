"""An async generator whose iteration is dropped inside a running loop, where nothing can be run:
the loop that it belongs to ends it as soon as it runs again."""

import asyncio
import contextlib
import gc

import pytest

from aioutils import Pool, Yielder, dual

pytestmark = [
    pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.* dropped where it could not clean up:ResourceWarning"),
]


class Rows:
    """Async generators that hold a connection."""

    def __init__(self):
        self.opened = self.released = 0

    @contextlib.asynccontextmanager
    async def _connection(self):
        self.opened += 1
        try:
            yield
        finally:
            await asyncio.sleep(0.001)
            self.released += 1

    async def ready(self):
        async with self._connection():
            for n in range(5):
                yield n

    async def slow(self):
        async with self._connection():
            yield 1
            await asyncio.Event().wait()


async def first(row, *_):
    return row


def drop_imap(pool, rows):
    for _ in Pool(1, within=pool).imap(first, rows()):
        break


def drop_imap_of_several(pool, rows):
    for _ in Pool(1, within=pool).imap(first, rows(), rows()):
        break


def drop_yielder(pool, rows):
    yielder = Yielder(1, within=pool, buffer=1)
    yielder.spawn(rows())
    for _ in yielder:
        break


@pytest.mark.parametrize("end", ["close", "with"])
def test_a_generator_that_a_task_let_go_is_ended_as_the_tool_closes(end):
    """asyncio starts its `aclose()` as a task of its own, which the end must not cancel."""

    async def take_one():
        async for row in rows.ready():
            return row

    rows, pool = Rows(), Pool(2)
    assert pool.spawn(take_one()).result() == 0
    if end == "close":
        pool.close()
    else:
        with pool:
            pass
    assert (rows.opened, rows.released) == (1, 1)


async def inside_a_running_loop(drop, *args):
    drop(*args)
    gc.collect()


@pytest.mark.parametrize("drop", [drop_imap, drop_imap_of_several, drop_yielder])
@pytest.mark.parametrize("kind", ["ready", "slow"])
def test_the_loop_that_goes_on_ends_a_generator_whose_iteration_was_dropped(drop, kind):
    rows = Rows()
    with Pool(2) as pool:
        asyncio.run(inside_a_running_loop(drop, pool, getattr(rows, kind)))
        assert rows.released < rows.opened
        pool.spawn(asyncio.sleep, 0.01).result()
        assert rows.released == rows.opened


def test_the_next_call_ends_a_dual_generator_that_was_left():
    rows = Rows()
    items = dual(rows.ready)

    def leave():
        for _ in items.sync():
            break

    asyncio.run(inside_a_running_loop(leave))
    assert rows.released < rows.opened
    dual(asyncio.sleep).sync(0.01)
    assert rows.released == rows.opened
