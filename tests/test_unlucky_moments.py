"""An interrupt in the midst of a few lines of ours: what was begun can be ended all the same."""

import _signal
import asyncio
import contextlib
import gc
import linecache
import os
import selectors
import signal
import socket
import sys
import threading
import time
import weakref

import pytest
from four_tools import DEBUG, forever, returns, until_cancelled

from aioutils import (
    Group,
    OrderedYielder,
    Pool,
    Yielder,
    _admission,
    _alarm,
    _dropping,
    _eventloop,
    _loop,
    _runner,
    _signals,
    _work,
)
from aioutils._interrupted import comes_back
from aioutils._loop import Loop
from aioutils._scheduler import Scheduler
from aioutils._signals import Signals, held
from aioutils._stay import Stay
from aioutils._stream import Stream
from aioutils._waiting import Wait

signals = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals")


def test_an_interrupt_as_a_spawn_wakes_the_loop_leaves_it_ready_to_be_woken(in_thread):
    running = threading.Event()

    class Loop(asyncio.SelectorEventLoop):
        interrupted = False

        def call_soon_threadsafe(self, *args, **kwargs):
            if running.is_set() and not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt
            return super().call_soon_threadsafe(*args, **kwargs)

    async def stay():
        await asyncio.sleep(0.001)  # while tasks start, nobody needs to be woken
        running.set()
        await forever()

    with Group(loop_factory=Loop) as group:
        stays = group.spawn(stay)
        join = in_thread(group.join)
        assert running.wait(5)
        with pytest.raises(KeyboardInterrupt):
            group.spawn(returns(1))
        assert group.spawn(returns(2)).result(5) == 2
        stays.cancel()
        assert join() is True


@pytest.mark.asyncios_loop
@pytest.mark.skipif(DEBUG, reason="a loop in debug mode is not looked at")
def test_an_interrupt_as_a_loop_is_put_away_closes_it():
    def interrupt():
        raise KeyboardInterrupt

    async def leave_a_callback():
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, interrupt)  # one pass comes before the result
        return loop

    group = Group()
    loop = group.spawn(leave_a_callback).result()
    with pytest.raises(KeyboardInterrupt):
        group.close()
    assert loop.is_closed()


@pytest.mark.parametrize("begun", [False, True])
def test_an_interrupt_as_a_task_starts_cancels_it_and_gives_its_slot_back(monkeypatch, begun):
    start = _admission.start

    def interrupted(run, **kwargs):
        monkeypatch.setattr(_admission, "start", start)
        if begun:
            run.close()
        raise KeyboardInterrupt

    with Pool(1) as pool:
        pool.spawn(returns(0)).result()
        monkeypatch.setattr(_admission, "start", interrupted)
        work = returns(1)
        task, ref = pool.spawn(work), weakref.ref(work)
        del work
        with pytest.raises(KeyboardInterrupt):
            pool.join()
        assert task.cancelled() and pool.free_count() == 1
        gc.collect()
        assert ref() is None
        assert pool.spawn(returns(2)).result() == 2


def test_an_exception_of_a_handler_as_a_task_starts_is_the_end_of_that_task_only(
    monkeypatch, nothing_leaks
):
    """Of a signal that we do not hold back: asyncio logs what it raises in the midst of it."""
    start = _admission.start

    def interrupted(run, **kwargs):
        monkeypatch.setattr(_admission, "start", start)
        if _runner.LAZY:
            run.send(None)
        raise ValueError

    with Pool(2) as pool:
        monkeypatch.setattr(_admission, "start", interrupted)
        tasks = [pool.spawn(returns, n) for n in range(5)]
        assert pool.join()
        assert tasks[0].cancelled() and [task.result() for task in tasks[1:]] == [1, 2, 3, 4]
        assert pool.free_count() == 2
    assert len(nothing_leaks) == 1
    nothing_leaks.clear()


@pytest.mark.skipif(_runner.LAZY, reason="before 3.12 no task ends in its first step")
def test_an_interrupt_as_a_task_has_just_ended_leaves_it_its_result(monkeypatch):
    start = _admission.start

    def interrupted(run, **kwargs):
        monkeypatch.setattr(_admission, "start", start)
        start(run, **kwargs)
        raise KeyboardInterrupt

    with Pool(1) as pool:
        monkeypatch.setattr(_admission, "start", interrupted)
        task = pool.spawn(returns, 1)
        with pytest.raises(KeyboardInterrupt):
            pool.join()
        assert task.result() == 1 and pool.free_count() == 1


