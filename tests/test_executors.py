"""Plain functions on executors of the user's: `executor=`, and `on` for a single function."""

import asyncio
import functools
import os
import random
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextvars import ContextVar
from dataclasses import field, make_dataclass
from multiprocessing import get_context

import pytest
from executor_works import dies, fails
from four_tools import MAKERS, finish

from aioutils import Group, OrderedYielder, Pool, Yielder, _threads, on

variable = ContextVar("variable", default="unset")


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    with ThreadPoolExecutor(request.param, thread_name_prefix="mine") as executor:
        yield executor


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        executor.submit(os.getpid).result()
        yield executor


def result_of(work, *args, **options):
    with Group(**options) as group:
        return group.spawn(work, *args).result()


def thread_name():
    return threading.current_thread().name


# ---- where functions run -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [Group, lambda **kw: Pool(5, **kw), Yielder, OrderedYielder])
def test_plain_functions_of_a_tool_run_in_its_executor(kind, threads):
    with kind(executor=threads) as tool:
        task = tool.spawn(thread_name)
        finish(tool)
        assert task.result().startswith("mine")


def test_without_one_they_run_in_threads_of_the_tool():
    assert result_of(thread_name).startswith("aioutils")


def test_loop_threads_and_processes_serve_side_by_side(threads, processes):
    async def on_the_loop():
        await asyncio.sleep(0)
        return thread_name()

    with Pool(3) as pool:
        works = [on_the_loop, thread_name, on(threads, thread_name), on(processes, os.getpid)]
        loop, own, theirs, process = [task.result() for task in [pool.spawn(w) for w in works]]
    assert loop == thread_name()
    assert own.startswith("aioutils") and theirs.startswith("mine")
    assert process != os.getpid()


def test_a_marked_function_goes_before_the_executor_of_the_tool(threads):
    with ThreadPoolExecutor(1, thread_name_prefix="other") as other, Group(executor=other) as group:
        assert group.spawn(on(threads, thread_name)).result().startswith("mine")
        assert group.spawn(thread_name).result().startswith("other")


def test_map_takes_marked_functions(processes):
    with Pool(2) as pool:
        assert pool.map(on(processes, pow), [2, 3], [3, 2]) == [8, 9]
        assert list(pool.imap(on(processes, abs), [-1, 2], isolate=False)) == [1, 2]


def test_partials_of_marked_functions_run_there_too(processes):
    two_to_the = functools.partial(functools.partial(on(processes, pow), 2))
    assert result_of(two_to_the, 5) == 32
    assert result_of(functools.partial(on(processes, os.getpid))) != os.getpid()


def test_functions_see_the_context_variables_of_their_spawn(threads):
    def change():
        before = variable.get()
        variable.set("changed")
        return before

    variable.set("mine")
    with Pool(2, executor=threads) as pool:
        assert [pool.spawn(change).result() for _ in range(3)] == ["mine"] * 3
    assert variable.get() == "mine"


def test_an_awaitable_that_a_function_returns_is_awaited_on_the_loop(threads):
    async def on_the_loop():
        return thread_name()

    def give():
        return on_the_loop()

    assert result_of(give, executor=threads) == thread_name()


def test_a_marked_function_can_be_called_as_before(processes):
    marked = on(processes, os.getpid)
    assert marked() != os.getpid()
    assert marked.__name__ == "getpid"
    assert repr(marked).startswith("<getpid on <concurrent.futures.process")


def test_the_executor_stays_the_users(threads):
    with Pool(2, executor=threads) as pool:
        pool.spawn(thread_name)
    assert threads.submit(abs, -1).result() == 1


# ---- failures ----------------------------------------------------------------------------


def test_failures_are_raised_as_themselves(threads, processes):
    for work in (on(threads, fails), on(processes, fails)):
        with pytest.raises(LookupError, match="in the executor"):
            result_of(work)


def test_a_failure_in_another_process_brings_its_traceback(processes):
    with pytest.raises(LookupError) as caught:
        result_of(on(processes, fails))
    assert "in fails" in str(caught.value.__cause__)


def test_an_executor_that_is_shut_down_fails_the_task():
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        result_of(thread_name, executor=executor)


def test_functions_that_a_shutdown_throws_out_fail():
    running, go_on = threading.Event(), threading.Event()
    executor = ThreadPoolExecutor(1)
    group = Group(executor=executor)

    def first():
        running.set()
        go_on.wait(5)
        return "first"

    async def shut():
        await asyncio.to_thread(running.wait, 5)
        executor.shutdown(wait=False, cancel_futures=True)
        go_on.set()

    tasks = [group.spawn(first), group.spawn(thread_name), group.spawn(shut)]
    with pytest.raises(ExceptionGroup, match="was shut down before the call began"):
        group.join()
    assert tasks[0].result() == "first"


def test_a_process_that_dies_fails_its_tasks_and_no_others():
    async def on_the_loop():
        return 1

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        group = Group()
        broken, sound = group.spawn(on(executor, dies)), group.spawn(on_the_loop)
        with pytest.raises(ExceptionGroup, match="1 of 2 tasks failed"):
            group.join()
        assert isinstance(broken.exception(), BrokenProcessPool)
        assert sound.result() == 1


# ---- cancelling --------------------------------------------------------------------------


def test_a_function_that_waits_for_its_turn_is_cancelled_at_once():
    running, go_on, ran = threading.Event(), threading.Event(), []

    def first():
        running.set()
        go_on.wait(5)

    with ThreadPoolExecutor(1) as executor, Group(executor=executor) as group:
        group.spawn(first)
        second = group.spawn(ran.append, 1)

        async def cancel():
            await asyncio.to_thread(running.wait, 5)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            go_on.set()

        group.spawn(cancel)
        group.join()
    assert second.cancelled() and not ran


