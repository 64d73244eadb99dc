"""A function that is cancelled can't be stopped, but what it waits for is broken off, once."""

import asyncio
import contextlib
import itertools
import threading
import time
from concurrent.futures import CancelledError

import pytest
from four_tools import fails, forever, interrupt, returns

from aioutils import Group, Pool, Yielder, dual


class Silent:
    """What a function can wait for without end."""

    def __init__(self, other, log):
        self.other, self.log = other, log

    async def feed(self):
        yield 1
        try:
            await forever()
        finally:
            await asyncio.sleep(0.001)
            self.log.append("feed closed")

    @contextlib.asynccontextmanager
    async def session(self):
        await forever()
        yield

    def result(self, pool):
        self.other.spawn(forever).result()

    def exception(self, pool):
        self.other.spawn(forever).exception()

    def join(self, pool):
        self.other.spawn(forever)
        self.other.join()

    def source(self, pool):
        list(pool.imap(returns, self.feed()))

    def flow(self, pool):
        with Yielder(within=pool) as y:
            y.spawn(self.feed())
            list(y)

    def context(self, pool):
        pool.enter_async_context(self.session())

    def dual_call(self, pool):
        @dual
        async def call():
            try:
                await forever()
            finally:
                await asyncio.sleep(0.001)
                self.log.append("call ended")

        try:
            call.sync()
        finally:
            assert self.log == ["call ended"]

    def dual_items(self, pool):
        list(dual(self.feed).sync())

    def plain_source(self, pool):
        def numbers():
            yield 1
            self.other.spawn(forever).result()

        list(pool.imap(self.endless, numbers()))

    async def endless(self, n):
        await forever()

    def scope(self, pool):
        with Group() as inner:
            inner.spawn(forever)

    def look(self, pool):
        self.other.spawn(forever)
        while not self.other.join(timeout=0):
            time.sleep(0.001)

    def tool_of_its_own(self, pool):
        with Pool(2) as inner:  # one for what it waits for, which goes on
            inner.map(lambda _: inner.spawn(forever).result(), [1])


HELPERS = ("feed", "session", "endless")
WAITS = [name for name in vars(Silent) if name[0] != "_" and name not in HELPERS]


def by_task(pool, task):
    task.cancel()
    assert pool.join(5)


def by_tool(pool, task):
    pool.cancel()
    assert pool.join(5)


def by_close(pool, task):
    pool.close()


def by_scope(pool, task):
    with pytest.raises(OSError, match="of the block"), pool:
        raise OSError("of the block")


def by_failing_fast(pool, task):
    pool.spawn(fails, OSError("first"))
    with pytest.raises(OSError, match="first"):
        pool.join()


def by_ctrl_c(pool, task):
    pool.spawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        pool.join()


ENDS = [by_task, by_tool, by_close, by_scope, by_failing_fast, by_ctrl_c]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("wait", WAITS)
def test_it_gets_the_cancellation_where_it_waits_and_may_wait_in_its_clean_up(wait, end):
    def function():
        try:
            begun.set()
            getattr(silent, wait)(pool)
        except CancelledError as error:
            log.append("cancelled")
            raise error
        finally:
            with Group() as another:
                log.append(another.spawn(returns, "cleaned up").result())

    log, begun = [], threading.Event()
    with Group() as other:
        silent = Silent(other, log)
        pool = Pool(3, on_error="cancel" if end is by_failing_fast else "continue")
        task = pool.spawn(function)
        assert pool.join(timeout=0.02) is False and begun.is_set()
        end(pool, task)
        other.cancel()
    assert log[-2:] == ["cancelled", "cleaned up"]
    assert wait not in ("source", "flow", "dual_items") or log[0] == "feed closed"
    assert task.cancelled()
    pool.close()


def test_its_clean_up_may_spawn_into_the_pool_that_closes():
    def function():
        try:
            pool.spawn(forever).result()
        finally:
            log.append(pool.spawn(returns, "said goodbye").result())

    log, pool = [], Pool(2)
    pool.spawn(function)
    assert pool.join(timeout=0.02) is False
    pool.close()
    assert log == ["said goodbye"]