def test_an_interrupt_as_a_loop_is_bound_leaves_the_tool_as_it_was(monkeypatch):
    def interrupted(loop, scheduler):
        monkeypatch.setattr(Loop, "attach", attach)
        raise KeyboardInterrupt

    attach = Loop.attach
    with Group() as group:
        task = group.spawn(returns(1))
        monkeypatch.setattr(Loop, "attach", interrupted)
        with pytest.raises(KeyboardInterrupt):
            group.join()
        assert task.result(5) == 1


def test_an_interrupt_as_a_tool_moves_to_another_loop_ties_it_to_none(monkeypatch):
    def interrupted(scheduler):
        monkeypatch.setattr(Scheduler, "wake", wake)
        raise KeyboardInterrupt

    async def elsewhere():
        async with group:
            return await task

    wake = Scheduler.wake
    group = Group()
    task = group.spawn(returns(1))
    monkeypatch.setattr(Scheduler, "wake", interrupted)
    with pytest.raises(KeyboardInterrupt):
        group.join()
    assert asyncio.run(elsewhere()) == 1


def test_an_interrupt_as_one_tool_starts_its_tasks_keeps_none_of_another_waiting(monkeypatch):
    start = _admission.start_hosted

    def interrupted(run, **kwargs):
        monkeypatch.setattr(_admission, "start_hosted", start)
        run.close()
        raise KeyboardInterrupt

    async def both():
        async with Group() as group, Group() as other:
            group.spawn(returns(1))
            last = other.spawn(returns(2))
            monkeypatch.setattr(_admission, "start_hosted", interrupted)
            return await last

    loop = asyncio.new_event_loop()
    task = loop.create_task(both())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    assert loop.run_until_complete(asyncio.wait_for(task, 5)) == 2
    loop.close()


