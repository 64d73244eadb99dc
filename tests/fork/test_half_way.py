"""Forks while something is half done: an iteration, a cancellation, a closing (rule 6)."""

import os

import pytest

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]

CANCELLED = """
        import concurrent.futures
        def cancelled(results):
            '''What is handed out until it turns out that the rest is the parent's.'''
            got = []
            try:
                for result in results:
                    got.append(result)
            except concurrent.futures.CancelledError:
                return got
            raise AssertionError(got)
"""


@pytest.mark.parametrize("kind", ["imap", "imap_unordered", "dual"])
def test_an_async_source_that_was_begun_goes_on_in_the_parent_only(script, kind):
    script(f"""
        {CANCELLED}
        async def numbers():
            for n in range(6):
                yield n
                await asyncio.sleep(0)
        async def same(n):
            return n
        pool = Pool(2)
        results = dual(numbers).sync() if "{kind}" == "dual" else pool.{kind}(same, numbers())
        first = next(results)
        def in_child():
            got = cancelled(results)    # those that had ended
            assert set(got) < set(range(6)) - {{first}}, got
            results.close()
            assert list(dual(numbers).sync()) == list(range(6))
            work(pool)
            pool.close()
        wait = fork(in_child)
        assert [first, *results] == list(range(6))
        wait()
        work(pool)
    """)


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("then", ["await asyncio.sleep(0)", "pass", "raise ValueError"])
def test_an_item_forks_and_the_child_goes_on_in_the_iteration(script, name, isolate, then):
    script(f"""
        pid = None
        async def item(n):
            global pid
            await asyncio.sleep(0)
            if n == 1:
                pid = os.fork()
                if not pid:
                    signal.alarm(8)
                    {then}
                if {then.startswith("await")}:
                    await asyncio.sleep(0)
            return n
        pool = Pool(2)
        results = pool.{name}(item, range(6), isolate={isolate}, buffer=1, return_exceptions=True)
        got = list(results)
        numbers = [n for n in got if isinstance(n, int)]
        if pid:
            assert numbers == list(range(6))
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        else:
            assert len(got) == 6 and len(set(numbers)) == len(numbers), got
            assert set(numbers) >= {{3, 4, 5}} and ({then == "pass"} or 1 not in numbers), got
            pool.take_errors()
            assert sorted(pool.{name}(item, range(2, 6), isolate={isolate})) == [2, 3, 4, 5]
            pool.close()
            os._exit(0)
    """)


def test_a_worker_that_waits_for_its_slot_finds_as_many_items_in_the_child(script):
    script("""
        from aioutils import _source
        _source._SLOW = 10      # or the loop would run in between
        pid, pulled = None, []
        def source():
            for n in range(20):
                pulled.append(n)
                yield n
        async def forks():
            global pid
            while len(pulled) < 3:
                await asyncio.sleep(0)
            pid = os.fork()
            if not pid:
                signal.alarm(8)
        async def item(n):
            if n == 5:
                for _ in range(100):
                    await asyncio.sleep(0)
                return list(pulled)
        pool = Pool(1)
        pool.spawn(forks)
        results = pool.imap(item, source(), isolate=False, buffer=20)
        assert [next(results) for _ in range(6)] == [None] * 5 + [list(range(5 + 1 + 2))]
        assert pool.join() is True
        if not pid:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    """)


def test_a_task_whose_failure_is_told_by_a_fork_has_failed_in_the_child(script):
    script("""
        pid = None
        def fork_here(task):
            global pid
            pid = os.fork()
            if not pid:
                signal.alarm(8)
        async def fail():
            await asyncio.sleep(0)
            raise ValueError
        group = Group(on_error=fork_here)
        task = group.spawn(fail)
        assert group.join() is True and isinstance(task.exception(), ValueError)
        if not pid:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    """)


@pytest.mark.parametrize("way", ["list", "close", "drop"])
@pytest.mark.parametrize("source", ["source()", "map(int, source())"])
def test_a_source_that_another_thread_pulls_is_the_parents(script, way, source):
    script(f"""
        {CANCELLED}
        pulling, go = threading.Event(), threading.Event()
        def source():
            for n in range(4):
                if n == 2:
                    pulling.set()
                    go.wait(9)
                yield n
        async def same(n):
            return n
        pool = Pool(2)
        results = pool.imap(same, {source})
        got = []
        consumer = threading.Thread(target=lambda: got.extend(results))
        consumer.start()
        pulling.wait()
        def in_child():
            global results
            if "{way}" == "list":
                cancelled(results)
            elif "{way}" == "close":
                results.close()
            del results
            work(pool)
            assert pool.map(same, range(3)) == [0, 1, 2]
            pool.close()
        wait = fork(in_child)
        go.set()
        wait()
        consumer.join()
        assert got == [0, 1, 2, 3]
    """)


