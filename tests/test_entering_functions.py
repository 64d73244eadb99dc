"""`enter_async_context` in plain functions of another tool, which wait for it in worker threads."""

import asyncio
import contextlib

import pytest
from four_tools import forever

from aioutils import DeadlockError, Group, Pool

pytestmark = pytest.mark.timeout(10)


@pytest.mark.parametrize("own", [True, False])
def test_a_manager_that_waits_for_the_function_that_enters_it_is_refused(own):
    class Waits:
        async def __aenter__(self):
            return await entering[0] if own else await asyncio.to_thread(entering[0].result)

        async def __aexit__(self, *error):
            pass

    with Pool(2) as pool, Group() as other:
        tool, entering = pool if own else other, []
        entering.append(pool.spawn(lambda: tool.enter_async_context(Waits())))
        assert isinstance(entering[0].exception(), DeadlockError)


def test_join_waits_until_a_broken_off_entering_has_cleaned_up():
    @contextlib.asynccontextmanager
    async def session():
        try:
            await forever()
        finally:
            await asyncio.sleep(0.02)
            log.append("cleaned up")
        yield

    log = []
    with Group() as group, Pool(1) as pool:
        task = pool.spawn(group.enter_async_context, session())
        assert pool.join(timeout=0.02) is False
        task.cancel()
        pool.join(timeout=0.01)
        assert group.join(timeout=2) and log == ["cleaned up"]
