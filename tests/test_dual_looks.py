"""What those see of a dual function who look at functions: inspect, pickle, functools, mock."""

import asyncio
import copy
import functools
import inspect
import pickle
import pydoc
import typing
from unittest import mock

import pytest
from test_dual_methods import Client, Special

from aioutils import Group, dual


@dual
async def fetch(url: str, *, retries: int = 3) -> str:
    """Fetches a page."""
    await asyncio.sleep(0)
    return url * retries


@dual
async def count(n):
    """Counts."""
    for i in range(n):
        yield i


async def plain(url: str, *, retries: int = 3) -> str:
    """Fetches a page."""


renamed = dual(plain)


def test_it_looks_like_its_function():
    assert (fetch.__name__, fetch.__qualname__, fetch.__module__) == ("fetch", "fetch", __name__)
    assert fetch.__doc__ == "Fetches a page."
    assert fetch.__annotations__ == {"url": str, "retries": int, "return": str}
    assert typing.get_type_hints(fetch) == fetch.__annotations__
    assert fetch.__kwdefaults__ == {"retries": 3}
    assert inspect.iscoroutinefunction(fetch) and not inspect.iscoroutinefunction(count)
    assert inspect.isasyncgenfunction(count) and not inspect.isasyncgenfunction(fetch)
    assert inspect.unwrap(renamed) is plain
    assert repr(renamed) == f"<dual {plain!r}>"
    assert "Fetches a page." in pydoc.render_doc(fetch)
    assert "async def fetch" in inspect.getsource(inspect.unwrap(fetch))


def test_a_bound_method_looks_like_one():
    client = Client()
    assert client.get.__name__ == "get"
    assert client.get.__doc__ == "Gets it."
    assert client.get.__self__ is client
    assert inspect.iscoroutinefunction(client.get)
    assert inspect.isasyncgenfunction(client.pages)
    assert repr(client.get).startswith("<dual <bound method Client.get of")


def test_sync_looks_like_a_function_that_is_not_async():
    assert (fetch.sync.__name__, fetch.sync.__qualname__) == ("fetch", "fetch.sync")
    assert (fetch.sync.__doc__, fetch.sync.__module__) == ("Fetches a page.", __name__)
    assert typing.get_type_hints(fetch.sync) == fetch.__annotations__
    assert not inspect.iscoroutinefunction(fetch.sync)
    assert not inspect.isasyncgenfunction(count.sync)
    assert repr(renamed.sync) == f"<sync of <dual {plain!r}>>"
    with pytest.raises(AttributeError, match="has no attribute 'snyc'"):
        fetch.sync.snyc  # noqa: B018
    with pytest.raises(AttributeError, match="'function' object has no attribute 'snyc'"):
        fetch.snyc  # noqa: B018


def test_the_signature_survives():
    for each in [fetch, fetch.sync, renamed, renamed.sync]:
        assert inspect.signature(each) == inspect.signature(plain)
    for each in [Client().get, Client().get.sync]:
        assert str(inspect.signature(each)) == "(url)"
    for each in [Client.get, Client.get.sync]:
        assert str(inspect.signature(each)) == "(self, url)"
    for each in [Client.make, Client().make.sync]:
        assert str(inspect.signature(each)) == "(*args)"


def test_it_is_equal_to_itself_alone():
    assert fetch == fetch != renamed
    assert fetch.sync == fetch.sync != fetch
    assert len({fetch, fetch, fetch.sync, fetch.sync}) == 2


def test_attributes_can_be_set_as_on_functions():
    @dual
    async def function(): ...

    function.route = "/"
    assert function.route == "/"
    assert not hasattr(function, "other")


@pytest.mark.parametrize("wrapper", [functools.partial, functools.lru_cache, functools.wraps])
def test_functools_wrap_it(wrapper):
    if wrapper is functools.wraps:
        wrapped = functools.wraps(fetch)(lambda *args: fetch(*args))
        assert wrapped.__doc__ == fetch.__doc__
        assert not hasattr(wrapped, "sync")  # which would leave out what the wrapper adds
    else:
        wrapped = wrapper(fetch)
    assert inspect.signature(wrapped) == inspect.signature(fetch)
    assert asyncio.run(wrapped("x")) == "xxx"


