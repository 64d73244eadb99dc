"""Two threads at the same lines of ours, one of them held where the interpreter may switch."""

import asyncio
import contextlib
import os
import signal
import threading
from collections import deque
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest
from four_tools import returns

from aioutils import (
    ClosedError,
    DeadlockError,
    Group,
    OrderedYielder,
    Pool,
    Yielder,
    _async_source,
    _joining,
    _owner,
    _place,
    _stay,
    _threads,
)
from aioutils._flow import Given
from aioutils._scheduler import Scheduler

pytestmark = [
    pytest.mark.timeout(20),
    pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning"),
]


class Gate:
    """Holds one thread at a line, once, until it is opened."""

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()

    def hold(self):
        if not self.reached.is_set():
            self.reached.set()
            assert self.opened.wait(5)


class SlowLine(deque):
    """A line whose first pop by `thread` is held after it."""

    def __init__(self, gate):
        super().__init__()
        self.gate, self.thread = gate, None

    def popleft(self):
        item = super().popleft()
        if threading.get_ident() == self.thread:
            self.gate.hold()
        return item


async def fail():
    await asyncio.sleep(0.02)
    raise ValueError


def failure_of(join):
    with pytest.raises(Exception) as caught:
        join()
    return caught.value


# ---- the end of a task ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Yielder, Group])
def test_a_result_is_handed_out_though_its_callback_is_slow_and_another_thread_drives(
    kind, in_thread
):
    gate, outer = Gate(), Group()
    tool = kind(within=outer)
    task = tool.spawn(asyncio.sleep, 0.02, "a result")
    results = iter(tool) if kind is Yielder else tool.as_completed()
    task.add_done_callback(lambda task: gate.hold())
    outer.spawn(asyncio.sleep, 0.05)
    drive = in_thread(outer.join)
    assert gate.reached.wait(5)
    listed = in_thread(list, results)
    gate.opened.set()
    assert listed() == (["a result"] if kind is Yielder else [task])
    assert drive()


def test_a_result_whose_callback_is_slow_does_not_come_in_the_next_iteration(in_thread):
    gate, outer = Gate(), Group()
    tool = Yielder(within=outer)
    tool.spawn(asyncio.sleep, 0, "the first")
    results = iter(tool)
    assert next(results) == "the first"
    tool.spawn(asyncio.sleep, 0.02, "of the first").add_done_callback(lambda task: gate.hold())
    outer.spawn(asyncio.sleep, 0.05)
    drive = in_thread(outer.join)
    assert gate.reached.wait(5)
    results.close()
    gate.opened.set()
    assert drive()
    tool.spawn(asyncio.sleep, 0, "of the second")
    assert list(tool) == ["of the second"]


def test_who_joins_late_takes_no_failure_from_those_who_waited(in_thread):
    gate, group = Gate(), Group()
    group.spawn(fail).add_done_callback(lambda task: gate.hold())
    waits = [in_thread(group.join) for _ in range(2)]
    assert gate.reached.wait(5)
    late = in_thread(group.join)
    gate.opened.set()
    assert [type(failure_of(join)) for join in waits] == [ExceptionGroup] * 2
    with contextlib.suppress(ExceptionGroup):  # it began to wait before the end, or after it
        late()


def test_all_who_join_get_the_failures_though_they_are_told_one_by_one(in_thread, monkeypatch):
    def look(ended):
        looks.append(ended)
        if len(looks) == 3:
            assert raised.wait(5)
        original(ended)

    looks, raised, original = [], threading.Event(), _joining.Ended._look
    monkeypatch.setattr(_joining.Ended, "_look", look)
    group = Group()
    group.spawn(fail)

    def join():
        try:
            return group.join()
        finally:
            raised.set()

    joins = [in_thread(join) for _ in range(3)]
    assert [type(failure_of(join)) for join in joins] == [ExceptionGroup] * 3


