"""@dual: async functions that sync code can call too."""

from __future__ import annotations

import functools
import inspect
import operator
import sys
import types
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    overload,
)

from . import _work
from ._sync import SyncAttribute

__all__ = ["dual"]

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R", bound=Awaitable[Any] | AsyncIterable[Any])

if TYPE_CHECKING:

    class _Bindable(Protocol[S_contra, Q, R_co]):
        """A dual whose first parameter is of type S."""

        def __call__(self, first: S_contra, /, *args: Q.args, **kwargs: Q.kwargs) -> R_co: ...


class Dual(Generic[P, R_co]):
    """What `dual` makes of a function; it passes for the function in all but `sync`."""

    def __init__(self, function: Callable[P, R_co], binds: Any = None) -> None:
        self.__wrapped__ = function
        self.__doc__ = function.__doc__
        self.__module__ = getattr(function, "__module__", __name__)
        self._binds = binds  # makes a method of it: the function, or a classmethod
        self._is_owned = False  # a class has it in its namespace, not in a classmethod there

    # Of a class: a classmethod, else a function. Of an instance: a classmethod, a method, else
    # a staticmethod. A protocol in the first and third, or mypy would ignore what S is.
    @overload
    def __get__(
        self: _Bindable[type[Any], Q, R], instance: None, owner: type[Any]
    ) -> Dual[Q, R]: ...
    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self: _Bindable[type[S], Q, R], instance: S, owner: Any = None) -> Dual[Q, R]: ...
    @overload
    def __get__(self: Dual[Concatenate[S, Q], R], instance: S, owner: Any = None) -> Dual[Q, R]: ...
    @overload
    def __get__(self, instance: object, owner: Any = None) -> Self: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if self._binds is None:
            return self
        bound = self._binds.__get__(instance, owner)
        return self if bound is self.__wrapped__ else Dual(bound)

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._is_owned = True

    def _lacks_its_class(self) -> bool:
        """True in a classmethod of Python 3.13 and later, whose bound method knows the class but
        does not tell. Such a function is of a class that does not have it."""
        function = self.__wrapped__
        if self._is_owned or not inspect.isfunction(function):
            return False
        class_name = function.__qualname__.rpartition(".")[0]
        names = function.__code__.co_varnames
        return names[:1] == ("cls",) and class_name != "" and not class_name.endswith("<locals>")

    if TYPE_CHECKING:
        __name__: str
        __qualname__: str
        sync: SyncAttribute

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    else:
        sync = SyncAttribute()

        @property
        def __call__(self) -> Callable[P, R_co]:
            """`unittest.mock.create_autospec` takes the signature from here. In a class it would
            not leave out `self`."""
            return self._call if self._is_owned else self.__wrapped__

        def _call(self, /, *args: P.args, **kwargs: P.kwargs) -> R_co:
            return self.__wrapped__(*args, **kwargs)

        @property
        def __annotations__(self) -> dict[str, Any]:
            return self.__wrapped__.__annotations__

        def __getattr__(self, name: str) -> Any:
            return getattr(self.__dict__.get("__wrapped__"), name)

    def __eq__(self, other: object) -> bool:
        return self.__wrapped__ == other.__wrapped__ if isinstance(other, Dual) else NotImplemented

    def __hash__(self) -> int:
        return hash((Dual, self.__wrapped__))

    def __repr__(self) -> str:
        return f"<dual {self.__wrapped__!r}>"

    def __reduce__(self) -> Any:
        """By name, as functions are."""
        try:
            found = operator.attrgetter(self.__qualname__)(sys.modules[self.__module__])
        except (AttributeError, KeyError):
            found = None
        return self.__qualname__ if found is self else (dual, (self.__wrapped__,))


def dual(function: Callable[P, R]) -> Dual[P, R]:
    """Lets sync code call an async function: ``f(...)`` is still a coroutine, ``f.sync(...)``
    its result.

    ::

        >>> import asyncio
        >>> from aioutils import dual
        >>> @dual
        ... async def double(n):
        ...     await asyncio.sleep(0.01)
        ...     return 2 * n
        >>> double.sync(21)
        42
        >>> async def main():
        ...     return await double(21)
        >>> asyncio.run(main())
        42

    `sync` works in a notebook too, and in sync code that a coroutine calls. It runs on a loop
    that the thread keeps from call to call, so that connections survive; the loop ends with the
    thread. A call inside another one, in sync code that it calls, has a loop of its own. It
    sees the context variables of its caller; what it changes there stays its own. A plain
    function in a `Pool` keeps its slot meanwhile, and lends it while sync code in the call waits
    for a task.

    Of an async generator, `sync` gives an iterator, whose `close()`, or leaving the ``for``,
    runs the generator's ``finally`` blocks; it runs only while the next item is waited for.
    Plain functions may be dual if they return something to await or to iterate; methods, with
    @dual above @classmethod or @staticmethod, as well.

    `sync` raises what the function raises, `concurrent.futures.CancelledError` if it was
    cancelled from within, and `TypeError` if there is nothing to await. Ctrl-C cancels the
    call, lets it clean up and leaves as `KeyboardInterrupt`; the thread's loop goes on.
    `dual` raises `TypeError` for what is no function.
    """
    return _dual(function)  # type: ignore[no-any-return]


def _dual(function: Any) -> Any:
    if isinstance(function, Dual):
        return function
    binds = function
    if isinstance(function, (classmethod, staticmethod)):
        function = function.__func__
        if isinstance(function, Dual):
            function = function.__wrapped__
        binds = classmethod(function) if isinstance(binds, classmethod) else None
    _check(function)
    if isinstance(function, types.MethodType) or not hasattr(type(function), "__get__"):
        binds = None
    return Dual(_as_function(function), binds)


def _check(function: Any) -> None:
    if not callable(function):
        _work.close(function)
        raise TypeError(f"dual({function!r}): give an async function, and not what it returned")
    if isinstance(function, type):
        raise TypeError(f"dual({function!r}): a class can't be dual, its methods can")
    if _work._flags(function) & inspect.CO_GENERATOR and not _is_coroutine(function):
        raise TypeError(f"dual({function!r}): a generator blocks; make it 'async def'")


def _is_coroutine(function: Any) -> bool:
    """True for a generator function that `types.coroutine` made awaitable."""
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _as_function(work: Any) -> Any:
    """A partial, or an object with an async `__call__`, for those who look at a function's code."""
    if hasattr(work, "__code__") or not _work._flags(work) & inspect.CO_COROUTINE:
        return work

    async def call(*args: Any, **kwargs: Any) -> Any:
        return await work(*args, **kwargs)

    functools.update_wrapper(call, work, assigned=("__module__", "__doc__"), updated=())
    call.__qualname__ = _work.name_of(work)
    call.__name__ = call.__qualname__.rpartition(".")[2]
    return call
