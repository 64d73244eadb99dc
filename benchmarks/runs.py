"""Runs: the entries of a chapter under pyperf, kept as its own JSON in benchmarks/results.

Contenders take turns: each round starts every one of them in a fresh process. Memory is measured
apart, in one more process each, as that of pyperf's is not the work's alone.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import pyperf
from contest import Entry, Side
from page import VERSION

SCRIPT = Path(__file__).with_name("pyperf_side.py")
RESULTS = Path(__file__).with_name("results") / VERSION
LONG = 1.0  # seconds; a round that takes longer gives one value a process, others give three
SHORT = 0.1  # seconds; rounds that take less are put together, as many as take that long


class Runs:
    """What was measured, by entry. A figure is seconds an item."""

    def __init__(self, suite: pyperf.BenchmarkSuite) -> None:
        self._suite = suite

    def __contains__(self, entry: Entry) -> bool:
        return entry.label in self._suite.get_benchmark_names()

    def figure(self, entry: Entry) -> float:
        """The median."""
        return float(self._suite.get_benchmark(entry.label).median())

    def spread(self, entry: Entry) -> tuple[float, float]:
        values = self._suite.get_benchmark(entry.label).get_values()
        return min(values), max(values)

    def peak(self, entry: Entry) -> int:
        """By how many bytes the process grew at most."""
        return int(self._suite.get_benchmark(entry.label).get_metadata()["peak"])

    def save(self, name: str) -> None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        self._suite.dump(str(RESULTS / f"{name}.json"), replace=True)

    @classmethod
    def saved(cls, name: str) -> "Runs":
        return cls(pyperf.BenchmarkSuite.load(str(RESULTS / f"{name}.json")))


def measure(entries: Sequence[Entry], rounds: int) -> Runs:
    benchmarks: dict[Entry, pyperf.Benchmark] = {}
    for entry in turns(entries, rounds):
        if entry in benchmarks:
            seconds = benchmarks[entry].median() * entry.share
            more = run_once(entry, 1 if seconds > LONG else 3, ceil(SHORT / seconds))
            benchmarks[entry].add_runs(more)
        else:
            benchmarks[entry] = run_once(entry, 1, 1)
    for entry, benchmark in benchmarks.items():
        tell(f"memory of {entry.label}")
        benchmark.update_metadata({"peak": peak_of(entry)})
    return Runs(pyperf.BenchmarkSuite(list(benchmarks.values())))


def turns(entries: Sequence[Entry], rounds: int) -> Iterator[Entry]:
    """Every entry in each round; the one that was last begins the next round."""
    for number in range(rounds):
        for entry in entries[:: -1 if number % 2 else 1]:
            tell(f"round {number + 1} of {rounds}, {entry.label}")
            yield entry


def run_once(entry: Entry, values: int, loops: int) -> pyperf.Benchmark:
    """One process of pyperf's."""
    with TemporaryDirectory() as directory:
        result = f"{directory}/result.json"
        command = [sys.executable, SCRIPT, entry.work, entry.contender, str(entry.n)]
        command += [str(entry.size)] if entry.size else []
        command += ["--processes=1", "--warmups=0", f"--values={values}", f"--loops={loops}"]
        command += ["--quiet", "--inherit-environ=PYTHONPATH", "--output", result]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return pyperf.Benchmark.load(result)


def peak_of(entry: Entry) -> int:
    """Slow contenders, whose time is that of fewer items, do all of them for this once."""
    if entry.n == entry.find().most:
        entry = Entry.of(entry.work, entry.contender)
    with Side(entry) as side:
        side.warm_up()
        return round(side.play()[1])


def tell(words: str) -> None:
    print(f"  {words}", file=sys.stderr, flush=True)
