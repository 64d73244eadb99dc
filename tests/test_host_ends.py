"""A host that ends cancels all tasks of its loop; those of our tools are not cancelled twice."""

import asyncio
import contextlib
import gc
import weakref
from functools import partial

import pytest
from four_tools import returns

from aioutils import Group, OrderedYielder, Pool, Yielder, _runner

pytestmark = pytest.mark.timeout(10)

KINDS = [Group, partial(Pool, 3), Yielder, OrderedYielder]


class Work:
    def __init__(self):
        self.log = []

    async def run(self, _=None):
        self.log.append("begun")
        try:
            await asyncio.sleep(3600)
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
                self.log.append("cleaned up")


async def in_the_block(work, kind):
    async with kind(on_exit="wait") as tool:
        tool.spawn(work.run)
        await asyncio.sleep(3600)


async def in_a_slow_block(work, kind):
    async with kind(on_exit="wait") as tool:
        tool.spawn(work.run)
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.005)


async def at_its_end(work, kind):
    async with kind(on_exit="wait") as tool:
        tool.spawn(work.run)


async def waiting(work, kind):
    tool = kind()
    task = tool.spawn(work.run)
    await (tool.wait() if isinstance(tool, Group) else task)


async def iterating(work, kind):
    tool = kind()
    if isinstance(tool, Group):
        async for _ in tool.imap(work.run, [1]):
            pass
    else:
        tool.spawn(work.run)
        async for _ in tool:
            pass


async def in_the_loop_of_an_iteration(work, kind):
    tool = kind()
    if isinstance(tool, Group):
        # The one that runs first: as the other comes out, it may be all that was pulled.
        results = tool.imap_unordered(lambda n: returns(n) if n else work.run(), range(2))
    else:
        tool.spawn(returns(0))
        tool.spawn(work.run)
        results = tool
    async for _ in results:
        await asyncio.sleep(3600)


async def nested(work, kind):
    async def inner():
        async with kind(on_exit="wait") as tool:
            tool.spawn(work.run)

    async with kind(on_exit="wait") as tool:
        tool.spawn(inner)


WAYS = [
    in_the_block,
    in_a_slow_block,
    at_its_end,
    waiting,
    iterating,
    in_the_loop_of_an_iteration,
    nested,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_its_tasks_clean_up_to_the_end(way, backwards, kind):
    """In whatever order he cancels them."""

    async def begin():
        host = asyncio.create_task(way(work, kind))
        while not work.log:
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        ours = asyncio.all_tasks() - {asyncio.current_task(), host}
        return [*ours, host] if backwards else [host, *ours]

    async def end(tasks):
        await asyncio.gather(*tasks, return_exceptions=True)

    work = Work()
    loop = asyncio.new_event_loop()
    try:
        tasks = loop.run_until_complete(begin())
        for task in tasks:
            task.cancel()
        loop.run_until_complete(end(tasks))
    finally:
        loop.close()
    assert work.log == ["begun", "cleaned up"]


@pytest.mark.parametrize("way", WAYS)
def test_when_asyncio_run_ends(way):
    async def main():
        background.append(asyncio.create_task(way(work, Group)))
        while not work.log:
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)

    work, background = Work(), []
    asyncio.run(main())
    assert work.log == ["begun", "cleaned up"]


def test_when_a_task_ends_the_program():
    async def exits():
        while not work.log:
            await asyncio.sleep(0)
        raise SystemExit(3)

    async def main():
        async with Group() as group:
            group.spawn(exits)
            group.spawn(work.run)

    work = Work()
    with pytest.raises(SystemExit):
        asyncio.run(main())
    assert work.log == ["begun", "cleaned up"]


async def swallows_one(log):
    """A timeout made by hand, which is never taken back."""
    asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)
    log.append("goes on")
    await asyncio.sleep(3600)


async def is_in_its_timeout(log):
    try:
        async with asyncio.timeout(0.001):
            try:
                await asyncio.sleep(3600)
            finally:
                log.append("goes on")
                await asyncio.sleep(3600)
    finally:
        log.append("left")
        await asyncio.sleep(0)


