"""A crawl of a site where half of the requests go wrong: each page is fetched or accounted for."""

import asyncio
import os
from contextlib import asynccontextmanager

import aiohttp
import pytest
from faulty_site import FAULTS, FORGIVING, HARMLESS, FaultySite, served

from aioutils import Pool, Yielder

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = os.environ.get("AIOUTILS_SEED", "1")
COUNT = 5000 if LONG else 300
SIZE = 100 if LONG else 40  # far fewer than there are links to follow: it is reached
TRIES = FORGIVING + 5  # aiohttp asks a second time by itself

pytestmark = pytest.mark.timeout(600 if LONG else 60)


class GaveUpError(Exception):
    def __init__(self, page):
        super().__init__(f"page {page}")
        self.page = page


@asynccontextmanager
async def client():
    """The pool is the only limit."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=1)
    ) as session:
        yield session


class Crawl:
    def __init__(self, url, tool):
        self.url = url
        self.tool = tool
        self.session = tool.enter_async_context(client())
        self.known = {0}
        self.fetched = {}
        self.running = self.most = 0

    async def visit(self, n):
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            page = self.fetched[n] = await self.fetch(n)
            for link in page["links"]:
                if link not in self.known:
                    self.known.add(link)
                    self.tool.spawn(self.visit(link))
            return n
        finally:
            self.running -= 1

    async def fetch(self, n):
        tries = 0
        while tries < TRIES:
            try:
                async with self.session.get(f"{self.url}/page/{n}") as response:
                    response.raise_for_status()
                    return await response.json(content_type=None)
            except TimeoutError:
                pass  # it hangs, as no broken page does, or the machine is slow
            except (aiohttp.ClientError, OSError) as error:
                failure = error
                tries += 1
            await asyncio.sleep(0.002 * tries)
        raise GaveUpError(n) from failure

    async def ledger(self):
        async with self.session.get(f"{self.url}/ledger") as response:
            return await response.json(content_type=None)


def gave_up(crawl):
    """The pages of a group's join: those that failed."""
    try:
        crawl.tool.join()
    except ExceptionGroup as failures:
        return {failure.page for failure in failures.exceptions}
    return set()


def handed_out(crawl):
    """Those of a yielder, by what its iterations hand out and raise."""
    pages = []
    with pytest.raises(GaveUpError) as first:
        pages.extend(crawl.tool)
    assert sorted(pages) == sorted(crawl.fetched)
    notes = " ".join(first.value.__notes__)
    return {first.value.page, *(n for n in crawl.known if f"GaveUpError('page {n}')" in notes)}


@pytest.mark.parametrize(
    ("make", "end"), [(Pool, gave_up), (Yielder, handed_out)], ids=["pool", "yielder"]
)
def test_every_page_of_a_faulty_site_is_fetched_or_accounted_for(make, end, eventually):
    print(f"AIOUTILS_SEED={SEED}")
    site = FaultySite(SEED, COUNT)
    with served(SEED, COUNT) as url:
        with make(SIZE) as tool:
            crawl = Crawl(url, tool)
            tool.spawn(crawl.visit(0))
            failed = end(crawl)
            assert len(tool) == crawl.running == 0
            assert crawl.most == SIZE
        with Pool(1) as pool:
            later = Crawl(url, pool)
            # that of who asks: the session has left no other
            eventually(lambda: pool.apply(later.ledger)["open"] == 1)
            faults = pool.apply(later.ledger)["faults"]
    requests, wrong = sum(faults.values()), sum(faults[fault] for fault in FAULTS)
    print(f"{COUNT:,} pages, {len(failed)} broken: {requests:,} requests, {wrong:,} went wrong")
    assert failed == site.broken.keys()
    assert crawl.fetched == {n: site.page(n) for n in range(COUNT) if n not in site.broken}
    assert faults.keys() == {"", *HARMLESS, *FAULTS}