@pytest.mark.parametrize(("policy", "kind"), [("continue", ExceptionGroup), ("cancel", ValueError)])
def test_two_who_join_get_the_same_and_tasks_are_counted_once(policy, kind, in_thread):
    async def fail_late():
        while len(group._scheduler.joins) < 2:
            await asyncio.sleep(0.001)
        raise ValueError

    group = Group(on_error=policy)
    for _ in range(3):
        group.spawn(fail_late)
    joins = [in_thread(group.join) for _ in range(2)]
    assert [type(failure_of(join)) for join in joins] == [kind] * 2
    if policy == "continue":
        group.spawn(fail)
        assert "1 of 1 tasks failed" in str(failure_of(group.join))


def test_who_raises_an_older_failure_late_leaves_the_next_one_as_it_is(in_thread, monkeypatch):
    def raise_all(ended, **options):
        if threading.get_ident() == late:
            gate.hold()
        original(ended, **options)

    def join_late():
        nonlocal late
        late = threading.get_ident()
        return group.join()

    gate, outer, late, original = Gate(), Group(), None, _joining.Ended.raise_all
    monkeypatch.setattr(_joining.Ended, "raise_all", raise_all)
    group = Group(within=outer, on_error="cancel")
    group.spawn(fail)
    joins = [in_thread(group.join), in_thread(join_late)]
    assert type(failure_of(joins[0])) is ValueError
    assert gate.reached.wait(5)
    newer = group.spawn(fail)
    outer.spawn(asyncio.sleep, 0.04).result()
    gate.opened.set()
    assert type(failure_of(joins[1])) is ValueError
    assert failure_of(group.join) is newer._outcome


def test_who_spawns_and_joins_as_another_one_finds_it_idle_waits_for_his_own(
    in_thread, monkeypatch
):
    def is_idle(scheduler):
        idle = original(scheduler)
        if threading.get_ident() == early:
            gate.hold()
        return idle

    def join_early():
        nonlocal early
        early = threading.get_ident()
        return group.join()

    gate, group, original, early = Gate(), Group(), Scheduler.is_idle, None
    monkeypatch.setattr(Scheduler, "is_idle", is_idle)
    first = in_thread(join_early)
    assert gate.reached.wait(5)
    task = group.spawn(asyncio.sleep, 0.1)
    threading.Timer(0.03, gate.opened.set).start()
    assert group.join() and task.done()
    assert first() is True


def test_inside_a_callback_the_task_has_ended_for_those_on_its_loop():
    def look(task):
        seen.append((len(pool), task in pool, repr(pool), pool.join(timeout=0)))

    seen, pool = [], Pool(2)
    pool.spawn(returns, 1).add_done_callback(look)
    assert pool.join()
    assert seen == [(0, False, "<Pool size=2 running=0 waiting=0>", True)]


def test_a_callback_that_leaves_the_cancellation_of_a_task_leaves_it_counted_out():
    def leave(task):
        raise KeyboardInterrupt

    pool = Pool(1)
    task = pool.spawn(returns, 1)
    task.add_done_callback(leave)
    with pytest.raises(KeyboardInterrupt):
        task.cancel()
    assert len(pool) == 0 and pool.join(timeout=5)


# ---- several consumers ------------------------------------------------------------------


def test_one_consumer_wakes_the_other_when_it_has_taken_the_last(in_thread, eventually):
    def take_one():
        line.thread = threading.get_ident()
        return next(stream)

    gate = Gate()
    line = SlowLine(gate)
    stream = Pool(1).imap_unordered(returns, [0], buffer=1)
    stream._order.finished = line
    one = in_thread(take_one)
    assert gate.reached.wait(5)
    others = in_thread(list, stream)
    eventually(lambda: stream._order._watchers)
    gate.opened.set()
    assert [one(), *others()] == [0]


