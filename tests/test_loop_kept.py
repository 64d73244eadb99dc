"""The one clean loop that a thread keeps for its next tool (rule 2)."""

import asyncio
import contextvars
import gc
import socket
import weakref

import pytest

from aioutils import Group, dual

pytestmark = pytest.mark.asyncios_loop  # of other loops nobody can say whether they are clean


def test_a_second_tool_gets_the_clean_loop_of_the_first():
    async def loop():
        return asyncio.get_running_loop()

    with Group() as group:
        first = group.spawn(loop()).result()
    with Group() as group:
        assert group.spawn(loop()).result() is first


@pytest.mark.parametrize("mark", ["timer", "debug", "handler", "reader", "generator", "executor"])
def test_a_loop_that_is_not_clean_is_closed(mark):
    async def soil():
        loop = asyncio.get_running_loop()
        if mark == "timer":
            loop.call_later(3600, int)
        elif mark == "debug":
            loop.set_debug(not loop.get_debug())
        elif mark == "handler":
            loop.set_exception_handler(lambda *_: None)
        elif mark == "reader":
            kept.extend(socket.socketpair())
            loop.add_reader(kept[0], int)
        elif mark == "generator":
            generator = numbers()
            await anext(generator)
            kept.append(generator)
        else:
            await loop.run_in_executor(None, int)
        return loop

    async def numbers():
        yield 1
        yield 2

    kept = []
    with Group() as group:
        loop = group.spawn(soil()).result()
    assert loop.is_closed()
    for thing in kept:
        if hasattr(thing, "fileno"):
            thing.close()


def test_nothing_global_is_changed(run_script):
    """No loop is set, no policy, no warning filter, no signal handler."""
    done = run_script(
        """
        import asyncio, signal, sys, warnings

        async def returns(value):
            return value

        def state():
            signals = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
            return signals, warnings.filters[:]

        asyncio.set_event_loop = asyncio.set_event_loop_policy = asyncio.get_event_loop = None
        asyncio.events.set_event_loop = asyncio.events.get_event_loop = None
        before = state()
        from aioutils import Pool, Yielder
        pool, y = Pool(2), Yielder()
        pool.spawn(returns(1))
        assert pool.join()
        y.spawn(returns(2))
        print(list(y), state() == before)
        pool.close()
        print(state() == before)
        """
    )
    assert (done.stdout, done.stderr) == ("[2] True\nTrue\n", "")


def test_a_thread_keeps_a_loop_of_its_own(in_thread):
    async def loop():
        return asyncio.get_running_loop()

    def use():
        with Group() as group:
            first = group.spawn(loop()).result()
        with Group() as group:
            return first, group.spawn(loop()).result()

    first, second = in_thread(use)()
    mine, _ = use()
    assert first is second and first is not mine


def test_the_loop_that_a_thread_kept_is_closed_with_the_thread(in_thread, eventually):
    async def loop():
        return asyncio.get_running_loop()

    def use():
        with Group() as group:
            return group.spawn(loop()).result()

    kept = in_thread(use)()
    eventually(kept.is_closed)


def test_two_tools_at_a_time_have_two_loops():
    async def loop():
        return asyncio.get_running_loop()

    with Group() as first, Group() as second:
        loops = [first.spawn(loop()).result(), second.spawn(loop()).result()]
    assert loops[0] is not loops[1]
    assert sum(loop.is_closed() for loop in loops) == 1  # one is kept, and no more


def test_a_kept_loop_is_as_good_as_new():
    async def look():
        loop = asyncio.get_running_loop()
        return asyncio.all_tasks(), loop.get_exception_handler()

    for _ in range(3):
        with Group() as group:
            tasks, handler = group.spawn(look()).result()
        assert len(tasks) == 1 and handler is None


@pytest.mark.parametrize("dev", [False, True])
def test_the_debug_mode_that_a_tool_sets_stays_its_own(dev, run_script):
    done = run_script(
        """
        import asyncio
        from aioutils import Group

        async def debug(change):
            loop = asyncio.get_running_loop()
            before = loop.get_debug()
            loop.set_debug(before is not change)
            return loop, before

        def use(change=False):
            with Group() as group:
                return group.spawn(debug(change)).result()

        new = asyncio.new_event_loop()
        loops, modes = zip(use(), use(), use(True), use())
        print({*modes} == {new.get_debug()})
        print(loops[0] is loops[1] is loops[2], loops[2] is loops[3])
        new.close()
        """,
        dev=dev,
    )
    assert (done.stdout, done.stderr) == ("True\nTrue False\n", "")


VAR = contextvars.ContextVar("VAR")


class Thing:
    """What a request, or a task, has."""


def by_group(tools):
    tools.append(Group())
    return tools[-1].spawn(asyncio.sleep, 0).result()


def by_with(_):
    with Group() as group:
        return group.spawn(asyncio.sleep, 0).result()


def by_dual(_):
    return dual(asyncio.sleep).sync(0)


@pytest.mark.parametrize("use", [by_group, by_with, by_dual])
def test_a_loop_does_not_keep_the_context_variables_of_who_first_waited(use, in_thread):
    def request():
        thing = Thing()
        VAR.set(thing)
        use(tools)
        return weakref.ref(thing)

    def serve():
        first = contextvars.copy_context().run(request)
        gc.collect()
        return first()

    tools = []
    assert in_thread(serve)() is None


@pytest.mark.parametrize("use", [by_group, by_with, by_dual])
def test_a_loop_does_not_keep_the_task_that_first_waited(use, eventually):
    def work():
        use(tools)
        thing = Thing()
        things.append(weakref.ref(thing))
        return thing

    things, tools, group = [], [], Group()
    group.spawn(work).result()
    # Its thread goes on, and keeps the loop.
    eventually(lambda: gc.collect() >= 0 and things[0]() is None, 1)
