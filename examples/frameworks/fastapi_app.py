"""FastAPI endpoints that ask for many prices at once.

python price_service.py &
uvicorn fastapi_app:app --port 5000    http://127.0.0.1:5000/total?item=3&item=4 is 25
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

import aiohttp
import prices
from fastapi import FastAPI, Query, Request
from fastapi.responses import PlainTextResponse

from aioutils import Pool

Items = Annotated[list[str], Query(alias="item")]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One session for all requests to `async_total`: it belongs to the server's loop."""
    async with prices.connected() as app.state.session:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/total")
def total(items: Items) -> int:
    """FastAPI calls a `def` endpoint in a thread, where blocking is fine."""
    return prices.total(items)


@app.get("/async-total")
async def async_total(items: Items) -> int:
    """The same tools on the server's loop."""
    async with Pool(20) as pool:
        found = pool.imap_unordered(partial(prices.price, app.state.session), items)
        return sum([price async for price in found])


@app.get("/blocking-total")
async def blocking_total(items: Items) -> int:
    """Right, but all other requests stand still meanwhile: it warns, once."""
    return prices.total(items)


@app.exception_handler(aiohttp.ClientError)
async def unknown(request: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse(str(error), 502)
