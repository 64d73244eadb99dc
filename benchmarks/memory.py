"""Memory: what a spawn that waits for its turn takes, without its coroutine. In bytes."""

import tracemalloc

from work import Work

WAITING = Work("memory of a waiting spawn", 10_000)


async def noop():
    pass


@WAITING.by("aioutils", "aioutils")
def aioutils_waiting(n):
    from aioutils import Pool

    with Pool(100, on_exit="cancel") as pool:
        coroutines = [noop() for _ in range(n)]
        tracemalloc.start()
        for coroutine in coroutines:
            pool.spawn(coroutine)
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return taken
