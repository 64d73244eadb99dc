"""Clients of other people's, used through `@dual` functions: they stay connected from call to call,
in each thread (rule 23)."""

import asyncio
import contextlib
import gc
import textwrap
from weakref import WeakKeyDictionary

import asyncpg
import httpx
import pytest
from integration import postgresql
from keep_alive import kept_alive

from aioutils import Pool, dual

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def server():
    with kept_alive() as server:
        yield server


@pytest.fixture(scope="session")
def database():
    with postgresql.served() as database:
        yield database


class OfEachLoop:
    """What is connected through a loop is of that loop alone."""

    def __init__(self, make):
        self._make = make
        self._made = WeakKeyDictionary()

    async def get(self, *args):
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            self._made[loop] = await self._make(*args)
        return self._made[loop]

    def take(self):
        return self._made.pop(asyncio.get_running_loop())


# ---- httpx --------------------------------------------------------------------------------


async def make_client(server):
    return httpx.AsyncClient(base_url=server.url, trust_env=False)


clients = OfEachLoop(make_client)


@dual
async def get(server, path="/"):
    client = await clients.get(server)
    return (await client.get(path)).text


@dual
async def get_all(server, paths):
    return await asyncio.gather(*(get(server, path) for path in paths))


@dual
async def pages(server, n):
    client = await clients.get(server)
    for i in range(n):
        async with client.stream("GET", f"/{i}") as answer:
            yield (await answer.aread()).decode()


@dual
async def close_client():
    await clients.take().aclose()


def in_20_threads(in_thread, work):
    return [call() for call in [in_thread(work) for _ in range(20)]]


def test_httpx_stays_connected_from_call_to_call(server, in_thread):
    def work():
        texts = [get.sync(server, f"/{n}") for n in range(10)]
        texts += pages.sync(server, 3)
        for text in pages.sync(server, 3):
            texts.append(text)
            texts.append(get.sync(server, "/between"))
            break
        close_client.sync()
        return texts

    expected = [f"/{n}" for n in range(10)] + ["/0", "/1", "/2", "/0", "/between"]
    assert in_thread(work)() == expected
    # the iteration that was left had its answer open: it and the call within it have two
    assert server.accepted <= 2


def test_httpx_stays_connected_in_each_of_20_threads(server, in_thread):
    def work():
        texts = [get.sync(server, f"/{n}") for n in range(5)]
        close_client.sync()
        return texts

    assert in_20_threads(in_thread, work) == [[f"/{n}" for n in range(5)]] * 20
    assert server.accepted == 20


def test_httpx_keeps_as_many_connections_as_one_call_needed(server, in_thread):
    def work():
        paths = [f"/{n}" for n in range(5)]
        texts = [get_all.sync(server, paths) for _ in range(4)]
        close_client.sync()
        return texts == [paths] * 4

    assert in_thread(work)()
    assert server.accepted == 5


def test_httpx_in_the_functions_of_a_pool(server):
    """Each worker thread has a loop of its own, and no more than two requests run at once."""
    with Pool(2) as pool:
        assert pool.map(lambda n: get.sync(server, f"/{n}"), range(50)) == [
            f"/{n}" for n in range(50)
        ]
        assert server.accepted <= 2


@pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")
def test_httpx_in_a_notebook(server, in_thread):
    async def cell(n):
        return get.sync(server, f"/{n}")

    def notebook():
        texts = [asyncio.run(cell(n)) for n in range(3)]
        close_client.sync()
        return texts

    assert in_thread(notebook)() == ["/0", "/1", "/2"]
    assert server.accepted == 1


def test_httpx_that_was_left_open_is_disconnected_with_its_thread(server, in_thread, eventually):
    assert in_thread(get.sync, server, "/left")() == "/left"
    eventually(lambda: server.connected == 0)
    gc.collect()  # nothing warns of it


@pytest.mark.parametrize("dev", [False, True], ids=["plain", "dev"])
def test_httpx_that_was_left_open_is_silent_at_exit(server, run_script, dev):
    done = run_script(
        """
        import sys, threading
        import httpx
        from aioutils import dual

        client = httpx.AsyncClient(base_url=sys.argv[1], trust_env=False)
        local = threading.local()

        @dual
        async def get():
            return (await client.get("/")).status_code

        @dual
        async def get_here():
            local.client = httpx.AsyncClient(base_url=sys.argv[1], trust_env=False)
            return (await local.client.get("/")).status_code

        print(get.sync(), get.sync())
        thread = threading.Thread(target=get_here.sync)
        thread.start()
        thread.join()
        """,
        server.url,
        dev=dev,
    )
    assert (done.stdout, done.stderr) == ("200 200\n", "")


