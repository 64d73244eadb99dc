"""A contest: sides in processes of their own take turns, round by round.

So each side has its own heap, its own garbage collector and its own warm code, and what slows the
machine down for a second slows all of them down. Only one of them works at a time.

    python contest.py spawning.NOOPS aioutils    is one side: items in, their figure out
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Self

from work import Contender, find

PROCESSES = 3  # of each side: figures of one process agree better than those of several
ENOUGH = 2  # of them, if the time is up
MOST_ROUNDS = 15  # in one process


@dataclass(frozen=True)
class Entry:
    """Who takes part: a contender of a work, with how many items, and how many at once."""

    work: str
    contender: str
    n: int
    size: int | None = None

    @classmethod
    def of(cls, work: str, contender: str, n: int | None = None) -> Self:
        return cls(work, contender, n or find(work).n)

    @property
    def label(self) -> str:
        at_once = f", {self.size:,} at once" if self.size else ""
        return f"{self.work}: {self.contender}, {self.n:,} items{at_once}"

    def find(self) -> Contender:
        return find(self.work).contenders[self.contender]

    @property
    def share(self) -> int:
        """What a figure is divided by."""
        return 1 if find(self.work).whole else self.n


@dataclass
class Score:
    """What a side's rounds gave: figures an item, and the peaks of memory in bytes."""

    figures: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)

    @property
    def figure(self) -> float:
        return median(self.figures)

    @property
    def peak(self) -> float:
        return median(self.peaks)


class Side:
    """The process of an entry."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._process = subprocess.Popen(
            [sys.executable, __file__, entry.work, entry.contender],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def play(self) -> tuple[float, float]:
        """One round: the figure of an item, and the process's peak of memory since it began."""
        figure, peak = self._ask(self.entry.n)
        return figure / self.entry.share, peak

    def warm_up(self) -> None:
        self._ask(max(1, self.entry.n // 10))

    def _ask(self, n: int) -> tuple[float, float]:
        assert self._process.stdin and self._process.stdout
        print(json.dumps([n, self.entry.size]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        figure, peak = json.loads(line)
        return figure, peak

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # its standard input ends, and so does it


def hold(entries: Sequence[Entry], seconds: float, scores: dict[Entry, Score]) -> None:
    """Adds figures to the scores: rounds in fresh processes, in about that time.

    Long rounds take longer: one of them in each of two processes.
    """
    start = perf_counter()
    for number in range(PROCESSES):
        if number >= ENOUGH and perf_counter() - start > seconds:
            break
        with ExitStack() as stack:
            turns = entries[:: -1 if number % 2 else 1]
            sides = {entry: stack.enter_context(Side(entry)) for entry in turns}
            for side in sides.values():
                side.warm_up()
            take_turns(sides, seconds / PROCESSES, scores)


def take_turns(sides: dict[Entry, Side], seconds: float, scores: dict[Entry, Score]) -> None:
    """At least one round; each side begins as often as it comes last."""
    start, peaks = perf_counter(), dict.fromkeys(sides, 0.0)
    for number in range(MOST_ROUNDS):
        for entry in list(sides)[:: -1 if number % 2 else 1]:
            figure, peaks[entry] = sides[entry].play()
            scores.setdefault(entry, Score()).figures.append(figure)
        if perf_counter() - start > seconds:
            break
    for entry, peak in peaks.items():
        scores[entry].peaks.append(peak)


# ---- one side --------------------------------------------------------------------------


def memory(kind: str) -> int:
    """VmRSS, the memory of this process in bytes, or VmHWM, its peak; 0 where Linux is not."""
    status = Path("/proc/self/status")
    found = re.search(rf"{kind}:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else 0


def main(work: str, name: str) -> None:
    contender = find(work).contenders[name]
    contender.prepare()
    start = memory("VmRSS")
    for line in sys.stdin:
        figure = contender.play(*json.loads(line))
        print(json.dumps([figure, memory("VmHWM") - start]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
