"""Pulling on the loop, for one who waits for all results: he need not come for each place that
becomes free, and the loop need not stop for him."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._handout import Handout


class Puller:
    """Is told in his place of what has ended, and tells him what is for him to do.

    Told in any thread; all that ends in one pass over the loop is seen to together, in the next.
    """

    __slots__ = ("_handout", "_notify", "_stopped")

    def __init__(self, handout: Handout, notify: Callable[[], None]) -> None:
        self._handout, self._notify, self._stopped = handout, notify, False

    @property
    def thread(self) -> int | None:
        """That of who waits, as far as it is a thread that does."""
        return getattr(getattr(self._notify, "__self__", None), "thread", None)

    def notify(self) -> None:
        self._handout._scheduler.post(self._look)

    def stop(self) -> None:
        """He waits no more."""
        self._stopped = True

    def _look(self) -> None:
        if not self._stopped:
            self._handout.pull_here()
            if self._handout.reached():
                self._notify()
