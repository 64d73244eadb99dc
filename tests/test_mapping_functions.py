"""What `map` and its family take: plain functions, and what is refused."""

import threading
from contextvars import ContextVar
from functools import partial

import pytest
from test_mapping import both, double

from aioutils import Pool

# ---- plain functions -------------------------------------------------------------------


@both
def test_plain_functions_run_in_as_many_threads_as_the_size(isolate):
    together = threading.Barrier(8)

    def blocking(n):
        together.wait(10)
        return n, threading.current_thread() is threading.main_thread()

    got = Pool(8).map(blocking, range(16), isolate=isolate)
    assert got == [(n, False) for n in range(16)]


@both
def test_plain_functions_see_the_context_variables_and_keep_their_changes(isolate):
    variable = ContextVar("variable", default="nothing")
    variable.set("the caller's")

    def change(n):
        seen = variable.get()
        variable.set(n)
        return seen

    assert set(Pool(2).map(change, range(20), isolate=isolate)) == {"the caller's"}
    assert variable.get() == "the caller's"


@both
def test_plain_functions_fail_as_themselves_and_may_return_coroutines(isolate):
    assert Pool(2).map(lambda n: double(n), range(3), isolate=isolate) == [0, 2, 4]
    with pytest.raises(ZeroDivisionError):
        Pool(2).map(lambda n: 1 // n, [1, 0], isolate=isolate)


# ---- misuse ----------------------------------------------------------------------------


@both
@pytest.mark.parametrize("method", ["map", "imap", "imap_unordered", "starmap"])
def test_misuse_is_refused_at_the_call(method, isolate):
    def generator(n):
        yield n

    call = partial(getattr(Pool(2), method), isolate=isolate)
    for bad in (42, generator, None):
        with pytest.raises(TypeError):
            call(bad, [1])
    with pytest.raises(TypeError):
        call(double)
    with pytest.raises(TypeError):
        call(double, 42)


@pytest.mark.parametrize(
    ("buffer", "error"), [(0, ValueError), (-1, ValueError), (True, TypeError), (1.5, TypeError)]
)
def test_a_buffer_is_a_positive_int(buffer, error):
    with pytest.raises(error, match="buffer"):
        Pool(2).imap(double, [1], buffer=buffer)
    with pytest.raises(error, match="buffer"):
        Pool(2).imap_unordered(double, [1], buffer=buffer)


@both
def test_a_closed_tool_maps_nothing(isolate):
    pool = Pool(2)
    stream = pool.imap(double, range(9), isolate=isolate)
    pool.close()
    for call in (pool.map, pool.imap, pool.imap_unordered):
        with pytest.raises(RuntimeError, match="new one"):
            call(double, [1], isolate=isolate)
    with pytest.raises(RuntimeError, match="new one"):
        next(stream)
