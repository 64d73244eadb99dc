"""Draws the pictures of why.md: `python docs/draw_why.py` writes docs/img/why-*.svg.

Standard library only. Bars stand where the waits put them (`start_times`), rather than where a
hand drew them. The text stays text, and each picture brings its own card: light, or dark where the
reader prefers that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

IMAGES = Path(__file__).parent / "img"
WIDTH = 760
LEFT = 136  # where time 0 is
ROW = 28
BAR = 20
WAITS = {"a": 40, "b": 10, "c": 50, "d": 20, "e": 30}  # milliseconds, as in why.md

# Fill and stroke on a light card, then on a dark one.
COLOURS = {
    "card": ("#ffffff", "#d0d7de", "#161b22", "#3d444d"),
    "wait": ("#cfe3ff", "#2f6fd0", "#1c3558", "#6aa5f5"),
    "outer": ("#6fa5ee", "#2f6fd0", "#3a6fb8", "#6aa5f5"),
    "inner": ("none", "#2f6fd0", "none", "#6aa5f5"),
    "run": ("#d9661f", "none", "#f0883e", "none"),
    "block": ("#fbd9bf", "#d9661f", "#4f2f17", "#f0883e"),
    "asleep": ("none", "#8c959f", "none", "#6e7781"),
    "line": ("none", "#8c959f", "none", "#6e7781"),
    "trace": ("none", "#1a7f37", "none", "#4ac26b"),
    "total": ("none", "#1f2328", "none", "#e6edf3"),
    "result": ("#1a7f37", "none", "#1a7f37", "none"),
    "words": ("#1f2328", "none", "#e6edf3", "none"),
    "small": ("#57606a", "none", "#9aa4af", "none"),
    "name": ("#ffffff", "none", "#ffffff", "none"),
}
SHAPES = """\
text { font: 14px system-ui, "Segoe UI", Helvetica, Arial, sans-serif }
.head { font-weight: 600 } .name { font-size: 12px; font-weight: 600 } .small { font-size: 12px }
.end { text-anchor: end } .mid { text-anchor: middle }
.asleep, .trace { stroke-dasharray: 3 3 } .inner { stroke-width: 0.45 } .total { stroke-width: 1.5 }
"""
# Height, title, and what the picture tells somebody who does not see it.
TOLD = {
    "sum": (
        248,
        "One after the other",
        "Waits of 40, 10, 50, 20 and 30 ms, each from the end of the one before it on: 150 ms.",
    ),
    "longest": (
        248,
        "In a Group",
        "Waits of 40, 10, 50, 20 and 30 ms that begin together: all have ended after 50 ms.",
    ),
    "pool": (
        248,
        "In a Pool(2): two at once",
        "Waits of 40, 10, 50, 20 and 30 ms, never more than two at once: 90 ms.",
    ),
    "first": (
        362,
        "The first of them: when each result reaches your code",
        "Five overlapping waits. A Yielder hands out b after 10 ms, then d, e, a and c, each as it"
        " ends. An OrderedYielder hands out a after 40 ms and b with it, then c, d and e after"
        " 50 ms. join() comes back after 50 ms with everything.",
    ),
    "nested": (
        516,
        "Nested loops: 10 outer waits, and 10 inner waits after each of them",
        "One after the other, 110 waits of 0.1 s take 11 s. In a group, the 10 outer waits overlap,"
        " and then the 100 inner waits overlap: 0.2 s.",
    ),
    "thread": (
        254,
        "One thread: it runs a task up to its await, then another task",
        "Three tasks. Each runs for a moment, waits, and runs again. The waits overlap; the moments"
        " in which a task runs never do, because your thread carries out one at a time.",
    ),
    "threads": (
        390,
        "Three calls of 30 ms each, made in three ways",
        "Three tasks that await: 30 ms in one thread. Three blocking calls inside async functions:"
        " 90 ms, because each holds the only thread. Three blocking functions, spawned: 30 ms, each"
        " in a worker thread of its own.",
    ),
    "cpu": (
        294,
        "Work does not overlap: four calculations of 1 s each",
        "In a group, four calculations share one core and take 4 s. In four processes, each has a"
        " core of its own, and they take 1 s.",
    ),
}


def style() -> str:
    light = [f".{kind} {{ fill: {c[0]}; stroke: {c[1]} }}" for kind, c in COLOURS.items()]
    dark = [f".{kind} {{ fill: {c[2]}; stroke: {c[3]} }}" for kind, c in COLOURS.items()]
    return "\n".join([SHAPES, *light, "@media (prefers-color-scheme: dark) {", *dark, "}"])


class Picture:
    """One SVG file: shapes and texts in the order in which they were added."""

    def __init__(self, name: str) -> None:
        height, title, desc = TOLD[name]
        self.path = IMAGES / f"why-{name}.svg"
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
            f' viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(desc)}</desc>',
            f"<style>{style()}</style>",
        ]
        self.bar(0.5, 0.5, WIDTH - 1, "card", height - 1, radius=8)
        self.text(20, 28, title, "words head")

    def bar(
        self, x: float, y: float, width: float, kind: str, height: float = BAR, radius: int = 3
    ) -> None:
        self.parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
            f' rx="{radius}"/>'
        )

    def text(self, x: float, y: float, words: str, kind: str = "words") -> None:
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(words)}</text>')

    def line(self, points: Iterable[tuple[float, float]], kind: str = "line") -> None:
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(f'<path class="{kind}" d="M{path}"/>')

    def row(self, y: float, name: str) -> None:
        if name:
            self.text(LEFT - 12, y + 15, name, "words end")

    def axis(self, y: float, scale: float, ticks: Iterable[float], unit: str) -> None:
        """A time axis; `scale` is pixels for one unit."""
        ticks = sorted(ticks)
        self.line([(LEFT, y), (LEFT + ticks[-1] * scale, y)])
        for tick in ticks:
            x = LEFT + tick * scale
            self.line([(x, y), (x, y + 5)])
            self.text(x, y + 19, f"{tick:g} {unit}" if tick else "0", "small mid")

    def total(self, y: float, width: float, words: str) -> None:
        """A bracket from time 0 on, with what it adds up to on its right."""
        end = LEFT + width
        self.line([(LEFT, y - 5), (LEFT, y + 5)], "total")
        self.line([(LEFT, y), (end, y)], "total")
        self.line([(end, y - 5), (end, y + 5)], "total")
        self.text(end + 10, y + 5, words, "words head")

    def legend(self, y: float, **kinds: str) -> None:
        x = float(LEFT)
        for kind, words in kinds.items():
            self.bar(x, y, 14, kind, 14)
            self.text(x + 20, y + 11, words, "small")
            x += 40 + 6.4 * len(words)

    def result(self, x: float, y: float, name: str) -> None:
        self.parts.append(f'<circle class="result" cx="{x:g}" cy="{y:g}" r="10"/>')
        self.text(x, y + 4, name, "name mid")

    def write(self) -> None:
        self.path.write_text("\n".join([*self.parts, "</svg>", ""]), encoding="utf-8")


def start_times(waits: Sequence[float], size: int) -> list[float]:
    """When each wait begins if at most `size` of them overlap, in order."""
    free, starts = [0.0] * size, []
    for wait in waits:
        start = min(free)
        free[free.index(start)] = start + wait
        starts.append(start)
    return starts


def draw_rows(picture: Picture, y: float, size: int, scale: float) -> float:
    """A row for each wait, at most `size` at once; returns when the last one ends."""
    starts = start_times(list(WAITS.values()), size)
    for i, (name, wait) in enumerate(WAITS.items()):
        picture.row(y + i * ROW, name)
        picture.bar(LEFT + starts[i] * scale, y + i * ROW, wait * scale, "wait")
        x = LEFT + (starts[i] + wait / 2) * scale
        picture.text(x, y + i * ROW + 15, f"{wait}", "small mid")
    return max(start + wait for start, wait in zip(starts, WAITS.values(), strict=True))


def draw_waits(name: str, size: int, answer: str) -> None:
    """sum, longest and pool: the same five waits on the same scale."""
    picture, scale = Picture(name), 3.0
    end = draw_rows(picture, 46, size, scale)
    picture.total(46 + 5 * ROW + 12, end * scale, f"{end:g} ms: {answer}")
    picture.axis(216, scale, range(0, 151, 30), "ms")
    picture.write()


def draw_first() -> None:
    picture, scale, y = Picture("first"), 10.0, 46.0 + 5 * ROW + 18
    for i, wait in enumerate(WAITS.values()):
        x = LEFT + wait * scale
        picture.line([(x, 46 + i * ROW + BAR), (x, y)], "trace")
    draw_rows(picture, 46, len(WAITS), scale)
    waits = list(WAITS.values())
    by_end = sorted(WAITS, key=WAITS.__getitem__)
    draw_lane(picture, y, scale, "Yielder", {name: WAITS[name] for name in by_end})
    in_order = {name: max(waits[: i + 1]) for i, name in enumerate(WAITS)}
    draw_lane(picture, y + 34, scale, "OrderedYielder", in_order)
    draw_lane(picture, y + 68, scale, "Group, join()", dict.fromkeys(WAITS, max(waits)))
    picture.axis(322, scale, range(0, 51, 10), "ms")
    picture.write()


def draw_lane(picture: Picture, y: float, scale: float, name: str, times: dict[str, int]) -> None:
    """What one tool hands out; results of one moment stand side by side."""
    picture.row(y, name)
    picture.line([(LEFT, y + 10), (LEFT + max(times.values()) * scale, y + 10)])
    placed: list[int] = []
    for result, time in times.items():
        picture.result(LEFT + time * scale + 23 * placed.count(time), y + 10, result)
        placed.append(time)


def draw_nested() -> None:
    picture, scale = Picture("nested"), 48.0
    picture.text(20, 60, "one after the other", "small")
    for i in range(110):
        kind = "wait" if i % 11 else "outer"
        picture.bar(LEFT + i * 0.1 * scale, 70, 0.1 * scale, kind, radius=0)
    picture.total(104, 11 * scale, "11 s")
    picture.text(20, 136, "in a group, on the same scale", "small")
    picture.bar(LEFT, 146, 0.1 * scale, "outer", radius=0)
    picture.bar(LEFT + 0.1 * scale, 146, 0.1 * scale, "wait", radius=0)
    picture.total(180, 0.2 * scale, "0.2 s")
    picture.axis(202, scale, range(0, 12), "s")
    picture.text(20, 252, "the 0.2 s of the group, magnified", "small")
    draw_magnified(picture, 262, 2400.0)
    picture.legend(484, outer="an outer wait", wait="its 10 inner waits")
    picture.write()


def draw_magnified(picture: Picture, y: float, scale: float) -> None:
    middle, end = LEFT + 0.1 * scale, LEFT + 0.2 * scale
    for top in range(int(y), int(y) + 180, 18):
        picture.bar(LEFT, top, middle - LEFT, "outer", 15, radius=1)
        picture.bar(middle, top, end - middle, "wait", 15, radius=1)
        for i in range(10):
            inner = top + 0.75 + 1.5 * i
            picture.line([(middle, inner), (end, inner)], "inner")
    picture.axis(y + 182, scale, [0, 0.1, 0.2], "s")


def draw_thread() -> None:
    picture, scale, moment = Picture("thread"), 9.5, 2.0
    y = 46 + 3 * ROW + 16  # of the thread's own row
    runs = []
    for i, (name, wait) in enumerate({"a": 34, "b": 12, "c": 46}.items()):
        begin = i * moment
        end = begin + moment + wait
        picture.row(46 + i * ROW, f"task {name}")
        picture.bar(LEFT + begin * scale, 46 + i * ROW, (end - begin) * scale, "wait")
        for start in (begin, end):
            picture.bar(LEFT + start * scale, 46 + i * ROW, moment * scale, "run")
            runs.append(start)
    picture.row(y, "your thread")
    picture.bar(LEFT, y, (max(runs) + moment) * scale, "asleep")
    for start in runs:
        picture.bar(LEFT + start * scale, y, moment * scale, "run")
    picture.axis(180, scale, range(0, 61, 10), "ms")
    legend = {"run": "Python code runs", "wait": "the task waits", "asleep": "the thread sleeps"}
    picture.legend(222, **legend)
    picture.write()


def draw_threads() -> None:
    picture, scale, y = Picture("threads"), 5.5, 46.0
    workers = ["worker 1", "worker 2", "worker 3"]
    for head, names, kind in (
        ("tasks that await", ["", "your thread", ""], "wait"),
        ("blocking calls inside async functions", ["your thread"], "block"),
        ("blocking functions, spawned", workers, "block"),
    ):
        picture.text(20, y + 10, head, "small")
        draw_panel(picture, y + 20, scale, [30.0] * 3, names, kind)
        end = 90 if len(names) == 1 else 30
        middle = y + 20 + 12 * len(names)
        picture.text(LEFT + end * scale + 12, middle + 3, f"{end} ms", "words head")
        y += 34 + 24 * len(names)
    picture.axis(y + 4, scale, range(0, 91, 30), "ms")
    picture.legend(y + 44, wait="waits, holds no thread", block="holds its thread while it waits")
    picture.write()


def draw_cpu() -> None:
    picture, scale, y = Picture("cpu"), 130.0, 56.0
    for head, cores in (("in a Group: one core", 1), ("in four processes: four cores", 4)):
        picture.text(20, y, head, "small")
        names = [f"core {i + 1}" for i in range(cores)]
        draw_panel(picture, y + 10, scale, [1.0] * 4, names, "run")
        y += 24 * cores + 30
    picture.axis(y - 12, scale, range(0, 5), "s")
    picture.legend(y + 28, run="a calculation")
    picture.write()


def draw_panel(
    picture: Picture, y: float, scale: float, spans: list[float], names: list[str], kind: str
) -> None:
    """Spans of time, as many at once as there are named rows."""
    for i, name in enumerate(names):
        picture.row(y + i * 24, name)
    for i, start in enumerate(start_times(spans, len(names))):
        row = i % len(names)
        picture.bar(LEFT + start * scale, y + row * 24, spans[i] * scale - 1, kind)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    draw_waits("sum", 1, "the sum")
    draw_waits("longest", len(WAITS), "the longest of them")
    draw_waits("pool", 2, "in between")
    draw_first()
    draw_nested()
    draw_thread()
    draw_threads()
    draw_cpu()


if __name__ == "__main__":
    main()
