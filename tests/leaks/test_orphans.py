"""Tools dropped while somebody runs their loop: a task there closes them, and nothing stays."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
import time
import traceback
import weakref
from concurrent.futures import CancelledError

import pytest

from aioutils import Group, Pool


class Work:
    """Tasks that wait for ever, and how far they came."""

    def __init__(self, cleaning=0.0, over=None):
        self.cleaning, self.over = cleaning, over
        self.begun = self.cleaned = 0

    async def run(self):
        self.begun += 1
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(self.cleaning)
            if self.over is not None:
                await until(self.over)
            self.cleaned += 1


async def until(event):
    while not event.is_set():
        await asyncio.sleep(0.001)


@pytest.fixture
def errors():
    """What aioutils logs."""
    errors = []
    handler = logging.Handler()
    handler.emit = lambda record: errors.append(record.getMessage())
    logging.getLogger("aioutils").addHandler(handler)
    yield errors
    logging.getLogger("aioutils").removeHandler(handler)


def test_whoever_drives_closes_what_another_thread_drops(in_thread, errors):
    work, over = Work(), threading.Event()
    outer = Group()
    scope = Pool(1, within=outer)
    scope.spawn(work.run)
    scope.spawn(work.run)
    scope.join(timeout=0)
    driving = outer.spawn(until, over)
    driver = in_thread(driving.result)
    time.sleep(0.01)
    ref = weakref.ref(scope._scheduler)
    del scope
    over.set()
    driver()
    outer.close()
    gc.collect()
    assert (work.begun, work.cleaned, ref(), errors) == (1, 1, None, [])


def test_a_task_may_drop_a_tool_on_its_loop(errors):
    work = Work()

    async def drop():
        scope = Group(within=outer)
        await scope.spawn(work.run)

    with Group() as outer:
        task = outer.spawn(drop)
        outer.join(timeout=0)
        task.cancel()
        outer.join()
    assert (work.begun, work.cleaned, errors) == (1, 1, [])


def test_a_thread_that_waits_for_a_task_closes_its_tool_that_was_dropped(in_thread, errors):
    """Nobody else would come back to the loop."""
    work = Work(cleaning=0.01)
    group = Group()
    task = group.spawn(until, threading.Event())
    group.spawn(work.run)
    waiter = in_thread(task.exception)
    while not work.begun:
        time.sleep(0.001)
    del group
    with pytest.raises(CancelledError):
        waiter()
    assert (work.begun, work.cleaned, errors) == (1, 1, [])


def test_who_gets_a_result_does_not_wait_for_an_orphan_while_others_hold_the_loop():
    over = threading.Event()
    work = Work(over=over)
    outer = Group()
    scope = Group(within=outer)
    scope.spawn(work.run)
    scope.join(timeout=0)

    def drop():
        nonlocal scope
        del scope

    outer.spawn(drop).result()
    assert (work.begun, work.cleaned) == (1, 0)
    over.set()
    outer.close()
    assert work.cleaned == 1


def test_an_orphan_that_is_left_where_nobody_can_close_it_warns(in_thread, errors):
    work = Work(cleaning=10)
    outer = Group()
    scopes = [Group(within=outer)]
    scopes[0].spawn(work.run)
    outer.spawn(work.run)
    outer.spawn(scopes.clear)
    outer.join(timeout=0.01)
    outers = [outer]
    del outer
    with pytest.warns(ResourceWarning, match="could not clean up") as caught:
        in_thread(outers.clear)()
    assert len(caught) == 2
    assert (work.begun, work.cleaned, errors) == (2, 0, [])


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_on_a_hosts_loop_a_task_closes_what_was_dropped(errors):
    work = Work()

    async def main():
        group = Group()
        group.spawn(work.run)
        await group.wait(timeout=0)
        del group
        for _ in range(10):
            await asyncio.sleep(0)
        assert (work.begun, work.cleaned) == (1, 1)

    asyncio.run(main())
    assert errors == []


def test_a_host_that_ends_waits_for_what_was_dropped(errors):
    work = Work()

    async def main():
        group = Group()
        group.spawn(work.run)
        await group.wait(timeout=0)

    asyncio.run(main())
    assert (work.begun, work.cleaned, errors) == (1, 1, [])


def test_what_fails_as_an_orphan_is_closed_is_logged(errors):
    @contextlib.asynccontextmanager
    async def context():
        yield
        raise ValueError("in leaving")

    outer = Group()
    scope = Group(within=outer)
    scope.enter_async_context(context())

    def drop():
        nonlocal scope
        del scope

    outer.spawn(drop)
    outer.join()
    outer.close()
    assert ["failed in cleaning up" in error for error in errors] == [True]


def test_a_second_signal_gives_orphans_up(in_thread):
    stuck = threading.Event()

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

    def drop():
        nonlocal scope
        del scope

    outer = Group()
    scope = Group(within=outer)
    scope.spawn(stay)
    outer.spawn(drop).result()
    user = in_thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        outer.close()
    user()


def test_waiting_long_for_orphans_costs_no_stack():
    async def stay():
        try:
            await asyncio.sleep(3600)
        finally:
            for _ in range(3):
                await asyncio.sleep(0.15)
                depths.append(len(traceback.extract_stack()))

    def drop():
        nonlocal scope
        del scope

    depths = []
    outer = Group()
    scope = Group(within=outer)
    scope.spawn(stay)
    outer.spawn(drop).result()
    outer.close()
    assert depths[0] == depths[2]


async def stuck_once():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.get_running_loop().create_future()


async def stuck_again_and_again():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()


@pytest.mark.asyncios_loop  # others do not tell that nothing can happen, and are believed for long
@pytest.mark.parametrize("stay", [stuck_once, stuck_again_and_again])
def test_an_orphan_whose_clean_up_can_never_end_is_given_up_with_a_warning(stay, deadline):
    def drop():
        nonlocal scope
        del scope

    outer = Group()
    scope = Group(within=outer)
    task = scope.spawn(stay)
    outer.spawn(drop).result()
    with deadline(5), pytest.warns(ResourceWarning, match="could not clean up"):
        outer.close()
    assert task.cancelled()


def test_a_tool_that_is_dropped_while_the_loop_is_held_still_is_given_up_at_once(errors):
    """Nobody drives, so nobody would look for it when he leaves."""
    work = Work()
    with Group() as outer:
        scopes = [Group(within=outer)]
        inner = scopes[0].spawn(work.run)
        scopes[0].join(timeout=0)
        task = outer.spawn(work.run)
        task.add_done_callback(lambda _: scopes.clear())
        with pytest.warns(ResourceWarning, match="could not clean up"):
            task.cancel()
        assert inner.cancelled()
    assert (work.begun, work.cleaned, errors) == (1, 0, [])


def test_what_the_task_of_an_orphan_drops_as_it_cleans_up_is_closed_as_well(errors):
    work = Work(cleaning=0.01)

    async def drop_another():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            group = Group()
            group.spawn(work.run)
            await group.wait(timeout=0.001)

    def drop():
        group = Group(within=outer)
        group.spawn(drop_another)
        group.join(timeout=0.01)

    outer = Group()
    outer.spawn(drop)
    outer.join()
    outer.close()
    assert (work.begun, work.cleaned, errors) == (1, 1, [])


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("end", ["with", "close", "other"])
def test_who_closes_ends_what_tasks_of_orphans_hold(depth, end, errors):
    """Nobody else would drive the loop."""
    work = Work(cleaning=0.01)

    async def own(depth):
        group = Group()
        group.spawn(own, depth - 1) if depth else group.spawn(work.run)
        await group.wait()

    async def drop():
        group = Group()
        group.spawn(own, depth)
        await group.wait(timeout=0.01)

    with contextlib.ExitStack() as stack:
        outer = Group()
        other = Group(within=outer) if end == "other" else None
        if other is not None:
            under_way = other.spawn(until, event := threading.Event())
            other.join(timeout=0)
        if end == "with":
            stack.enter_context(outer)
        outer.spawn(drop).result()
        if end != "with":
            outer.close()
    assert (work.begun, work.cleaned, errors) == (1, 1, [])
    if other is not None:
        event.set()
        assert under_way.result() is None
        other.close()
