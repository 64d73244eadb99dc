"""Forks from inside of what runs: a task, another thread, between two results (rule 6)."""

import os
import sys

import pytest

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]

# A task that forks; `ends` is what it does in the child. Both sides come out of the join.
FORKING = """
    pid = None
    async def forking():
        global pid
        pid = os.fork()
        if not pid:
            signal.alarm(8)
            {ends}
        await asyncio.sleep(0.001)
    async def sibling(n):
        say("sibling", n)
        await asyncio.sleep(0.01)
        say("sibling", n, "ended")
    def ended(outcome):
        '''In the child, a line for what left the join; the parent waits for it.'''
        if not pid:
            say(outcome)
            work({tool})
            {tool}.close()
            sys.stdout.flush()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        work({tool})
"""


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        ("return 1", "joined"),
        ("raise ValueError", "ValueError()"),
        ("sys.exit(3)", "SystemExit(3)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt()"),
        ("raise asyncio.CancelledError", "joined"),
        ("await asyncio.sleep(0)", "joined"),
        ("await asyncio.sleep(0.1)", "RuntimeError('no running event loop')"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_a_child_that_was_forked_in_a_task_leaves_the_join(script, ends, outcome, first):
    siblings = "group.spawn(sibling, 1); group.spawn(sibling, 2)"
    lines = script(
        FORKING.format(ends=ends, tool="group")
        + f"""
    group = Group()
    {"" if first else siblings}
    group.spawn(forking)
    {siblings if first else ""}
    try:
        group.join()
        ended("joined")
    except BaseExceptionGroup as errors:
        ended(*map(repr, errors.exceptions))
    except BaseException as error:
        ended(repr(error))
    """
    )
    siblings = ["sibling", "1", "sibling", "2"]
    siblings += ["sibling", "1", "ended", "sibling", "2", "ended"]
    assert sorted(lines) == sorted([*siblings, *outcome.split()])  # those ran in the parent only


def test_what_waited_runs_in_both_and_the_limit_holds(script):
    lines = script(
        FORKING.format(ends="return", tool="pool")
        + """
    running = most = 0
    async def count():
        global running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
    pool = Pool(2)
    pool.spawn(forking)
    tasks = [pool.spawn(count) for _ in range(6)]
    pool.join()
    done = sum(not task.cancelled() for task in tasks)
    assert most == 2 and pool.free_count() == 2
    ended(f"child {done}") if not pid else (say("parent", done), ended(""))
    """
    )
    # the one that ran beside the fork is cancelled in the child
    assert sorted(lines) == ["5", "6", "child", "parent"]


@pytest.mark.parametrize("policy", ["on_error=", "done-callback"])
def test_a_child_that_was_forked_in_a_function_of_the_users_leaves_the_join(script, policy):
    lines = script(
        FORKING.format(ends="", tool="group")
        + f"""
    def fork_here(task):
        global pid
        pid = os.fork()
        if not pid:
            signal.alarm(8)
    async def fail():
        await asyncio.sleep(0)
        raise ValueError
    if "{policy}" == "on_error=":
        group = Group(on_error=fork_here)
        group.spawn(fail)
    else:
        group = Group()
        group.spawn(asyncio.sleep, 0).add_done_callback(fork_here)
    group.spawn(sibling, 1)
    assert group.join() is True
    ended("joined")
    """
    )
    assert sorted(lines) == sorted("sibling 1 sibling 1 ended joined".split())


@pytest.mark.parametrize("kind", ["Yielder", "OrderedYielder"])
def test_a_fork_between_two_results_of_a_yielder(script, kind):
    lines = script(f"""
        y = {kind}(2)
        for n in range(6):
            y.spawn(asyncio.sleep, 0.001, n)
        results = iter(y)
        first = next(results)
        def in_child():
            rest = list(results)    # without what ran as it was forked
            assert len(rest) >= 3 and first not in rest
            work()
            y.close()
        wait = fork(in_child)
        assert sorted([first, *results]) == list(range(6))
        wait()
    """)
    assert lines == []


@pytest.mark.parametrize("kind", ["Yielder", "OrderedYielder"])
def test_a_child_that_was_forked_in_a_task_leaves_the_iteration(script, kind):
    lines = script(
        FORKING.format(ends="return 'forked'", tool="group")
        + f"""
    group, y = Group(), {kind}()
    y.spawn(forking)
    y.spawn(sibling, 1)
    results = list(y)
    assert results == ([] if pid else ["forked"])
    ended("left")
    """
    )
    assert sorted(lines) == sorted("sibling 1 sibling 1 ended left".split())


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_a_fork_between_two_results_of_imap(script, name):
    script(f"""
        import concurrent.futures
        over = False
        async def slow(n):
            while n and not over:       # the second one runs as this forks
                await asyncio.sleep(0.001)
        pool = Pool(2)
        results = pool.{name}(slow, range(6))
        first = next(results)
        def in_child():
            try:
                list(results)
            except concurrent.futures.CancelledError:
                work(pool)          # what ran is the parent's: cancelled, here
                pool.close()
            else:
                raise AssertionError
        wait = fork(in_child)
        over = True
        assert len([first, *results]) == 6
        wait()
        work(pool)
    """)


CHILD = """
    def interrupted():
        '''One Ctrl-C ends what runs here, at once.'''
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("Ctrl-C was lost")
        group = Group()
        group.spawn(os.kill, os.getpid(), signal.SIGINT)
        group.spawn(asyncio.sleep, 1)   # 3.13.0, forked by a thread, calls no handler before
        try:
            group.join()
        except KeyboardInterrupt:
            return
        raise AssertionError("Ctrl-C was lost in a join")
"""


def test_ctrl_c_reaches_a_child_that_was_forked_in_a_task(script):
    script(
        CHILD
        + """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    async def forking():
        wait = fork(interrupted)
        await asyncio.sleep(0.01)
        await asyncio.to_thread(wait)
    group = Group()
    group.spawn(forking)
    assert group.join() is True
    interrupted()
    """
    )


def test_ctrl_c_reaches_a_child_that_another_thread_forked_in_mid_join(script):
    script(
        CHILD
        + """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    group = Group()
    task = group.spawn(lambda: fork(interrupted)())
    group.spawn(asyncio.sleep, 0.05)
    assert group.join() is True
    task.result()
    interrupted()
    """
    )


def test_ctrl_c_in_a_child_that_goes_on_after_the_join(script):
    interrupt = "threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start(); return"
    lines = script(
        FORKING.format(ends=interrupt, tool="pool")
        + """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    async def clean_up():
        try:
            await asyncio.sleep(0 if pid else 5)
        finally:
            await asyncio.sleep(0)
            say("cleaned up")
    pool = Pool(1)
    pool.spawn(forking)
    pool.spawn(clean_up)
    try:
        pool.join()
        ended("joined")
    except KeyboardInterrupt:
        ended("interrupted")
    """
    )
    assert sorted(lines) == sorted("cleaned up cleaned up interrupted".split())


def test_ctrl_c_in_a_child_lets_a_task_go_on_to_its_next_pause(script):
    lines = script(
        FORKING.format(ends="return", tool="pool")
        + """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    async def interrupt():
        if not pid:
            signal.raise_signal(signal.SIGINT)
            say("went on")
    pool = Pool(1)
    pool.spawn(forking)
    pool.spawn(interrupt)
    pool.spawn(asyncio.sleep, 0.01)
    try:
        pool.join()
        ended("joined")
    except KeyboardInterrupt:
        ended("interrupted")
    """
    )
    assert lines == "went on interrupted".split()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_in_mid_join(script, method):
    script(f"""
        group = Group()
        def use():
            work(group)
            work()
        def run():
            process = context.Process(target=use)
            process.start()
            process.join()
            assert process.exitcode == 0
        async def from_a_task():
            await asyncio.sleep(0)
            run()
        if __name__ == "__main__":
            signal.alarm(25)
            context = multiprocessing.get_context({method!r})
            group.spawn(from_a_task)
            group.spawn(run)
            other = group.spawn(asyncio.sleep, 0.01, "other")
            thread = threading.Thread(target=run)
            thread.start()
            assert group.join() is True and other.result() == "other"
            thread.join()
            work(group)
    """)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_function_that_comes_back_in_the_child_ends_it(script):
    script("""
        pool = Pool(2)
        pid = pool.spawn(os.fork).result()
        assert pid and os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        work(pool)
    """)


def test_locks_that_another_thread_holds_are_free_in_the_child(script):
    script("""
        import functools
        from concurrent.futures import Executor, Future
        from aioutils import _graph, _job, _place
        class Threaded(Executor):
            def submit(self, function, /, *args, **kwargs):
                future = Future()
                def run():
                    if future.set_running_or_notify_cancel():
                        future.set_result(function(*args, **kwargs))
                threading.Thread(target=run).start()
                return future
        unbound, group, other = Group(), Group(), Group(executor=Threaded())
        work(group)
        work(other)
        yielders = [OrderedYielder(), OrderedYielder()]
        yielders[0].spawn(asyncio.sleep, 0, 0)
        assert list(yielders[0]) == [0]
        locks = [unbound._scheduler._lock, group._scheduler._lock, group._scheduler.loop._lock]
        locks += [_job._watching, _graph._lock]
        locks += [place._lock for place in _place._places.values()]
        locks += [unbound._scheduler._family._lock]
        locks += [y._scheduler.order._lock for y in yielders]
        held, release = threading.Event(), threading.Event()
        def hold():
            with contextlib.ExitStack() as stack:
                for lock in locks:
                    stack.enter_context(lock)
                for y in yielders:
                    y._scheduler.order._moving = True  # for that it holds the lock
                held.set()
                release.wait(9)
        def in_child():
            work(group)
            work(unbound)
            for y in yielders:
                y.spawn(asyncio.sleep, 0, 1)
                assert list(y) == [1]
            work(other)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        wait = fork(in_child)
        release.set()
        wait()
        thread.join()
    """)


THREADED = """
from concurrent.futures import Executor, Future

class Threaded(Executor):
    '''A thread for each call, once `line` is None: until then they stay there.'''
    line = []
    def submit(self, function, /, *args, **kwargs):
        future = Future()
        def run():
            if future.set_running_or_notify_cancel():
                future.set_result(function(*args, **kwargs))
        if self.line is None:
            threading.Thread(target=run, name="executor").start()
        else:
            self.line.append(run)
        return future

executor = Threaded()
group, child = Group(executor=executor), Group(executor=executor)
"""


def test_the_calls_in_an_executors_line_are_the_parents(script):
    lines = script(
        THREADED
        + """
group.spawn(say, "parent")
group.join(timeout=0)
line, executor.line = executor.line, None
fork(lambda: say(child.spawn(lambda: child.spawn(int).result()).result()))()
line[0]()
assert group.join()
"""
    )
    assert lines == ["0", "parent"]


def test_those_who_wait_in_an_executors_threads_are_the_parents(script):
    lines = script(
        THREADED
        + """
executor.line = None
go, waits = threading.Event(), threading.Event()
async def event():
    while not go.is_set():
        await asyncio.sleep(0.001)
async def until_it_waits():
    while not task._lease or not task._lease.targets:
        await asyncio.sleep(0.001)
end = group.spawn(event)
task = group.spawn(lambda: end.result())
group.spawn(until_it_waits).result()
fork(lambda: say(child.spawn(lambda: threading.current_thread().name).result()))()
go.set()
assert group.join()
"""
    )
    assert lines == ["executor"]


def test_what_the_loop_was_about_to_do_is_the_parents(script):
    lines = script(
        FORKING.format(ends="return 1", tool="group")
        + """
    async def forks():
        asyncio.get_running_loop().call_soon(say, "ready")
        await forking()
    group = Group()
    group.spawn(forks)
    assert group.join() is True
    ended("joined")
    """
    )
    assert sorted(lines) == ["joined", "ready"]


@pytest.mark.parametrize("more", ["pass", "group.spawn(asyncio.sleep, 3600)"])
def test_the_child_of_a_task_ends_where_a_helper_thread_drove(script, more):
    """There that thread is the only one, and nobody comes back to it for more."""
    lines = script(f"""
        warnings.filterwarnings("ignore", "this call blocks", RuntimeWarning)

        async def forks():
            pid = os.fork()
            if pid:
                for _ in range(500):
                    ended, status = os.waitpid(pid, os.WNOHANG)
                    if ended:
                        return status
                    await asyncio.sleep(0.01)
                os.kill(pid, signal.SIGKILL)
                raise TimeoutError(os.waitpid(pid, 0))
            {more}

        async def main():
            global group
            with Group() as group:
                slow = group.spawn(asyncio.sleep, 0.01)
                assert group.spawn(forks).result() == 0
                slow.result()
            say("ended")

        asyncio.run(main())
    """)
    assert lines == ["ended"]
