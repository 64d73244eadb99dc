"""An HTTP/1.1 server that keeps connections, and counts them."""

import contextlib
import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections
    wbufsize = -1  # one packet for each answer

    def do_GET(self):
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args): ...


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 100

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:{1}".format(*self.server_address)
        self.accepted = 0
        self._left = []  # one for each, from many threads

    def process_request(self, request, client_address):
        self.accepted += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        super().process_request_thread(request, client_address)
        self._left.append(client_address)

    @property
    def connected(self):
        """How many connections are open."""
        return self.accepted - len(self._left)


@contextlib.contextmanager
def kept_alive():
    """Runs the server; its end waits until all clients have left."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