@pytest.fixture
def handlers():
    """The test may change them."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


# ---- a signal where nothing may be interrupted ----------------------------------------------


@signals
def test_a_signal_between_two_steps_of_closing_is_heard_after_them(monkeypatch):
    def interrupted(scheduler):
        begun = begin(scheduler)
        signal.raise_signal(signal.SIGINT)
        return begun

    begin, cleaned = Scheduler.begin_closing, []
    monkeypatch.setattr(Scheduler, "begin_closing", interrupted)
    group = Group()
    group.spawn(until_cancelled, cleaned)
    group.join(timeout=0)
    with pytest.raises(KeyboardInterrupt):
        group.close()
    assert cleaned == ["cleaned up"] and group._scheduler.gone.reached()


@signals
@pytest.mark.filterwarnings("ignore:this call blocks:RuntimeWarning")
def test_a_signal_just_before_a_task_blocks_its_loop_ends_that_wait():
    async def blocks():
        with Group() as inner:
            inner.spawn(until_cancelled, cleaned)
            inner.spawn(returns(1)).result()
            signal.raise_signal(signal.SIGINT)
            inner.join(timeout=5)
            cleaned.append("too late")

    cleaned = []
    with pytest.raises(KeyboardInterrupt), Group() as group:
        group.spawn(blocks)
    assert cleaned == ["cleaned up"]


@signals
def test_a_signal_in_a_finalizer_that_waits_for_nothing_is_heard_after_it(monkeypatch):
    def interrupted(scheduler):
        signal.raise_signal(signal.SIGINT)
        drop(scheduler)

    drop = _dropping.drop
    monkeypatch.setattr(_dropping, "drop", interrupted)
    group = Group()
    with pytest.raises(KeyboardInterrupt):
        del group
        time.sleep(5)


@signals
def test_many_signals_in_one_pass_over_the_loop_leave_as_one():
    async def interrupts():
        for _ in range(5):
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await forever()

    group = Group()
    group.spawn(interrupts)
    with pytest.raises(KeyboardInterrupt):
        group.join()
    assert len(group) == 0 and group.join()
    group.close()


@signals
def test_such_a_signal_does_not_come_in_the_finalizer_that_follows_either(monkeypatch):
    class Slow:
        def __del__(self):
            time.sleep(0.1)
            ended.append(self)

    ended, slow, group = [], Slow(), Group()
    monkeypatch.setattr(_dropping, "drop", lambda scheduler: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        del group
        del slow
        time.sleep(5)
    assert ended


@signals
def test_a_signal_as_a_loop_is_made_leaves_no_loop_behind(monkeypatch):
    def interrupted(factory):
        monkeypatch.setattr(_eventloop, "take", take)
        loop = take(factory)
        signal.raise_signal(signal.SIGINT)
        return loop

    take = _eventloop.take
    monkeypatch.setattr(_eventloop, "take", interrupted)
    group = Group(loop_factory=asyncio.SelectorEventLoop)
    group.spawn(returns(1))
    with pytest.raises(KeyboardInterrupt):
        group.join(timeout=0)
    group.close()


@signals
def test_a_signal_as_a_context_is_about_to_be_entered_leaves_nothing_that_nobody_awaited(
    monkeypatch,
):
    @contextlib.asynccontextmanager
    async def manager():
        log.append("entered")
        try:
            yield
        finally:
            log.append("left")

    def interrupted(stay, *args):
        make(stay, *args)
        signal.raise_signal(signal.SIGINT)

    log, make = [], Stay.__init__
    with Group() as group:
        with monkeypatch.context() as patch:
            patch.setattr(Stay, "__init__", interrupted)
            with pytest.raises(KeyboardInterrupt):
                group.enter_async_context(manager())
        gc.collect()
        assert log in ([], ["entered", "left"])
        group.enter_async_context(manager())
    assert log[-2:] == ["entered", "left"]


@signals
def test_a_signal_between_parking_and_starting_a_context_leaves_nothing_to_wait_for(monkeypatch):
    def interrupted(scheduler, action):
        monkeypatch.setattr(Scheduler, "post", post)
        signal.raise_signal(signal.SIGINT)
        post(scheduler, action)

    @contextlib.asynccontextmanager
    async def context():
        yield

    post = Scheduler.post
    with Group() as group:
        monkeypatch.setattr(Scheduler, "post", interrupted)
        with pytest.raises(KeyboardInterrupt):
            group.enter_async_context(context())


@signals
@pytest.mark.parametrize("cancel", ["task", "tool"])
def test_a_signal_in_the_midst_of_a_cancellation_is_heard_after_it(monkeypatch, cancel):
    def interrupted(work):
        monkeypatch.setattr(_work, "close", close)
        signal.raise_signal(signal.SIGINT)
        close(work)

    close = _work.close
    with Pool(1) as pool:
        tasks = [pool.spawn(returns(n)) for n in range(3)]
        monkeypatch.setattr(_work, "close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tasks[1].cancel() if cancel == "task" else pool.cancel()
        assert pool.join(5) and tasks[1].cancelled()


class Told(Exception):
    pass


@pytest.fixture(params=["SIGINT", "SIGTERM"])
def told(request, handlers):
    """A signal, and what its handler raises."""

    def tell(number, frame):
        raise Told

    number = getattr(signal, request.param)
    if number == signal.SIGINT:
        return number, KeyboardInterrupt
    signal.signal(number, tell)
    return number, Told


@signals
@pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
def test_a_signal_while_a_left_iteration_cleans_up_is_heard_after_that(told, kind):
    """Which happens in a finalizer, where nobody gets what a handler raises."""
    number, error = told

    async def stay():
        try:
            await forever()
        finally:
            signal.raise_signal(number)
            await asyncio.sleep(0)
            cleaned.append(1)

    cleaned = []
    with kind() as y:
        y.spawn(returns(1))
        y.spawn(stay)
        with pytest.raises(error):
            for _ in y:
                break
            time.sleep(5)
        assert cleaned == [1]


@signals
def test_a_signal_while_a_dropped_tool_cleans_up_is_heard_after_that(told):
    number, error = told

    async def stay():
        try:
            await forever()
        finally:
            signal.raise_signal(number)
            await asyncio.sleep(0)
            cleaned.append(1)

    cleaned = []
    group = Group()
    group.spawn(stay)
    group.join(timeout=0)
    with pytest.raises(error):
        del group
        time.sleep(5)
    assert cleaned == [1]


@signals
def test_a_second_signal_gives_up_on_a_dropped_tool(told):
    number, error = told

    async def stuck():
        try:
            await forever()
        finally:
            again(asyncio.get_running_loop())
            await forever()

    def again(loop):
        loop.call_later(0.01, again, loop)
        signal.raise_signal(number)

    group = Group()
    group.spawn(stuck)
    group.join(timeout=0)
    with pytest.raises(error):
        del group
        time.sleep(5)


async def until_delivered():
    """Or the second signal would count for the first."""
    while _signals._innermost._patient:
        await asyncio.sleep(0.001)


@signals
def test_a_second_signal_in_the_midst_of_a_users_task_is_raised_once_and_not_logged(
    told, nothing_leaks
):
    number, error = told

    async def stuck():
        try:
            await forever()
        finally:
            asyncio.get_running_loop().call_soon(interrupt)
            await forever()

    def interrupt():
        signal.raise_signal(number)
        users.append(asyncio.ensure_future(interrupted()))

    async def interrupted():
        await until_delivered()
        signal.raise_signal(number)

    users = []
    group = Group()
    group.spawn(stuck)
    group.join(timeout=0)
    with pytest.raises(error):
        group.close()
    assert isinstance(users[0]._exception, error)
    users.clear()
    gc.collect()
    assert nothing_leaks == []


def in_asyncios_code(number):
    return (signal.raise_signal, number)


def in_a_callback(number):
    return (lambda: signal.raise_signal(number),)


def in_a_callback_that_blocks(number):
    def block():
        with selectors.DefaultSelector() as selector:
            threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
            selector.select(10)

    return (block,)


def where_nothing_happens(number):
    return (threading.Timer(0.05, os.kill, (os.getpid(), number)).start,)


@signals
@pytest.mark.parametrize(
    "where",
    [in_asyncios_code, in_a_callback, in_a_callback_that_blocks, where_nothing_happens],
)
def test_a_second_signal_on_the_loop_gives_up_and_is_not_logged(
    told, where, nothing_leaks, deadline
):
    number, error = told

    async def stuck():
        try:
            await forever()
        finally:
            signal.raise_signal(number)
            await until_delivered()
            asyncio.get_running_loop().call_soon(*where(number))
            await forever()

    group = Group()
    group.spawn(stuck)
    group.join(timeout=0)
    with deadline(5), pytest.raises(error):
        group.close()
    assert nothing_leaks == []


@signals
def test_a_second_signal_as_debug_mode_notes_who_calls_is_raised_after_that(
    told, monkeypatch, nothing_leaks, deadline
):
    """Or what was to be called is lost, and uvloop's handle with it, which then warns."""
    number, error = told
    checks = linecache.checkcache
    place = {"__name__": "linecache", "checks": checks, "number": number, "hits": []}
    exec(
        """
def check(filename):
    if not hits:
        hits.append(filename)
        __import__("_signal").raise_signal(number)
        hits.append("went on")
    checks(filename)
""",
        place,
    )

    async def stuck():
        try:
            await forever()
        finally:
            signal.raise_signal(number)
            await until_delivered()
            asyncio.get_running_loop().set_debug(True)
            monkeypatch.setattr(linecache, "checkcache", place["check"])
            await asyncio.sleep(60)

    group = Group()
    group.spawn(stuck)
    group.join(timeout=0)
    with deadline(5), pytest.raises(error):
        group.close()
    assert place["hits"][1:] == ["went on"]
    assert nothing_leaks == []


