"""Each promise of docs/guarantees.md names a test, by a part of its name: there is one."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "guarantees.md"

NAMES = [
    f"{path.stem}::{name}"
    for path in TESTS.rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
]


def tables_of(page):
    """The cells of each row of each table."""
    for part in page.split("\n\n"):
        if part.startswith("|"):
            yield [row.rstrip().split("|") for row in part.splitlines()]


def shown_by(page):
    """What stands in backquotes in the last column of each row, for pytest's -k."""
    rows = [row for table in tables_of(page) for row in table]
    return [choice for row in rows for choice in re.findall(r"`(.+?)`", row[-2])]


def is_a_test(choice):
    words = choice.split(" and ")
    return any(all(word in name for word in words) for name in NAMES)


def test_what_a_promise_names_is_a_test():
    choices = shown_by(PAGE.read_text())
    assert [choice for choice in choices if not is_a_test(choice)] == []
    assert len(choices) > 50


def test_each_row_has_the_cells_of_its_table():
    tables = list(tables_of(PAGE.read_text()))
    assert len(tables) > 4
    assert [row for table in tables for row in table if len(row) != len(table[0])] == []


def test_a_name_that_is_no_test_is_found():
    assert shown_by("| a | `b` |\n| c | `d`, `e and f` |\n\n`g`") == ["b", "d", "e and f"]
    assert is_a_test("no_test and is_found") and not is_a_test("no_" + "such_test")
