"""What a tool was told when it was made, checked at the user's line."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Literal, NoReturn, get_args

from . import _work
from ._eventloop import LoopFactory
from ._failures import OnError

OnExit = Literal["wait", "cancel", "refuse"]
_ON_ERROR, _ON_EXIT = get_args(get_args(OnError)[0]), get_args(OnExit)


class Options:
    __slots__ = ("executor", "kind", "loop_factory", "on_error", "on_exit", "size", "threads")

    def __init__(
        self,
        tool: object,
        *,
        size: int | None = None,
        threads: int | None = None,
        on_error: OnError,
        on_exit: OnExit,
        executor: Executor | None,
        loop_factory: LoopFactory | None,
    ) -> None:
        kind = type(tool).__name__
        if size is not None:
            check_positive(kind, "size", size)
        if threads is not None:
            check_positive(kind, "threads", threads)
        if not callable(on_error):
            if on_error not in _ON_ERROR:
                _refuse_choice(kind, "on_error", on_error, _ON_ERROR)
        elif isinstance(on_error, type) and issubclass(on_error, BaseException):
            raise TypeError(
                f"{kind}(on_error=...) is called with each failed task: {on_error!r} would hold "
                "it, and raise nothing; 'cancel' raises the first failure"
            )
        else:
            _work.check_callback(f"{kind}(on_error=...)", on_error)
        if on_exit not in _ON_EXIT:
            _refuse_choice(kind, "on_exit", on_exit, _ON_EXIT)
        if executor is not None:
            check_executor(f"{kind}(executor=...)", executor)
        if not (loop_factory is None or callable(loop_factory)):
            raise TypeError(
                f"{kind}(loop_factory=...) is a function that makes an event loop, such as "
                f"uvloop.new_event_loop, not {loop_factory!r}"
            )
        self.kind: str = kind
        self.size: int | None = size
        self.threads: int | None = threads
        self.on_error: OnError = on_error
        self.on_exit: OnExit = on_exit
        self.executor: Executor | None = executor
        self.loop_factory: LoopFactory | None = loop_factory


def check_positive(kind: str, name: str, value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{kind}({name}=...) is a positive int, not {value!r}")
    if value < 1:
        raise ValueError(f"{kind}({name}=...) is at least 1, not {value!r}")
    return value


def check_executor(what: str, value: object) -> None:
    if not isinstance(value, Executor):
        raise TypeError(f"{what} is a concurrent.futures.Executor, not {value!r}")


def _refuse_choice(kind: str, name: str, value: object, choices: tuple[str, ...]) -> NoReturn:
    _work.close(value)
    raise ValueError(f"{kind}({name}=...) is one of {', '.join(choices)}, not {value!r}")
