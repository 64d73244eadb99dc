"""Flask views that ask for many prices at once.

python price_service.py &
flask --app flask_app run              http://127.0.0.1:5000/total?item=3&item=4 is 25
"""

import atexit
from functools import partial

import aiohttp
import prices
from flask import Flask, request

from aioutils import Pool

app = Flask(__name__)


@app.get("/total")
def total() -> str:
    return str(prices.total(request.args.getlist("item")))


# One pool for all requests: together they ask for at most twenty prices at once, and connections
# stay open. It must not be used before a server forks (gunicorn --preload).
pool = Pool(20)
session = pool.enter_async_context(prices.connected())
atexit.register(pool.close)


@app.get("/shared-total")
def shared_total() -> str:
    return str(sum(pool.map(partial(prices.price, session), request.args.getlist("item"))))


@app.errorhandler(aiohttp.ClientError)
def unknown(error: aiohttp.ClientError) -> tuple[str, int]:
    return str(error), 502
