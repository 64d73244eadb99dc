"""The benchmarks: every contender does its work, and what is made of the figures is right."""

import dataclasses
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import chapters  # noqa: E402
import contest  # noqa: E402
import page  # noqa: E402
import picture  # noqa: E402
import quick  # noqa: E402
from contest import Entry, Score, Side  # noqa: E402
from rows import ROWS, Row  # noqa: E402
from work import Work, find  # noqa: E402

FEW = 20  # items

WORKS = list(dict.fromkeys(entry.work for row in ROWS for entry in row.entries))
# What needs other packages than the tests do is left to `make bench`.
OURS = [
    Entry(work, name, FEW)
    for work in WORKS
    for name, contender in find(work).contenders.items()
    if {*contender.needs} <= {"aioutils", "aiohttp"} and contender.runs()
]


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: f"{entry.work}-{entry.contender}")
def test_every_contender_does_its_work(entry):
    with Side(entry) as side:
        figure, peak = side.play()
    assert figure > 0
    assert peak >= 0


def test_a_limit_takes_a_size():
    with Side(Entry("limits.LIMIT", "aioutils spawn", FEW, size=3)) as side:
        assert side.play()[0] > 0


def test_a_side_that_dies_is_no_figure(capfd):
    with Side(Entry("limits.LIMIT", "aioutils spawn", FEW, size=-1)) as side:
        with pytest.raises(RuntimeError, match="ended with 1"):
            side.play()
    assert "ValueError" in capfd.readouterr().err


def test_sides_take_turns_and_each_begins_as_often(monkeypatch):
    played = []

    class Told:
        def __init__(self, name):
            self.name = name

        def play(self):
            played.append(self.name)
            return 1.0, 0.0

    entries = {Entry("w", name, 1): Told(name) for name in "ab"}
    monkeypatch.setattr(contest, "MOST_ROUNDS", 4)
    scores = {}
    contest.take_turns(entries, 1000, scores)
    assert "".join(played) == "abbaabba"
    assert [score.figures for score in scores.values()] == [[1.0] * 4] * 2


def test_long_rounds_are_played_in_two_processes_and_each_side_begins_one(monkeypatch):
    begun, clock = [], iter(range(0, 1000, 10))

    class Told:
        def __init__(self, entry):
            self.entry = entry

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def warm_up(self):
            pass

        def play(self):
            begun.append(self.entry.contender)
            return 1.0, 5.0

    monkeypatch.setattr(contest, "Side", Told)
    monkeypatch.setattr(contest, "perf_counter", lambda: next(clock))
    scores = {}
    contest.hold([Entry("w", name, 1) for name in "ab"], 9, scores)
    assert "".join(begun) == "abba"
    assert [score.peak for score in scores.values()] == [5.0, 5.0]


# ---- the goals -------------------------------------------------------------------------


def row(name, ours="x", theirs="y"):
    sides = Entry("w", ours, 1), theirs and Entry("w", theirs, 1)
    return Row(name, name, *sides, (0.5, 0.5))


def scores_of(**figures):
    return {Entry("w", name, 1): Score([*values], [0.0]) for name, values in figures.items()}


def test_the_ratio_is_that_of_the_medians():
    result = quick.Result(row("one"), scores_of(x=(1, 2, 100), y=(3, 4, 5)))
    assert result.ratio == 0.5
    assert result.met and result.under_the_bar


def test_a_row_without_a_reference_is_its_own_figure():
    alone = Row("one", "one", Entry("w", "x", 1), None, (250, 250), unit="bytes")
    result = quick.Result(alone, scores_of(x=(300,)))
    assert result.ratio == 300
    assert not result.met and result.under_the_bar


def test_the_bar_is_over_the_goal_or_over_what_was_reached():
    over = scores_of(x=(0.9,), y=(1,))
    assert not quick.Result(row("one"), over).under_the_bar
    assert quick.Result(dataclasses.replace(row("one"), reached=0.7), over).under_the_bar


def test_rows_with_a_common_side_are_measured_together():
    rows = [row("one", "a", "r"), row("two", "b", "q"), row("three", "c", "r")]
    assert [one.name for one in quick.together(rows[0], rows)] == ["one", "three"]
    assert quick.together(rows[1], rows) == [rows[1]]


def test_a_row_over_the_bar_is_measured_again_and_all_rounds_count(monkeypatch):
    held = []

    def hold(entries, seconds, scores):
        held.append([entry.contender for entry in entries])
        for entry in entries:
            figure = {"a": 5.0 if len(held) == 1 else 1.0, "b": 1.0, "r": 2.0}[entry.contender]
            scores.setdefault(entry, Score()).figures.append(figure)

    monkeypatch.setattr(quick, "hold", hold)
    one, two = row("one", "a", "r"), row("two", "b", "r")
    results = quick.measure([one, two], 1)
    assert held == [["a", "r", "b"], ["a", "r"]]
    assert results[one].value(one.ours) == pytest.approx(3e6)  # 5 and 1
    assert results[two].ratio == 0.5


def test_names_of_rows_are_unique():
    assert len({row.name for row in ROWS}) == len({row.title for row in ROWS}) == len(ROWS)


# ---- the page --------------------------------------------------------------------------

BLOCK = """\
| work | 3.13: µs | 3.11: µs |
| --- | ---: | ---: |
| slow | 9 | 8 |
| old | 7 | 6 |
"""