def test_if_it_does_not_wait_just_then_its_next_wait_is_broken_off(in_thread):
    def function():
        begun.set()
        assert go_on.wait(5)
        pool.spawn(returns, 1)  # waits for nothing
        for _ in range(3):
            try:
                log.append(other.spawn(asyncio.sleep, 0.001, "slept").result())
            except CancelledError:
                log.append("cancelled")

    log, begun, go_on = [], threading.Event(), threading.Event()
    with Group() as other, Pool(2) as pool:
        task = pool.spawn(function)
        join = in_thread(pool.join)
        assert begun.wait(5)
        task.cancel()
        time.sleep(0.01)
        go_on.set()
        join()
    assert log == ["cancelled", "slept", "slept"]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("return_exceptions", [False, True])
def test_a_crawl_in_a_function_starts_no_more_pages(return_exceptions, end):
    started, began = itertools.count(), []

    async def page(n):
        began.append(next(started))
        await asyncio.sleep(0.001)

    def crawl():
        options = {"buffer": 1, "return_exceptions": return_exceptions}
        for _ in pool.imap(page, itertools.count(), **options):
            time.sleep(0.002)

    pool = Pool(3, on_error="cancel" if end is by_failing_fast else "continue")
    task = pool.spawn(crawl)
    assert pool.join(timeout=0.02) is False
    before = len(began)
    end(pool, task)
    assert task.cancelled() and len(began) <= before + 20
    pool.close()


@pytest.mark.parametrize("patient", ["close", "with", "break"])
def test_what_it_ends_itself_is_ended_all_the_same(patient):
    """The end of a tool or an iteration is not broken off."""

    async def slow():
        try:
            begun.set()
            await forever()
        finally:
            await asyncio.sleep(0.02)
            log.append("cleaned up")

    def function():
        try:
            if patient == "close":
                inner = Group()
                inner.spawn(slow)
                inner.join(0.005)
                inner.close()
            elif patient == "with":
                with pytest.raises(OSError, match="left"), Group() as inner:
                    inner.spawn(slow)
                    inner.join(0.005)
                    raise OSError("left")
            else:
                with Yielder() as y:
                    y.spawn(slow)
                    y.spawn(asyncio.sleep, 0.001, "awake")
                    for _ in y:
                        inner = Group()
                        inner.spawn(asyncio.sleep, 0.001)
                        inner.join()
                        break
        finally:
            log.append("goes on")

    log, begun = [], threading.Event()
    with Pool(1) as pool:
        task = pool.spawn(function)
        while not begun.is_set():
            pool.join(timeout=0.001)
        pool.join(timeout=0.01)
        task.cancel()
    assert log == ["cleaned up", "goes on"]


def test_a_callback_that_it_adds_does_not_take_it_away():
    def function():
        begun.set()
        assert go_on.wait(5)
        done.add_done_callback(lambda task: log.append(other.spawn(returns, "called").result()))
        other.spawn(forever).result()

    log, begun, go_on = [], threading.Event(), threading.Event()
    with Group() as other, Pool(1) as pool:
        done = other.spawn(returns, 1)
        done.result()
        task = pool.spawn(function)
        assert pool.join(timeout=0.02) is False and begun.is_set()
        task.cancel()
        pool.join(timeout=0.01)
        go_on.set()
        assert pool.join(5)
        other.cancel()
    assert log == ["called"] and task.cancelled()


def test_a_function_item_is_broken_off_as_its_call_fails():
    def item(n):
        if n == 0:
            pool.spawn(asyncio.sleep, 0.01).result()
            raise OSError("first")
        try:
            other.spawn(forever).result()
        finally:
            log.append(n)

    log = []
    with Group() as other, Pool(3) as pool:
        with pytest.raises(OSError, match="first"):
            pool.map(item, range(3))
        other.cancel()
    assert sorted(log) == [1, 2]


def test_a_wait_with_a_timeout_is_broken_off_as_well():
    def function():
        try:
            other.spawn(forever).result(timeout=60)
        except CancelledError:
            log.append("cancelled")

    log = []
    with Group() as other:
        pool = Pool(1)
        pool.spawn(function)
        pool.join(timeout=0.02)
        pool.close()
        other.cancel()
    assert log == ["cancelled"]
