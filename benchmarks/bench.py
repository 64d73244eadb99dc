"""All contenders side by side, under pyperf: `make bench`. It fills docs/performance.md.

    python benchmarks/bench.py                 everything, in about twenty minutes
    python benchmarks/bench.py --only limit    one chapter; repeatable
    python benchmarks/bench.py --fast          one round of each; the page stays as it is
    python benchmarks/bench.py --saved         the page again, from what was measured last

The values stay in benchmarks/results, where `python -m pyperf stats` and the like can read them.
"""

import argparse
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable

import page
from chapters import CHAPTERS, Chapter, Growth, column
from quick import SECONDS, Result, report
from rows import ROWS
from runs import RESULTS, Runs, measure

PICTURED = "3.13"  # the CPython that pictures show
ROUNDS = 3
PACKAGES = "aiohttp aiometer aiostream anyio asgiref gevent httpx streamable trio unsync urllib3"


def goals() -> page.Cells:
    """The goals, measured as `make bench-quick` does, for longer."""
    results = report([row for row in ROWS if row.runs()], 2 * SECONDS)
    return {result.row.title: cells_of(result) for result in results}


def cells_of(result: Result) -> dict[str, str]:
    row = result.row
    unit = "" if row.theirs else f" {row.unit}"
    ratio = f"{result.ratio:.2f}" if row.theirs else f"{result.ratio:.0f}"
    reached = f"{ratio}{unit}" if result.met else f"**{ratio}{unit}**"
    return {column("goal"): f"{row.goal:g}{unit}", column("reached"): reached}


def machine() -> page.Cells:
    """Where it was measured, and which versions."""
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    versions = {"machine": system, "CPython": platform.python_version()}
    for distribution in importlib.metadata.distributions():
        if distribution.name in PACKAGES.split():
            versions[distribution.name] = distribution.version
    names = sorted(versions, key=lambda name: (name != "machine", name != "CPython", name))
    return {name: {column("version"): versions[name]} for name in names}


TABLES: dict[str, Callable[[], page.Cells]] = {"goals": goals, "machine": machine}
NAMES = [*(chapter.name for chapter in CHAPTERS), *TABLES]


def run_chapter(chapter: Chapter | Growth, saved: bool, fast: bool) -> dict[str, page.Cells]:
    """Its tables; what was measured is saved, and pictures are drawn, unless it was `fast`."""
    if saved:
        runs = Runs.saved(chapter.name)
    else:
        runs = measure(chapter.entries(fast), 1 if fast else ROUNDS)
    if not fast:
        runs.save(chapter.name)
        if page.VERSION == PICTURED:
            chapter.draw(runs)
    return chapter.blocks(runs)


def run_table(name: str, saved: bool, fast: bool) -> dict[str, page.Cells]:
    path = RESULTS / f"{name}.json"
    cells: page.Cells = json.loads(path.read_text()) if saved else TABLES[name]()
    if not fast:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(cells, indent=1, ensure_ascii=False))
    return {name: cells}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="All contenders side by side.")
    parser.add_argument("--only", action="append", choices=NAMES, help="this one; repeatable")
    parser.add_argument("--fast", action="store_true", help="one round; the page stays as it is")
    parser.add_argument("--saved", action="store_true", help="measure nothing")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    chapters = {chapter.name: chapter for chapter in CHAPTERS}
    for name in given.only or NAMES:
        if name in chapters:
            blocks = run_chapter(chapters[name], given.saved, given.fast)
        else:
            blocks = run_table(name, given.saved, given.fast)
        for block, cells in blocks.items():
            print(page.show(block, cells), flush=True)
            if not given.fast:
                page.fill(block, cells)


if __name__ == "__main__":
    main()