@pytest.mark.parametrize("work", [swallows_one, is_in_its_timeout])
def test_what_others_cancel_while_the_loop_runs_is_cancelled_all_the_same(work, deadline):
    """Nobody knows what that was for."""

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), Group() as group:
                tasks.append(group.spawn(work, log))
                await asyncio.sleep(3600)

    log, tasks = [], []
    with deadline(2):
        asyncio.run(main())
    assert log[0] == "goes on" and tasks[0].cancelled()


def test_who_took_it_back_is_cancelled_by_the_end_of_its_tool(deadline):
    async def takes_back():
        log.append("begun")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        asyncio.current_task().uncancel()
        log.append("goes on")
        await asyncio.sleep(3600)

    async def background():
        async with Group() as group:
            group.spawn(takes_back)
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0.01)

    async def main():
        hosts.append(asyncio.create_task(background()))
        while not log:
            await asyncio.sleep(0)

    log, hosts = [], []
    with deadline(2):  # at once, without the patience with those that clean up
        asyncio.run(main())
    assert log == ["begun", "goes on"]


@contextlib.contextmanager
def a_host_that_cancels_all():
    """What `asyncio.run` does, step by step."""
    loop = asyncio.new_event_loop()
    try:
        yield loop
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    finally:
        loop.close()


async def until_begun(log):
    while not log:
        await asyncio.sleep(0)
    await asyncio.sleep(0.001)


async def swallows(log):
    log.append("begun")
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)
    log.append("goes on")
    await asyncio.sleep(3600)


async def flushes(log):
    """It takes its cancellation, gives what it still has, and waits for more."""
    log.append("begun")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            log.append("goes on")
            if len(log) > 2:
                return
            yield 1


async def in_a_block(log):
    await in_a_block_of(partial(swallows, log))


async def from_a_source(log):
    async with Group() as group:
        async for _ in group.imap(returns, flushes(log)):
            pass


@pytest.mark.parametrize("background", [in_a_block, from_a_source])
def test_who_goes_on_all_the_same_is_cancelled_once_more_after_a_while(
    monkeypatch, deadline, background
):
    monkeypatch.setattr(_runner, "_PATIENCE", 0.05)
    log = []
    with deadline(2), a_host_that_cancels_all() as loop:
        loop.create_task(background(log))
        loop.run_until_complete(until_begun(log))
    assert log[:2] == ["begun", "goes on"]


class Result:
    pass


def test_what_ended_in_time_is_not_kept_until_then():
    """The host's loop may go on."""

    async def run():
        log.append("begun")
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.005)
            result = Result()
            alive.append(weakref.ref(result))
            asyncio.current_task().result_of_it = result

    log, alive = [], []
    loop = asyncio.new_event_loop()
    try:
        host = loop.create_task(in_a_block_of(run))
        loop.run_until_complete(until_begun(log))
        for task in asyncio.all_tasks(loop):
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(host)
        del host, task
        loop.run_until_complete(asyncio.sleep(0.001))
        gc.collect()
        assert [result() for result in alive] == [None]
    finally:
        loop.close()


async def in_a_block_of(work):
    async with Group(on_exit="cancel") as group:
        group.spawn(work)
        await asyncio.sleep(3600)


def test_a_cancellation_by_another_thread_while_the_loop_runs_is_no_end_of_a_host(deadline):
    async def main():
        async with Group(on_exit="cancel") as group:
            group.spawn(swallows, log)
            await until_begun(log)
            (job,) = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.to_thread(job.cancel)
            await asyncio.sleep(0.01)

    log = []
    with deadline(2):
        asyncio.run(main(), debug=False)  # which would leave the task half cancelled
    assert log[0] == "begun"


def test_a_timeout_of_its_own_that_comes_with_the_end_of_the_host_takes_back_its_own_only():
    async def run():
        log.append("begun")
        try:
            async with asyncio.timeout(3600) as timeout:
                timeouts.append(timeout)
                await asyncio.sleep(3600)
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
                log.append("cleaned up")

    async def background():
        async with Group() as group:
            group.spawn(run)
            await asyncio.sleep(3600)

    log, timeouts = [], []
    with a_host_that_cancels_all() as loop:
        loop.create_task(background())
        loop.run_until_complete(until_begun(log))
        loop.call_soon(lambda: timeouts[0].reschedule(loop.time() - 1))
        loop.call_soon(loop.call_soon, loop.stop)
        loop.run_forever()  # it has expired, and the task does not know yet
        assert timeouts[0].expired()
    assert log == ["begun", "cleaned up"]