def test_a_task_that_was_cancelled_just_before_has_ended_in_the_child(script):
    script("""
        pool, ordered = Pool(1), OrderedYielder(1)
        busy, go = [threading.Event(), threading.Event()], threading.Event()
        async def block(n):
            busy[n].set()
            go.wait(9)      # its loop is not free to hear of a cancellation
        told = []
        blocking = [tool.spawn(block, n) for n, tool in enumerate([pool, ordered])]
        waiting = [tool.spawn(asyncio.sleep, 0, 1) for tool in (pool, ordered)]
        others = [tool.spawn(asyncio.sleep, 0, 2) for tool in (pool, ordered)]
        waiting[0].add_done_callback(told.append)
        got = []
        threads = [threading.Thread(target=pool.join)]
        threads += [threading.Thread(target=lambda: got.extend(ordered))]
        for n, thread in enumerate(threads):
            thread.start()
            busy[n].wait()
        for task in waiting:
            task.cancel()
        def in_child():
            assert pool.join() is True and told == [waiting[0]]
            assert list(ordered) == [2]
            for tool in pool, ordered:
                assert len(tool) == 0 and tool.free_count() == 1
                assert tool._scheduler.order is None or tool._scheduler.order.backlog() == 0
            work(pool)
        wait = fork(in_child)
        go.set()
        wait()
        for thread in threads:
            thread.join()
        assert got == [2] and told == [waiting[0]]
    """)


@pytest.mark.parametrize("way", ["group.close()", "group.__exit__(None, None, None)", "del group"])
def test_a_tool_that_another_thread_closes_is_closed_in_the_child_as_well(script, way):
    script(f"""
        cleaning, go = threading.Event(), threading.Event()
        async def slow():
            try:
                await asyncio.sleep(9)
            finally:
                cleaning.set()
                go.wait(9)
        group = Group()
        group.spawn(slow)
        group.join(timeout=0)
        closer = threading.Thread(target=group.close)
        closer.start()
        cleaning.wait()
        def in_child():
            global group
            task = group.spawn(asyncio.sleep, 0, 1)
            assert task.result() == 1       # it is as open as it was
            {way}
            work()
        wait = fork(in_child)
        go.set()
        wait()
        closer.join()
    """)


def test_what_another_thread_gives_up_goes_on_in_the_child(script):
    script("""
        cleaning, go = threading.Event(), threading.Event()
        pool = Pool(2)
        async def later():
            try:
                await asyncio.sleep(9)
            finally:
                cleaning.set()      # nothing that is spawned now would ever start
                go.wait(9)
        async def endless():
            try:
                await asyncio.sleep(9)
            finally:
                pool.spawn(later)
                await asyncio.sleep(0.001)      # until that has begun
        async def leave():
            await asyncio.sleep(0)
            sys.exit(3)
        def drive():
            with contextlib.suppress(SystemExit):
                pool.join()
        pool.spawn(endless)
        pool.spawn(leave)
        driver = threading.Thread(target=drive)
        driver.start()
        cleaning.wait()
        def in_child():
            work(pool)
            assert not pool._scheduler.ending
        wait = fork(in_child)
        go.set()
        wait()
        driver.join()
        work(pool)
    """)


@pytest.mark.parametrize("kept", [True, False])
def test_a_loop_of_the_hosts_serves_in_the_child_as_well(script, kept):
    script(f"""
        kept = []
        async def main():
            async with Group() as group:
                assert await group.spawn(asyncio.sleep, 0.001, 1) == 1
                await group.wait()
            group = Group()
            group.spawn(asyncio.sleep, 0)
            await group.wait()
            if {kept}:
                kept.append(group)
        loop = asyncio.new_event_loop()
        def run():
            loop.run_until_complete(asyncio.wait_for(main(), 5))
            loop.run_until_complete(asyncio.wait_for(again(), 5))
        async def again():
            for group in kept:
                group.spawn(asyncio.sleep, 0)
                assert await group.wait() is True
        run()
        wait = fork(run)
        run()
        wait()
        loop.close()
    """)


def test_in_the_child_a_circle_is_refused_although_a_wait_was_going_on(script):
    script("""
        outer, inner = Group(), Group()
        pid = None
        async def forks():
            global pid
            await asyncio.sleep(0)
            pid = os.fork()
            if not pid:
                signal.alarm(8)
        def function():
            inner.spawn(forks)
            inner.join()
            if pid:
                return
            try:
                a = Group()
                b = Group(within=a)
                refused = []
                async def one():
                    try:
                        await b.wait()
                    except RuntimeError:
                        refused.append(1)
                async def two():
                    await asyncio.sleep(0.001)
                    try:
                        await first
                    except RuntimeError:
                        refused.append(2)
                first = a.spawn(one)
                b.spawn(two)
                assert a.join(timeout=2) and refused == [2], refused
                os._exit(0)
            except BaseException as error:
                say(repr(error))
                os._exit(1)
        outer.spawn(function)
        assert outer.join() is True
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    """)


def test_a_task_forks_as_what_is_waited_for_ends_and_the_child_reads_nothing_of_the_parents(script):
    lines = script("""
        pid = None
        async def first():
            asyncio.get_running_loop().call_soon(id, 1)  # runs before the wait returns
            return 1
        async def second():
            global pid
            asyncio.get_running_loop().add_reader(there, read)
            os.write(here, b"x")
            pid = os.fork()
            time.sleep(0.3 if pid else 0)  # what tells of the pipe is shared
        def read():
            asyncio.get_running_loop().remove_reader(there)
            say("read", bool(pid))
        there, here = os.pipe()
        group = Group()
        task = group.spawn(first)
        group.spawn(second)
        assert task.result() == 1
        if not pid:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        group.close()
    """)
    assert lines == ["read", "True"]
