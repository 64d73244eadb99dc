"""In a notebook: a real kernel, which runs an event loop of its own, driven cell by cell."""

import os
import textwrap
from collections import namedtuple

import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager
from pages import run_page

Reply = namedtuple("Reply", "status error printed complaints")
DONE = Reply("ok", None, "", "")

SETUP = """
%reset -f
import asyncio
from aioutils import Group, OrderedYielder, Pool, Yielder

begun, cleaned = [], []

async def tidy(n):
    begun.append(n)
    try:
        if len(begun) == 3:
            print("all began", flush=True)
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.001)
        cleaned.append(n)

async def square(n):
    await asyncio.sleep(0.001)
    return n * n

pool, y = Pool(3), Yielder()
"""

# The tools that there are, and a new one.
USE = """
assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
y.spawn(square, 2)
assert list(y) == [4]
with Pool(2) as other:
    assert other.spawn(square, 3).result() == 9
"""
# Loops, not descriptors: the kernel opens one of those for each thread that prints.
STATE = """
import asyncio, gc, threading
gc.collect()
loops = [o for o in gc.get_objects() if issubclass(type(o), asyncio.AbstractEventLoop)]
print(threading.active_count(), sum(not loop.is_closed() for loop in loops))
loops.clear()
"""


class Kernel:
    """A kernel, and what a notebook does with it."""

    def __init__(self, folder):
        # That of this environment, whatever the user has set up. Over files, because over TCP it
        # warns that others may listen.
        specs = KernelSpecManager(kernel_dirs=[])
        address = {"transport": "ipc", "ip": str(folder / "k")}
        self._manager = KernelManager(kernel_spec_manager=specs, **address)
        self._stderr = folder / "stderr"
        environment = os.environ | {"IPYTHONDIR": str(folder)}
        with self._stderr.open("w") as stderr:
            self._manager.start_kernel(cwd=str(folder), env=environment, stderr=stderr)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def run(self, source, interrupt_after=()):
        """Runs a cell; is interrupted as soon as it has printed the first of these, and so on."""
        request, printed = self._client.execute(textwrap.dedent(source)), ""
        complaints, moments = "", list(interrupt_after)
        while True:
            kind, content = self._answer(self._client.get_iopub_msg, request)
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind == "stream" and content["name"] == "stdout":
                printed += content["text"]
            elif kind == "stream":
                complaints += content["text"]
            while moments and moments[0] in printed:
                self._manager.interrupt_kernel()
                moments.pop(0)
        _, reply = self._answer(self._client.get_shell_msg, request)
        return Reply(reply["status"], reply.get("ename"), printed, complaints)

    def _answer(self, get, request):
        while True:
            message = get(timeout=30)
            if message["parent_header"].get("msg_id") == request:
                return message["msg_type"], message["content"]

    def end(self):
        self._client.stop_channels()
        self._manager.shutdown_kernel()
        assert self._stderr.read_text() == ""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("k"))
    yield kernel
    kernel.end()


@pytest.fixture
def notebook(kernel):
    """The kernel with tools; once they are closed, no thread and no loop is left of them."""
    assert kernel.run(SETUP) == DONE
    before = kernel.run(STATE)
    yield kernel
    assert kernel.run("pool.close(); y.close()") == DONE
    assert kernel.run(STATE) == before


def test_the_tour_of_the_readme_runs_cell_by_cell(kernel, project):
    def run(source, line):
        # A notebook's own loop runs already.
        reply = kernel.run(source.replace("asyncio.run(", "await ("))
        assert reply._replace(printed="") == DONE, f"README.md, line {line}"
        return reply.printed

    run_page((project / "README.md").read_text(), "README.md", run)


WAITS = {
    "join": ("pool", "pool.join()"),
    "result": ("pool", "tasks[-1].result()"),
    "leaving with": (None, "with Pool(3) as scope:\n    for n in range(3): scope.spawn(tidy, n)"),
    "map": (None, "pool.map(tidy, range(3))"),
    "imap": (None, "for _ in pool.imap(tidy, range(3)): pass"),
    "iteration": ("y", "for _ in y: pass"),
    "a generator": ("y", "list(item for item in y.yielding())"),
}


