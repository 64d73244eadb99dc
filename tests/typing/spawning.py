"""What the type checkers know of the library; read by them, never run.

`# type: ignore` marks what they must refuse: an unneeded one is an error (`warn_unused_ignores`).
"""

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, assert_type

from aioutils import (
    ClosedError,
    DeadlockError,
    Group,
    OrderedYielder,
    Pool,
    Task,
    WrongLoopError,
    Yielder,
    ordered_yielding,
    yielding,
)


async def fetch(url: str, *, retries: int = 3) -> bytes:
    return url.encode() * retries


def parse(page: bytes, strict: bool = False) -> list[str]:
    return [str(page)] if strict else []


class Client:
    async def get(self, url: str) -> bytes:
        return url.encode()

    async def __call__(self, n: int) -> int:
        return n


class Later:
    def __await__(self) -> Generator[Any, None, float]:
        yield
        return 1.0


@asynccontextmanager
async def session() -> AsyncIterator[Client]:
    yield Client()


def tasks_know_their_results(group: Group) -> None:
    assert_type(group.spawn(fetch("/")), Task[bytes])
    assert_type(group.spawn(fetch, "/", retries=1), Task[bytes])
    assert_type(group.spawn(parse, b"page", strict=True), Task[list[str]])
    assert_type(group.spawn(Client().get, "/"), Task[bytes])
    assert_type(group.spawn(Client(), 1), Task[int])
    assert_type(group.spawn(Later()), Task[float])
    assert_type(group.spawn(len, "abc"), Task[int])
    assert_type(group.spawn(partial(parse, b"page")), Task[list[str]])
    assert_type(group.spawn(group.spawn(fetch("/"))), Task[bytes])


def spawning_checks_the_arguments(group: Group) -> None:
    group.spawn(fetch, 1)  # type: ignore[call-overload]
    group.spawn(fetch)  # type: ignore[call-overload]
    group.spawn(fetch, "/", tries=1)  # type: ignore[call-arg]
    group.spawn(parse, "page")  # type: ignore[call-overload]
    group.spawn(fetch("/"), 1)  # type: ignore[call-overload]
    group.spawn(1)  # type: ignore[call-overload]
    group.spawn(None)  # type: ignore[call-overload]
    group.spawn()  # type: ignore[call-overload]


def what_a_task_gives(task: Task[bytes]) -> None:
    assert_type(task.result(), bytes)
    assert_type(task.result(1.5), bytes)
    assert_type(task.result(timeout=1), bytes)
    assert_type(task.exception(), BaseException | None)
    assert_type(task.done(), bool)
    assert_type(task.cancelled(), bool)
    assert_type(task.cancel(), bool)
    assert_type(task.name, str)
    task.name = "a name"
    task.add_done_callback(takes_task)
    task.add_done_callback(takes_any_task)
    task.add_done_callback(print)
    task.result("soon")  # type: ignore[arg-type]
    task.add_done_callback(takes_other_task)  # type: ignore[arg-type]
    task.name = 1  # type: ignore[assignment]
    print(task.outcome)  # type: ignore[attr-defined]


def takes_task(task: Task[bytes]) -> None: ...
def takes_any_task(task: Task[object]) -> None: ...
def takes_other_task(task: Task[int]) -> None: ...


async def tasks_can_be_awaited(task: Task[bytes]) -> None:
    assert_type(await task, bytes)


def what_tools_give(pool: Pool) -> None:
    assert_type(pool.join(), bool)
    assert_type(pool.join(1.0, raise_error=False), bool)
    assert_type(len(pool), int)
    assert_type(pool.full(), bool)
    assert_type(pool.free_count(), int)
    assert_type(pool.errors, list[BaseException])
    assert_type(pool.take_errors(), list[BaseException])
    assert_type(iter(pool), Iterator[Task[Any]])
    assert_type(pool.enter_async_context(session()), Client)
    for task in pool:
        assert_type(task, Task[Any])
    with pool as entered:
        assert_type(entered, Pool)
    with Group() as group, Yielder() as y, OrderedYielder(3) as ordered:
        assert_type(group, Group)
        assert_type(y, Yielder)
        assert_type(ordered, OrderedYielder)
    pool.join("soon")  # type: ignore[arg-type]
    pool.join(1, False)  # type: ignore[call-arg]
    pool.errors = []  # type: ignore[misc]
    pool.enter_async_context(Client())  # type: ignore[arg-type]


def managers_of_classes(group: Group, manager: AbstractAsyncContextManager[int]) -> None:
    assert_type(group.enter_async_context(manager), int)


def what_yielders_give(y: Yielder) -> None:
    for result in y:
        assert_type(result, Any)
    for result in y.yielding(timeout=1):
        assert_type(result, Any)
    assert_type(y.spawn(fetch("/")), Task[bytes])
    y.put(1)
    y.join()  # type: ignore[attr-defined]
    y.yielding("soon")  # type: ignore[arg-type]


def how_tools_are_made() -> None:
    Pool(3)
    Yielder(3, keep_none=True)
    assert_type(yielding(3), Yielder)
    assert_type(ordered_yielding(keep_none=True), OrderedYielder)
    Group(threads=4)
    Pool()  # type: ignore[call-arg]
    Pool("3")  # type: ignore[arg-type]
    Pool(1.5)  # type: ignore[arg-type]
    Group(3)  # type: ignore[call-arg]
    Yielder(3, True)  # type: ignore[call-arg]
    yielding("3")  # type: ignore[arg-type]


class Crawler(Pool):
    """Subclasses keep their own type."""

    def __init__(self, host: str) -> None:
        super().__init__(10)
        self.host = host


def subclasses() -> None:
    with Crawler("host") as crawler:
        assert_type(crawler, Crawler)
        assert_type(crawler.spawn(fetch, crawler.host), Task[bytes])


def errors_are_runtime_errors() -> None:
    errors: list[type[RuntimeError]] = [ClosedError, DeadlockError, WrongLoopError]
    del errors