@signals
def test_a_third_signal_is_raised_wherever_it_comes_after_a_while(told, monkeypatch):
    number, error = told
    asyncios = eval("__import__('sys')._getframe()", {"__name__": "asyncio"})
    woken = []
    with pytest.raises(error), Signals(lambda: woken.append(1)) as these:
        for _ in range(2):
            these._note(number, asyncios)
        monkeypatch.setattr(_alarm, "BLOCKED", -1)
        with pytest.raises(error):
            these._note(number, asyncios)
        reached = True
    assert reached and len(woken) == 3


@signals
def test_a_second_signal_in_a_few_lines_is_raised_after_them_unless_asyncio_waits_there(told):
    number, error = told
    asyncios = eval("__import__('sys')._getframe()", {"__name__": "asyncio"})
    for brief in (True, False):
        reached = False
        with pytest.raises(error), held() if brief else Signals() as these:
            these._note(number, None)
            these._note(number, asyncios)
            reached = True
        assert reached is brief


@signals
def test_a_second_signal_where_handlers_are_taken_and_given_back_is_raised_after_that(told):
    """Wherever that is, and though nobody can be woken."""
    number, error = told
    with pytest.raises(error):
        with Signals() as these:
            place = {"__name__": "anywhere"}
            these._note(number, eval("__import__('sys')._getframe()", place))
            these._note(number, eval("__import__('sys')._getframe()", vars(_signals)))
            reached = True
        raise AssertionError
    assert reached
    with pytest.raises(error), Signals() as these:
        these._note(number, None)
        reached = False
        these._note(number, eval("__import__('sys')._getframe()", place))
        reached = True
    assert not reached