@pytest.mark.parametrize("wait", WAITS)
def test_an_interrupt_runs_every_clean_up_and_leaves_as_keyboard_interrupt(notebook, wait):
    tool, cell = WAITS[wait]
    if tool:
        cell = f"tasks = [{tool}.spawn(tidy(n)) for n in range(3)]\n{cell}"
    interrupted = notebook.run(cell, interrupt_after=["all began"])
    assert interrupted == Reply("error", "KeyboardInterrupt", "all began\n", "")
    assert notebook.run("print(sorted(cleaned), len(pool), len(y))").printed == "[0, 1, 2] 0 0\n"
    assert notebook.run(USE) == DONE


SQLALCHEMY = """
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine("sqlite+aiosqlite:///numbers.db")

    async def after(n):
        async with engine.connect() as connection:
            await asyncio.sleep(0.001 * (n % 3))
            return (await connection.execute(text(f"select {n} + 1"))).scalar()
"""


@pytest.mark.parametrize(
    "wait",
    [
        "pool.map(after, range(40))",
        "list(pool.imap(after, range(40)))",
        "[task.result() for task in [pool.spawn(after, n) for n in range(40)]]",
    ],
)
def test_greenlets_go_on_in_their_thread_from_wait_to_wait(notebook, wait):
    assert notebook.run(SQLALCHEMY) == DONE
    assert notebook.run(f"assert {wait} == list(range(1, 41))") == DONE
    assert notebook.run("pool.spawn(engine.dispose).result()") == DONE


def test_an_interrupt_reaches_a_blocking_call_of_a_cell_that_awaits_too(notebook):
    """The kernel's own handler would have its loop cancel the cell, but that loop is blocked."""
    cell = """
        await asyncio.sleep(0)
        pool.map(tidy, range(3))
    """
    interrupted = notebook.run(cell, interrupt_after=["all began"])
    assert interrupted == Reply("error", "KeyboardInterrupt", "all began\n", "")
    assert notebook.run("print(sorted(cleaned))").printed == "[0, 1, 2]\n"
    assert notebook.run(USE) == DONE


def test_a_second_interrupt_gives_up_on_a_clean_up_that_is_stuck(notebook):
    stuck = """
        async def stuck():
            try:
                await asyncio.sleep(60)
            finally:
                print("stuck", flush=True)
                await asyncio.sleep(60)

        pool.spawn(stuck)
        for n in range(2):
            pool.spawn(tidy, n)
        begun.append("stuck")
        pool.join()
    """
    interrupted = notebook.run(stuck, interrupt_after=["all began", "stuck"])
    assert interrupted == Reply("error", "KeyboardInterrupt", "all began\nstuck\n", "")
    assert notebook.run(USE) == DONE


def test_cells_may_await_the_same_tools(notebook):
    cell = """
        for n in range(4):
            pool.spawn(square, n)
            y.spawn(square, n)
        print(await pool.wait(), await pool.spawn(square, 3))
        print([result async for result in pool.imap(square, range(4))])
        print(sorted([result async for result in y]))
        async with Group() as group:
            task = group.spawn(square, 5)
        print(task.result())
    """
    shown = "True 9\n[0, 1, 4, 9]\n[0, 1, 4, 9]\n25\n"
    assert notebook.run(USE) == DONE
    assert notebook.run(cell) == Reply("ok", None, shown, "")


def test_a_tool_that_a_cell_awaited_stays_with_the_notebooks_loop(notebook):
    assert notebook.run("pool.spawn(square, 2)\nprint(await pool.wait())").printed == "True\n"
    assert notebook.run("pool.map(square, range(3))").error == "DeadlockError"


def test_what_a_task_prints_belongs_to_the_cell_that_spawned_it(notebook):
    spawning = """
        async def speak():
            print("hello", flush=True)

        pool.spawn(speak)
    """
    assert notebook.run(spawning) == DONE
    assert notebook.run("pool.join()\nprint('joined')").printed == "joined\n"


def test_a_generator_may_yield_from_a_yielder(notebook):
    cell = """
        def squares():
            y = OrderedYielder(2)
            for n in range(4):
                y.spawn(square, n)
            yield from y.yielding()

        print(list(squares()), next(squares()))
    """
    assert notebook.run(cell) == Reply("ok", None, "[0, 1, 4, 9] 0\n", "")
