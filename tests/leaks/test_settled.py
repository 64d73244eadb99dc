"""What tasks drop is closed before sync code goes on: at the end of `join()` and of iterations."""

import asyncio
import contextlib
import os
import signal
import threading
import time

import pytest
from four_tools import returns

from aioutils import Group, OrderedYielder, Pool, Yielder

pytestmark = pytest.mark.timeout(10)


class Work:
    """A task that drops a tool of its own, in which one of two has ended."""

    def __init__(self, cleaning=0.02, then=None, over=None):
        self.cleaning, self.then, self.over = cleaning, then, over
        self.begun = self.cleaned = 0

    async def part(self, n):
        if n == 0:
            return n
        self.begun += 1
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(self.cleaning)
            while self.over is not None and not self.over.is_set():
                await asyncio.sleep(0.001)
            if self.then is not None:
                self.then()
            self.cleaned += 1

    async def drop(self, result=1):
        pool = Pool(2)
        async for _ in pool.imap_unordered(self.part, (1, 0)):  # so the first has begun by then
            break
        return result

    async def drop_and_fail(self):
        await self.drop()
        raise OSError("failed")

    def is_clean(self):
        assert self.begun
        return self.begun == self.cleaned


async def drops(work):
    pool = Pool(2)
    pool.spawn(work)
    await pool.wait(timeout=0.01)


def joined(work):
    group = Group()
    group.spawn(work.drop)
    assert group.join() is True
    return group


def joined_by_two(work):
    group = Group()
    group.spawn(work.drop)
    thread = threading.Thread(target=group.join)
    thread.start()
    assert group.join() is True
    assert work.is_clean()
    thread.join()
    return group


def polled(work):
    """The last one waits, though it has nothing else to do."""
    group = Group()
    task = group.spawn(work.drop)
    while not task.done():
        group.join(timeout=0)
    assert not work.is_clean()
    assert group.join() is True
    return group


def failed(work):
    group = Group(on_error="cancel")
    group.spawn(work.drop_and_fail)
    with pytest.raises(OSError, match="failed"):
        group.join()
    return group


def yielded(work, kind=Yielder):
    tool = kind()
    tool.spawn(work.drop)
    assert list(tool.yielding()) == [1]
    return tool


def yielded_in_order(work):
    return yielded(work, OrderedYielder)


def mapped(work):
    pool = Pool(2)
    assert pool.map(work.drop, [1, 2]) == [1, 2]
    return pool


def iterated(work):
    pool = Pool(2)
    assert list(pool.imap(work.drop, [1, 2])) == [1, 2]
    return pool


def failed_iterating(work):
    pool = Pool(2)
    with pytest.raises(OSError, match="failed"):
        list(pool.imap(lambda _: work.drop_and_fail(), [1, 2]))
    return pool


def left_with_break(work):
    async def stay(n):
        if n == 0:
            return n
        try:
            return await asyncio.sleep(3600)
        finally:
            await work.drop()

    pool = Pool(2)
    items = pool.imap(stay, range(3))
    assert next(items) == 0
    pool.spawn(asyncio.sleep, 0.01).result()
    items.close()
    return pool


def completed(work):
    pool = Pool(2)
    task = pool.spawn(work.drop)
    assert list(pool.as_completed()) == [task]
    return pool


WAITS = [
    joined,
    joined_by_two,
    polled,
    failed,
    yielded,
    yielded_in_order,
    mapped,
    iterated,
    failed_iterating,
    left_with_break,
    completed,
]


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.usefixtures("quick_pulls")
def test_what_its_tasks_drop_is_closed_when_a_wait_ends(wait):
    work = Work()
    tool = wait(work)
    assert work.is_clean()
    tool.close()


async def on_a_running_loop(wait, work):
    with pytest.warns(RuntimeWarning, match="blocks"):
        return wait(work)


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.usefixtures("quick_pulls")
def test_where_a_loop_runs_too(wait):
    work = Work()
    tool = asyncio.run(on_a_running_loop(wait, work))
    assert work.is_clean()
    tool.close()


