"""@dual functions: called as ever, and from sync code (rule 23)."""

import asyncio
import contextvars
import functools
import gc
import inspect
import sys
import traceback
import types
import weakref
from collections.abc import Coroutine
from concurrent.futures import CancelledError

import pytest
from four_tools import DEBUG

from aioutils import Group, Pool, _sync_calls, dual


@dual
async def double(n, *, plus=0):
    """Twice n."""
    await asyncio.sleep(0)
    return 2 * n + plus


@dual
async def fail(error):
    await asyncio.sleep(0)
    raise error


def test_sync_gives_the_result():
    assert double.sync(21) == 42
    assert double.sync(n=1, plus=3) == 5


def test_a_call_is_the_coroutine_that_it_always_was():
    coroutine = double(21)
    assert type(coroutine) is types.CoroutineType
    assert coroutine.__qualname__ == "double"
    assert asyncio.run(coroutine) == 42


def test_it_can_be_spawned_and_mapped_as_ever():
    with Pool(2) as pool:
        tasks = [pool.spawn(double(1)), pool.spawn(double, 2), pool.spawn(double, 3, plus=1)]
        assert [task.result() for task in tasks] == [2, 4, 7]
        assert tasks[1].name == "double"
        assert pool.map(double, range(3)) == [0, 2, 4]
        assert pool.spawn(functools.partial(double, plus=1), 4).result() == 9


def test_sync_can_be_spawned_into_worker_threads():
    with Pool(3) as pool:
        assert pool.map(double.sync, range(5)) == [0, 2, 4, 6, 8]


class Request(Coroutine):
    """What a client's `get()` may return: no coroutine, but of its kind."""

    def __init__(self, result):
        self.result = result

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return self.result

    def send(self, value): ...
    def throw(self, *error): ...
    def close(self): ...


RETURNING_AWAITABLES = {
    "coroutine": lambda: double(1),
    "future": lambda: asyncio.gather(double(0), double(1)),  # needs the loop when it is called
    "request": lambda: Request("page"),
    "partial": functools.partial(double, 3),
}


@pytest.mark.parametrize(
    ("kind", "result"), [("coroutine", 2), ("future", [0, 2]), ("request", "page"), ("partial", 6)]
)
def test_plain_functions_that_return_awaitables_can_be_dual(kind, result):
    assert dual(RETURNING_AWAITABLES[kind]).sync() == result


def test_objects_with_an_async_call_can_be_dual():
    class Double:
        async def __call__(self, n):
            return 2 * n

    function = dual(Double())
    assert function.sync(4) == 8
    if sys.version_info >= (3, 12):  # from then on inspect knows it too, and asyncio's goes away
        assert inspect.iscoroutinefunction(function)
    else:
        assert asyncio.iscoroutinefunction(function)


def test_a_generator_that_is_a_coroutine_can_be_dual():
    @dual
    @types.coroutine
    def pause():
        yield
        return 1

    assert pause.sync() == 1


@pytest.mark.parametrize("result", [None, 3, "page", [1]])
def test_a_function_that_returns_nothing_to_await_is_refused_when_it_has(result):
    @dual
    def plain():
        return result

    assert plain() == result
    with pytest.raises(TypeError, match=r"plain returned .* can't be awaited.*async def"):
        plain.sync()


def gives():
    yield 1


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (3, "give an async function"),
        (None, "give an async function"),
        ("double", "give an async function"),
        (gives, "a generator"),
        (functools.partial(gives), "a generator"),
        (gives(), "not what it returned"),
        (Group, "a class can't be dual, its methods can"),
    ],
)
def test_what_is_no_function_is_refused_at_once(work, message):
    with pytest.raises(TypeError, match=message):
        dual(work)


def test_a_coroutine_is_refused_and_closed():
    with pytest.raises(TypeError, match="not what it returned"):
        dual(double(1))
    gc.collect()  # nobody complains that it was never awaited


def test_a_dual_of_a_dual_is_itself():
    assert dual(double) is double


def test_wrong_arguments_are_refused_and_leave_nothing_behind():
    for wrong in [(), (1, 2, 3)]:
        with pytest.raises(TypeError, match="argument"):
            double.sync(*wrong)
    with pytest.raises(TypeError, match="nonsense"):
        double.sync(1, nonsense=True)


NAMES = ["self", "sync", "func", "function", "work", "name", "timeout", "args", "kwargs", "cls"]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_may_have_any_name(name):
    namespace = {}
    exec(f"async def take({name}, *, other=None): return {name}, other", namespace)
    take = dual(namespace["take"])
    assert take.sync(**{name: 1}) == (1, None)
    assert take.sync(1, other=2) == (1, 2)
    assert asyncio.run(take(**{name: 1})) == (1, None)


variable = contextvars.ContextVar("variable", default="nobody's")


def test_it_sees_the_callers_context_and_what_it_changes_is_its_own():
    @dual
    async def look():
        before = variable.get()
        variable.set("its own")
        await asyncio.sleep(0)
        return before

    assert look.sync() == "nobody's"
    token = variable.set("mine")
    assert look.sync() == "mine"
    assert variable.get() == "mine"
    variable.reset(token)
    assert look.sync() == "nobody's"


# ---- failures -----------------------------------------------------------------------------


class Boom(Exception):
    pass


@pytest.mark.parametrize("kind", [Boom, ExceptionGroup, StopAsyncIteration, GeneratorExit])
def test_a_failure_is_raised_as_itself_with_its_own_traceback(kind):
    error = kind("group", [Boom()]) if kind is ExceptionGroup else kind()
    with pytest.raises(kind) as caught:
        fail.sync(error)
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert not hasattr(error, "__notes__")
    frames = [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert frames[-1] == "fail"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_of_its_own_leaves_too_and_the_thread_can_go_on(kind):
    with pytest.raises(kind) as caught:
        fail.sync(kind("own"))
    assert caught.value.args == ("own",)
    assert double.sync(1) == 2


def test_a_cancellation_from_within_is_the_one_of_sync_code():
    with pytest.raises(CancelledError, match="fail"):
        fail.sync(asyncio.CancelledError())


def test_a_stop_iteration_is_a_runtime_error_as_in_every_coroutine():
    with pytest.raises(RuntimeError, match="StopIteration"):
        fail.sync(StopIteration(3))
    with pytest.raises(RuntimeError, match="StopIteration"):
        dual(lambda: next(iter(()))).sync()


def test_a_failure_goes_when_its_user_lets_it_go():
    @dual
    async def fail():
        await asyncio.sleep(0)
        raise Boom

    def fails():
        try:
            fail.sync()
        except Boom as error:
            return weakref.ref(error)

    gc.collect()
    gc.disable()
    try:
        assert [fails()() for _ in range(3)] == [None] * 3
    finally:
        gc.enable()


def test_thousands_of_calls_leave_nothing_in_the_loop_that_is_kept():
    def objects():
        gc.collect()
        return len(gc.get_objects())

    def call(times):
        for n in range(times):
            assert double.sync(n) == 2 * n
            if not n % 10:
                with pytest.raises(Boom):
                    fail.sync(Boom(n))

    call(100)
    before = objects()
    call(1_000 if DEBUG else 10_000)
    assert objects() - before < 100
    calls = _sync_calls.here()
    assert (len(calls), calls.errors, calls.take_errors()) == (0, [], [])
