"""The ways in which the main thread can wait, shot at by `ctrl_c_trials.py`."""

import asyncio
import contextlib
import threading

from aioutils import Group, OrderedYielder, Pool, Yielder, yielding

# ---- the ways to wait ------------------------------------------------------------------


def group_join(ledger):
    with contextlib.closing(Group()) as group:
        ledger.fill(group)
        try:
            group.join()
        finally:
            ledger.check()


def pool_join(ledger):
    with contextlib.closing(Pool(3)) as pool:
        ledger.fill(pool)
        try:
            pool.join()
        finally:
            ledger.check()


def polling(ledger):
    with contextlib.closing(Group()) as group:
        ledger.fill(group)
        while True:
            group.join(timeout=0.0005)


def polling_without_time(ledger):
    with contextlib.closing(Group()) as group:
        ledger.fill(group)
        while True:
            group.join(timeout=0)


def result(ledger):
    with contextlib.closing(Pool(5)) as pool:
        ledger.fill(pool)
        task = pool.spawn(ledger.endless())
        try:
            task.result()
        finally:
            ledger.check()


def iteration(ledger):
    for _ in ledger.fill(Yielder()):
        pass


def ordered_iteration(ledger):
    y = OrderedYielder(4)
    for _ in range(3):
        y.spawn(ledger.nested, y)
    for _ in y:
        pass


def with_group(ledger):
    with Group() as group:
        ledger.fill(group)


def with_yielding(ledger):
    with yielding(8) as y:
        ledger.fill(y)
        for _ in y:
            pass


def contexts(ledger):
    """Entering and leaving, over and over."""
    while True:
        with Group() as group:
            for _ in range(3):
                group.enter_async_context(ledger.context())


def short_joins(ledger):
    """Hits the edges: between the joins, and on the way in and out."""
    with contextlib.closing(Group()) as group:
        while True:
            ledger.shortly(group)
            group.join()


def short_lives(ledger):
    while True:
        with Group() as group:
            ledger.shortly(group)


def functions(ledger):
    with contextlib.closing(Pool(2)) as pool:
        for _ in range(8):
            pool.spawn(ledger.function)
        pool.spawn(ledger.endless())
        try:
            pool.join()
        finally:
            ledger.check()


def driver_elsewhere(ledger):
    """Another thread drives, the main one waits; then they change, over and over."""
    with contextlib.closing(Group()) as group:
        ledger.fill(group)
        over = threading.Event()

        def drive():
            while not over.is_set():
                group.join(timeout=0.002)

        other = threading.Thread(target=drive)
        try:
            other.start()
            group.join()
        finally:
            over.set()
            other.join()
            ledger.check()


def helper_thread(ledger):
    """In a coroutine of another loop, as in a notebook."""

    async def cell():
        with contextlib.closing(Group()) as group:
            ledger.fill(group)
            try:
                group.join()
            except BaseException as error:
                ledger.check()
                return error

    loop = asyncio.new_event_loop()
    try:
        error = loop.run_until_complete(cell())
    finally:
        loop.close()
    raise error


SCENARIOS = {
    f.__name__: f
    for f in (
        group_join, pool_join, polling, polling_without_time, result, iteration,
        ordered_iteration, with_group, with_yielding, contexts, short_joins, short_lives,
        functions, driver_elsewhere, helper_thread,
    )
}  # fmt: skip


# In these every moment after the first step of a task lies within one wait of the main thread.
STEADY = {group_join, pool_join, result, functions, driver_elsewhere, helper_thread}
