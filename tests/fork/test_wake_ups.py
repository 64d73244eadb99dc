"""What happens in the child wakes nobody in the parent, whose descriptors it has (rule 6)."""

import os

import pytest

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]


@pytest.mark.parametrize("kind", ["Yielder", "OrderedYielder"])
def test_what_is_handed_out_in_the_child_wakes_nobody_in_the_parent(script, kind):
    script(f"""
        async def numbers():
            for n in range(5):
                yield n
        y = {kind}(4, buffer=1)
        y.spawn(numbers())
        y.spawn(numbers())
        results = iter(y)
        next(results)
        next(results)       # both pause now
        loop = y._scheduler.loop._event_loop
        def in_child():
            ready = list(loop._ready)
            for n in range(20):
                y.put(n)
            assert len(list(results)) >= 20
            assert list(loop._ready) == ready and y._scheduler.order.backlog() == 0
        fork(in_child)()
        assert len(list(results)) == 8
    """)


COUNTED = """
        wakes = []
        def in_the_child_of(loop):
            loop._write_to_self = lambda: wakes.append(1)
"""


def test_a_task_that_ends_in_the_child_wakes_no_task_of_the_parent_that_awaits_it(script):
    script(f"""
        {COUNTED}
        pool = Pool(1)
        group = Group(within=pool)
        async def wait():
            return await last
        pool.spawn(asyncio.sleep, 0.01)
        last = pool.spawn(asyncio.sleep, 0, "both")
        told = []
        last.add_done_callback(told.append)
        waiting = group.spawn(wait)
        group.join(timeout=0)
        loop = group._scheduler.loop._event_loop
        def in_child():
            in_the_child_of(loop)
            assert last.result() == "both" and pool.join() and group.join()
            assert told == [last] and waiting.cancelled() and not wakes
        fork(in_child)()
        assert waiting.result() == "both" and told == [last]
    """)


def test_the_task_that_forked_wakes_none_either(script):
    script(f"""
        {COUNTED}
        pid = None
        async def forks():
            global pid
            await asyncio.sleep(0)
            loop = asyncio.get_running_loop()
            pid = os.fork()
            if not pid:
                signal.alarm(8)
                in_the_child_of(loop)
            return "both"
        async def wait():
            return await forking
        group = Group()
        waiting = group.spawn(wait)
        forking = group.spawn(forks)
        assert group.join() is True and forking.result() == "both"
        if not pid:
            assert waiting.cancelled() and not wakes
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert waiting.result() == "both"
    """)


def test_nor_is_code_on_a_loop_of_a_hosts_that_awaits_a_task(script):
    script(f"""
        {COUNTED}
        pool = Pool(1)
        awaits, go = threading.Event(), threading.Event()
        async def block():
            awaits.set()
            await asyncio.to_thread(go.wait, 9)
        async def main():
            assert await last == "both"
        pool.spawn(block)
        last = pool.spawn(asyncio.sleep, 0, "both")
        host = threading.Thread(target=asyncio.run, args=(main(),))
        host.start()
        assert awaits.wait(5)
        loop = pool._scheduler.loop._event_loop
        def in_child():
            in_the_child_of(loop)
            assert last.result() == "both" and not wakes
        wait = fork(in_child)
        go.set()
        wait()
        host.join()
    """)
