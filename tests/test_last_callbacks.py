"""What a task leaves to its loop as it ends runs before the wait for it returns, as in asyncio."""

import asyncio
import socket
import threading

import pytest
import uvloop

from aioutils import Group, OrderedYielder, Pool, Yielder, dual


async def leave(said):
    """Done-callbacks of asyncio's task, and of the task's last moment."""
    asyncio.current_task().add_done_callback(lambda _: said.append("ended"))
    try:
        return 1
    finally:
        asyncio.get_running_loop().call_soon(said.append, "at its end")


def spawned(kind, **options):
    def wait(*args):
        with kind(**options) as tool:
            yield tool.spawn(leave, *args).result()

    return wait


def joined(said):
    group = Group()
    group.spawn(leave, said)
    yield group.join()
    group.close()


def timed_out(said):
    group = Group()
    group.spawn(leave, said)
    yield group.join(timeout=5)
    group.close()


def mapped(said):
    with Pool(1) as pool:
        yield pool.map(leave, [said]) == [1]


def streamed(said, **options):
    with Pool(1) as pool:
        yield from pool.imap(leave, [said], **options)


def reused(said):
    yield from streamed(said, isolate=False)


def iterated(said):
    with Yielder() as y:
        y.spawn(leave, said)
        yield from y


def iterated_in_order(said):
    with OrderedYielder(1) as y:
        y.spawn(leave, said)
        yield from y


def called(said):
    yield dual(leave).sync(said)


WAYS = [
    *(spawned(Group), spawned(Pool, size=1), spawned(Yielder)),
    spawned(Group, loop_factory=uvloop.new_event_loop),
    *(joined, timed_out, mapped, streamed, reused, iterated, iterated_in_order, called),
]


@pytest.mark.parametrize("way", WAYS)
def test_it_runs_before_the_wait_returns(way):
    said = []
    results = way(said)
    assert next(results) == 1
    if way is not reused:  # its asyncio task is not the one of the item
        assert sorted(said) == ["at its end", "ended"]
    assert "at its end" in said
    assert not list(results)


def test_so_does_that_of_two_who_end_at_the_same_time():
    said = []
    with Group() as group:
        group.spawn(leave, said)
        group.spawn(leave, said)
        group.join()
        assert sorted(said) == ["at its end", "at its end", "ended", "ended"]


def test_where_one_is_left_early_too():
    said = []
    with Pool(1) as pool:
        for _ in pool.imap(leave, [said] * 9):
            break
        assert said[-2:] == ["at its end", "ended"]


def test_one_pass_is_made_and_no_more():
    """What goes on for ever goes on with the next wait."""

    async def main():
        tick(asyncio.get_running_loop())

    def tick(loop):
        ticks.append(1)
        loop.call_soon(tick, loop)

    ticks = []
    with Group() as group:
        group.spawn(main).result()
        assert 1 <= len(ticks) <= 3


def test_what_a_last_callback_raises_leaves_the_wait(nothing_leaks):
    """What is no exit is logged, as ever."""

    def fail(error):
        raise error

    async def main(error):
        asyncio.get_running_loop().call_soon(fail, error)
        return 1

    with Group() as group:
        with pytest.raises(SystemExit):
            group.spawn(main, SystemExit()).result()
        assert group.spawn(main, ValueError("logged")).result() == 1
    assert len(nothing_leaks) == 1
    nothing_leaks.clear()


@pytest.mark.parametrize("passes", range(4))
def test_an_exit_that_it_raises_as_its_loop_ends_lets_others_close_the_tool_too(in_thread, passes):
    async def main():
        later(asyncio.get_running_loop(), passes)

    def later(loop, passes):
        if passes:
            loop.call_soon(later, loop, passes - 1)
        else:
            raise SystemExit

    group, exited = Group(), []
    try:
        group.apply(main)
        group.close()
    except SystemExit:
        exited.append(1)
    in_thread(group.close)()
    assert exited


def test_no_pass_is_made_where_an_exit_is_on_its_way():
    """Or another task's exit could take its place."""

    async def end():
        await asyncio.sleep(0)

    async def leave(code, passes):
        for _ in range(passes):
            await asyncio.sleep(0)
        raise SystemExit(code)

    with Group() as group:
        group.spawn(leave, "first", 1)
        group.spawn(leave, "second", 2)
        task = group.spawn(end)
        with pytest.raises(SystemExit, match="first"):
            task.result()


def test_of_two_exits_at_the_same_time_one_leaves_once():
    async def main():
        asyncio.get_running_loop().call_soon(leave, "callback")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def leaves():
        await asyncio.sleep(0)
        leave("task")

    def leave(code):
        raise SystemExit(code)

    with Group() as group:
        group.spawn(leaves)
        with pytest.raises(SystemExit):
            group.spawn(main).result()
        for n in range(3):
            assert group.spawn(asyncio.sleep, 0, n).result() == n


@pytest.mark.parametrize(
    "call",
    [
        "pool.map(send, [b'hi'])",
        # libuv opens a descriptor to spare, with the first connection of a loop
        pytest.param("dual(send).sync(b'hi')", marks=pytest.mark.asyncios_loop),
    ],
)
def test_a_connection_that_a_task_closes_is_closed(call):
    """Its peer waits for that."""

    async def send(data):
        _, writer = await asyncio.open_connection(*server.getsockname())
        writer.write(data)
        await writer.drain()
        writer.close()

    def serve():
        peer, _ = server.accept()
        with peer:
            peer.settimeout(5)
            while data := peer.recv(100):
                got.append(data)
            got.append("end")

    got, pool = [], Pool(1)
    with socket.create_server(("127.0.0.1", 0)) as server, pool:
        serving = threading.Thread(target=serve)
        serving.start()
        eval(call, {"send": send, "pool": pool, "dual": dual})
        serving.join()
    assert got == [b"hi", "end"]


@pytest.mark.parametrize("call", ["pool.map(work, [1])", "[dual(work).sync(1)]"])
def test_a_thread_that_a_tasks_end_stops_does_not_keep_the_process(run_script, call):
    """As anyio's: it is none of those that end with the process."""
    done = run_script(f"""
        import asyncio, queue, threading
        from aioutils import Pool, dual
        async def work(n):
            loop, done = asyncio.get_running_loop(), asyncio.Event()
            def run():
                while (job := jobs.get()) is not None:
                    loop.call_soon_threadsafe(job)
            jobs = queue.Queue()
            threading.Thread(target=run).start()
            asyncio.current_task().add_done_callback(lambda _: jobs.put(None))
            jobs.put(done.set)
            await done.wait()
            return n
        pool = Pool(2)
        print({call})
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1]\n", "")
