"""The end of an async generator: where it was iterated, not when the collector comes by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any


class Aclosing:
    """Ends it with the block. But where the task was given up nothing can be awaited any more: an
    `aclose()` that stops halfway leaves it as one that runs for ever, and what asyncio does with
    generators that nobody holds, on a loop that goes on, would fail."""

    __slots__ = ("_iterator",)

    def __init__(self, iterator: AsyncIterator[Any]) -> None:
        self._iterator = iterator

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not GeneratorExit:
            await aclose(self._iterator)


async def aclose(iterator: AsyncIterator[Any]) -> None:
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()
