"""The goals: each row's two sides, and the most that their ratio shall be.

`bar` is what `make check` fails at. `of` is what is compared: the medians of time, or the peaks of
memory. A row without a reference compares its own figure with the goal.
"""

import sys
from dataclasses import dataclass

from contest import Entry


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    ours: Entry
    theirs: Entry | None
    goals: tuple[float | None, float]  # on 3.11, on 3.12 and later
    unit: str = "µs"
    of: str = "figure"
    reached: float = 0.0  # on 3.13, where the goal is not met yet: what must not get worse

    @property
    def goal(self) -> float | None:
        return self.goals[sys.version_info >= (3, 12)]

    @property
    def bar(self) -> float:
        """1.5 x the goal, or, where that is not met yet, 1.5 x what was reached."""
        return 1.5 * max(self.goal or 0.0, self.reached)

    @property
    def entries(self) -> list[Entry]:
        return [self.ours] if self.theirs is None else [self.ours, self.theirs]

    def runs(self) -> bool:
        """False where this Python lacks what the row compares, or its packages are missing."""
        return self.goal is not None and all(entry.find().runs() for entry in self.entries)


NOOPS, HOPS, LIMIT = "spawning.NOOPS", "spawning.HOPS", "limits.LIMIT"
STREAM, GROUPS, CRAWL = "streams.STREAM", "groups.GROUPS", "crawls.CRAWL"
GATHER = Entry.of(LIMIT, "semaphore + gather")
CRAWLERS = Entry.of(CRAWL, "aioutils imap_unordered"), Entry.of(CRAWL, "aiohttp workers")

ROWS = [
    Row(
        "noops",
        "spawn + join of 50,000 no-ops / TaskGroup",
        Entry.of(NOOPS, "aioutils"),
        Entry.of(NOOPS, "TaskGroup"),
        (0.55, 0.40),
    ),
    Row(
        "hops",
        "the same with one sleep(0) / TaskGroup",
        Entry.of(HOPS, "aioutils"),
        Entry.of(HOPS, "TaskGroup"),
        (0.60, 0.55),
    ),
    Row(
        "eager",
        "the same no-ops / TaskGroup with the eager task factory",
        Entry.of(NOOPS, "aioutils"),
        Entry.of(NOOPS, "eager TaskGroup"),
        (None, 1.6),
        reached=2.35,
    ),
    Row(
        "tree",
        "tree of 11,111 spawns / TaskGroup",
        Entry.of("trees.TREE", "aioutils"),
        Entry.of("trees.TREE", "TaskGroup"),
        (0.70, 0.45),
        reached=0.62,
    ),
    Row(
        "pool",
        "Pool(100).spawn, one hop / Semaphore + gather",
        Entry.of(LIMIT, "aioutils spawn"),
        GATHER,
        (0.35, 0.35),
    ),
    Row(
        "map",
        "Pool(100).map, one hop / Semaphore + gather",
        Entry.of(LIMIT, "aioutils map"),
        GATHER,
        (0.35, 0.30),
    ),
    Row(
        "map-reused",
        "the same with isolate=False / bare 100-worker loop",
        Entry.of(LIMIT, "aioutils map, isolate=False"),
        Entry.of(LIMIT, "workers on one iterator"),
        (1.6, 1.6),
        reached=1.95,
    ),
    Row(
        "imap",
        "imap_unordered into a sync for / a slot and create_task per item",
        Entry.of(STREAM, "aioutils"),
        Entry.of(STREAM, "slot + create_task, async"),
        (1.0, 0.9),
    ),
    Row(
        "imap-reused",
        "the same with isolate=False / the same stream in one async for",
        Entry.of(STREAM, "aioutils, isolate=False"),
        Entry.of(STREAM, "one async for, async"),
        (1.7, 1.7),
    ),
    Row(
        "yielder",
        "Yielder(100), one hop / Semaphore + gather",
        Entry.of(LIMIT, "aioutils Yielder"),
        GATHER,
        (0.45, 0.45),
    ),
    Row(
        "groups",
        "2,000 groups of 5 / one asyncio.Runner for all",
        Entry.of(GROUPS, "aioutils"),
        Entry.of(GROUPS, "one asyncio.Runner for all"),
        (0.60, 0.60),
        reached=2.05,
    ),
    Row(
        "crawl",
        "loopback crawl, 20,000 GETs, 200 at once / aiohttp workers",
        *CRAWLERS,
        (1.05, 1.05),
    ),
    Row(
        "crawl-memory",
        "the same crawl's peak of memory",
        *CRAWLERS,
        (1.0, 1.0),
        unit="MB",
        of="peak",
    ),
    Row(
        "first",
        "first result of 10,000 tasks of two waits / as_completed",
        Entry.of("first.FIRST", "aioutils"),
        Entry.of("first.FIRST", "as_completed()"),
        (1.1, 1.1),
    ),
    Row(
        "memory",
        "memory of a waiting spawn, without its coroutine",
        Entry.of("memory.WAITING", "aioutils"),
        None,
        (250, 250),
        unit="bytes",
    ),
    Row(
        "million",
        "1,000,000 spawned into Pool(100): time a task / that of 10,000",
        Entry.of(LIMIT, "aioutils spawn", 1_000_000),
        Entry.of(LIMIT, "aioutils spawn", 10_000),
        (1.3, 1.3),
    ),
    Row(
        "import",
        "import aioutils / import asyncio",
        Entry.of("importing.IMPORT", "aioutils"),
        Entry.of("importing.IMPORT", "asyncio"),
        (1.2, 1.2),
    ),
]