def test_a_run_fills_its_own_columns_and_leaves_the_others():
    new = {"fast": {"3.13: µs": "1", "3.13: other": "0"}, "slow": {"3.13: µs": "2"}}
    assert page.merge(BLOCK, new).splitlines()[2:] == [
        "| fast | 1 | - |",
        "| slow | 2 | 8 |",
        "| old | 7 | 6 |",
    ]


def test_the_first_version_of_a_table_says_in_which_order_rows_stand():
    new = {"old": {"3.11: µs": "1"}, "fast": {"3.11: µs": "2"}}
    assert page.merge(BLOCK, new).splitlines()[2:] == [
        "| slow | 9 | 8 |",
        "| old | 7 | 1 |",
        "| fast | - | 2 |",
    ]


def test_fill_touches_its_block_alone(tmp_path, monkeypatch):
    text = "a\n<!-- bench one -->\n{}<!-- end -->\nb\n<!-- bench two -->\n{}<!-- end -->\nc\n"
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    page.PAGE.write_text(text.format(BLOCK, BLOCK))
    page.fill("two", {"slow": {"3.13: µs": "1"}, "old": {"3.13: µs": "7"}})
    assert page.PAGE.read_text() == text.format(BLOCK, BLOCK.replace("9", "1"))


def test_the_page_has_a_block_for_every_table_and_a_picture_for_every_chapter():
    text = page.PAGE.read_text()
    blocks = [block["name"] for block in page.BLOCK.finditer(text)]
    parts = {f"{c.name}-memory" for c in chapters.CHAPTERS if getattr(c, "memory", False)}
    names = {chapter.name for chapter in chapters.CHAPTERS} | parts
    assert {*blocks} == names | {"goals", "machine"}
    for name in names:
        assert f"(img/bench-{name}.svg)" in text


class Told:
    """Runs, as they might have been: `a` took 2 µs and `b` 4 µs, a megabyte each."""

    def __contains__(self, entry):
        return True

    def figure(self, entry):
        return 2e-6 if entry.contender == "aioutils a" else 4e-6

    def spread(self, entry):
        return 1e-6, 8e-6

    def peak(self, entry):
        return 1_000_000


@pytest.fixture
def chapter(monkeypatch, tmp_path):
    work = Work("`sleep(0)` & more", 10)
    work.by("aioutils a")(print)
    work.by("b")(print)
    monkeypatch.setattr(chapters, "find", {"w": work}.__getitem__)
    monkeypatch.setattr(chapters, "IMAGES", tmp_path)
    return chapters.Chapter("name", "w")


def test_a_chapter_shows_medians_ratios_and_memory(chapter):
    cells = chapter.blocks(Told())["name"]
    assert {name: list(row.values()) for name, row in cells.items()} == {
        "**aioutils a**": ["2.00", "1.00", "1.0"],
        "b": ["4.00", "2.00", "1.0"],
    }


def test_growth_shows_a_column_a_step(monkeypatch, tmp_path):
    monkeypatch.setattr(chapters, "IMAGES", tmp_path)
    growth = chapters.Growth(
        "up", "Up", "tasks", (10, 1000), ("x",), lambda name, n: Entry("w", name, n), memory=True
    )
    blocks = growth.blocks(Told())
    assert list(blocks["up"]["x"].values()) == ["4.00", "4.00"]
    assert list(blocks["up-memory"]["x"].values()) == ["100,000", "1,000"]
    growth.draw(Told())
    assert {path.name for path in tmp_path.iterdir()} == {"bench-up.svg", "bench-up-memory.svg"}


# ---- pictures --------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


def test_a_picture_has_a_dot_a_contender_and_both_kinds_of_card(chapter, tmp_path):
    chapter.draw(Told())
    drawn = ElementTree.parse(tmp_path / "bench-name.svg").getroot()
    dots = {dot.get("class"): float(dot.get("cx")) for dot in drawn.iter(f"{SVG}circle")}
    assert dots["ours"] < dots["theirs"]
    assert drawn.find(f"{SVG}title").text == "sleep(0) & more"
    assert drawn.find(f"{SVG}desc").text == "aioutils a 2.00 µs; b 4.00 µs"
    assert "prefers-color-scheme: dark" in drawn.find(f"{SVG}style").text


def test_every_colour_has_a_dark_twin_and_every_class_a_colour(chapter, tmp_path):
    chapter.draw(Told())
    drawn = ElementTree.parse(tmp_path / "bench-name.svg").getroot()
    shapes = {kind for shape in drawn.iter() for kind in shape.get("class", "").split()}
    assert shapes <= {*picture.COLOURS, "head", "mid", "end"}
    light, _, dark = picture.style().partition("@media")
    for kind in picture.COLOURS:
        assert f".{kind} {{ fill" in light and f".{kind} {{ fill" in dark


def test_twice_as_much_is_the_same_distance_everywhere():
    scale = picture.Scale([1.3, 40], 0, 100)
    assert scale.at(4) - scale.at(2) == pytest.approx(scale.at(20) - scale.at(10))
    assert scale.ticks() == pytest.approx([1, 2, 5, 10, 20, 50])
    assert (scale.at(1), scale.at(50)) == pytest.approx((0, 100))


def test_names_at_the_ends_of_curves_do_not_overlap():
    moved = picture.spread_out({"a": 50, "b": 51, "c": 10}, 18)
    assert moved == {"c": 10, "a": 50, "b": 68}


def test_a_scale_of_one_value_has_a_length():
    scale = picture.Scale([1, 1], 0, 100)
    assert 0 <= scale.at(1) <= 100
