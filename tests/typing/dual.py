"""What the type checkers know of `@dual`; read by them, never run.

`# type: ignore` marks what they must refuse: an unneeded one is an error (`warn_unused_ignores`).
What mypy alone does not see is said where it is.
"""

from asyncio import Future
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
)
from contextlib import closing
from functools import partial
from typing import Any, Generic, Protocol, Self, TypeVar, assert_type

from aioutils import Group, Pool, Task, dual

T = TypeVar("T")


@dual
async def fetch(url: str, *, retries: int = 3) -> bytes:
    return url.encode() * retries


@dual
async def count(n: int) -> AsyncIterator[int]:
    for i in range(n):
        yield i


@dual
async def generate(n: int) -> AsyncGenerator[str, None]:
    yield str(n)


@dual
def later(n: int) -> Awaitable[float]:
    return fetch_float(n)


@dual
def future() -> Future[int]:
    return Future()


@dual
def rows(n: int) -> AsyncIterable[str]:
    return generate(n)


async def fetch_float(n: int) -> float:
    return float(n)


@dual
async def same(x: T) -> T:
    return x


@dual
async def make(kind: type[T], n: int) -> T:
    return kind()


def functions() -> None:
    assert_type(fetch.sync("/"), bytes)
    assert_type(fetch.sync(url="/", retries=1), bytes)
    assert_type(later.sync(1), float)
    assert_type(future.sync(), int)
    assert_type(same.sync(1), int)
    assert_type(same.sync(x="x"), str)
    assert_type(make.sync(str, n=1), str)
    assert_type(dual(fetch_float).sync(1), float)
    assert_type(fetch.__name__, str)


def wrong_calls() -> None:
    fetch.sync(1)  # type: ignore[arg-type]
    fetch.sync()  # type: ignore[call-arg]
    fetch.sync("/", tries=1)  # type: ignore[call-arg]
    fetch.sync("/", 1)  # type: ignore[call-arg]
    later.sync("1")  # type: ignore[arg-type]
    count.sync("1")  # type: ignore[arg-type]
    fetch.snyc("/")  # type: ignore[attr-defined]
    fetch.sync("/").decode(1)  # type: ignore[arg-type]


async def calls_are_what_they_always_were() -> None:
    await assert_type(fetch("/"), Coroutine[Any, Any, bytes])
    assert_type(await fetch("/"), bytes)
    assert_type(future(), Future[int])
    assert_type(await later(1), float)
    assert_type(count(1), AsyncIterator[int])
    assert_type(generate(1), AsyncGenerator[str, None])
    async for i in count(1):
        assert_type(i, int)
    await fetch(1)  # type: ignore[arg-type]
    fetch("/")  # type: ignore[unused-coroutine]


def generators() -> None:
    assert_type(next(count.sync(1)), int)
    assert_type(next(generate.sync(1)), str)
    with closing(rows.sync(1)) as left:
        assert_type(next(left), str)
    for i in count.sync(n=1):
        assert_type(i, int)


def tools_take_them(group: Group, pool: Pool) -> None:
    assert_type(group.spawn(fetch("/")), Task[bytes])
    assert_type(group.spawn(fetch, "/", retries=1), Task[bytes])
    assert_type(pool.spawn(fetch.sync, "/"), Task[bytes])
    assert_type(pool.map(fetch, ["/"]), list[bytes])
    assert_type(pool.map(fetch.sync, ["/"]), list[bytes])
    assert_type(pool.spawn(Client("/").get, 1), Task[bytes])
    group.spawn(fetch, 1)  # type: ignore[call-overload]


def they_are_callables() -> None:
    call: Callable[[str], Coroutine[Any, Any, bytes]] = fetch
    call_sync: Callable[[str], bytes] = fetch.sync
    bound: Callable[[int], bytes] = Client("/").get.sync
    partly: partial[bytes] = partial(fetch.sync, "/")
    wrong: Callable[[int], bytes] = fetch.sync  # type: ignore[assignment]
    del call, call_sync, bound, partly, wrong


class Client:
    def __init__(self, host: str) -> None:
        self.host = host

    @dual
    async def get(self, n: int, *, fast: bool = False) -> bytes:
        return self.host.encode() * n

    @dual
    async def pages(self, n: int) -> AsyncIterator[str]:
        yield self.host

    @dual
    async def load(self, kind: type[T], n: int) -> T:
        return kind()

    @dual
    async def entered(self) -> Self:
        return self

    @dual
    @classmethod
    async def connect(cls, host: str) -> Self:
        return cls(host)

    @classmethod
    @dual
    async def connect_too(cls, host: str) -> Self:
        return cls(host)

    @dual
    @staticmethod
    async def parse(page: bytes) -> str:
        return page.decode()

    @staticmethod
    @dual
    async def parse_too(page: bytes) -> str:
        return page.decode()


class Special(Client):
    @dual
    async def get(self, n: int, *, fast: bool = False) -> bytes:
        assert_type(super().get.sync(n), bytes)
        return await super().get(n, fast=fast)


def methods(client: Client, special: Special) -> None:
    assert_type(client.get.sync(1, fast=True), bytes)
    assert_type(Client.get.sync(client, 1), bytes)
    assert_type(special.get.sync(1), bytes)
    assert_type(list(client.pages.sync(1)), list[str])
    assert_type(client.load.sync(int, 1), int)
    assert_type(special.entered.sync(), Special)
    client.get.sync("1")  # type: ignore[arg-type]
    client.get.sync(client, 1)  # type: ignore[call-arg, arg-type]
    client.get.sync(1, fats=True)  # type: ignore[call-arg]
    Client.get.sync(1)  # type: ignore[call-arg, arg-type]


async def methods_in_async_code(client: Client) -> None:
    assert_type(await client.get(1), bytes)
    assert_type(await Client.get(client, 1), bytes)
    assert_type([page async for page in client.pages(1)], list[str])
    await client.get("1")  # type: ignore[arg-type]


def methods_of_classes(client: Client) -> None:
    assert_type(Client.connect.sync("/"), Client)
    assert_type(Client.connect_too.sync("/"), Client)
    assert_type(Special.connect.sync("/"), Special)
    assert_type(client.connect.sync("/"), Client)
    assert_type(Client.parse.sync(b"/"), str)
    assert_type(Client.parse_too.sync(b"/"), str)
    Client.connect.sync(1)  # type: ignore[arg-type]
    Client.parse.sync("/")  # type: ignore[arg-type]
    # mypy takes a staticmethod of an instance for a method; pyright does not
    client.parse.sync(b"/")  # type: ignore[call-arg]


class Box(Generic[T]):
    def __init__(self, content: T) -> None:
        self.content = content

    @dual
    async def get(self) -> T:
        return self.content

    @dual
    async def put(self, content: T) -> None:
        self.content = content


def generic_classes(box: Box[int]) -> None:
    assert_type(box.get.sync(), int)
    assert_type(Box("").get.sync(), str)
    box.put.sync(1)
    box.put.sync("1")  # type: ignore[arg-type]


class Getter(Protocol):
    def __call__(self, n: int) -> bytes: ...


def protocols(client: Client) -> None:
    getter: Getter = client.get.sync
    assert_type(getter(n=1), bytes)


def what_is_no_async_function() -> None:
    dual(3)  # type: ignore[arg-type]
    dual(len)  # type: ignore[type-var]
    dual(fetch("/"))  # type: ignore[arg-type]
    dual(plain)  # type: ignore[type-var]


def plain(n: int) -> int:
    return n
