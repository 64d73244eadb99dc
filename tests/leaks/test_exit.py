"""At its exit the interpreter finds tools in every state, and says nothing, under -X dev too."""

import textwrap

import pytest

START = """
import asyncio, atexit, contextlib, sys, threading, time
from aioutils import *

async def endless():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0)

@contextlib.asynccontextmanager
async def context():
    try:
        yield
    finally:
        await asyncio.sleep(0)

async def numbers():
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)

async def half():
    async for number in numbers():
        await asyncio.sleep(3600)

async def first():
    async for number in numbers():
        return number

async def waits():
    await g.spawn(endless)
"""

STATES = {
    "never joined": "g = Group(); g.spawn(endless()); g.spawn(endless); g.spawn(print)",
    "joined": "g = Group(); g.spawn(asyncio.sleep, 0); g.join()",
    "half joined": "g = Pool(1); g.spawn(endless); g.spawn(endless()); g.join(0.01)",
    "half iterated": "y = Yielder(); y.put(1); y.spawn(endless); i = iter(y); next(i)",
    "in an async generator": "g = Group(); g.spawn(half); g.join(0.01)",
    "after an async generator was let go": "g = Group(); g.spawn(first).result()",
    "a task that waits for another": "g = Group(); g.spawn(waits); g.join(0.01)",
    "a task that waits, and another thread": """
        g = Group(); g.spawn(waits)
        threading.Thread(target=g.join, daemon=True).start()
        time.sleep(0.05)
        """,
    "a context entered": "g = Group(); g.enter_async_context(context())",
    "in a cycle": "g = Group(); g.me = g; g.spawn(endless); g.join(0.01)",
    "in a module": "g = Group(); g.spawn(endless); g.join(0.01); sys.kept = [g]",
    "closed at exit": "g = Group(); g.spawn(endless); g.join(0.01); atexit.register(g.close)",
    "joined at exit": "g = Group(); g.spawn(asyncio.sleep, 0.01); atexit.register(g.join)",
    "a function in a thread": "g = Group(); g.spawn(time.sleep, 3600); g.join(0.01)",
    "an idle thread": "g = Group(); g.spawn(time.sleep, 0); g.join()",
    "driven by a daemon thread": """
        g = Group(); g.spawn(endless)
        threading.Thread(target=g.join, daemon=True).start()
        time.sleep(0.05)
        """,
    "made in a thread that ended": """
        tools = []
        def use():
            tools.append(Group())
            tools[0].spawn(endless)
            tools[0].join(0.01)
        t = threading.Thread(target=use); t.start(); t.join()
        """,
    "among the local values of a thread that ended": """
        local = threading.local()
        def use():
            local.g = Group()
            local.g.spawn(time.sleep, 0)
            local.g.join()
        t = threading.Thread(target=use); t.start(); t.join()
        """,
    "inside a running loop": """
        import warnings
        warnings.filterwarnings("ignore", ".*loop.*")
        async def main():
            global g
            g = Group(); g.spawn(endless); g.join(0.01)
        asyncio.run(main())
        """,
    "a generator that was let go, whose end queues more": """
        async def busy():
            event = asyncio.Event()
            waiter = asyncio.ensure_future(event.wait())
            try:
                while True:
                    yield
                    await asyncio.sleep(0)
            finally:
                event.set()
                waiter.cancel()
        async def make():
            made.append(busy())
        async def use():
            await made[0].__anext__()
            await asyncio.sleep(0.01)
        made = []
        g = Group(); g.spawn(make).result(); g.spawn(use).result()
        made.clear()
        """,
    "left by sys.exit": "g = Group(); g.spawn(endless); g.join(0.01); sys.exit(0)",
}


@pytest.mark.parametrize("dev", [False, True], ids=["plain", "dev"])
@pytest.mark.parametrize("state", STATES)
def test_the_interpreter_exits_in_silence(run_script, state, dev):
    done = run_script(START + textwrap.dedent(STATES[state]), dev=dev)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("dev", [False, True], ids=["plain", "dev"])
def test_failures_that_nobody_saw_are_told_at_exit(run_script, dev):
    code = """
    async def fail():
        raise ValueError("nobody saw me")
    g = Group()
    g.spawn(fail)
    g.join(raise_error=False)
    """
    done = run_script(START + textwrap.dedent(code), dev=dev)
    assert done.stderr.count("ValueError: nobody saw me") == 1
    assert "never retrieved" not in done.stderr
    assert done.returncode == 0