def test_a_function_that_runs_is_waited_for(threads):
    running, ended = threading.Event(), []

    def work():
        running.set()
        threading.Event().wait(0.05)
        ended.append(1)

    group = Group(executor=threads)
    task = group.spawn(work)

    async def cancel():
        await asyncio.to_thread(running.wait, 5)
        task.cancel()

    group.spawn(cancel)
    group.join()
    assert ended and task.cancelled()


# ---- functions that wait (rule 10) ---------------------------------------------------------


def test_recursion_is_deeper_than_the_executor_has_threads(threads):
    def depth(n):
        return 1 + pool.spawn(depth, n - 1).result() if n else 0

    with Pool(2, executor=threads) as pool:
        assert pool.spawn(depth, 20).result() == 20


def test_a_function_can_wait_for_one_that_was_in_line_before():
    go_on = threading.Event()

    def first():
        assert go_on.wait(5)
        return second.result()

    with ThreadPoolExecutor(1) as executor, Group(executor=executor) as group:
        task = group.spawn(first)
        second = group.spawn(thread_name)
        group.spawn(asyncio.sleep, 0).add_done_callback(lambda _: go_on.set())
        assert task.result().startswith("aioutils")


def test_a_function_can_join_another_pool_on_the_same_executor(threads):
    def outer(n):
        with Pool(2, executor=threads) as inner:
            return sum(inner.map(abs, range(n)))

    with Pool(4, executor=threads) as pool:
        assert pool.map(outer, [3] * 8) == [3] * 8


@pytest.mark.parametrize("seed", range(20))
def test_random_trees_of_waiting_functions_end(seed, threads):
    chance = random.Random(seed)
    pools = [Pool(chance.randint(1, 4), executor=threads) for _ in range(2)]
    running, most = [0, 0], [0, 0]
    lock = threading.Lock()

    def node(depth, which):
        with lock:
            running[which] += 1
            most[which] = max(most[which], running[which])
        children = chance.randint(0, 3) if depth else 0
        where = [chance.randint(0, 1) for _ in range(children)]
        tasks = [pools[w].spawn(node, depth - 1, w) for w in where]
        with lock:
            running[which] -= 1
        return 1 + sum(task.result() for task in tasks)

    assert pools[0].spawn(node, 5, 0).result() >= 1
    for pool, peak in zip(pools, most, strict=True):
        assert peak <= pool._scheduler.main.size
        pool.close()


# ---- bad input ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", MAKERS.values())
def test_what_is_no_executor_is_refused_at_the_call(make):
    kind = type(make())
    sizes = {"size": 1} if kind is Pool else {}
    with pytest.raises(TypeError, match=rf"{kind.__name__}\(executor=...\) is a concurrent.fut"):
        kind(executor=3, **sizes)


def test_on_refuses_what_it_cannot_bind(threads):
    async def coroutine_function(): ...

    def generator_function():
        yield

    with pytest.raises(TypeError, match=r"is a concurrent\.futures\.Executor, not 3"):
        on(3, abs)
    with pytest.raises(TypeError, match="is async, it runs on the loop"):
        on(threads, coroutine_function)
    with pytest.raises(TypeError, match="is a generator function"):
        on(threads, generator_function)
    with pytest.raises(TypeError, match="can't be called"):
        on(threads, 3)


def test_any_executor_will_do():
    class Inline(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.set_result(fn(*args, **kwargs))
            return future

    with Pool(2, executor=Inline()) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]


class Counted(ThreadPoolExecutor):
    """Its length is how many calls wait in it: mostly none, so that it is false."""

    def __len__(self):
        return self._work_queue.qsize()


class Delegate(Executor):
    def submit(self, fn, /, *args, **kwargs):
        return self.threads.submit(fn, *args, **kwargs)


def test_an_executor_may_be_false(threads):
    with Counted(1, thread_name_prefix="counted") as counted:
        assert result_of(thread_name, executor=counted).startswith("counted")
        assert result_of(on(counted, thread_name)).startswith("counted")
        assert result_of(on(counted, thread_name), executor=threads).startswith("counted")


@pytest.mark.parametrize("hashable", [False, True])
def test_executors_that_are_equal_are_two(threads, hashable):
    fields = [("limit", int), ("threads", Executor, field(compare=False))]
    kind = make_dataclass("Limited", fields, bases=(Delegate,), frozen=hashable)
    with ThreadPoolExecutor(1, thread_name_prefix="other") as other:
        first, second = kind(1, threads), kind(1, other)
        assert result_of(thread_name, executor=first).startswith("mine")
        assert result_of(thread_name, executor=second).startswith("other")
        assert result_of(on(second, thread_name), executor=first).startswith("other")


def test_where_no_more_threads_can_be_started_the_call_fails(monkeypatch):
    """The one that would go to a thread of the tool, while the executor's waits for it."""

    def start(worker):
        raise RuntimeError("can't start new thread")

    def outer():
        return pool.spawn(thread_name).result()

    monkeypatch.setattr(_threads._Worker, "start", start)
    with ThreadPoolExecutor(1) as executor, Pool(1, executor=executor) as pool:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.spawn(outer).result()
        pool.join(raise_error=False)
        pool.take_errors()
        assert pool.spawn(int).result() == 0 and pool.free_count() == 1
