"""The ways in which the main thread can wait, shot at by `ctrl_c_trials.py`."""

import asyncio
import contextlib
import threading
import time

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


def mapping(ledger):
    with contextlib.closing(Pool(4)) as pool:
        try:
            pool.map(ledger.item, ledger.source())
        finally:
            ledger.check()


def mapping_a_range(ledger):
    """Whose items begin on the loop."""
    with contextlib.closing(Pool(4)) as pool:
        try:
            pool.map(ledger.item, range(10**9))
        finally:
            ledger.check()


def imap(ledger):
    with Pool(4) as pool:
        for _ in pool.imap(ledger.item, ledger.source()):
            pass


def imap_async_source(ledger):
    with Pool(4) as pool:
        for _ in pool.imap_unordered(ledger.item, ledger.async_source()):
            pass


def imap_of_a_crew(ledger):
    with Pool(4) as pool:
        for _ in pool.imap_unordered(ledger.item, ledger.source(), isolate=False):
            pass


def left_iterations(ledger):
    """What is left cleans up in a finalizer."""
    while True:
        with Yielder() as y:
            for _ in ledger.fill(y):
                break


def dropped_tools(ledger):
    while True:
        group = Group()
        for _ in range(4):
            group.spawn(ledger.endless)
        group.join(timeout=0.001)


def dropped_by_tasks(ledger):
    """What is left is closed at the end of the join."""

    async def drop():
        group = Group()
        for _ in range(4):
            group.spawn(ledger.endless)
        await group.wait(timeout=0.001)

    with contextlib.closing(Group()) as group:
        while True:
            group.spawn(drop)
            group.join()


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


# ---- after the first signal, only a second one ends these --------------------------------


def stuck_clean_up(ledger):
    with Group() as group:
        ledger.fill(group)
        group.spawn(ledger.never_clean)


def stuck_clean_up_of_a_left_iteration(ledger):
    y = Yielder()
    ledger.fill(y).spawn(ledger.never_clean)
    for _ in y:
        break
    time.sleep(1)  # it comes after the clean-up, a little later


def blocked_loop(ledger):
    with Group() as group:
        ledger.fill(group).spawn(ledger.blocks)


SCENARIOS = {
    f.__name__: f
    for f in (
        group_join, pool_join, polling, polling_without_time, result, iteration,
        ordered_iteration, mapping, mapping_a_range, imap, imap_async_source, imap_of_a_crew,
        left_iterations, dropped_tools, dropped_by_tasks, with_group, with_yielding, contexts,
        short_joins, short_lives, functions, driver_elsewhere, helper_thread, stuck_clean_up,
        stuck_clean_up_of_a_left_iteration, blocked_loop,
    )
}  # fmt: skip

# In these every moment after the first step of a task lies within one wait of the main thread.
STEADY = {
    group_join,
    pool_join,
    mapping,
    mapping_a_range,
    result,
    functions,
    driver_elsewhere,
    helper_thread,
}
# In these much is done by finalizers: what a handler raises in their first microsecond, before
# they can see to it, the interpreter itself prints.
FINALIZERS = {left_iterations, dropped_tools, stuck_clean_up_of_a_left_iteration}
# What must have happened before the first signal; else a first task must run.
BEGUN = {
    stuck_clean_up_of_a_left_iteration: lambda ledger: ledger.stuck,  # or it may come in between
    blocked_loop: lambda ledger: ledger.blocked,
}
# Given up, so that not every clean-up is finished.
GIVEN_UP = {stuck_clean_up, stuck_clean_up_of_a_left_iteration}