def test_the_last_of_an_ordered_stream_is_in_sight_while_it_moves(in_thread):
    def consume():
        line.thread = threading.get_ident()
        return list(stream)

    gate, outer = Gate(), Group()
    line = SlowLine(gate)
    y = OrderedYielder(within=outer)
    y._scheduler.order._line = line
    outer.spawn(asyncio.sleep, 0.1)
    y.spawn(asyncio.sleep, 0.03, "the only one")
    drive, stream = in_thread(outer.join), iter(y)
    one = in_thread(consume)
    assert gate.reached.wait(5)
    other = in_thread(list, stream)
    threading.Timer(0.05, gate.opened.set).start()
    assert [*one(), *other()] == ["the only one"]
    assert drive()


def test_closing_beside_an_ordered_iteration_breaks_nothing(in_thread, monkeypatch):
    def items(job):
        if threading.current_thread() is not threading.main_thread():
            gate.hold()

    gate, y = Gate(), OrderedYielder()
    monkeypatch.setattr(Given, "items", property(items), raising=False)
    y.put(1)
    y.put(2)
    listed = in_thread(list, y)
    assert gate.reached.wait(5)
    threading.Timer(0.05, gate.opened.set).start()
    y.close()
    with contextlib.suppress(ClosedError):
        assert set(listed()) <= {1, 2}


def test_two_consumers_of_an_async_source_have_one_puller(in_thread, monkeypatch):
    def pull_all(source, items):
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.1)
        return original(source, items)

    async def numbers():
        for n in range(5):
            await asyncio.sleep(0.001)
            yield n

    both, original = threading.Barrier(2), _async_source.AsyncSource._pull_all
    monkeypatch.setattr(_async_source.AsyncSource, "_pull_all", pull_all)
    pool = Pool(2)
    stream = pool.imap_unordered(returns, numbers())
    lists = [in_thread(list, stream) for _ in range(2)]
    assert sorted(lists[0]() + lists[1]()) == list(range(5))
    assert not pool._scheduler.parked


def test_what_an_iteration_clears_makes_room_for_what_waits(in_thread, eventually):
    y = Yielder(buffer=1)
    y.spawn(returns(1))
    second = y.spawn(returns(2))
    result = in_thread(second.result)
    eventually(lambda: y._scheduler.order.backlog())
    iter(y).close()
    assert result() == 2


# ---- closing ----------------------------------------------------------------------------


def test_what_is_spawned_as_a_tool_closes_is_cancelled(in_thread, monkeypatch):
    def is_idle(scheduler):
        idle = original(scheduler)
        if scheduler._closing and not spawned:
            spawned.append(None)
            spawned[0] = in_thread(pool.spawn, returns, 1)()
        return idle

    spawned, original, pool = [], Scheduler.is_idle, Pool(2)
    assert pool.spawn(returns, 1).result() == 1
    monkeypatch.setattr(Scheduler, "is_idle", is_idle)
    pool.close()
    with pytest.raises(CancelledError):
        spawned[0].result(5)


def test_what_starts_just_as_it_is_spawned_while_the_rest_is_cancelled_is_cancelled_too(
    in_thread, monkeypatch
):
    def held(scheduler):
        wake(scheduler)
        if threading.get_ident() in spawning:
            gate.hold()

    async def fail():
        raise ValueError("first")

    async def clean_up_slowly():
        try:
            await asyncio.sleep(3600)
        finally:
            cleaning.set()
            while not over.is_set():
                await asyncio.sleep(0.001)

    async def begin():
        begun.set()
        await asyncio.sleep(3600)

    def spawn():
        spawning.append(threading.get_ident())
        return group.spawn(begin)

    gate, wake, spawning = Gate(), Scheduler.wake, []
    cleaning, over, begun = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(Scheduler, "wake", held)
    with Group(on_error="cancel") as group:
        group.spawn(clean_up_slowly)
        group.spawn(fail)
        joined = in_thread(group.join)
        assert cleaning.wait(5)
        spawned = in_thread(spawn)
        assert begun.wait(5) and gate.reached.wait(5)
        gate.opened.set()
        task = spawned()
        over.set()
        with pytest.raises(ValueError, match="first"):
            joined()
        assert task.cancelled()


