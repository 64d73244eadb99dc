"""`loop.add_signal_handler` in a task: its handler hears what comes while the loop stands still."""

import asyncio
import contextvars
import gc
import os
import signal
import sys
import threading
import time
import weakref
from functools import partial

import pytest
import uvloop

from aioutils import Group, Yielder

pytestmark = [
    pytest.mark.filterwarnings("ignore:this call blocks:RuntimeWarning"),
    pytest.mark.skipif(os.name == "nt", reason="asyncio has no signal handlers there"),
]

SIGNALS = [signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT]
DEFAULTS = {signal.SIGINT: signal.default_int_handler}


def default(number):
    return DEFAULTS.get(number, signal.SIG_DFL)


@pytest.fixture(params=[None, asyncio.new_event_loop, uvloop.new_event_loop])
def group(request):
    # Under `nohup` SIGHUP is ignored from the start; asyncio puts back the default, whatever was.
    outside = {number: signal.signal(number, default(number)) for number in SIGNALS}
    try:
        with Group(loop_factory=request.param) as group:
            yield group
        assert [signal.getsignal(number) for number in SIGNALS] == list(map(default, SIGNALS))
    finally:
        for number, handler in outside.items():
            signal.signal(number, handler)


def add(group, number, handler, *args):
    """In a task of the group."""

    async def add():
        asyncio.get_running_loop().add_signal_handler(number, handler, *args)

    group.apply(add)


def remove(group, number):
    async def remove():
        return asyncio.get_running_loop().remove_signal_handler(number)

    return group.apply(remove)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_comes_between_two_waits_is_heard_in_the_next(group, number):
    heard = []
    add(group, number, heard.append, "heard")
    for n in range(3):
        signal.raise_signal(number)
        assert heard == ["heard"] * n  # in no sync code of the user's
        group.spawn(asyncio.sleep, 0.001)
        group.join()
        assert heard == ["heard"] * (n + 1)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("run", range(2))
def test_what_comes_in_a_wait_is_heard_at_once(group, number, run):
    async def wait():
        if not run:
            asyncio.get_running_loop().add_signal_handler(number, heard.set)
        threading.Timer(0.02, os.kill, (os.getpid(), number)).start()
        await heard.wait()

    heard = asyncio.Event()
    if run:
        add(group, number, heard.set)
    group.apply(wait)


def test_so_is_what_another_thread_is_sent(group, in_thread):
    async def wait():
        ends.set()
        await heard.wait()

    heard, ends = asyncio.Event(), threading.Event()
    add(group, signal.SIGUSR2, heard.set)

    @in_thread
    def sent():
        ends.wait()
        time.sleep(0.02)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)

    group.apply(wait)
    sent()


def test_while_another_thread_drives_it_is_heard_there(group, in_thread):
    """And the main thread is in the user's code."""

    async def wait():
        drives.set()
        await heard.wait()

    def hear():
        where.append(threading.get_ident())
        heard.set()

    heard, drives, where = asyncio.Event(), threading.Event(), []
    add(group, signal.SIGUSR2, hear)
    group.spawn(wait)

    @in_thread
    def driver():
        group.join()
        return threading.get_ident()

    drives.wait()
    time.sleep(0.02)
    signal.raise_signal(signal.SIGUSR2)
    assert where == [driver()]


def test_who_works_on_a_result_is_not_interrupted_and_the_loop_hears_it_then():
    async def wait():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
        return "stopped"

    stop = asyncio.Event()
    y = Yielder()
    y.spawn(asyncio.sleep, 0, "work")
    y.spawn(wait)
    seen = []
    for result in y:
        seen.append(result)
        if result == "work":
            os.kill(os.getpid(), signal.SIGTERM)
    assert seen == ["work", "stopped"]


def test_it_is_heard_in_the_context_of_who_added_it(group):
    var = contextvars.ContextVar("var", default="nobody")
    heard = []

    async def add():
        var.set("the task")
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGUSR2, lambda: heard.append(var.get())
        )

    group.apply(add)
    signal.raise_signal(signal.SIGUSR2)
    group.apply(asyncio.sleep, (0,))
    assert heard == ["the task"]


def test_the_last_one_that_is_added_hears_it(group):
    heard = []
    for n in range(2):
        add(group, signal.SIGUSR2, heard.append, n)
    signal.raise_signal(signal.SIGUSR2)
    group.apply(asyncio.sleep, (0,))
    assert heard == [1]


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_removed_hears_nothing(group, number):
    heard = []
    add(group, number, heard.append)
    add(group, signal.SIGUSR2, heard.append)
    assert remove(group, number) is True
    assert remove(group, number) is False
    assert signal.getsignal(number) is default(number)


