"""The clock of a loop that stands still, and what it does first when it goes on."""

import asyncio
import contextlib
import itertools
import socket
import threading
import time

import pytest

from aioutils import Group, OrderedYielder, Pool, Yielder

aiohttp = pytest.importorskip("aiohttp")
web = pytest.importorskip("aiohttp.web")

both = pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "reused"])
methods = pytest.mark.parametrize("method", ["imap", "imap_unordered"])


@pytest.fixture
def pipe():
    """A socket to read from on the loop, and one to write to from anywhere."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    with reader, writer:
        yield reader, writer


# ---- timeouts --------------------------------------------------------------------------


def reading(reader):
    async def read():
        async with asyncio.timeout(0.5):
            return await asyncio.get_running_loop().sock_recv(reader, 9)

    return read


def pause(writer):
    """A consumer that takes its time; the data came at its beginning."""
    writer.send(b"data")
    time.sleep(0.7)


@both
@methods
def test_a_timeout_does_not_fire_while_the_consumer_pauses(method, pipe, isolate):
    reader, writer = pipe
    read = reading(reader)

    async def run(n):
        return await read() if n else "first"

    with Pool(2) as pool:
        stream = getattr(pool, method)(run, [0, 1], isolate=isolate)
        assert next(stream) == "first"
        pause(writer)
        assert next(stream) == b"data"


@pytest.mark.parametrize("kind", [Yielder, OrderedYielder])
def test_nor_does_it_while_a_yielders_consumer_pauses(kind, pipe):
    reader, writer = pipe
    with kind() as y:
        y.spawn(asyncio.sleep, 0, "first")
        y.spawn(reading(reader))
        stream = iter(y)
        assert next(stream) == "first"
        pause(writer)
        assert next(stream) == b"data"


def test_nor_does_it_between_two_blocking_calls(pipe):
    reader, writer = pipe
    with Group() as group:
        task = group.spawn(reading(reader))
        assert group.spawn(asyncio.sleep, 0, "first").result() == "first"
        pause(writer)
        assert task.result() == b"data"


def test_it_fires_when_that_much_time_was_driven():
    async def read():
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    with Pool(1) as pool, pytest.raises(TimeoutError):
        list(pool.imap(lambda _: read(), [1]))


# ---- what came meanwhile ---------------------------------------------------------------


@both
def test_what_came_during_a_pause_is_read_before_the_next_item_starts(pipe, isolate):
    reader, writer = pipe
    read, unread = [], []
    paused = False

    async def run(n):
        loop = asyncio.get_running_loop()
        if n == 0:
            loop.add_reader(reader, lambda: read.append(reader.recv(9)))
        if paused and not read:
            unread.append(n)
        while n in (1, 3) and not paused:  # they go on in the first pass after the pause
            await asyncio.sleep(0)
        return n

    async def stop():
        asyncio.get_running_loop().remove_reader(reader)

    with Pool(2) as pool:
        stream = pool.imap_unordered(run, range(8), isolate=isolate)
        assert [next(stream), next(stream)] == [0, 2]
        paused = True
        writer.send(b"data")
        assert sorted(stream) == [1, 3, 4, 5, 6, 7]
        pool.apply(stop)
    assert read == [b"data"]
    assert not unread


class Server:
    """An HTTP server in a thread; it closes a connection that is idle for 50 ms."""

    def __init__(self):
        self.requests, self.connections = [], []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _answer(self, request):
        self.requests.append(request.transport.get_extra_info("peername"))
        if request.transport not in self.connections:
            self.connections.append(request.transport)
        return web.Response(text=await request.text())

    async def _serve(self):
        application = web.Application()
        application.router.add_post("/", self._answer)
        runner = web.AppRunner(application, keepalive_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    def has_closed_all(self):
        """True if it has, and its loop went on since: the client's side was told."""
        return all(connection.is_closing() for connection in self.connections) and (
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, True), self._loop).result(5)
        )

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5)


@both
@pytest.mark.parametrize("method", ["imap", "spawn"])
def test_a_connection_that_the_server_closed_in_a_pause_is_not_reused(method, eventually, isolate):
    @contextlib.asynccontextmanager
    async def client():
        async with aiohttp.ClientSession() as session:
            yield session

    async def post(n):  # a POST, which aiohttp does not repeat on its own
        async with session.post(server.url, data=str(n)) as response:
            return await response.text()

    with Server() as server, Pool(1) as pool:
        session = pool.enter_async_context(client())
        if method == "imap":
            results = pool.imap(post, itertools.count(), isolate=isolate)
        else:
            results = (pool.spawn(post, n).result() for n in itertools.count())
        assert next(results) == "0"
        assert len(server.connections) == 1
        for n in range(1, 4):
            eventually(server.has_closed_all)
            assert next(results) == str(n)
        assert len(server.requests) == len(server.connections) == 4
        results.close()


def test_a_connection_that_is_still_open_is_reused():
    @contextlib.asynccontextmanager
    async def client():
        async with aiohttp.ClientSession() as session:
            yield session

    async def post_twice():
        for _ in range(2):
            async with session.post(server.url) as response:
                await response.text()

    with Server() as server, Pool(1) as pool:
        session = pool.enter_async_context(client())
        pool.apply(post_twice)
        assert len(server.requests) == 2
        assert len(set(server.requests)) == 1
