"""What the views here have in common: ordinary code that asks for many prices at once.

`python price_service.py` is whom they ask; the variable PRICES holds its address.
"""

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

import aiohttp

from aioutils import Pool

SERVICE = os.environ.get("PRICES", "http://127.0.0.1:9000")


@asynccontextmanager
async def connected() -> AsyncIterator[aiohttp.ClientSession]:
    """A session with at most twenty connections to the service."""
    connector = aiohttp.TCPConnector(limit=20)
    async with aiohttp.ClientSession(
        SERVICE, connector=connector, raise_for_status=True
    ) as session:
        yield session


async def price(session: aiohttp.ClientSession, item: str) -> int:
    async with session.get(f"/price/{item}") as answer:
        return int(await answer.text())


def total(items: Iterable[str]) -> int:
    """The sum of all prices, asked for at the same time."""
    with Pool(20) as pool:
        session = pool.enter_async_context(connected())
        return sum(pool.map(partial(price, session), items))
