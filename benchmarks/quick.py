"""The goals, and how far we are: `make bench-quick`. It needs nothing but aiohttp for the crawl.

    python benchmarks/quick.py                 every row, in less than two minutes
    python benchmarks/quick.py --row noops     one of them
    python benchmarks/quick.py --check         fails where a ratio is over its bar: see `rows`

The two sides of a ratio take turns in processes of their own (see `contest`), rows with the same
reference in one contest. Where a ratio is over the bar, noise may be to blame: the row is measured
for longer, and the median of all rounds counts, the first ones too.
"""

import argparse
import sys
from collections.abc import Iterable

from contest import Entry, Score, hold
from rows import ROWS, Row

SECONDS = 3.0  # for a contest of two; a round that takes longer takes longer
LINE = "{:66} {:>6} {:>7} {:>10} {:>10}  {}"


class Result:
    """A row, and what its sides scored."""

    def __init__(self, row: Row, scores: dict[Entry, Score]) -> None:
        self.row = row
        self.scores = {e: Score([*scores[e].figures], [*scores[e].peaks]) for e in row.entries}

    def value(self, entry: Entry) -> float:
        value = getattr(self.scores[entry], self.row.of)
        return float(value) * {"µs": 1e6, "bytes": 1, "MB": 1e-6}[self.row.unit]

    @property
    def ratio(self) -> float:
        """Ours through theirs; where there is no reference, our figure itself."""
        ours = self.value(self.row.ours)
        return ours if self.row.theirs is None else ours / self.value(self.row.theirs)

    @property
    def met(self) -> bool:
        assert self.row.goal is not None
        return self.ratio <= self.row.goal

    @property
    def under_the_bar(self) -> bool:
        return self.ratio <= self.row.bar

    def line(self) -> str:
        sides = [f"{self.value(entry):.2f}" for entry in self.row.entries]
        ratio = f"{self.ratio:.2f}" if self.row.theirs else f"{self.ratio:.0f}"
        verdict = "ok" if self.met else "over" if self.under_the_bar else "OVER THE BAR"
        ours, theirs = [*sides, "-"][:2]
        return LINE.format(self.row.title, f"{self.row.goal:g}", ratio, ours, theirs, verdict)


def together(row: Row, rows: Iterable[Row]) -> list[Row]:
    """The rows that share a side with this one, and those that share one with them."""
    found = [row]
    for one in found:
        others = [other for other in rows if other not in found]
        found += [other for other in others if set(other.entries) & set(one.entries)]
    return found


def measure(rows: list[Row], seconds: float) -> dict[Row, Result]:
    entries = list(dict.fromkeys(entry for row in rows for entry in row.entries))
    scores: dict[Entry, Score] = {}
    hold(entries, seconds * len(entries) / 2, scores)
    results = {row: Result(row, scores) for row in rows}
    for row, result in results.items():
        if not result.under_the_bar:
            hold(row.entries, seconds, result.scores)
    return results


def report(rows: list[Row], seconds: float) -> list[Result]:
    """Measures the rows and prints each as soon as it is known."""
    print(LINE.format("row", "goal", "ratio", "ours", "theirs", ""), flush=True)
    results: dict[Row, Result] = {}
    for row in rows:
        if row not in results:
            results |= measure(together(row, rows), seconds)
        print(results[row].line(), flush=True)
    return [results[row] for row in rows]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The goals, and how far we are.")
    names = [row.name for row in ROWS]
    parser.add_argument("--row", action="append", choices=names, help="only this one; repeatable")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for a contest of two")
    parser.add_argument("--check", action="store_true", help="fail where a ratio is over its bar")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    wanted = [row for row in ROWS if not given.row or row.name in given.row]
    rows = [row for row in wanted if row.runs()]
    if left_out := [row.name for row in wanted if row not in rows]:
        print("not on this Python, or aiohttp is missing:", *left_out, file=sys.stderr)
    results = report(rows, given.seconds)
    return given.check and not all(result.under_the_bar for result in results)


if __name__ == "__main__":
    sys.exit(main())
