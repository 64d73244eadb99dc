"""Find the broken links of a web site, many pages at a time, from code that is not async.

    python crawl.py                   a small site that this program serves itself
    python crawl.py https://host/     another one: up to --max-pages of that host, --size at once

Each page is a task of one Pool. It reads the page and spawns a task for every new link on it;
leaving the `with` block waits until nothing is left to visit. No event loop in sight.
"""

import argparse
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from html.parser import HTMLParser

import aiohttp
import linked_pages
from yarl import URL

from aioutils import Pool

PATIENCE = 30.0  # seconds for one page
HTML = {"text/html", "application/xhtml+xml"}
REDIRECTS = {301, 302, 303, 307, 308}
NOWHERE = URL()
LINKS = {"a": "href", "area": "href", "frame": "src", "iframe": "src"}  # tag: attribute
META_CHARSET = re.compile(rb"""<meta[^>]+charset=["']?([\w.:-]+)""", re.IGNORECASE)


class Crawl:
    """Visits whatever links lead to from `start`, but never leaves its host.

        crawl = Crawl("http://127.0.0.1:8000/", size=100)
        crawl.run()
        print(crawl.pages, crawl.broken)

    If `run()` is interrupted, what was found until then is there.
    """

    def __init__(self, start: str, *, size: int = 100, max_pages: int = sys.maxsize) -> None:
        self.start = full(start)
        self.size = size  # visits at once
        self.max_pages = max_pages  # visits in all
        self.linked_from: dict[URL, set[URL]] = {}  # every visit: the pages with a link to it
        self.pages: dict[URL, int] = {}  # bytes of HTML
        self.moved: dict[URL, URL] = {}  # redirects
        self.broken: dict[URL, str] = {}  # what went wrong
        self.request_seconds = 0.0  # the sum of all requests
        self.seconds = 0.0

    def run(self) -> None:
        began = time.perf_counter()
        try:
            with Pool(self.size) as self.pool:
                self.session = self.pool.enter_async_context(client())
                self.follow(self.start)
        finally:
            self.seconds = time.perf_counter() - began

    def follow(self, url: URL, source: URL | None = None) -> None:
        """Spawn a visit to `url`, unless it was spawned before, is elsewhere or one too many."""
        if url not in self.linked_from:
            if not self.belongs(url) or len(self.linked_from) >= self.max_pages:
                return
            self.linked_from[url] = set()
            self.pool.spawn(self.visit(url))
        if source:
            self.linked_from[url].add(source)

    def belongs(self, url: URL) -> bool:
        """True for an address on the host of the start; a subclass may want less than that."""
        same_host = url.host_port_subcomponent == self.start.host_port_subcomponent
        return same_host and url.scheme in ("http", "https")

    async def visit(self, url: URL) -> None:
        """Read one page and follow its links: each becomes a task of its own in the same pool."""
        links: list[URL] = []
        began = time.perf_counter()
        try:
            links = await self.read(url)
        except TimeoutError:
            self.broken[url] = f"no answer within {PATIENCE:g} s"
        except aiohttp.ClientResponseError as error:
            self.broken[url] = f"{error.status} {error.message}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self.broken[url] = str(error) or type(error).__name__
        finally:
            self.request_seconds += time.perf_counter() - began
        for link in links:
            self.follow(link, source=url)

    async def read(self, url: URL) -> list[URL]:
        """Where a page leads. Of anything but HTML only the headers are read."""
        async with self.session.get(url, allow_redirects=False) as response:
            response.raise_for_status()
            if response.status in REDIRECTS:
                return self.redirected(url, full(response.headers.get("Location", ""), url))
            body = await response.read() if response.content_type in HTML else b""
            self.pages[url] = len(body)
            return Links(url, text(body, response.charset)).found

    def redirected(self, url: URL, target: URL) -> list[URL]:
        """A redirect is a page with one link. The start may so move to another host."""
        end = target
        while end in self.moved:  # ends, because what would close a circle does not get in
            end = self.moved[end]
        if end == url:
            raise ValueError("redirects in a circle")
        self.moved[url] = target
        if url == self.start:
            self.start = target
        return [target]

    def report(self) -> Iterator[str]:
        for url, reason in sorted(self.broken.items()):
            yield f"broken: {url} ({' '.join(reason.split())})"
            for page in sorted(self.linked_from[url]):
                yield f"    linked from {page}"
        yield f"one request after another would have taken {self.request_seconds:.2f} s"
        found = f"{len(self.pages)} pages, {sum(self.pages.values())} bytes"
        yield f"{found}, {len(self.broken)} broken, {self.seconds:.2f} s"


@asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """aiohttp's session, which must be made where a loop runs. The pool is the only limit."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=PATIENCE),
        headers={"User-Agent": "aioutils examples/crawl.py"},
    ) as session:
        yield session


class Links(HTMLParser):
    """Collects where the links of one page lead; those that nobody can read are left out."""

    def __init__(self, page: URL, html: str) -> None:
        super().__init__()
        self.base = page
        self.found: list[URL] = []
        # A browser takes "<![any" for a comment, html.parser gives up on it.
        self.feed(html.replace("<![", "<! ["))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        with suppress(ValueError):
            if tag == "base":
                self.base = full(values.get("href") or "", self.base)
            elif link := values.get(LINKS.get(tag, "")):
                self.found.append(full(link, self.base))


def full(link: str, page: URL = NOWHERE) -> URL:
    """The address that `link` means on `page`, without its fragment."""
    return page.join(URL(link.strip())).with_fragment(None)


def text(body: bytes, charset: str | None) -> str:
    """The page in the encoding that its headers or its <meta> name, if there is such a one."""
    declared = META_CHARSET.search(body, 0, 1024)
    for encoding in filter(None, (charset, declared and declared[1].decode())):
        with suppress(LookupError, ValueError):
            return body.decode(encoding, "replace")
    return body.decode("utf-8", "replace")


def address(argument: str) -> str:
    if not re.match("(?i)https?://[^/]", argument):
        raise argparse.ArgumentTypeError(f"{argument!r} is no http:// or https:// address")
    return str(full(argument))


def positive(argument: str) -> int:
    if int(argument) < 1:
        raise ValueError
    return int(argument)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Find the broken links of a web site.")
    add = parser.add_argument
    add("url", nargs="?", type=address, help="where to start (default: a site of its own)")
    add("--size", type=positive, help="pages at once (default: 100, with a url 10)")
    add("--max-pages", type=positive, help="pages in all (default: all, with a url 200)")
    given = parser.parse_args()
    given.size = given.size or (10 if given.url else 100)
    given.max_pages = given.max_pages or (200 if given.url else sys.maxsize)
    return given


def main() -> int:
    given = arguments()
    try:
        with nullcontext(given.url) if given.url else linked_pages.served() as url:
            print(f"crawling {url}", flush=True)
            crawl = Crawl(url, size=given.size, max_pages=given.max_pages)
            try:
                crawl.run()
            finally:
                print(*crawl.report(), sep="\n")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
