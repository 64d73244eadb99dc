"""`python serve_wsgi.py <module> <server> <descriptor of its socket>` serves until Ctrl-C."""

import contextlib
import logging
import socket
import sys
from importlib import import_module


def werkzeug(app, fd):
    """What `flask run` runs."""
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel("ERROR")  # not every request
    make_server("127.0.0.1", 0, app, threaded=True, fd=fd).serve_forever()


def runserver(app, fd):
    """What `manage.py runserver` runs."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    logging.getLogger("django.server").setLevel("CRITICAL")  # no request
    server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=fd)
    server.server_name, server.server_port = server.socket.getsockname()
    server.setup_environ()
    server.set_app(app)
    with server:
        server.serve_forever()


def waitress(app, fd):
    from waitress import serve

    logging.getLogger("waitress.queue").setLevel("ERROR")  # not that requests wait for a thread
    with socket.socket(fileno=fd) as listener:
        serve(app, sockets=[listener], threads=20, _quiet=True)


if __name__ == "__main__":
    module, server, fd = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        globals()[server](import_module(module).app, int(fd))
