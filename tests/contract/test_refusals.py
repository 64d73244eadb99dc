"""What tools refuse at the call, and how they are subclassed."""

import asyncio
import contextlib
import copy
import pickle
import threading

import pytest
from four_tools import LIMITED, finish, returns

from aioutils import ClosedError, Group, Pool


@pytest.mark.parametrize("size", [True, False, 1.0, 2.5, "3", b"1", [1], 1j])
def test_a_size_that_is_no_int_is_refused(make_limited, size):
    with pytest.raises(TypeError, match="size") as refused:
        make_limited(size)
    assert repr(size) in str(refused.value)


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused(make_limited, size):
    with pytest.raises(ValueError, match=f"size.*{size}"):
        make_limited(size)


def test_a_pool_needs_a_size():
    with pytest.raises(TypeError):
        Pool()
    with pytest.raises(TypeError, match="None"):
        Pool(None)


@pytest.mark.parametrize("threads", [True, 1.5, "3"])
def test_threads_that_are_no_int_are_refused(threads):
    with pytest.raises(TypeError, match="threads"):
        Group(threads=threads)


@pytest.mark.parametrize("threads", [0, -3])
def test_threads_below_one_are_refused(threads):
    with pytest.raises(ValueError, match="threads"):
        Group(threads=threads)


@pytest.mark.parametrize("name", ["on_error", "on_exit"])
def test_a_policy_that_there_is_not_is_refused_with_those_that_there_are(name):
    with pytest.raises(ValueError, match=f"{name}.*cancel.*not 'ignore'"):
        Group(**{name: "ignore"})


def test_an_async_function_is_no_policy():
    async def handle(task):
        raise AssertionError(task)

    with pytest.raises(TypeError, match=r"on_error.*nobody would await.*handle"):
        Group(on_error=handle)


def test_an_exception_is_no_policy():
    with pytest.raises(TypeError, match=r"on_error.*ValueError.*'cancel'"):
        Group(on_error=ValueError)


def test_what_has_no_items_is_refused_by_its_name_and_a_coroutine_closed():
    def source():
        yield 1

    coroutine = returns([1])
    with Pool(2) as pool:
        with pytest.raises(TypeError, match=r"function.*source.*can't be mapped.*: call it"):
            pool.map(returns, source)
        with pytest.raises(TypeError, match=r"coroutine object returns.*can't be mapped"):
            pool.imap(returns, coroutine)
        with pytest.raises(TypeError, match=r"^3 can't be mapped.*give a list"):
            pool.imap_unordered(returns, [1], 3)
    assert coroutine.cr_frame is None


def test_only_a_tool_can_be_shared_with_within():
    with pytest.raises(TypeError, match=r"within.*another tool, not 3"):
        Group(within=3)


def test_a_closed_tool_refuses_work_and_waits_and_names_itself(tool):
    tool.close()
    for use in (lambda: tool.spawn(int), lambda: finish(tool), tool.__enter__):
        with pytest.raises(ClosedError, match=type(tool).__name__):
            use()
    if not isinstance(tool, Group):
        with pytest.raises(ClosedError):
            tool.put(1)
        with pytest.raises(ClosedError):
            tool.yielding()
    assert issubclass(ClosedError, RuntimeError)


def test_a_closed_tool_refuses_a_coroutine_without_a_warning(tool):
    tool.close()
    coroutine = returns(1)
    with pytest.raises(ClosedError):
        tool.spawn(coroutine)
    with pytest.raises(ClosedError):
        tool.spawn(returns, 1)
    assert coroutine.cr_frame is None  # closed


def test_a_closed_tool_still_tells_about_itself(tool):
    done = tool.spawn(returns(1))
    finish(tool)
    tool.close()
    assert (len(tool), tool.errors, tool.take_errors()) == (0, [], [])
    assert (done.result(), done in tool, bool(tool)) == (1, False, True)
    tool.cancel()
    assert "closed" in repr(tool)


@pytest.mark.parametrize("base", [Group, *LIMITED.values()], ids=lambda base: base.__name__)
def test_a_subclass_with_arguments_of_its_own(base):
    class Mine(base):
        def __init__(self, name):
            self.name = name
            super().__init__(*([] if base is Group else [2]))

        def spawn(self, work, /, *args, **kwargs):
            self.spawned = getattr(self, "spawned", 0) + 1
            return super().spawn(work, *args, **kwargs)

    with Mine("a name") as tool:
        tool.spawn(returns(1))
        tool.spawn(returns, 2)
        assert "<Mine" in repr(tool)
        finish(tool)
        assert (tool.name, tool.spawned) == ("a name", 2)
        assert isinstance(tool, base)


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_subclass_closes_is_closed_at_the_end_of_the_block(tool, fails):
    class Mine(type(tool)):
        def close(self):
            super().close()
            closed.append(task.done())

        async def aclose(self):
            await super().aclose()
            closed.append(task.done())

    async def main():
        nonlocal task
        async with Mine(*size) as mine:
            task = mine.spawn(returns(1))
            if fails:
                raise KeyError

    size = [2] if isinstance(tool, Pool) else []
    ends = pytest.raises(KeyError) if fails else contextlib.nullcontext()
    closed, task = [], None
    with ends, Mine(*size) as mine:
        task = mine.spawn(returns(1))
        if fails:
            raise KeyError
    with ends:
        asyncio.run(main())
    assert closed == [True, True]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_tool_can_not_be_copied(tool, duplicate):
    with pytest.raises(TypeError, match=f"{type(tool).__name__}.* can't be copied or pickled"):
        duplicate(tool)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_nor_can_a_task(tool, duplicate):
    task = tool.spawn(returns(1))
    with pytest.raises(TypeError, match=r"Task returns.* can't be copied or pickled"):
        duplicate(task)
    assert task.result() == 1


def test_a_subclass_that_never_called_init_is_dropped_in_silence():
    class Mine(Group):
        def __init__(self):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Mine()


TOO_LARGE = pytest.param(10**5000, id="too large")


@pytest.mark.parametrize("timeout", ["1", b"1", [1], 1j, float("nan"), TOO_LARGE])
def test_a_timeout_that_is_no_number_is_refused(tool, timeout):
    task = tool.spawn(returns(1))
    waits = [task.result, task.exception]
    waits.append(tool.join if isinstance(tool, Group) else tool.yielding)
    for wait in waits:
        with pytest.raises((TypeError, ValueError), match="timeout"):
            wait(timeout)
    assert task.result() == 1


def test_an_endless_timeout_is_one(tool, in_thread):
    """In the thread that drives and in the one that sleeps."""
    release = []

    async def wait():
        while not release:
            await asyncio.sleep(0.001)
        return 1

    task = tool.spawn(wait())
    waiting = [in_thread(task.result, float("inf")), in_thread(task.result, 1e20)]
    threading.Event().wait(0.02)
    release.append(1)
    assert [wait() for wait in waiting] == [1, 1]