def test_who_cannot_be_added(group):
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(TypeError, match="coroutines"):
            loop.add_signal_handler(signal.SIGUSR2, main)
        with pytest.raises(TypeError, match="coroutines"):
            loop.add_signal_handler(signal.SIGUSR2, coroutine := asyncio.sleep(0))
        coroutine.close()
        for change in (
            partial(loop.add_signal_handler, callback=print),
            loop.remove_signal_handler,
        ):
            for number in (0, 1000, -1):
                with pytest.raises(ValueError, match="not the number of a signal"):
                    change(number)
            for number in (None, "SIGUSR2", 2.0):
                with pytest.raises(TypeError, match="must be an int, not"):
                    change(number)
        for number in (signal.SIGKILL, signal.SIGSTOP):
            with pytest.raises(RuntimeError, match=f"{number:d} can't be handled here"):
                loop.add_signal_handler(number, print)
        assert not loop.remove_signal_handler(signal.SIGKILL)
        return loop

    loop = group.apply(main)
    group.close()
    if loop.is_closed():  # it is not kept
        with pytest.raises(RuntimeError, match="closed"):
            loop.add_signal_handler(signal.SIGUSR2, print)


def test_what_is_closed_hears_nothing(group):
    loop = group.apply(_loop)
    add(group, signal.SIGUSR2, print)
    group.close()
    assert loop.is_closed()
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
    assert loop.remove_signal_handler(signal.SIGUSR2) is False


def test_one_that_cannot_be_added_leaves_the_one_before(group, in_thread):
    heard = []
    add(group, signal.SIGUSR2, heard.append, "before")

    @in_thread
    def refused():
        with pytest.raises(RuntimeError, match="main thread"):
            add(group, signal.SIGUSR2, heard.append, "after")

    refused()
    signal.raise_signal(signal.SIGUSR2)
    group.apply(asyncio.sleep, (0,))
    assert heard == ["before"]


def test_a_loop_with_handlers_is_not_kept_for_the_next_tool():
    heard = []
    with Group() as group:
        add(group, signal.SIGUSR2, heard.append, "first")
        loop = group.apply(_loop)
    assert loop.is_closed()
    with Group() as group:
        add(group, signal.SIGUSR2, heard.append, "second")
        signal.raise_signal(signal.SIGUSR2)
        group.apply(asyncio.sleep, (0,))
    assert heard == ["second"]


async def _loop():
    return asyncio.get_running_loop()


@pytest.mark.asyncios_loop  # uvloop keeps itself, and so what it is to call, until it is closed
def test_the_tool_is_not_kept_by_its_handler():
    async def wait(group):
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, group.cancel)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    ended = []
    group = Group()
    group.spawn(wait, group)
    group.apply(asyncio.sleep, (0,))
    gone = weakref.ref(group)
    del group
    gc.collect()
    assert gone() is None
    with Group() as group:
        group.join()
    assert ended == ["ended"]
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


@pytest.mark.parametrize("again", ["", "with Group() as other: other.apply(again)"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_another_thread_closed_is_as_if_it_had_never_been(run_script, number, again):
    """That thread can't take the handler back: the first signal does."""
    done = run_script(f"""
        import asyncio, os, signal, threading
        from aioutils import Group
        async def main():
            asyncio.get_running_loop().add_signal_handler({number:d}, print, "heard")
        async def again():
            os.kill(os.getpid(), {number:d})
            await asyncio.sleep(5)
        group = Group()
        group.apply(main)
        closer = threading.Thread(target=group.close)
        closer.start()
        closer.join()
        try:
            {again or "os.kill(os.getpid(), number)".replace("number", str(int(number)))}
        except KeyboardInterrupt:
            print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    """)
    if number == signal.SIGINT:
        assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted True\n", "")
    else:
        assert (done.returncode, done.stdout, done.stderr) == (-number, "", "")


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("wait", ["a task", "sync code"])
def test_what_comes_in_a_wait_for_another_tool_is_heard(group, number, wait):
    def wait_for_another():
        threading.Timer(0.02, os.kill, (os.getpid(), number)).start()
        with Group() as other:
            other.apply(asyncio.sleep, (0.05,))

    async def waits():
        asyncio.get_running_loop().add_signal_handler(number, heard.append, "heard")
        wait_for_another()
        await asyncio.sleep(0.001)

    heard = []
    if wait == "a task":
        group.apply(waits)
    else:
        add(group, number, heard.append, "heard")
        wait_for_another()
        assert heard == []
        group.apply(asyncio.sleep, (0,))
    assert heard == ["heard"]


def test_so_is_a_handler_that_a_task_sets_itself(group):
    """It, and not the one that was there as the outer wait began, is called in the inner one."""

    async def waits():
        before = signal.signal(signal.SIGTERM, lambda *_: heard.append("heard"))
        try:
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGTERM)).start()
            with Group() as other:
                other.apply(asyncio.sleep, (0.05,))
        finally:
            signal.signal(signal.SIGTERM, before)

    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("the one before"))
    try:
        group.apply(waits)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == ["heard"]