@signals
def test_a_wait_takes_over_what_came_just_before_it_the_second_one_too(told):
    (number, error), noted = told, []
    with Signals() as outer:
        outer._note(number, None)
        outer._note(number, eval("__import__('sys')._getframe()", vars(_signals)))
        with pytest.raises(error), Signals() as inner:
            noted.append((inner.noted, outer.noted))
            for _ in range(2):
                inner.take_over()
                noted.append((inner.noted, outer.noted))
    assert noted == [(False, True), (True, False), (True, False)]


@signals
def test_a_second_signal_in_the_handler_of_the_first_is_raised_where_that_came(told):
    """Which may be where the loop is blocked."""

    def look():
        seen.append(comes_back(sys._getframe(1), Signals._note.__code__))

    number, error = told
    seen = []
    with pytest.raises(error), Signals(look) as these:
        these._note(number, None)
    with pytest.raises(error), Signals(look) as these:
        eval("these._note(number, None)", {"__name__": "asyncio", "these": these, "number": number})
    assert seen == [False, True]


def test_a_signal_while_all_is_given_up_is_heard_after_it(monkeypatch):
    """Or a task would have ended, and nobody were told."""
    end = Scheduler.abandon

    def interrupted(self):
        signal.raise_signal(signal.SIGINT)
        end(self)
        ended.append(self)

    async def stuck():
        try:
            signal.raise_signal(signal.SIGINT)
            await forever()
        finally:
            asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
            await forever()

    ended = []
    group = Group()
    task = group.spawn(stuck)
    monkeypatch.setattr(Scheduler, "abandon", interrupted)
    with pytest.raises(KeyboardInterrupt):
        group.join()
    assert ended == [group._scheduler] and task.cancelled()
    group.close()


@signals
def test_a_second_signal_in_a_callback_of_a_weak_reference_is_not_printed(handlers):
    """Nobody gets what it raises there; pytest sees what the interpreter prints."""

    class Thing:
        pass

    async def stuck():
        thing = Thing()
        weakref.finalize(thing, signal.raise_signal, signal.SIGINT)
        try:
            await forever()
        finally:
            signal.raise_signal(signal.SIGINT)
            await until_delivered()
            del thing
            await forever()

    group = Group()
    group.spawn(stuck)
    group.join(timeout=0)
    with pytest.raises(KeyboardInterrupt):
        group.close()
    gc.collect()


@signals
def test_a_signal_that_is_handled_at_once_leaves_another_one_to_be_handled(handlers):
    def count(number, frame):
        counted.append(number)

    async def interrupt():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)

    counted = []
    signal.signal(signal.SIGINT, count)
    signal.signal(signal.SIGTERM, count)
    with Group() as group:
        group.spawn(interrupt)
        group.join()
    assert counted == [signal.SIGTERM, signal.SIGINT]


@signals
def test_a_second_signal_just_before_the_clean_up_gives_it_up(monkeypatch, deadline):
    def interrupted(schedulers):
        signal.raise_signal(signal.SIGINT)
        return winding_down(schedulers)

    async def stuck():
        try:
            await forever()
        finally:
            signal.raise_signal(signal.SIGINT)
            await forever()

    winding_down = _loop.winding_down
    monkeypatch.setattr(_loop, "winding_down", interrupted)
    group = Group()
    group.spawn(stuck)
    group.join(timeout=0)
    with deadline(10), pytest.raises(KeyboardInterrupt):
        group.close()


@signals
@pytest.mark.timeout(5)
def test_a_tool_whose_clean_up_was_given_up_before_it_began_closes_as_any(monkeypatch):
    def interrupted(schedulers):
        signal.raise_signal(signal.SIGINT)

    async def interrupt():
        raise KeyboardInterrupt

    async def again():
        try:
            await forever()
        finally:
            y.spawn(again())

    async def fill():
        try:
            await forever()
        finally:
            for n in range(3):
                y.put(n)
            done.append(await asyncio.gather(*(y.spawn(returns(n)) for n in range(3))))

    y, done = Yielder(4, buffer=1), []
    with monkeypatch.context() as patched:
        patched.setattr(_loop, "winding_down", interrupted)
        y.spawn(interrupt())
        with pytest.raises(KeyboardInterrupt):
            list(y)
    y.spawn(again())
    y.spawn(fill())
    y.spawn(returns(None)).result()
    y.close()
    assert done == [[0, 1, 2]]


