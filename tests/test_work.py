"""What can be spawned, and what is refused at the call (rule 7)."""

import asyncio
import contextlib
import functools
import threading
import types
from collections.abc import Coroutine
from unittest.mock import AsyncMock, Mock

import pytest

from aioutils import Group, Pool


async def add(a, b=1):
    await asyncio.sleep(0)
    return a + b


class Calculator:
    base = 10

    async def add(self, a):
        return self.base + a

    @classmethod
    async def of_class(cls, a):
        return cls.base + a

    @staticmethod
    async def static(a):
        return a

    def plain(self, a):
        return self.base + a


class AsyncCall:
    async def __call__(self, a):
        return a + 1


class StaticAsyncCall:
    @staticmethod
    async def __call__(a):
        return a + 1


class PlainCall:
    def __call__(self, a):
        return a + 1


class Awaitable:
    def __init__(self, result=5):
        self.result = result

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return self.result


class CoroutineKind(Coroutine):
    """As aiohttp's request context manager is."""

    def __init__(self, coroutine):
        self.coroutine = coroutine

    def send(self, value):
        return self.coroutine.send(value)

    def throw(self, *error):
        return self.coroutine.throw(*error)

    def close(self):
        self.coroutine.close()

    def __await__(self):
        return self.coroutine.__await__()


@functools.wraps(add)
def wrapped(*args):
    return add(*args)


@types.coroutine
def old_style(a):
    yield from asyncio.sleep(0).__await__()
    return a


@pytest.fixture
def group():
    with Group() as group:
        yield group


@pytest.mark.parametrize(
    ("work", "args", "result"),
    [
        (add, (1, 2), 3),
        (functools.partial(add, 1), (2,), 3),
        (functools.partial(functools.partial(add, b=5), 1), (), 6),
        (Calculator().add, (1,), 11),
        (Calculator.of_class, (1,), 11),
        (Calculator.static, (1,), 1),
        (Calculator().plain, (1,), 11),
        (functools.partial(Calculator().add), (1,), 11),
        (functools.partial(Calculator.add, Calculator()), (1,), 11),
        (AsyncCall(), (1,), 2),
        (StaticAsyncCall(), (1,), 2),
        (functools.partial(AsyncCall(), 1), (), 2),
        (PlainCall(), (1,), 2),
        (AsyncMock(return_value=7), (1,), 7),
        (Mock(return_value=7), (1,), 7),
        (wrapped, (1, 2), 3),
        (lambda a: add(a, 1), (1,), 2),
        (lambda: Awaitable(6), (), 6),
        (Awaitable, (8,), 8),
        (int, ("12",), 12),
        (len, ("abc",), 3),
        ("a-b".split, ("-",), ["a", "b"]),
        (lambda: old_style(3), (), 3),
    ],
)
def test_functions_of_all_kinds(group, work, args, result):
    assert group.spawn(work, *args).result() == result


def test_keyword_arguments(group):
    assert group.spawn(add, a=1, b=2).result() == 3
    assert group.spawn(functools.partial(add, b=2), a=1).result() == 3
    assert group.spawn(dict, a=1).result() == {"a": 1}


@pytest.mark.parametrize(
    ("make", "result"),
    [
        (lambda: add(1, 2), 3),
        (lambda: Awaitable(), 5),
        (lambda: CoroutineKind(add(1)), 2),
        (lambda: old_style(4), 4),
        (lambda: AsyncMock(return_value=7)(), 7),
    ],
)
def test_awaitables_of_all_kinds(group, make, result):
    assert group.spawn(make()).result() == result


def test_a_task_of_a_tool_is_awaitable_as_well(group):
    with Pool(1) as pool:
        inner = group.spawn(add(1, 2))
        assert pool.spawn(pool.spawn(add(2, 2))).result() == 4
        assert group.spawn(inner).result() == 3


def test_an_async_callable_runs_on_the_loop_and_a_plain_one_in_a_thread(group):
    class Where:
        async def __call__(self):
            return threading.get_ident()

    assert group.spawn(Where()).result() == threading.get_ident()
    assert group.spawn(threading.get_ident).result() != threading.get_ident()


def test_an_exit_stack_callback_is_a_function_too(group):
    with contextlib.ExitStack() as stack:
        task = group.spawn(stack.pop_all)
        assert isinstance(task.result(), contextlib.ExitStack)


def test_a_task_is_named_after_its_function(group):
    for work, name in (
        (add, "add"),
        (functools.partial(add, 1), "add"),
        (Calculator().add, "Calculator.add"),
        (Calculator().plain, "Calculator.plain"),
        (PlainCall(), "PlainCall"),
        (len, "len"),
    ):
        task = group.spawn(work, 1)
        assert task.name == name
        task.cancel()
    task = group.spawn(add(1))
    assert task.name == "add" and task.result() == 2