# ---- asyncpg ------------------------------------------------------------------------------


async def connect(database):
    return await asyncpg.connect(host=database.host, user=database.user, database="postgres")


connections = OfEachLoop(connect)


@dual
async def query(database, sql, *args):
    connection = await connections.get(database)
    return await connection.fetchval(sql, *args)


@dual
async def rows(database, n, log):
    connection = await connections.get(database)
    async with connection.transaction():
        await connection.execute("create temporary table seen (n int)")
        try:
            async for row in connection.cursor("select generate_series(1, $1) as n", n):
                yield row["n"]
        finally:
            log.append(await connection.fetchval("select count(*) from seen"))


@dual
async def disconnect():
    await connections.take().close()


MINE = "select pg_backend_pid()"
CLIENTS = "select count(*) from pg_stat_activity where backend_type = 'client backend'"


@contextlib.contextmanager
def connected(database):
    try:
        yield
    finally:
        disconnect.sync()


def test_asyncpg_stays_connected_from_call_to_call(database, in_thread):
    def work():
        with connected(database):
            return {query.sync(database, MINE) for _ in range(10)}

    assert len(in_thread(work)()) == 1


def test_asyncpg_stays_connected_in_each_of_20_threads(database, in_thread):
    def work():
        with connected(database):
            return frozenset(query.sync(database, MINE) for _ in range(5))

    processes = in_20_threads(in_thread, work)
    assert all(len(of_one) == 1 for of_one in processes)


def test_asyncpg_stays_connected_although_a_query_failed(database, in_thread):
    def work():
        with connected(database):
            before = query.sync(database, MINE)
            for _ in range(3):
                with pytest.raises(asyncpg.DivisionByZeroError):
                    query.sync(database, "select 1 / 0")
            assert query.sync(database, "select $1::int + 1", 1) == 2
            return before == query.sync(database, MINE)

    assert in_thread(work)()


def test_asyncpg_reads_a_cursor_row_by_row_and_leaves_its_transaction(database, in_thread):
    log = []

    def work():
        with connected(database):
            assert sum(rows.sync(database, 1000, log)) == 500500
            query.sync(database, "drop table seen")
            for n in rows.sync(database, 1000, log):
                if n == 10:
                    break
            # what was not committed is gone
            return query.sync(database, "select to_regclass('pg_temp.seen')")

    assert in_thread(work)() is None
    assert log == [0, 0]


def test_asyncpg_that_was_left_open_is_disconnected_with_its_thread(
    database, in_thread, eventually
):
    def until_alone():
        with connected(database):
            eventually(lambda: query.sync(database, CLIENTS) == 1)

    in_20_threads(in_thread, lambda: query.sync(database, MINE))
    gc.collect()  # nothing warns of it
    in_thread(until_alone)()


@pytest.mark.parametrize("dev", [False, True], ids=["plain", "dev"])
def test_ctrl_c_cancels_a_query_and_the_connection_goes_on(database, run_script, dev):
    code = """
        import asyncio, os, signal, sys, threading, time
        import asyncpg
        from aioutils import dual

        connection, asked = None, threading.Event()

        @dual
        async def query(sql):
            global connection
            if connection is None:
                host, user = sys.argv[1:]
                connection = await asyncpg.connect(host=host, user=user, database="postgres")
            if "sleep" in sql:
                asked.set()
            return await connection.fetchval(sql)

        def shoot():
            asked.wait()
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)

        before = query.sync("select pg_backend_pid()")
        threading.Thread(target=shoot).start()
        try:
            query.sync("select pg_sleep(60)")
        except KeyboardInterrupt:
            print("interrupted")
        print(query.sync("select pg_backend_pid()") == before)
        """
    done = run_script(textwrap.dedent(code), database.host, database.user, dev=dev, timeout=30)
    assert (done.stdout, done.stderr) == ("interrupted\nTrue\n", "")
