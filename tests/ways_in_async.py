"""Ways to use a tool in async code, on the loop of a host, and to let go of it there.

As in `ways_to_use` and `ways_to_end`: `use.held` is all that holds it.
"""

import asyncio
import contextlib
import gc

from ways_to_use import Drawn

from aioutils import Group


async def a_pass(use):
    if isinstance(use.tool, Group):
        await use.tool.wait(timeout=0, raise_error=False)
    else:
        with contextlib.suppress(TimeoutError):
            async for _ in use.tool.yielding(0.001):
                pass


# ---- ways to use it ----


async def never_waited_for(use):
    for _ in range(3):
        use.spawn()


async def waited_for_in_part(use):
    for _ in range(4):
        use.spawn()
    use.spawn(seconds=0)
    await a_pass(use)


async def awaited(use):
    use.spawn()
    await use.spawn(seconds=0)


async def failed(use):
    use.spawn()
    with contextlib.suppress(Drawn):
        await use.spawn(seconds=0, fails=True)


async def failed_unseen(use):
    use.spawn()
    use.spawn(seconds=0, fails=True)
    with contextlib.suppress(Drawn):
        await a_pass(use)


async def cancelled(use):
    task = use.spawn()
    use.spawn()
    await a_pass(use)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def cancelled_from_outside(use):
    async def wait():
        await use.spawn()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def half_iterated(use):
    for _ in range(3):
        use.spawn(seconds=0)
    use.spawn()
    results = aiter(use.tool.as_completed() if isinstance(use.tool, Group) else use.tool)
    await anext(results)
    use.held.append(results)
    if use.rng.random() < 0.5:
        use.held.reverse()


async def half_mapped(use):
    if not isinstance(use.tool, Group):
        return await half_iterated(use)
    results = use.tool.imap(use.work, [0, 0, 3600, 3600], isolate=use.rng.random() < 0.5)
    await anext(results)
    use.held.append(results)
    return None


async def left_by_an_exception(use):
    with contextlib.suppress(ZeroDivisionError):
        async with use.tool:
            use.spawn()
            await asyncio.sleep(0)
            raise ZeroDivisionError


async def gathered(use):
    begun = []

    async def parent():
        begun.append(True)
        await asyncio.gather(use.tool.spawn(use.work), use.tool.spawn(use.work, 0))

    use.tool.spawn(parent)
    while not begun:  # a slow machine may take a pass for nothing
        await a_pass(use)


WAYS = (
    never_waited_for,
    waited_for_in_part,
    awaited,
    failed,
    failed_unseen,
    cancelled,
    cancelled_from_outside,
    half_iterated,
    half_mapped,
    left_by_an_exception,
    gathered,
)


# ---- ways to let go of it ----


def on_a_host(use, way, then):
    async def main():
        await way(use)
        await then()

    asyncio.run(main())


async def some_passes():
    for _ in range(20):
        await asyncio.sleep(0)


def dropped(use, way):
    async def drop():
        use.held.clear()
        await some_passes()
        assert use.begun == use.cleaned

    on_a_host(use, way, drop)


def dropped_as_the_host_ends(use, way):
    async def drop():
        use.held.clear()

    on_a_host(use, way, drop)


def dropped_by_another_thread(use, way):
    async def drop():
        await asyncio.to_thread(use.held.clear)
        await asyncio.sleep(0.001)
        await some_passes()
        assert use.begun == use.cleaned

    on_a_host(use, way, drop)


def collected(use, way):
    async def drop():
        use.held.append(use.held)
        use.held = []
        gc.collect()

    on_a_host(use, way, drop)


def dropped_after_the_host(use, way):
    on_a_host(use, way, some_passes)
    use.held.clear()


def closed(use, way):
    async def close():
        with contextlib.suppress(ExceptionGroup):
            await next(held for held in use.held if hasattr(held, "spawn")).aclose()
        use.held.clear()

    on_a_host(use, way, close)


def dropped_after_a_host_that_left_its_tasks(use, way):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(way(use))
    loop.close()
    use.held.clear()


SAFE = (
    dropped,
    dropped_as_the_host_ends,
    dropped_by_another_thread,
    collected,
    closed,
)
CYCLES = ()
# A host that ends cancels the tasks that run; those that get their slots then it does not see.
UNSAFE = (dropped_after_the_host, dropped_after_a_host_that_left_its_tasks)