@pytest.mark.parametrize("number", SIGNALS)
def test_two_that_come_while_a_task_blocks_are_both_heard(group, number):
    async def block():
        for _ in range(2):
            signal.raise_signal(number)
        await asyncio.sleep(0)

    heard = []
    add(group, number, heard.append, "heard")
    group.apply(block)
    assert heard == ["heard"] * 2


def test_at_the_end_of_the_stack_it_is_an_error_as_any(group):
    """And nothing that ends the process."""

    def deep(n):
        if n:
            deep(n - 1)
        else:
            signal.raise_signal(signal.SIGUSR2)

    heard = []
    add(group, signal.SIGUSR2, heard.append, "heard")
    for left in range(60):
        try:
            deep(sys.getrecursionlimit() - left)
        except RecursionError:
            pass
    deep(1)
    group.apply(asyncio.sleep, (0,))
    assert "heard" in heard


def test_who_closes_takes_nothing_from_whoever_took_the_signal_over(group):
    heard = []
    with Group() as other:
        add(other, signal.SIGUSR2, heard.append, "first")
        add(group, signal.SIGUSR2, heard.append, "second")
    signal.raise_signal(signal.SIGUSR2)
    group.apply(asyncio.sleep, (0,))
    assert heard == ["second"]


def test_who_puts_the_handler_back_after_it_was_removed_has_none(run_script):
    done = run_script("""
        import asyncio, signal
        from aioutils import Group
        async def main():
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, print, "heard")
            handler = signal.getsignal(signal.SIGTERM)
            loop.remove_signal_handler(signal.SIGTERM)
            signal.signal(signal.SIGTERM, handler)
        with Group() as group:
            group.apply(main)
            signal.raise_signal(signal.SIGTERM)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")


def test_what_comes_as_another_thread_closes_the_loop(run_script):
    done = run_script("""
        import asyncio, signal, threading
        from aioutils import Group
        class Slow(asyncio.SelectorEventLoop):
            def close(self):
                super().close()
                closed.set()
                threading.Event().wait(5)
        async def main():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print, "heard")
        closed = threading.Event()
        group = Group(loop_factory=Slow)
        group.apply(main)
        threading.Thread(target=group.close, daemon=True).start()
        closed.wait()
        signal.raise_signal(signal.SIGTERM)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")


@pytest.mark.parametrize("pool_size", [1, 3])
def test_a_graceful_end_is_what_it_is_in_asyncio(run_script, pool_size):
    """Workers end their item and take no other one; SIGTERM comes while the results are used."""
    done = run_script(f"""
        import asyncio, os, signal
        from aioutils import Pool
        stop = asyncio.Event()
        async def work(n):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            await asyncio.sleep(0.001)
            return n
        def items():
            n = 0
            while not stop.is_set():
                yield n
                n += 1
        with Pool({pool_size}) as pool:
            for n in pool.imap(work, items()):
                if n == 10:
                    os.kill(os.getpid(), signal.SIGTERM)
        print("ended", 10 <= n < 20)
        os.kill(os.getpid(), signal.SIGTERM)
        print("never")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "ended True\n", "")


def test_a_child_does_not_ignore_what_is_to_end_it(run_script):
    """Its parent's loop is not there."""
    done = run_script("""
        import asyncio, os, signal, warnings
        from aioutils import Group
        async def main():
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, lambda: print("heard", os.getpid() == parent))
        parent = os.getpid()
        group = Group()
        group.apply(main)
        child = os.fork()
        if not child:
            os.write(1, b"child\\n")
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.kill(os.getpid(), signal.SIGTERM)
        group.apply(asyncio.sleep, (0,))
        group.close()
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == ["child", "-15", "heard True", ""]


def test_one_that_is_put_back_after_it_was_removed_gives_way(group):
    add(group, signal.SIGINT, print)
    relay = signal.getsignal(signal.SIGINT)
    remove(group, signal.SIGINT)
    signal.signal(signal.SIGINT, relay)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_fails_in_calling_the_loop_is_raised(group):
    """Near the end of the stack, say."""
    heard = []
    add(group, signal.SIGUSR2, heard.append, "heard")
    loop = group._scheduler.loop.event_loop
    relay, call = loop._added[signal.SIGUSR2]

    def fail():
        raise RecursionError("maximum recursion depth exceeded")

    loop._added[signal.SIGUSR2] = relay, fail
    with pytest.raises(RecursionError):
        signal.raise_signal(signal.SIGUSR2)
    loop._added[signal.SIGUSR2] = relay, call
    signal.raise_signal(signal.SIGUSR2)
    group.join()
    group.spawn(asyncio.sleep, 0).result()
    assert heard == ["heard"]


def test_what_comes_as_the_loop_has_just_closed_is_for_the_default(group):
    add(group, signal.SIGINT, print)
    loop = group._scheduler.loop.event_loop
    added = {**loop._added}
    group.close()
    loop._added.update(added)  # they go next
    with pytest.raises(KeyboardInterrupt):
        added[signal.SIGINT][0](signal.SIGINT, None)
    loop._added.clear()
