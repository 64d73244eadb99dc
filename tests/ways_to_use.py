"""Ways to use a tool, which leave it in every state: each is a step in the life of a `Use`."""

import asyncio
import contextlib
import time
from concurrent.futures import CancelledError

from aioutils import Group, OrderedYielder, Pool, Yielder

TOOLS = (Group, lambda: Pool(2), lambda: Yielder(2), lambda: OrderedYielder(2))


class Drawn(Exception):
    """The failure of a task."""


class Use:
    """One tool, whatever else holds it, and how far its work came."""

    def __init__(self, rng):
        self.rng = rng
        self.begun = self.left = self.cleaned = 0
        self.held = [rng.choice(TOOLS)()]

    @property
    def tool(self):
        return self.held[0]

    async def work(self, seconds=3600.0, fails=False):
        self.begun += 1
        try:
            await asyncio.sleep(seconds)
            if fails:
                raise Drawn
            return self.begun
        finally:
            self.left += 1  # as far as a coroutine gets that is closed
            with contextlib.suppress(asyncio.CancelledError):  # which may come just now
                await asyncio.sleep(0)
            self.cleaned += 1

    def spawn(self, **how):
        return self.tool.spawn(self.work, **how)

    def drive(self, timeout=0):
        """A pass over the loop, or as long as that."""
        if isinstance(self.tool, Group):
            return self.tool.join(timeout, raise_error=False)
        with contextlib.suppress(TimeoutError):
            list(self.tool.yielding(timeout))
        return None


# ---- ways to use it ----


def never_waited_for(use):
    for _ in range(3):
        use.spawn()
    use.tool.spawn(use.work())
    use.tool.spawn(time.sleep, 0)


def joined(use):
    for _ in range(3):
        use.spawn(seconds=0)
    use.drive(5)


def joined_in_part(use):
    for _ in range(4):
        use.spawn()
    use.spawn(seconds=0)
    use.drive()


def functions(use):
    for _ in range(3):
        use.tool.spawn(time.sleep, use.rng.choice((0, 0.001)))
    use.drive(use.rng.choice((0, 5)))


def failed(use):
    """All of them: from CPython 3.12 on the traceback of a failure leads to the tool, and one of
    which something still runs would be left to the collector."""
    for _ in range(3):
        use.spawn(seconds=0, fails=True)
    with contextlib.suppress(Drawn):
        use.drive(5)
    if use.rng.random() < 0.5:
        use.tool.take_errors()


def failed_in_result(use):
    use.spawn()
    task = use.spawn(seconds=0, fails=True)
    try:
        task.result()
    except Drawn as error:
        if use.rng.random() < 0.5:
            use.held.append(error)  # its traceback knows this frame, and so the tool


def cancelled(use):
    tasks = [use.spawn() for _ in range(4)]
    if use.rng.random() < 0.8:
        use.drive()
    if use.rng.random() < 0.5:
        use.tool.cancel()
    else:
        for task in tasks:
            task.cancel()
    with contextlib.suppress(CancelledError):
        if use.rng.random() < 0.5:
            tasks[0].result()


def half_iterated(use):
    for _ in range(4):
        use.spawn(seconds=0)
    use.spawn()
    if isinstance(use.tool, Group):
        results = use.tool.as_completed()
    else:
        results = iter(use.tool)
    next(results)
    use.held.append(results)
    if use.rng.random() < 0.5:
        use.held.reverse()  # the iterator goes first


def half_mapped(use):
    if not isinstance(use.tool, Group):
        return half_iterated(use)
    imap = use.rng.choice((use.tool.imap, use.tool.imap_unordered))
    isolate = use.rng.random() < 0.5
    results = imap(use.work, [0, 0, 0, 3600, 3600], isolate=isolate)
    for _ in range(use.rng.randint(0, 2)):
        next(results)
    use.held.append(results)
    if use.rng.random() < 0.5:
        use.held.reverse()
    return None


def waiting_for_each_other(use):
    begun = []

    async def parent():
        begun.append(parent)
        await asyncio.gather(use.tool.spawn(use.work), use.tool.spawn(use.work, 0))

    async def other():
        begun.append(other)
        await use.tool.spawn(use.work())

    use.tool.spawn(parent)
    use.tool.spawn(other())
    while len(begun) < 2:  # a slow machine may take a pass for nothing
        use.drive(0.001)


def with_a_context(use):
    @contextlib.asynccontextmanager
    async def context():
        try:
            yield
        finally:
            await asyncio.sleep(0)

    use.tool.enter_async_context(context())
    use.spawn()
    use.drive()


def in_an_async_generator(use):
    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)

    async def first():
        async for _ in numbers():
            await use.work()

    use.tool.spawn(first)
    use.drive()


def nested(use):
    inner = Group(within=use.tool)
    inner.spawn(use.work)
    inner.join(timeout=0)
    use.spawn()
    use.held.append(inner)
    if use.rng.random() < 0.5:
        use.held.reverse()


WAYS = (
    never_waited_for,
    joined,
    joined_in_part,
    functions,
    failed,
    failed_in_result,
    cancelled,
    half_iterated,
    half_mapped,
    waiting_for_each_other,
    with_a_context,
    in_an_async_generator,
    nested,
)
