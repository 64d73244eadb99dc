"""The page, docs/performance.md: what stands between its marks is written by `bench`.

    <!-- bench noops -->
    | 50,000 no-ops | 3.13: µs | 3.13: ratio | 3.11: µs | ...
    <!-- end -->

A run fills the columns of its own CPython, "3.13: ...", and leaves those of others as they are. It
adds none: the page says which versions it shows.
"""

import re
import sys
from pathlib import Path

VERSION = "{}.{}".format(*sys.version_info)
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
IMAGES = ROOT / "docs" / "img"
BLOCK = re.compile(r"(<!-- bench (?P<name>[\w-]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)

Cells = dict[str, dict[str, str]]  # by row, then by column


def parse(body: str) -> tuple[list[str], Cells]:
    """The columns and the rows of the table in a block."""
    lines = [split(line) for line in body.splitlines() if line.startswith("|")]
    columns, rows = lines[0], lines[2:]
    return columns, {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in rows}


def split(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def merge(body: str, new: Cells) -> str:
    """The block with new cells in the columns that it has.

    The version that comes first in the table says in which order rows stand.
    """
    columns, rows = parse(body)
    leads = any(columns[1] in row for row in new.values())
    names = dict.fromkeys([*new, *rows] if leads else [*rows, *new])
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)]]
    for name in names:
        cells = rows.get(name, {}) | new.get(name, {})
        lines.append([name, *(cells.get(column, "-") or "-" for column in columns[1:])])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return re.sub(r"(^\|[^\n]*\n)+", lambda _: table + "\n", body, count=1, flags=re.MULTILINE)


def fill(name: str, new: Cells) -> None:
    """Puts the cells into the block of that name."""
    page = PAGE.read_text(encoding="utf-8")

    def filled(block: re.Match[str]) -> str:
        if block["name"] != name:
            return block[0]
        return block[1] + merge(block["body"], new) + block[4]

    PAGE.write_text(BLOCK.sub(filled, page), encoding="utf-8")


def show(title: str, new: Cells) -> str:
    """The same cells for a terminal."""
    columns = list(dict.fromkeys(column for row in new.values() for column in row))
    lines = [[title, *columns], *([name, *row.values()] for name, row in new.items())]
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(len(lines[0]))]
    rows = [
        "  ".join(cell.ljust(w) if not i else cell.rjust(w) for i, (cell, w) in enumerate(pairs))
        for pairs in (zip(line, widths, strict=False) for line in lines)
    ]
    return "\n".join(rows) + "\n"