def test_what_that_spawns_is_joined_too():
    group = Group()
    work = Work(then=lambda: spawned.append(group.spawn(returns, 1)))
    spawned = []
    group.spawn(work.drop)
    assert group.join() is True
    assert spawned[0].done()
    group.close()


def test_what_fails_then_is_raised():
    async def fail():
        raise OSError("late")

    group = Group()
    work = Work(then=lambda: group.spawn(fail))
    group.spawn(work.drop_and_fail)
    with pytest.raises(ExceptionGroup, match="2 of 2") as caught:
        group.join()
    assert [str(error) for error in caught.value.exceptions] == ["failed", "late"]
    group.close()


@pytest.mark.parametrize(
    ("kind", "wait", "result"),
    [
        (Group, Group.join, True),  # every task has ended
        (Yielder, lambda y, timeout=None: list(y.yielding(timeout)), [1]),
    ],
    ids=["join", "iteration"],
)
def test_the_rest_of_a_timeout_is_for_it(kind, wait, result):
    over = threading.Event()
    work = Work(over=over)
    tool = kind()
    tool.spawn(work.drop)
    assert wait(tool, timeout=0.5) == result
    assert not work.is_clean()
    over.set()
    wait(tool)
    assert work.is_clean()
    tool.close()


def test_a_join_in_its_clean_up_does_not_wait_for_itself(deadline):
    """Whose thread is known to run for it."""

    async def stay():
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.append(await asyncio.wait_for(asyncio.to_thread(group.join), 5))

    cleaned = []
    group = Group()
    group.spawn(drops, stay)
    with deadline(2):
        assert group.join() is True
    assert cleaned == [True]
    group.close()


def test_who_waits_for_one_task_only_does_not_wait_for_it():
    work = Work()
    group = Group()
    assert group.spawn(work.drop).result() == 1
    assert not work.is_clean()
    group.join()
    assert work.is_clean()
    group.close()


@pytest.mark.asyncios_loop  # others do not tell that nothing can happen, and are believed for long
def test_what_can_never_end_is_left_to_who_closes():
    async def stay():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.get_running_loop().create_future()

    group = Group()
    group.spawn(drops, stay)
    assert group.join(timeout=5) is True
    with pytest.warns(ResourceWarning, match="could not clean up"):
        group.close()


def test_the_last_who_drives_ends_the_loop_of_a_tool_that_was_closed_meanwhile(in_thread):
    """By another thread, while what its tasks dropped cleans up."""

    def close():
        work.closing.wait(5)
        group.close()

    async def where():
        return asyncio.get_running_loop()

    work = Work(cleaning=0.15)
    work.closing = threading.Event()
    group = Group(loop_factory=asyncio.SelectorEventLoop)  # no thread keeps it
    loop = group.spawn(where).result()
    task = group.spawn(work.drop)
    task.add_done_callback(lambda _: work.closing.set())
    user = in_thread(close)
    group.join()
    user()
    assert work.is_clean() and loop.is_closed()


def test_an_interrupt_lets_it_end(in_thread):
    def interrupt():
        begun.wait(5)
        time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    begun = threading.Event()
    work = Work(cleaning=0.15)
    group = Group()
    task = group.spawn(work.drop)
    task.add_done_callback(lambda _: begun.set())
    user = in_thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        group.join()
    assert work.is_clean()
    user()
    group.close()


def test_a_second_one_gives_it_up(in_thread, deadline):
    async def stay():
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            stuck.set()

    def interrupt():
        stuck.wait(5)
        for _ in range(2):
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)

    stuck = threading.Event()
    group = Group()
    group.spawn(drops, stay)
    user = in_thread(interrupt)
    with deadline(3), pytest.raises(KeyboardInterrupt):
        group.join()
    user()


def test_one_that_waits_for_a_join_outside_of_all_tasks_ends():
    """As it cleans up, on a thread of its own that nobody knows of."""

    async def stay():
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(3600)
        finally:
            future = loop.create_future()

            def join():
                group.join(timeout=0.3)
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(future.set_result, None)

            threading.Thread(target=join).start()
            await future
            cleaned.append(True)

    cleaned = []
    group = Group()
    group.spawn(drops, stay)
    assert group.join(timeout=5) is True
    group.join(timeout=1)
    group.close()
    assert cleaned == [True]
