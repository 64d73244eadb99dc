"""Calls that leave an executor's line for a thread of the tool's, at unlucky moments too."""

import gc
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from aioutils import Group, Pool, _place, _threads, on


class Late(Future):
    """Tells of its end when it is asked to, as if the thread that ends it had been interrupted."""

    meanwhile = None  # called as it is cancelled, once

    def add_done_callback(self, callback):
        self.tell = lambda: callback(self)

    def cancel(self):
        cancelled = super().cancel()
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return cancelled


class OneThread(Executor):
    """Runs the first call, while the others stay in line."""

    def __init__(self, threads):
        self.line = []
        self._threads = threads

    def submit(self, function, /, *args, **kwargs):
        if not self.line:
            self.line.append(self._threads.submit(function, *args, **kwargs))
        else:
            self.line.append(Late())
        return self.line[-1]


@pytest.fixture
def one():
    with ThreadPoolExecutor(1) as threads:
        yield OneThread(threads)


def start(tool):
    tool.join(timeout=0)


def test_a_shutdown_that_comes_too_late_leaves_what_has_moved_alone(one):
    """`shutdown(cancel_futures=True)` cancels the call; before it can tell so, a function waits
    for it, and it runs in a thread of the tool; then it tells."""

    def second():
        one.line[1].tell()
        return "second"

    group, go = Group(executor=one), threading.Event()
    first = group.spawn(lambda: go.wait(5) and task.result())
    task = group.spawn(second)
    start(group)
    one.line[1].cancel()
    go.set()
    assert first.result() == "second"
    place = _place.Place.of(one)
    assert not (place._elsewhere or place._waiting or place._line)


def test_a_call_that_is_cancelled_as_it_moves_does_not_run(one):
    ran, done, go = [], threading.Event(), threading.Event()

    def cancel():
        task.cancel()
        assert done.wait(5)

    group = Group(executor=one)
    first = group.spawn(lambda: go.wait(5) and task.exception())
    task = group.spawn(ran.append, 1)
    task.add_done_callback(lambda _: done.set())
    start(group)
    one.line[1].meanwhile = cancel
    go.set()
    group.join(raise_error=False)
    assert task.cancelled() and not ran
    assert first.cancelled() and not _place.Place.of(one)._elsewhere


def test_where_no_more_threads_can_be_started_a_long_line_fails(monkeypatch):
    def no_thread(worker):
        raise RuntimeError("can't start new thread")

    count, go = 2000, threading.Event()
    with ThreadPoolExecutor(1) as executor, Pool(count + 1, executor=executor) as pool:
        first = pool.spawn(lambda: go.wait(5) and tasks[-1].result())
        tasks = [pool.spawn(int) for _ in range(count)]
        pool.join(timeout=0.05)
        monkeypatch.setattr(_threads._Worker, "start", no_thread)
        go.set()
        with pytest.raises(RuntimeError, match="can't start new thread"):
            first.result()
        pool.join(raise_error=False)
        errors = {task.exception() for task in tasks}
        assert {str(error) for error in errors} == {"can't start new thread"}
        pool.take_errors()


def test_a_call_that_an_executor_runs_at_once_takes_no_thread_from_another_one():
    """It runs in the thread that drives, one of another executor's."""

    class Inline(Executor):
        def submit(self, function, /, *args, **kwargs):
            future = Future()
            future.set_result(function(*args, **kwargs))
            return future

    def drives():
        assert go.wait(5)  # nobody else drives
        assert group.spawn(on(Inline(), int)).result() == 0
        try:
            return group.spawn(on(executor, int)).result(timeout=5)
        finally:
            done.set()

    go, done, group = threading.Event(), threading.Event(), Group()
    with ThreadPoolExecutor(1) as executor:
        task = group.spawn(on(executor, drives))
        start(group)
        go.set()
        assert done.wait(10)
        assert task.result() == 0


# ---- the collector -------------------------------------------------------------------------


@pytest.mark.parametrize("holder", ["this thread", "another one"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_tool_is_collected_while_a_thread_moves_calls(holder):
    def drop():
        group = Group(executor=executor)
        group.me = group
        group.spawn(int)
        start(group)

    def hold():
        with place._lock:
            held.set()
            go.wait(5)

    held, go = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as executor:
        running = Group(executor=executor)
        running.spawn(go.wait, 5)
        start(running)
        place = _place.Place.of(executor)
        drop()
        assert len(place._line) == 2
        if holder == "this thread":
            with place._lock:
                gc.collect()
        else:
            thread = threading.Thread(target=hold)
            thread.start()
            assert held.wait(5)
            gc.collect()
        assert len(place._line) == 1 and not go.is_set()
        go.set()
        running.join()
        if holder == "another one":
            thread.join()


def test_what_the_collector_ends_may_use_the_executor(one):
    class Finalized:
        def __del__(self):
            seen.append(group.spawn(int).result())

    seen, group = [], Group(executor=one)
    cycle = Finalized()
    cycle.me = cycle
    del cycle
    with _place.Place.of(one)._lock:
        gc.collect()
    assert seen == [0]


def test_an_executor_that_nobody_holds_goes():
    class Inline(Executor):
        def submit(self, function, /, *args, **kwargs):
            future = Future()
            future.set_result(function(*args, **kwargs))
            return future

    before = len(_place._places)
    with Group(executor=Inline()) as group:
        group.spawn(int).result()
        assert len(_place._places) == before + 1
    del group
    gc.collect()
    assert len(_place._places) <= before