def test_an_iteration_that_was_never_made_goes_in_silence():
    Stream.__new__(Stream)


@signals
def test_the_source_of_an_iteration_that_ends_is_cancelled_once(handlers):
    async def source():
        try:
            yield 1
            await forever()
        finally:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.01)
            cleaned.append(1)

    cleaned = []
    with pytest.raises(KeyboardInterrupt), Pool(2) as pool:
        items = pool.imap(returns, source())
        next(items)
        items.close()
    assert cleaned == [1]


# ---- giving signals back -----------------------------------------------------------------


@signals
def test_a_handler_that_a_task_installs_stays(handlers):
    async def install():
        signal.signal(signal.SIGTERM, mine)

    def mine(number, frame): ...

    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with Group() as group:
        group.spawn(install)
        group.join()
    assert signal.getsignal(signal.SIGTERM) is mine


@signals
@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_handler_that_raises_while_handlers_are_given_back_does_not_keep_the_others_away(
    handlers, monkeypatch, times
):
    """SIGTERM has its handler again, SIGINT has not, and a SIGTERM comes."""

    def tell(number, frame):
        raise Told

    def give_back(number, handler):
        before = set_handler(number, handler)
        if handler is tell:
            given.append(number)
            if len(given) == times:
                monkeypatch.setattr(_signal, "signal", set_handler)
            signal.raise_signal(signal.SIGTERM)
        return before

    set_handler, of_sigint = _signal.signal, signal.getsignal(signal.SIGINT)
    given = []
    signal.signal(signal.SIGTERM, tell)

    async def wait_for_the_end():
        monkeypatch.setattr(_signal, "signal", give_back)

    group = Group()
    group.spawn(wait_for_the_end)
    with pytest.raises(Told):
        group.join()
    assert len(given) == times
    assert signal.getsignal(signal.SIGTERM) is tell
    assert signal.getsignal(signal.SIGINT) is of_sigint
    group.close()


@signals
def test_where_no_handler_can_be_set_a_wait_fails_with_what_says_so(monkeypatch):
    """In an interpreter of a process that has another main one, say."""

    def refuse(number, handler):
        raise ValueError("not here")

    with Group() as group:
        task = group.spawn(returns(1))
        with monkeypatch.context() as patch:
            patch.setattr(_signal, "signal", refuse)
            with pytest.raises(ValueError, match="not here"):
                group.join()
        assert task.result() == 1


@signals
def test_a_handler_that_can_not_be_compared_is_as_good_as_any(handlers):
    class Handler:
        __hash__ = None

        def __call__(self, number, frame):
            raise Told

        def __eq__(self, other):
            raise ValueError(other)

    async def install():
        signal.signal(signal.SIGINT, of_task)

    of_user, of_task = Handler(), Handler()
    signal.signal(signal.SIGTERM, of_user)
    with Group() as group:
        group.spawn(install).result()
        assert signal.getsignal(signal.SIGINT) is of_task
        assert signal.getsignal(signal.SIGTERM) is of_user
        group.spawn(signal.raise_signal, signal.SIGTERM)
        group.spawn(os.kill, os.getpid(), signal.SIGTERM)
        with pytest.raises(Told):
            group.join()


@signals
def test_what_was_held_back_is_raised_though_another_one_comes_as_handlers_are_given_back(
    handlers, monkeypatch
):
    def tell(number, frame):
        raise Told

    def give_back(number, handler):
        before = set_handler(number, handler)
        if handler is tell:
            monkeypatch.setattr(_signal, "signal", set_handler)
            signal.raise_signal(signal.SIGTERM)
        return before

    set_handler = _signal.signal
    signal.signal(signal.SIGTERM, tell)
    with pytest.raises(KeyboardInterrupt) as interrupt, Signals():
        signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr(_signal, "signal", give_back)
    assert type(interrupt.value.__context__) is Told
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture
def wakeup_descriptor():
    """Another library's."""
    here, there = socket.socketpair()
    with here, there:
        there.setblocking(False)
        signal.set_wakeup_fd(there.fileno())
        yield there.fileno()
        signal.set_wakeup_fd(-1)


