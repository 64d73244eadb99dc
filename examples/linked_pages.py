"""LinkedPages: a small web site to crawl. Standard library only, the same pages on every machine.

    python linked_pages.py    prints its address and serves until its standard input ends

Some 500 pages link to each other, and each answers after 20 to 80 ms, as a distant server would.
As everywhere, some links are broken, one is redirected, one is a picture, some lead away.
"""

import posixpath
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

WORDS = "await balance current delta ember flow gather harbour island juncture keel loop".split()
AWAY = ("https://example.org/", "mailto:keeper@example.org", "javascript:void(0)")
PICTURE = "/logo.png"
MOVED, MOVED_TO = "/old/start.html", "/new/start.html"
HANGS_UP = "/hangs-up.html"


class LinkedPages:
    """What there is on the site. Equal seeds make equal sites.

    `pages` maps each path to its HTML; links lead from "/" to all of them. `broken` maps each
    path that has no page to the paths of the pages that link to it nonetheless.
    """

    def __init__(self, count: int = 500, *, broken: int = 12, seed: int = 2) -> None:
        chance = random.Random(seed)
        paths = ["/"] + [f"/{'/'.join(str(n))}/page.html" for n in range(1, count - 1)]
        links = {path: {"/", *chance.sample(paths, 4)} for path in paths}
        for n, path in enumerate(paths[1:], start=1):
            links[paths[chance.randrange(n // 8, n // 4 + 1)]].add(path)  # a tree, "/" is its root
        links["/"] |= {PICTURE, MOVED, *AWAY}
        links[MOVED_TO] = {"/"}

        gone = [HANGS_UP] + [f"/gone/{n}.html" for n in range(1, broken)]
        self.broken = {path: set(chance.sample(paths, n % 2 + 1)) for n, path in enumerate(gone)}
        for path, pages in self.broken.items():
            for page in pages:
                links[page].add(path)

        self.pages = {path: html(path, sorted(links[path]), chance) for path in links}
        self.delays = {path: chance.uniform(0.02, 0.08) for path in (*links, *gone)}


def html(page: str, links: list[str], chance: random.Random) -> bytes:
    """A page with `links`, each in one of the ways in which people write them."""
    items = []
    for link in links:
        text = " ".join(chance.choices(WORDS, k=chance.randrange(10, 60)))
        href = link
        if link.startswith("/"):
            relative = posixpath.relpath(link, posixpath.dirname(page))
            href = chance.choice([link, relative, f"{link}#{chance.choice(WORDS)}"])
        items.append(f'<li>{text} <a href="{href}">{link}</a>\n')
    return f"<!doctype html><title>{page}</title>\n<ul>\n{''.join(items)}</ul>\n".encode()


class Server(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, site: LinkedPages) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.site = site

    def handle_error(self, *args: object) -> None:
        """A client that left early is nothing to report."""


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or else each answer waits 40 ms for an acknowledgement
    server: Server

    def do_GET(self) -> None:
        site = self.server.site
        time.sleep(site.delays.get(self.path, 0.02))
        if self.path in site.pages:
            self.send(200, "text/html; charset=utf-8", site.pages[self.path])
        elif self.path == PICTURE:
            self.send(200, "image/png", b"\x89PNG <a href='/no/link'>")
        elif self.path == MOVED:
            self.send(301, "text/plain", b"", location=f"..{MOVED_TO}#here")
        elif self.path == HANGS_UP:
            self.close_connection = True
        else:
            self.send(404, "text/html", b"<a href='/no/link'>nothing here</a>")

    def send(self, status: int, kind: str, body: bytes, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the crawl tells what it met."""


@contextmanager
def served() -> Iterator[str]:
    """Serve the site from a process of its own, and give its address.

    That process ends when its standard input does: on leaving, and even if this process is killed.
    It has a session of its own because a terminal sends Ctrl-C to every process of the session's
    foreground group, and the crawl shall decide when to stop.
    """
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate()  # closes its standard input and waits


def main() -> None:
    with Server(LinkedPages()) as server, suppress(KeyboardInterrupt):
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
        try:
            sys.stdin.read()
        finally:
            server.shutdown()  # it may not even have begun


if __name__ == "__main__":
    main()