@pytest.mark.parametrize(
    "thing", [fetch, fetch.sync, count, renamed, renamed.sync, Client.get, Client.parse]
)
def test_pickles_and_copies_are_the_same(thing):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(thing, protocol)) == thing
    assert copy.copy(thing) == copy.deepcopy(thing) == thing


def test_bound_methods_are_pickled_with_their_instance():
    get = pickle.loads(pickle.dumps(Client("pickled").get))
    assert get.sync("/") == ("pickled", "/")
    assert pickle.loads(pickle.dumps(get.sync))("/") == ("pickled", "/")
    assert pickle.loads(pickle.dumps(Special.make)).sync("x").name == "x"
    assert copy.deepcopy(get).__self__ is not get.__self__


@pytest.mark.timeout(60)
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_processes_can_call_it(run_script, method):
    done = run_script(
        f"""
        import multiprocessing
        from aioutils import dual

        @dual
        async def double(n):
            return 2 * n

        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                print(pool.map(double.sync, range(4)))
                pool.close()
                pool.join()
        """,
        timeout=50,
    )
    assert (done.stdout, done.stderr) == ("[0, 2, 4, 6]\n", "")


# ---- mocks --------------------------------------------------------------------------------


def test_patching_gives_an_async_mock():
    with mock.patch(f"{__name__}.fetch") as patched:
        assert isinstance(patched, mock.AsyncMock)
        patched.return_value = "page"
        assert asyncio.run(fetch("/")) == "page"
        with Group() as group:
            assert group.spawn(fetch, "/").result() == "page"
        patched.assert_awaited_with("/")
    assert fetch.sync("x", retries=1) == "x"


def test_a_method_can_be_patched():
    with mock.patch.object(Client, "get", mock.AsyncMock(return_value="page")) as patched:
        assert asyncio.run(Client().get("/")) == "page"
    patched.assert_awaited_once_with("/")
    assert Client().get.sync("/") == ("client", "/")


def test_a_dual_of_an_async_mock_is_one_for_both_worlds():
    double = mock.AsyncMock(return_value="page")
    with mock.patch(f"{__name__}.fetch", dual(double)):
        assert fetch.sync("/") == "page"
        assert asyncio.run(fetch("/")) == "page"
    assert double.await_args_list == [mock.call("/")] * 2


def test_sync_alone_can_be_patched():
    with mock.patch.object(fetch, "sync", return_value="page") as patched:
        assert fetch.sync("/") == "page"
    patched.assert_called_once_with("/")
    assert fetch.sync("x", retries=1) == "x"


def test_an_autospec_checks_the_arguments():
    with mock.patch(f"{__name__}.fetch", autospec=True) as patched:
        patched.return_value = "page"
        patched.sync.return_value = "sync page"
        assert asyncio.run(fetch("/", retries=1)) == "page"
        assert fetch.sync("/") == "sync page"
        with pytest.raises(TypeError, match="missing a required argument"):
            fetch()
        with pytest.raises(AttributeError):
            fetch.snyc  # noqa: B018
    spec = mock.create_autospec(Client)
    spec.return_value.get.return_value = "page"
    assert asyncio.run(spec().get("/")) == "page"


def test_a_copy_of_what_has_no_name_to_be_found_by_works():
    @dual
    async def nested(x):
        return 2 * x

    assert copy.copy(nested).sync(2) == 4


def test_dual_above_a_classmethod_of_a_dual():
    class Named:
        @dual
        @classmethod
        @dual
        async def name(cls):
            return cls.__name__

    assert Named.name.sync() == Named().name.sync() == "Named"


def test_sync_of_the_class_is_what_gives_that_of_each():
    assert type(fetch).sync.__get__(fetch) == fetch.sync