@signals
@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_handler_that_raises_while_handlers_are_taken_leaves_none_taken(
    handlers, monkeypatch, times
):
    """SIGINT is taken already, SIGTERM not yet, and a SIGTERM comes; more, as it is given back."""

    def tell(number, frame):
        raise Told

    def take(number, handler):
        before = set_handler(number, handler)
        taken.append(number)
        if len(taken) == times:
            monkeypatch.setattr(_signal, "signal", set_handler)
        signal.raise_signal(signal.SIGTERM)
        return before

    set_handler, of_sigint = _signal.signal, signal.getsignal(signal.SIGINT)
    taken = []
    signal.signal(signal.SIGTERM, tell)
    with Group() as group:
        group.spawn(returns(1))
        monkeypatch.setattr(_signal, "signal", take)
        with pytest.raises(Told):
            group.join()
        assert len(taken) == times
        assert signal.getsignal(signal.SIGTERM) is tell
        assert signal.getsignal(signal.SIGINT) is of_sigint


@signals
@pytest.mark.asyncios_loop  # uvloop has signals written to its own for as long as it runs
def test_the_wakeup_descriptor_of_another_library_is_left_alone(wakeup_descriptor):
    async def look():
        seen.append(signal.set_wakeup_fd(wakeup_descriptor))

    seen = []
    with Group() as group:
        group.spawn(look)
        group.join()
    assert seen == [wakeup_descriptor]


@signals
def test_the_wakeup_descriptor_of_another_library_is_there_after_a_wait(wakeup_descriptor):
    with Group() as group:
        group.spawn(returns(1))
        group.join()
        assert signal.set_wakeup_fd(wakeup_descriptor) == wakeup_descriptor
    assert signal.set_wakeup_fd(wakeup_descriptor) == wakeup_descriptor


@signals
@pytest.mark.asyncios_loop
def test_a_second_signal_as_a_drive_ends_leaves_no_wakeup_descriptor_behind(monkeypatch):
    """It would be that of a loop which is closed soon, or that of whoever gets its number."""

    def interrupted(self, descriptor):
        if descriptor == -1:
            monkeypatch.undo()
            raise KeyboardInterrupt
        return wakes_through(self, descriptor)

    wakes_through = Signals.wakes_through
    monkeypatch.setattr(Signals, "wakes_through", interrupted)
    with Group() as group:
        group.spawn(returns(1))
        with pytest.raises(KeyboardInterrupt):
            group.join()
        assert signal.set_wakeup_fd(-1) == -1


def test_a_wait_leaves_no_wakeup_descriptor():
    with Group() as group:
        group.spawn(returns(1))
        group.join()
        assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.timeout(5)
def test_leaving_a_block_ends_though_another_thread_closes_the_tool_just_then(
    in_thread, monkeypatch
):
    def post_late(scheduler, action):
        monkeypatch.undo()
        in_thread(group.close)()
        scheduler.post(action)

    with Group() as group:
        task = group.spawn(forever())
        assert not group.join(0)
        monkeypatch.setattr(Scheduler, "post", post_late)
    assert task.cancelled()


def test_a_loop_that_an_interrupt_left_as_if_it_ran_is_given_up():
    """uvloop, if a second signal comes as it starts or stops."""

    class Loop(asyncio.SelectorEventLoop):
        interrupted = False

        def run_forever(self):
            if self.interrupted:
                raise RuntimeError("this event loop is already running")
            super().run_forever()
            if len(loops) == 1:
                self.interrupted = True
                raise KeyboardInterrupt

        def close(self):
            if self.interrupted:
                raise RuntimeError("Cannot close a running event loop")
            super().close()

    def factory():
        loops.append(Loop())
        return loops[-1]

    loops = []
    with Group(loop_factory=factory) as group:
        task = group.spawn(forever())
        with pytest.raises(KeyboardInterrupt):
            group.join(timeout=0.01)
        assert task.cancelled() and len(group) == 0
        assert group.spawn(returns(2)).result() == 2
    first, _ = loops
    first.interrupted = False
    first.close()


def test_a_driver_that_has_just_closed_its_loop_need_not_be_woken():
    loop = Loop()
    loop.event_loop.close()
    wait = loop._driver = Wait(loop, None)
    wait.wake()
    loop._driver = None