def test_a_context_is_not_entered_by_a_tool_that_another_thread_closes(in_thread, monkeypatch):
    def init(stay, *args):
        in_thread(pool.close)()
        original(stay, *args)

    @contextlib.asynccontextmanager
    async def context():
        raise AssertionError
        yield

    pool, original = Pool(2), _stay.Stay.__init__
    assert pool.spawn(returns, 1).result() == 1
    monkeypatch.setattr(_stay.Stay, "__init__", init)
    enter = in_thread(pool.enter_async_context, context())
    with pytest.raises((CancelledError, ClosedError)):
        enter()


# ---- loops, threads ---------------------------------------------------------------------


def test_a_tool_that_is_made_within_another_one_as_that_is_bound_shares_its_loop(
    in_thread, monkeypatch
):
    def attach(loop, scheduler):
        if not made:
            made.append(in_thread(Pool, 2, within=other))
        original(loop, scheduler)

    made, other, original = [], Group(), _owner.Owner.attach
    other.spawn(fail)
    monkeypatch.setattr(_owner.Owner, "attach", attach)
    join = in_thread(other.join)
    assert isinstance(failure_of(join), ExceptionGroup)
    pool = made[0]()
    assert pool._scheduler.loop is other._scheduler.loop
    assert pool.spawn(returns, 1).result(5) == 1


def test_tasks_of_two_tools_that_block_their_loops_for_each_other_are_refused(in_thread):
    async def blocks(other):
        both.wait()
        other.result()

    one, other = Group(), Group()
    both = threading.Barrier(2)
    ends = [one.spawn(asyncio.sleep, 0.05), other.spawn(asyncio.sleep, 0.05)]
    blocked = [one.spawn(blocks, ends[1]), other.spawn(blocks, ends[0])]
    joins = [in_thread(group.join, raise_error=False) for group in (one, other)]
    assert [join() for join in joins] == [True, True]
    errors = [task.exception() for task in blocked]
    assert sum(isinstance(error, DeadlockError) for error in errors) == 1
    assert None in errors


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs SIGUSR1")
def test_a_wait_in_a_signal_handler_does_not_hide_the_wait_that_it_came_in():
    """That blocks the loop: who waits there for a task of it would wait for ever."""

    def handler(number, frame):
        third.spawn(asyncio.sleep, 0).result()
        handled.set()

    async def blocks():
        inner.append(other.spawn(asks))
        inner[0].result()

    async def asks():
        os.kill(os.getpid(), signal.SIGUSR1)
        while not handled.is_set():
            await asyncio.sleep(0.001)
        with pytest.raises(DeadlockError, match="blocks"):
            end.result()

    one, other, third = Group(), Group(), Group()
    handled, inner = threading.Event(), []
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        end = one.spawn(asyncio.sleep, 0.05)
        one.spawn(blocks)
        assert one.join() and inner[0].result() is None
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_call_that_is_cancelled_before_its_spare_thread_takes_it_gives_its_place_back(
    monkeypatch,
):
    def waits():
        inner.append(group.spawn(int))
        try:
            return inner[-1].result(5)
        except CancelledError:
            return "cancelled"

    async def cancel():
        while not gate.reached.is_set():
            await asyncio.sleep(0.001)
        inner[0].cancel()
        await asyncio.sleep(0.001)
        gate.opened.set()

    def run(worker):
        gate.hold()
        original(worker)

    gate, inner, original = Gate(), [], _threads._Worker.run
    monkeypatch.setattr(_threads._Worker, "run", run)
    with ThreadPoolExecutor(1) as executor, Group(executor=executor) as group:
        first = group.spawn(waits)
        group.spawn(cancel)
        group.join()
        assert first.result() == "cancelled"
        assert not _place.Place.of(executor)._elsewhere
        assert group.spawn(waits).result(5) == 0
