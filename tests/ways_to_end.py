"""Ways to let go of a tool, whatever state it is in. `use.held` is all that holds it.

After the `SAFE` ones and the `CYCLES` every task that began has cleaned up, awaits included; after
the `UNSAFE` ones it has, or there was a ResourceWarning. In a cycle the collector comes to what is
older first, here the tool. Coroutines that were made before it would be closed, as Python does.
"""

import asyncio
import contextlib
import gc
import threading

from ways_to_use import WAYS as WAYS

from aioutils import Group


def tool_of(use):
    return next(held for held in use.held if hasattr(held, "spawn"))


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


# ---- where the tool can clean up ----


def dropped(use, way):
    way(use)
    use.held.clear()


def closed(use, way):
    way(use)
    with contextlib.suppress(ExceptionGroup):
        tool_of(use).close()
    use.held.clear()


def left_by_an_exception(use, way):
    with contextlib.suppress(ZeroDivisionError), use.tool:
        way(use)
        raise ZeroDivisionError
    use.held.clear()


def used_and_dropped_in_a_thread(use, way):
    in_thread(lambda: dropped(use, way))


def left_behind_by_a_thread(use, way):
    """In its `threading.local`, which goes when all else of the thread is gone."""
    local = threading.local()

    def run():
        way(use)
        local.held, use.held = use.held, []

    in_thread(run)


def closed_in_a_running_loop(use, way):
    """Each tool: to drop one that has begun is not safe there."""

    async def main():
        way(use)
        for tool in [held for held in use.held if hasattr(held, "spawn")]:
            with contextlib.suppress(ExceptionGroup):
                tool.close()
        use.held.clear()

    asyncio.run(main())


# ---- in a cycle ----


def collected(use, way):
    way(use)
    use.held.append(use.held)
    use.held = []
    gc.collect()


def collected_with_its_tasks(use, way):
    way(use)
    for held in use.held:
        with contextlib.suppress(AttributeError):
            held.me = held
    del held
    use.held.clear()
    gc.collect()


# ---- where somebody else runs the loop: he closes it ----


def dropped_while_another_thread_drives(use, way):
    way(use)
    driving, let_go = threading.Event(), threading.Event()

    async def stay():
        driving.set()
        while not let_go.is_set():
            await asyncio.sleep(0.001)

    sibling = Group(within=tool_of(use))
    driver = threading.Thread(target=sibling.spawn(stay).result)
    driver.start()
    driving.wait(5)
    try:
        use.held.clear()
    finally:
        let_go.set()
        driver.join()
    sibling.close()


def dropped_by_a_task(use, way):
    """A task of a tool on the same loop."""
    way(use)

    async def drop():
        use.held.clear()

    with Group(within=tool_of(use)) as sibling:
        sibling.spawn(drop)
        sibling.join()


# ---- where it can't clean up ----


def dropped_by_another_thread(use, way):
    way(use)
    in_thread(use.held.clear)


def made_by_a_thread_that_ended(use, way):
    in_thread(lambda: way(use))
    use.held.clear()


def dropped_in_a_running_loop(use, way):
    async def main():
        use.held.clear()

    way(use)
    asyncio.run(main())


def dropped_by_a_task_of_another_tool(use, way):
    async def drop():
        use.held.clear()

    way(use)
    with Group() as other:
        other.spawn(drop)
        other.join()


SAFE = (
    dropped,
    closed,
    left_by_an_exception,
    used_and_dropped_in_a_thread,
    left_behind_by_a_thread,
    closed_in_a_running_loop,
    dropped_while_another_thread_drives,
    dropped_by_a_task,
)
CYCLES = (collected, collected_with_its_tasks)
UNSAFE = (
    dropped_by_another_thread,
    made_by_a_thread_that_ended,
    dropped_in_a_running_loop,
    dropped_by_a_task_of_another_tool,
)
