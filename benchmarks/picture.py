"""Pictures: SVG files whose text stays text, each on a card of its own, light or dark.

Scales are logarithmic: what takes twice as long is the same distance away everywhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH = 760

# Fill and stroke on a light card, then on a dark one.
COLOURS = {
    "card": ("#ffffff", "#d0d7de", "#161b22", "#3d444d"),
    "grid": ("none", "#eaeef2", "none", "#262c34"),
    "line": ("none", "#8c959f", "none", "#6e7781"),
    "words": ("#1f2328", "none", "#e6edf3", "none"),
    "small": ("#57606a", "none", "#9aa4af", "none"),
    "ours": ("#d9661f", "#d9661f", "#f0883e", "#f0883e"),
    "theirs": ("#2f6fd0", "#2f6fd0", "#6aa5f5", "#6aa5f5"),
    "c0": ("#d9661f", "#d9661f", "#f0883e", "#f0883e"),
    "c1": ("#a8324a", "#a8324a", "#ff8f9c", "#ff8f9c"),
    "c2": ("#2f6fd0", "#2f6fd0", "#6aa5f5", "#6aa5f5"),
    "c3": ("#6f42c1", "#6f42c1", "#c297ff", "#c297ff"),
    "c4": ("#1a7f37", "#1a7f37", "#4ac26b", "#4ac26b"),
}
SHAPES = """\
text { font: 14px system-ui, "Segoe UI", Helvetica, Arial, sans-serif }
.head { font-weight: 600 } .small { font-size: 12px }
.end { text-anchor: end } .mid { text-anchor: middle }
text[class] { stroke: none } path[class] { fill: none; stroke-width: 1.5 }
"""


def style() -> str:
    light = [f".{kind} {{ fill: {c[0]}; stroke: {c[1]} }}" for kind, c in COLOURS.items()]
    dark = [f".{kind} {{ fill: {c[2]}; stroke: {c[3]} }}" for kind, c in COLOURS.items()]
    parts = [*light, "@media (prefers-color-scheme: dark) {", *dark, "}", SHAPES]
    return "\n".join(parts)


class Scale:
    """Where a value stands between two pixels, logarithmically."""

    def __init__(self, values: Iterable[float], start: float, end: float) -> None:
        values = list(values)
        self.start, self.end = start, end
        self.low = floor_log(min(values))
        self.high = max(ceil_log(max(values)), self.low + log10(2))

    def at(self, value: float) -> float:
        share = (log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """1, 2, 5 of each decade; 1 alone where there are many."""
        digits = (1, 2, 5) if self.high - self.low <= 3 else (1,)
        decades = range(floor(self.low), ceil(self.high) + 1)
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        return [tick for tick in ticks if self.low - 1e-9 <= log10(tick) <= self.high + 1e-9]


def floor_log(value: float) -> float:
    """The logarithm of the last 1, 2 or 5 before the value."""
    decade = floor(log10(value))
    return decade + max(log10(d) for d in (1, 2, 5) if d * 10.0**decade <= value * (1 + 1e-9))


def ceil_log(value: float) -> float:
    decade = floor(log10(value))
    return decade + min(log10(d) for d in (1, 2, 5, 10) if d * 10.0**decade >= value * (1 - 1e-9))


class Picture:
    """Shapes and texts in the order in which they were added."""

    def __init__(self, title: str, told: str, height: float) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}"'
            f' viewBox="0 0 {WIDTH} {height:g}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(told)}</desc>',
            f"<style>\n{style()}\n</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:g}"'
            ' rx="8"/>',
        ]
        self.text(20, 28, title, "words head")

    def text(self, x: float, y: float, words: str, kind: str = "words") -> None:
        self._parts.append(f'<text class="{kind}" x="{x:.4g}" y="{y:.4g}">{escape(words)}</text>')

    def line(self, points: Iterable[tuple[float, float]], kind: str = "line") -> None:
        path = " L".join(f"{x:.4g} {y:.4g}" for x, y in points)
        self._parts.append(f'<path class="{kind}" d="M{path}"/>')

    def dot(self, x: float, y: float, kind: str, radius: float = 5) -> None:
        self._parts.append(f'<circle class="{kind}" cx="{x:.4g}" cy="{y:.4g}" r="{radius:g}"/>')

    def write(self, path: Path) -> None:
        path.write_text("\n".join([*self._parts, "</svg>", ""]), encoding="utf-8")


@dataclass(frozen=True)
class Mark:
    """A line of a picture of dots: who, where, how far it spread, and what is said of it."""

    name: str
    value: float
    spread: tuple[float, float]
    words: str
    ours: bool


def draw_dots(path: Path, title: str, unit: str, marks: Sequence[Mark]) -> None:
    """A dot for each median, with a line from the least to the greatest value."""
    top, row, left = 48, 26, 250
    bottom = top + row * len(marks)
    told = "; ".join(f"{mark.name} {mark.words}" for mark in marks)
    picture = Picture(title, told, bottom + 46)
    scale = Scale([v for mark in marks for v in (*mark.spread, mark.value)], left + 10, 620)
    for tick in scale.ticks():
        picture.line([(scale.at(tick), top), (scale.at(tick), bottom)], "grid")
        picture.text(scale.at(tick), bottom + 18, f"{tick:g}", "small mid")
    picture.text(620, bottom + 36, f"{unit}, logarithmic", "small end")
    for i, mark in enumerate(marks):
        y, kind = top + row * i + 13, "ours" if mark.ours else "theirs"
        picture.text(left - 8, y + 5, mark.name, "words end head" if mark.ours else "words end")
        picture.line([(scale.at(mark.spread[0]), y), (scale.at(mark.spread[1]), y)], kind)
        picture.dot(scale.at(mark.value), y, kind)
        picture.text(632, y + 5, mark.words, "small")
    picture.write(path)


Curve = Sequence[tuple[float, float]]


def draw_curves(path: Path, title: str, along: str, up: str, curves: dict[str, Curve]) -> None:
    """A line for each contender, its name at the end."""
    left, right, top, bottom = 70, 560, 62, 330
    told = "; ".join(
        f"{name}: " + ", ".join(f"{y:.3g} at {x:,.0f}" for x, y in curve)
        for name, curve in curves.items()
    )
    picture = Picture(title, told, bottom + 56)
    across = Scale([x for curve in curves.values() for x, _ in curve], left, right)
    height = Scale([y for curve in curves.values() for _, y in curve], bottom, top)
    for x in sorted({x for curve in curves.values() for x, _ in curve}):
        picture.line([(across.at(x), top), (across.at(x), bottom)], "grid")
        picture.text(across.at(x), bottom + 18, f"{x:,.0f}", "small mid")
    for y in height.ticks():
        picture.line([(left, height.at(y)), (right, height.at(y))], "grid")
        picture.text(left - 8, height.at(y) + 4, f"{y:,g}", "small end")
    picture.text(20, 48, f"{up}, logarithmic", "small")
    picture.text(right, bottom + 38, along, "small end")
    ends = {name: height.at(curve[-1][1]) for name, curve in curves.items()}
    places = spread_out(ends, 18)
    for i, (name, curve) in enumerate(curves.items()):
        points = [(across.at(x), height.at(y)) for x, y in curve]
        picture.line(points, f"c{i}")
        for x, y in points:
            picture.dot(x, y, f"c{i}", 3)
        picture.text(right + 12, places[name] + 5, name, f"c{i}")
    picture.write(path)


def spread_out(places: dict[str, float], gap: float) -> dict[str, float]:
    """Moves what stands too close down, so that names can be read."""
    moved, last = {}, float("-inf")
    for name in sorted(places, key=places.__getitem__):
        last = moved[name] = max(places[name], last + gap)
    return moved
