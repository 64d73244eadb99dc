"""Chapters of docs/performance.md: what is measured together, and how it is shown.

`entries` says what is measured. `blocks` gives the cells of its tables, by the name of the block;
`draw` its pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contest import Entry
from page import IMAGES, VERSION, Cells
from picture import Mark, draw_curves, draw_dots
from work import find

if TYPE_CHECKING:
    from runs import Runs

FACTOR = {"µs": 1e6, "ms": 1e3}


def number(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def column(name: str) -> str:
    return f"{VERSION}: {name}"


def is_ours(entry: Entry) -> bool:
    return entry.contender.startswith("aioutils")


@dataclass(frozen=True)
class Chapter:
    """One kind of work, all contenders side by side."""

    name: str
    work: str

    @property
    def unit(self) -> str:
        return "ms" if find(self.work).whole else "µs"

    def entries(self, fast: bool = False) -> list[Entry]:
        """Of the contenders that run here; ours come first."""
        work = find(self.work)
        return [
            Entry(self.work, name, min(work.n, contender.most or work.n))
            for name, contender in work.contenders.items()
            if contender.runs()
        ]

    def sorted(self, runs: Runs) -> list[Entry]:
        return sorted((entry for entry in self.entries() if entry in runs), key=runs.figure)

    def blocks(self, runs: Runs) -> dict[str, Cells]:
        """Each contender's median, that as a ratio to ours, and its memory, fastest first."""
        ours = runs.figure(self.entries()[0])
        cells: Cells = {}
        for entry in self.sorted(runs):
            name = f"**{entry.contender}**" if is_ours(entry) else entry.contender
            cells[name] = {
                column(self.unit): number(runs.figure(entry) * FACTOR[self.unit]),
                column("ratio"): f"{runs.figure(entry) / ours:.2f}",
                column("MB"): f"{runs.peak(entry) / 1e6:.1f}",
            }
        return {self.name: cells}

    def draw(self, runs: Runs) -> None:
        marks = [self.mark(entry, runs) for entry in self.sorted(runs)]
        words = "milliseconds" if self.unit == "ms" else "µs an item"
        draw_dots(
            IMAGES / f"bench-{self.name}.svg", find(self.work).title.replace("`", ""), words, marks
        )

    def mark(self, entry: Entry, runs: Runs) -> Mark:
        low, middle, high = (
            figure * FACTOR[self.unit]
            for figure in (runs.spread(entry)[0], runs.figure(entry), runs.spread(entry)[1])
        )
        words = f"{number(middle)} {self.unit}"
        return Mark(entry.contender, middle, (low, high), words, is_ours(entry))


@dataclass(frozen=True)
class Growth:
    """How contenders of `limits.LIMIT` do as the work grows, a step after the other."""

    name: str
    title: str
    along: str
    steps: tuple[int, ...]
    contenders: tuple[str, ...]
    entry: Callable[[str, int], Entry]
    memory: bool = False

    def entries(self, fast: bool = False) -> list[Entry]:
        steps = [step for step in self.steps if step <= 10_000 or not fast]
        entries = [self.entry(name, step) for step in steps for name in self.contenders]
        return [entry for entry in entries if entry.find().runs()]

    def curves(self, runs: Runs, figure: Callable[[Entry], float]) -> dict[str, dict[int, float]]:
        """The figure of each contender at each step where there is one."""
        found = {
            name: {
                s: figure(self.entry(name, s)) for s in self.steps if self.entry(name, s) in runs
            }
            for name in self.contenders
        }
        return {name: curve for name, curve in found.items() if curve}

    def parts(self, runs: Runs) -> dict[str, tuple[str, dict[str, dict[int, float]]]]:
        """What a figure is, and the curves, by the name of the block."""
        time = self.curves(runs, lambda entry: runs.figure(entry) * 1e6)
        parts = {self.name: ("µs a task", time)}
        if self.memory:
            peaks = self.curves(runs, lambda entry: max(1.0, runs.peak(entry) / entry.n))
            parts[f"{self.name}-memory"] = ("bytes a task", peaks)
        return parts

    def blocks(self, runs: Runs) -> dict[str, Cells]:
        return {
            name: {
                contender: {column(f"{step:,}"): number(value) for step, value in curve.items()}
                for contender, curve in curves.items()
            }
            for name, (_, curves) in self.parts(runs).items()
        }

    def draw(self, runs: Runs) -> None:
        for name, (words, curves) in self.parts(runs).items():
            points = {contender: list(curve.items()) for contender, curve in curves.items()}
            title = f"{self.title}: {words}"
            draw_curves(IMAGES / f"bench-{name}.svg", title, self.along, words, points)


LIMIT = "limits.LIMIT"
LIMITED = (
    "aioutils spawn",
    "aioutils map",
    "semaphore + gather",
    "slot + create_task",
    "gevent map",
)
CHAPTERS: list[Chapter | Growth] = [
    Chapter("noops", "spawning.NOOPS"),
    Chapter("hops", "spawning.HOPS"),
    Chapter("tree", "trees.TREE"),
    Chapter("limit", LIMIT),
    Chapter("stream", "streams.STREAM"),
    Chapter("groups", "groups.GROUPS"),
    Chapter("crawl", "crawls.CRAWL"),
    Chapter("first", "first.FIRST"),
    Growth(
        "growth",
        "1,000 to 1,000,000 tasks, at most 100 at once",
        "tasks",
        (1_000, 10_000, 100_000, 1_000_000),
        LIMITED,
        lambda name, step: Entry(LIMIT, name, step),
        memory=True,
    ),
    Growth(
        "at-once",
        "20,000 tasks, at most 1 to 10,000 at once",
        "at once",
        (1, 10, 100, 1_000, 10_000),
        LIMITED,
        lambda name, step: Entry(LIMIT, name, 20_000, step),
    ),
]
