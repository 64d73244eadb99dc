"""Forks while another thread is between two lines of ours (rule 6)."""

import os

import pytest

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]

# A container in which another thread stops, before or after what `method` does.
STOPPING = """
        at, go = threading.Event(), threading.Event()
        def stopping(kind, method, when):
            def stops(self, *args):
                result = getattr(kind, method)(self, *args) if when == "after" else None
                if threading.current_thread() is not threading.main_thread():
                    at.set()
                    go.wait(9)
                return getattr(kind, method)(self, *args) if when == "before" else result
            return type("Stopping", (kind,), {method: stops})
        async def same(n):
            return n
        def fork_there(function, in_child):
            thread = threading.Thread(target=function)
            thread.start()
            assert at.wait(5)
            wait = fork(in_child)
            go.set()
            wait()
            thread.join()
"""


def test_what_leaves_the_line_is_lost_to_the_child_and_has_ended_there(script):
    script(f"""
        {STOPPING}
        pool = Pool(2)
        tasks = [pool.spawn(same, n) for n in range(4)]
        pool._scheduler.running = stopping(set, "update", "before")()
        def in_child():
            assert pool.join() is True and pool.free_count() == 2
            assert all(task.done() for task in tasks)
            assert [task.cancelled() for task in tasks] == [True, True, False, False]
            work(pool)
        fork_there(pool.join, in_child)
        assert [task.result() for task in tasks] == [0, 1, 2, 3]
    """)


def test_what_another_thread_spawns_just_then_keeps_no_place_in_the_child(script):
    script(f"""
        {STOPPING}
        from collections import deque
        y = OrderedYielder()
        y._scheduler.main.waiting = stopping(deque, "append", "before")()
        def in_child():
            y.spawn(same, 2)
            assert list(y) == [2]
        fork_there(lambda: y.spawn(same, 1), in_child)
        assert list(y) == [1]
    """)


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize(
    ("method", "when"), [("append", "before"), ("append", "after"), ("popleft", "after")]
)
def test_an_iteration_of_another_thread_ends_in_the_child(script, name, isolate, method, when):
    script(f"""
        {STOPPING}
        import concurrent.futures
        from collections import deque
        pool = Pool(2)
        results = pool.{name}(same, range(6), isolate={isolate}, buffer=1)
        results._order.finished = stopping(deque, "{method}", "{when}")()
        def in_child():
            try:
                got = list(results)
                assert got == sorted(set(got)), got     # nothing twice
            except concurrent.futures.CancelledError:
                pass
            results.close()
            work(pool)
            assert list(pool.{name}(same, range(3), isolate={isolate})) == [0, 1, 2]
        got = []
        fork_there(lambda: got.extend(results), in_child)
        assert got == list(range(6))
    """)


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("isolate", [True, False])
def test_what_another_thread_has_just_taken_is_no_cancellation_in_the_child(script, name, isolate):
    script(f"""
        {STOPPING}
        from collections import deque
        pool = Pool(4)
        results = pool.{name}(same, range(3), isolate={isolate})
        results._order.finished = stopping(deque, "popleft", "after")()
        assert next(results) == 0
        assert pool.join() is True      # all have ended
        def in_child():
            assert list(results) == [2]
            work(pool)
            assert list(pool.{name}(same, range(3), isolate={isolate})) == [0, 1, 2]
        fork_there(lambda: next(results), in_child)
        assert list(results) == [2]
    """)


@pytest.mark.parametrize("isolate", [True, False])
def test_what_runs_beside_is_the_only_one_that_is_cancelled_in_the_child(script, isolate):
    script(f"""
        {STOPPING}
        import concurrent.futures
        from collections import deque
        end = threading.Event()
        async def slow(n):
            while n == 2 and not end.is_set():
                await asyncio.sleep(0.001)
            return n
        pool = Pool(4)
        results = pool.imap_unordered(slow, range(3), isolate={isolate}, return_exceptions=True)
        results._order.finished = stopping(deque, "popleft", "after")()
        assert next(results) == 0
        def in_child():
            cancelled, = results
            assert isinstance(cancelled, concurrent.futures.CancelledError)
            work(pool)
        fork_there(lambda: next(results), in_child)
        end.set()
        assert list(results) == [2]
    """)


@pytest.mark.parametrize("isolate", [True, False])
def test_what_another_thread_pulls_just_then_is_cancelled_in_the_child(script, isolate):
    script(f"""
        {STOPPING}
        import concurrent.futures
        from collections import deque
        pool = Pool(2)
        results = pool.imap(same, range(6), isolate={isolate}, return_exceptions=True)
        results._order._line = stopping(deque, "append", "after")()
        def in_child():
            assert isinstance(next(results), concurrent.futures.CancelledError)
            with contextlib.suppress(concurrent.futures.CancelledError):
                next(results)       # the source is the parent's as well
            results.close()
            work(pool)
        got = []
        fork_there(lambda: got.extend(results), in_child)
        assert got == list(range(6))
    """)


