"""Work: one kind of work, and how each contender does it.

A contender is a function of the number of items, and of a size where the work has one. What it
returns, if anything, is its figure; else the figure is the time of the call in seconds. What it
`needs` is imported before.
"""

import gc
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

Function = Callable[..., float | None]


@dataclass
class Contender:
    function: Function
    needs: tuple[str, ...]
    since: tuple[int, int]
    most: int | None

    def play(self, n: int, size: int | None = None) -> float:
        """One round of `n` items: its figure. Garbage of earlier rounds is not in it."""
        arguments = (n,) if size is None else (n, size)
        gc.collect()
        start = perf_counter()
        figure = self.function(*arguments)
        seconds = perf_counter() - start
        return seconds if figure is None else figure

    def runs(self) -> bool:
        """True if this Python is new enough, and has the packages."""
        packages = [name.partition(".")[0] for name in self.needs]
        installed = all(importlib.util.find_spec(package) for package in packages)
        return installed and sys.version_info >= self.since

    def prepare(self) -> None:
        for name in self.needs:
            importlib.import_module(name)


@dataclass
class Work:
    """`n` items are a round; `title` says what is done with them.

    Figures are divided by the number of items, unless they are about the `whole` round.
    """

    title: str
    n: int
    whole: bool = False
    contenders: dict[str, Contender] = field(default_factory=dict)

    def by(
        self,
        name: str,
        *needs: str,
        since: tuple[int, int] = (3, 11),
        most: int | None = None,
    ) -> Callable[[Function], Function]:
        """Decorates what does this work the way of `name`, with the packages it needs.

        Slow ones do at most `most` items in `make bench`, or it would not end in an hour.
        """

        def enter(function: Function) -> Function:
            self.contenders[name] = Contender(function, needs, since, most)
            return function

        return enter


def find(where: str) -> Work:
    """The work at "file.NAME"."""
    module, name = where.split(".")
    work = getattr(importlib.import_module(module), name)
    assert isinstance(work, Work)
    return work
