"""`f.sync` of a dual `f`: calls it from sync code, and looks like a function that is not async."""

from __future__ import annotations

import inspect
import operator
from collections.abc import AsyncIterable, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from . import _work
from ._stream import Stream
from ._sync_calls import here

if TYPE_CHECKING:
    from .dual import Dual

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# What it has of `f`; not its code, by which `inspect` would take it for async.
_SHARED = {"__name__", "__defaults__", "__kwdefaults__", "__globals__"}


class Sync(Generic[P, T_co]):
    def __init__(self, dual: Dual[P, Any]) -> None:
        self._dual = dual
        self.__doc__ = dual.__doc__
        self.__module__ = dual.__module__

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        function, calls = self._dual.__wrapped__, here()
        result: Any
        if inspect.isasyncgenfunction(function):
            result = _Items(function(*args, **kwargs))
        else:
            name = _work.name_of(function)
            result = calls.run(partial(_result, function, name, args, kwargs), name)
        if type(result) is _Items:
            result = calls.iterate(result.items)
        return result  # type: ignore[no-any-return]

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._dual)

    if not TYPE_CHECKING:

        @property
        def __annotations__(self) -> dict[str, Any]:
            return self._dual.__annotations__

    def __getattr__(self, name: str) -> Any:
        if name == "__qualname__":
            return f"{self._dual.__qualname__}.sync"
        if name in _SHARED:
            return getattr(self._dual, name)
        raise AttributeError(f"{self!r} has no attribute {name!r}", name=name, obj=self)

    def __eq__(self, other: object) -> bool:
        return self._dual == other._dual if isinstance(other, Sync) else NotImplemented

    def __hash__(self) -> int:
        return hash((Sync, self._dual))

    def __repr__(self) -> str:
        return f"<sync of {self._dual!r}>"

    def __reduce__(self) -> Any:
        return operator.attrgetter("sync"), (self._dual,)


class SyncAttribute:
    """`sync` of all duals. No property, so that `unittest.mock.patch.object` can replace it."""

    @overload
    def __get__(self, dual: Dual[P, Awaitable[T]], owner: Any = None) -> Sync[P, T]: ...
    @overload
    def __get__(self, dual: Dual[P, AsyncIterable[T]], owner: Any = None) -> Sync[P, Stream[T]]: ...
    def __get__(self, dual: Any, owner: Any = None) -> Any:
        if dual is None:
            return self
        if dual._lacks_its_class():
            raise TypeError(f"{dual!r}.sync can't know its class: put @dual above @classmethod")
        return Sync(dual)


class _Items:
    """What gives items, not one result."""

    def __init__(self, items: AsyncIterable[Any]) -> None:
        self.items = items


async def _result(
    function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """On the loop: a plain function may need it as soon as it is called."""
    given = function(*args, **kwargs)
    if _work.is_awaitable(given):
        return await given
    if isinstance(given, AsyncIterable):
        return _Items(given)
    raise TypeError(f"{name} returned {given!r}, which can't be awaited: make it 'async def'")
