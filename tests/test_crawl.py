"""The demo, `examples/crawl.py`: on its own site, on the server of others, interrupted."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest
from yarl import URL

import aioutils

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import crawl  # noqa: E402
import linked_pages  # noqa: E402

SITE = linked_pages.LinkedPages()
LAST_LINE = re.compile(r"(\d+) pages, (\d+) bytes, (\d+) broken, (\d+\.\d+) s")


# --- the site of its own


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demo as a user starts it, in a process group of its own.

    The site's process inherits its standard error: `communicate()` returns when both have ended.
    """
    package = str(Path(aioutils.__file__).parents[1])  # the very one that is tested here
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONASYNCIODEBUG": ""}
    environment.pop("PYTHONSAFEPATH", None)
    with subprocess.Popen(
        [sys.executable, "-W", "default::ResourceWarning", EXAMPLES / "crawl.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def last_line(output: str) -> tuple[int, int, int, float]:
    found = LAST_LINE.fullmatch(output.splitlines()[-1])
    assert found, output
    return int(found[1]), int(found[2]), int(found[3]), float(found[4])


def broken_links(output: str) -> dict[str, set[str]]:
    """What the report says: the path of each broken link, and the pages that link to it."""
    broken: dict[str, set[str]] = {}
    for line in output.splitlines():
        if found := re.fullmatch(r"broken: (\S+) \(.+\)", line):
            pages = broken[urlsplit(found[1]).path] = set()
        elif found := re.fullmatch(r" +linked from (\S+)", line):
            pages.add(urlsplit(found[1]).path)
    return broken


def test_the_demo_finds_the_whole_site_in_a_fraction_of_the_time_of_its_requests() -> None:
    with demo() as process:
        output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    pages, size, broken, seconds = last_line(output)
    assert pages == len(SITE.pages) + 1  # and the picture
    assert size == sum(map(len, SITE.pages.values()))
    assert broken_links(output) == SITE.broken
    assert broken == len(SITE.broken)
    one_by_one = re.search(r"^one request after another would have taken (\S+) s$", output, re.M)
    assert one_by_one and seconds * 4 < float(one_by_one[1])


def test_a_crawl_knows_every_page_and_who_links_to_what() -> None:
    with linked_pages.served() as url:
        found = crawl.Crawl(url, size=50)
        found.run()
    linked_from = {url.path: {page.path for page in found.linked_from[url]} for url in found.broken}
    assert linked_from == SITE.broken
    sizes = {url.path: size for url, size in found.pages.items()}
    assert sizes == {path: len(page) for path, page in SITE.pages.items()} | {"/logo.png": 0}
    assert {url.path for url in found.moved} == {"/old/start.html"}
    assert found.linked_from.keys() == found.pages.keys() | found.broken.keys() | found.moved.keys()


def test_a_crawl_asks_for_no_more_pages_than_it_may() -> None:
    with linked_pages.served() as url:
        found = crawl.Crawl(url, size=5, max_pages=20)
        found.run()
    assert len(found.linked_from) == 20
    assert len(found.pages) + len(found.broken) + len(found.moved) == 20


# --- a server and pages that this project did not write


@contextmanager
def documentation_server() -> Iterator[str]:
    """pydoc's server. It answers one request at a time, and ends with its standard input."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "pydoc", "-n", "127.0.0.1", "-p", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            ready = re.search(r"http://\S+", process.stdout.readline())
            assert ready
            yield ready[0]
        finally:
            process.kill()


def is_of_email(path: str) -> bool:
    return path.startswith("/email")


class EmailPages(crawl.Crawl):
    def belongs(self, url: URL) -> bool:
        return super().belongs(url) and is_of_email(url.path)


def one_by_one(start: str) -> set[str]:
    """The plainest crawl that there is, sharing nothing with the demo."""
    browser = build_opener(ProxyHandler({}))
    found: set[str] = set()
    ahead = [start]
    while ahead:
        url = ahead.pop()
        if url in found or not is_of_email(urlsplit(url).path):
            continue
        found.add(url)
        with browser.open(url) as answer:
            page = answer.read().decode()
        ahead += [urljoin(url, href) for href in re.findall(r'href="([^"#]+)', page)]
    return found


@pytest.mark.timeout(60)  # before CPython 3.13 pydoc sits over one of the pages for seconds, twice
def test_it_finds_the_pages_of_pydoc_that_a_plain_crawl_finds() -> None:
    with documentation_server() as url:
        found = EmailPages(f"{url}email.html", size=4)
        found.run()
        expected = one_by_one(f"{url}email.html")
    assert {str(page) for page in found.pages} == expected
    assert {"/email.message.html", "/email.mime.text.html"} < {page.path for page in found.pages}
    assert not found.broken


# --- interrupted


def test_ctrl_c_ends_the_demo_and_its_site_once_and_prints_what_was_found() -> None:
    with demo("--size", "2") as process:  # some 13 seconds, were it left alone
        assert process.stdout
        site = URL(process.stdout.readline().split()[1])
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        output, errors = process.communicate()
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert last_line(output)[0] < len(SITE.pages) / 2  # at once, that is, not when it was through
    assert is_gone(site)


def test_the_site_ends_with_a_demo_that_was_killed() -> None:
    with demo("--size", "2") as process:
        assert process.stdout
        site = URL(process.stdout.readline().split()[1])
        process.kill()
        process.communicate()
    assert is_gone(site)


def is_gone(site: URL) -> bool:
    with socket.socket() as client:
        return client.connect_ex((site.host, site.port)) != 0


# --- pages as they come


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<a href="c">', ["/a/c"]),
        ("<A HREF=../c?q=1#part>", ["/c?q=1"]),
        ("<a href='//host/c d/é'>", ["/c%20d/%C3%A9"]),
        ('<a href=" c\n">', ["/a/c"]),
        ("<a href='c?x=1&amp;y=2'>", ["/a/c?x=1&y=2"]),
        ("<base href=/d/><a href=c>", ["/d/c"]),
        ("<area href=b><frame src=c><iframe src=/d>", ["/a/b", "/a/c", "/d"]),
        ("<img src=b><link href=c><script src=d></script>", []),
        ("<a href><a href=''><a name=x><a href='http://[::'><a href='http://host:x/'>", []),
        ("<script>'<a href=b>'</script><!-- <a href=c> --><a href=d", []),
        ("<![if !IE]><![any]><!any><?any><a href=c>", ["/a/c"]),
        ("<p><a href=b><table></p></a></i><a href=c>", ["/a/b", "/a/c"]),
    ],
)
def test_links_are_read_as_a_browser_reads_them(html: str, found: list[str]) -> None:
    links = crawl.Links(URL("http://host/a/b"), html).found
    assert links == [URL(f"http://host{path}") for path in found]


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("é".encode(), None),
        ("é".encode(), "klingon"),
        ("é".encode(), "hex"),
        ("é".encode("latin-1"), "latin-1"),
        ("<meta charset=latin-1>é".encode("latin-1"), None),
        ('<meta content="text/html; charset=latin-1">é'.encode("latin-1"), None),
    ],
)
def test_a_page_is_read_in_the_encoding_that_it_declares(body: bytes, charset: str | None) -> None:
    assert crawl.text(body, charset)[-1] == "é"


def test_a_server_that_is_not_there_is_a_broken_link() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = crawl.Crawl(f"http://127.0.0.1:{port}/")
    found.run()
    assert list(found.broken) == [found.start]
    assert not found.pages


@pytest.mark.parametrize(
    "arguments", [["ftp://host/"], ["host"], ["--size", "0"], ["--max-pages", "x"], ["--wrong"]]
)
def test_wrong_usage_is_told_with_status_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["crawl.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        crawl.main()
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