def test_what_another_thread_cancels_just_then_has_ended_in_the_child(script):
    script(f"""
        {STOPPING}
        pool = Pool(2)
        work(pool)
        tasks = [pool.spawn(same, n) for n in range(3)]
        def told(task):
            if threading.current_thread() is not threading.main_thread():
                at.set()
                go.wait(9)
        tasks[0].add_done_callback(told)
        def in_child():
            assert pool.join() is True and len(pool) == 0 and pool.free_count() == 2
            assert tasks[0].cancelled() and [task.result() for task in tasks[1:]] == [1, 2]
            work(pool)
        fork_there(tasks[0].cancel, in_child)
        work(pool)
    """)


@pytest.mark.parametrize("kind", ["Yielder", "OrderedYielder"])
def test_what_another_thread_puts_just_then_takes_no_room_in_the_child(script, kind):
    script(f"""
        {STOPPING}
        from collections import deque
        y = {kind}(1, buffer=1)
        order = y._scheduler.order
        line = stopping(deque, "append", "before")()
        if {kind} is Yielder:
            order.finished = line
        else:
            order._line = line
        def in_child():
            for n in range(3):
                y.spawn(same, n)
            assert list(y) == [0, 1, 2] and order.backlog() == 0
        fork_there(lambda: y.put(5), in_child)
        assert list(y) == [5]
    """)


def test_locks_of_iterations_that_another_thread_holds_are_free_in_the_child(script):
    script("""
        async def numbers():
            for n in range(3):
                yield n
        async def same(n):
            return n
        pool = Pool(4)
        results = pool.imap(same, range(3))     # those that are taken have all ended
        assert next(results) == 0
        assert pool.join() is True and len(pool) == 0
        begun = pool.imap(same, numbers())
        held, release = threading.Event(), threading.Event()
        def hold():
            with results._order._lock, begun._source._lock:
                results._order._moving = True
                held.set()
                release.wait(9)
        def in_child():
            assert list(results) == [1, 2]
            assert list(begun) == [0, 1, 2]
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        wait = fork(in_child)
        release.set()
        wait()
        thread.join()
        results._order._moving = False
        assert list(results) == [1, 2] and list(begun) == [0, 1, 2]
    """)


@pytest.mark.parametrize("half", ["_owner.Owner", "_source.Items"])
def test_what_another_thread_has_half_made_hinders_nobody(script, half):
    script(f"""
        from aioutils import _owner, _source
        other, group = Group(), Group()
        work(other)
        results = other.imap_unordered(asyncio.sleep, [0, 0.001])
        next(results)
        at, go = threading.Event(), threading.Event()
        make = {half}.__init__
        def half(self, *args):
            make(self, *args)
            if threading.current_thread() is not threading.main_thread():
                at.set()
                go.wait(9)
        {half}.__init__ = half
        async def numbers():
            yield 0
        def use():
            group.map(asyncio.sleep, numbers())
        thread = threading.Thread(target=use)
        thread.start()
        at.wait()
        def in_child():
            work(other)
            other.close()
        wait = fork(in_child)
        go.set()
        wait()
        thread.join()
    """)


def test_tasks_of_the_child_are_not_kept_for_a_thread_of_the_parent(script):
    script("""
        import gc, weakref
        group = Group()
        group.spawn(asyncio.sleep, 0.2)
        completed = []
        thread = threading.Thread(target=lambda: completed.extend(group.as_completed()))
        thread.start()
        while not (group._scheduler.listeners and group._scheduler.listeners[0].is_watched()):
            time.sleep(0.001)
        mine = group.as_completed()     # not begun yet
        def in_child():
            task = group.spawn(asyncio.sleep, 0)
            kept = weakref.ref(task)
            assert task in list(mine)
            assert group.join() is True
            del task
            gc.collect()
            assert kept() is None
        fork(in_child)()
        thread.join()
        assert len(completed) == 1
    """)


def test_a_tool_whose_contexts_another_thread_leaves_is_closed_in_the_child(script):
    script("""
        leaving, go = threading.Event(), threading.Event()
        @contextlib.asynccontextmanager
        async def slow():
            yield
            leaving.set()
            while not go.is_set():
                await asyncio.sleep(0.001)
        group = Group()
        group.enter_async_context(slow())
        thread = threading.Thread(target=group.close)
        thread.start()
        leaving.wait()
        def in_child():
            group.close()
            with contextlib.ExitStack() as stack:
                stack.push(group.__exit__)
            asyncio.run(group.aclose())
            work()
        wait = fork(in_child)
        go.set()
        wait()
        group.close()
        thread.join()
    """)
