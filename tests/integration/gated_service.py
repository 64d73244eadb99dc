"""The example's price service with gates: `python gated_service.py <descriptor of its socket>`.

/price/gate-20 answers once twenty have asked: then twenty views are under way at once.
/waiting/20 is how many wait there now.
"""

import asyncio
import socket
import sys

import price_service
from aiohttp import web


class Gates(dict[int, asyncio.Barrier]):
    def __missing__(self, parties: int) -> asyncio.Barrier:
        return self.setdefault(parties, asyncio.Barrier(parties))

    async def wait(self, request: web.Request) -> web.Response:
        await self[int(request.match_info["parties"])].wait()
        return web.Response(text="0")

    async def waiting(self, request: web.Request) -> web.Response:
        return web.Response(text=str(self[int(request.match_info["parties"])].n_waiting))


if __name__ == "__main__":
    app, gates = web.Application(), Gates()
    app.router.add_get(r"/price/gate-{parties:\d+}", gates.wait)
    app.router.add_get(r"/waiting/{parties:\d+}", gates.waiting)
    app.router.add_get("/price/{item}", price_service.price)
    web.run_app(app, sock=socket.socket(fileno=int(sys.argv[1])), print=None)
