"""What a user's exception is and has, whatever its class answers if it is asked, and allows.

A property of it may raise, its `__getattribute__` too, and so does `isinstance` then, which asks
for the class: a failure would be lost, or its task never end, for the sake of that.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeGuard, TypeVar

E = TypeVar("E", bound=BaseException)

_of: dict[str, Any] = dict(vars(BaseException))

attributes: Callable[[BaseException], dict[str, Any]] = _of["__dict__"].__get__
trace_of: Callable[[BaseException], TracebackType | None] = _of["__traceback__"].__get__
context_of: Callable[[BaseException], BaseException | None] = _of["__context__"].__get__
set_context: Callable[[BaseException, BaseException | None], None] = _of["__context__"].__set__


def is_a(error: object, *kinds: type[E]) -> TypeGuard[E]:
    """By its type alone."""
    return issubclass(type(error), kinds)
