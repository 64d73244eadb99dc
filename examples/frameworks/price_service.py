"""A service that knows the price of everything, if it has a number.

python price_service.py    serves http://127.0.0.1:9000/price/<number>
"""

import asyncio

from aiohttp import web


async def price(request: web.Request) -> web.Response:
    await asyncio.sleep(0.01)
    item = request.match_info["item"]
    if not item.isdecimal():
        raise web.HTTPNotFound(text=f"no price for {item!r}")
    return web.Response(text=str(int(item) ** 2))


def service() -> web.Application:
    app = web.Application()
    app.router.add_get("/price/{item}", price)
    return app


if __name__ == "__main__":
    web.run_app(service(), host="127.0.0.1", port=9000)
