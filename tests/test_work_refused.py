"""What can't be spawned, refused at the call, and closed (rule 7)."""

import asyncio
import concurrent.futures
import functools
import re
import threading
import types
from collections.abc import Coroutine

import pytest

from aioutils import Group, OrderedYielder, Pool, Yielder


async def add(a, b=1):
    await asyncio.sleep(0)
    return a + b


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


@pytest.fixture
def group():
    with Group() as group:
        yield group


def generator():
    yield 1


async def async_generator():
    yield 1


class GeneratorCall:
    def __call__(self):
        yield 1


@pytest.mark.parametrize("tool", [Group, Yielder, OrderedYielder])
@pytest.mark.parametrize(
    "work",
    [
        generator,
        async_generator,
        functools.partial(generator),
        functools.partial(async_generator),
        GeneratorCall(),
        generator(),
        None,
        1,
        "a name",
        [add],
        (add, 1),
        object(),
        concurrent.futures.Future(),
        NotImplemented,
    ],
)
def test_what_cannot_be_spawned_is_refused_and_named(tool, work):
    with tool() as tool:
        with pytest.raises(TypeError) as refused:
            tool.spawn(work)
        assert repr(work) in str(refused.value)
        assert len(tool) == 0


def test_an_async_generator_object_is_no_work_for_a_group(group):
    with pytest.raises(TypeError):
        group.spawn(async_generator())


def test_futures_and_tasks_of_asyncio_are_refused():
    async def main():
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(add(1))
        group = Group()
        for work in (future, task, asyncio.gather(task)):
            with pytest.raises(TypeError, match="loop"):
                group.spawn(work)
        assert await task == 2
        future.cancel()

    asyncio.run(main())


def test_a_coroutine_that_already_ran_is_refused_and_named(group):
    done = add(1)
    group.spawn(done).result()
    with pytest.raises(ValueError, match=r"add.*already ran"):
        group.spawn(done)


def test_a_coroutine_that_was_closed_before_it_ran_fails(group):
    closed = add(1)
    closed.close()
    with pytest.raises((ValueError, RuntimeError), match="already"):
        group.spawn(closed).result()


def test_a_coroutine_that_is_under_way_is_refused(group):
    coroutine = add(1)
    coroutine.send(None)
    with pytest.raises(ValueError, match="already ran"):
        group.spawn(coroutine)
    coroutine.close()


def test_a_coroutine_that_is_running_is_refused(group):
    async def itself():
        with pytest.raises(ValueError, match="already ran"):
            group.spawn(coroutine)
        return "refused"

    coroutine = itself()
    assert group.spawn(coroutine).result() == "refused"


def test_one_coroutine_spawned_twice_is_a_failure_of_the_second(group):
    coroutine = add(1)
    first, second = group.spawn(coroutine), group.spawn(coroutine)
    assert first.result() == 2
    failure = second.exception()
    assert isinstance(failure, RuntimeError)
    (note,) = failure.__notes__
    assert re.search(r"coroutine object add.*spawned twice", note)


def test_a_failure_of_the_coroutine_itself_has_no_such_note(group):
    async def fails():
        raise RuntimeError

    assert not hasattr(group.spawn(fails()).exception(), "__notes__")


def test_a_coroutine_with_arguments_is_refused_and_closed(group):
    for args, kwargs in (((1,), {}), ((), {"b": 2})):
        coroutine = add(1)
        with pytest.raises(TypeError, match="arguments"):
            group.spawn(coroutine, *args, **kwargs)
        assert coroutine.cr_frame is None


def test_a_coroutine_in_the_place_of_a_function_is_refused_and_closed():
    work = add(1)
    with pytest.raises(TypeError, match="give a function"):
        Pool(2).map(work, [1])
    assert work.cr_frame is None


@pytest.mark.parametrize(
    "give",
    [
        lambda work: Pool(2).enter_async_context(work),
        lambda work: Pool(2).spawn(add, 1).add_done_callback(work),
        lambda work: Pool(2, on_error=work),
        lambda work: Pool(2, on_exit=work),
    ],
    ids=["a context", "a callback", "on_error", "on_exit"],
)
def test_a_coroutine_in_the_place_of_something_else_is_refused_and_closed(give):
    work = add(1)
    with pytest.raises((TypeError, ValueError), match="coroutine object add"):
        give(work)
    assert work.cr_frame is None


def test_a_refused_coroutine_like_object_is_closed_too(group):
    inner = add(1)
    with pytest.raises(TypeError):
        group.spawn(CoroutineKind(inner), 1)
    assert inner.cr_frame is None


def test_wrong_arguments_of_an_async_function_are_refused_at_the_call(group):
    with pytest.raises(TypeError, match="argument"):
        group.spawn(add)
    with pytest.raises(TypeError, match="argument"):
        group.spawn(add, 1, c=2)


def test_wrong_arguments_of_a_plain_function_are_the_tasks_failure(group):
    assert isinstance(group.spawn(len).exception(), TypeError)


def test_spawn_without_work_is_refused(group):
    with pytest.raises(TypeError):
        group.spawn()


@pytest.mark.parametrize("make", [add, lambda a: CoroutineKind(add(a))])
def test_work_that_is_cancelled_before_it_starts_is_closed(group, make):
    work = make(1)
    coroutine = getattr(work, "coroutine", work)
    task = group.spawn(work)
    assert task.cancel() and coroutine.cr_frame is None
    group.join()


def test_an_awaitable_that_fails_to_be_awaited_is_a_failure(group):
    class Broken:
        def __await__(self):
            raise ValueError("broken")

    class Wrong:
        def __await__(self):
            return 5

    assert isinstance(group.spawn(Broken()).exception(), ValueError)
    assert isinstance(group.spawn(Wrong()).exception(), TypeError)


def test_a_work_that_cannot_be_closed_is_no_trouble(group):
    class Stubborn(CoroutineKind):
        def close(self):
            super().close()
            raise ValueError("no")

    assert group.spawn(Stubborn(add(1))).cancel()
    group.join()


def test_an_async_generator_is_refused_with_what_takes_it(group):
    async def numbers():
        yield 1

    with pytest.raises(TypeError, match=r"numbers.*can't be spawned.*into a yielder"):
        group.spawn(numbers())


@pytest.mark.parametrize("tool", [Group, Yielder])
def test_a_function_that_gives_an_async_generator_fails_as_nobody_would_iterate_it(tool):
    """A decorator may hide that it is one."""

    @functools.wraps(add)
    def pages(n):
        return numbers(n)

    async def numbers(n):
        yield n

    with tool() as tool:
        task = tool.spawn(pages, 2)
        with pytest.raises(TypeError, match=r"function add.*numbers.*nobody would iterate"):
            task.result()
    with Pool(2) as pool, pytest.raises(TypeError, match="nobody would iterate"):
        pool.map(pages, [1])


def test_what_a_coroutine_gives_is_for_who_asked_for_it(group):
    async def numbers():
        yield 1

    async def opens():
        return stream

    stream = numbers()
    assert group.spawn(opens()).result() is stream


def test_a_function_that_types_coroutine_marks_is_an_async_one(group):
    @types.coroutine
    def old(n):
        yield from asyncio.sleep(0).__await__()
        return n, threading.get_ident()

    assert group.spawn(old, 3).result() == (3, threading.get_ident())
    assert group.map(old, [3]) == [(3, threading.get_ident())]
