"""`enter_async_context` (rule 25)."""

import asyncio
import contextlib
import contextvars
import threading
from concurrent.futures import CancelledError

import pytest
from four_tools import finish, returns, start, until_cancelled

from aioutils import ClosedError, Group

VAR = contextvars.ContextVar("VAR", default="unset")


class Manager:
    """Notes what happens to it; raises what it is told to."""

    def __init__(self, name="it", log=None, entering=None, leaving=None):
        self.name, self.log = name, [] if log is None else log
        self.entering, self.leaving = entering, leaving

    async def __aenter__(self):
        await asyncio.sleep(0)
        if self.entering is not None:
            raise self.entering
        self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
        self.token = VAR.set(self.name)
        self.log.append(f"{self.name} entered")
        return self.name

    async def __aexit__(self, *error):
        VAR.reset(self.token)
        await asyncio.sleep(0)
        assert asyncio.current_task() is self.task
        assert asyncio.get_running_loop() is self.loop
        self.log.append(f"{self.name} left {error[0]}")
        if self.leaving is not None:
            raise self.leaving


def test_entering_gives_what_the_manager_gives(tool):
    assert tool.enter_async_context(Manager("a session")) == "a session"


def test_it_is_entered_on_the_loop_of_the_tasks(tool):
    async def loop():
        return asyncio.get_running_loop()

    manager = Manager()
    tool.enter_async_context(manager)
    assert tool.spawn(loop()).result() is manager.loop
    finish(tool)
    assert tool.spawn(loop()).result() is manager.loop


def test_contexts_are_left_last_in_first_out(tool):
    log = []
    for name in ("first", "second", "third"):
        tool.enter_async_context(Manager(name, log))
    finish(tool)
    assert log == ["first entered", "second entered", "third entered"]
    del log[:]
    tool.close()
    assert log == ["third left None", "second left None", "first left None"]


def test_contexts_are_left_after_the_last_task_has_cleaned_up(tool):
    log = []
    tool.enter_async_context(Manager("it", log))
    tool.spawn(until_cancelled(log))
    start(tool)
    tool.close()
    assert log == ["it entered", "cleaned up", "it left None"]


def test_with_leaves_them_too(make):
    manager = Manager()
    with make() as tool:
        tool.enter_async_context(manager)
    assert manager.log[-1] == "it left None"


def test_an_exception_in_the_block_leaves_them_too(make):
    manager = Manager()
    with pytest.raises(KeyError), make() as tool:
        tool.enter_async_context(manager)
        raise KeyError
    assert manager.log[-1] == "it left None"


def test_a_context_is_no_task(tool):
    tool.enter_async_context(Manager())
    assert len(tool) == 0
    assert "running=0 waiting=0" in repr(tool)
    finish(tool)


def test_a_context_takes_no_slot(make_limited):
    with make_limited(1) as tool:
        tool.enter_async_context(Manager())
        assert tool.free_count() == 1
        task = tool.spawn(returns(1))
        finish(tool)
        assert task.result() == 1


def test_cancel_leaves_contexts_alone(tool):
    manager = Manager()
    tool.enter_async_context(manager)
    tool.cancel()
    finish(tool)
    assert manager.log == ["it entered"]


def test_what_entering_raises_is_raised_and_nothing_is_left(tool):
    manager = Manager(entering=ConnectionError("refused"))
    with pytest.raises(ConnectionError, match="refused"):
        tool.enter_async_context(manager)
    assert tool.errors == []
    finish(tool)
    tool.close()
    assert manager.log == []


def test_what_leaving_raises_close_raises_and_the_others_are_left(make):
    log, tool = [], make()
    tool.enter_async_context(Manager("first", log))
    tool.enter_async_context(Manager("second", log, leaving=OSError("second")))
    tool.enter_async_context(Manager("third", log, leaving=OSError("third")))
    with pytest.raises(ExceptionGroup) as caught:
        tool.close()
    assert [str(error) for error in caught.value.exceptions] == ["third", "second"]
    assert log[-3:] == ["third left None", "second left None", "first left None"]
    assert "closed" in repr(tool)


def test_an_async_context_manager_function(tool):
    @contextlib.asynccontextmanager
    async def session():
        token = VAR.set("inside")
        try:
            yield VAR.get()
        finally:
            VAR.reset(token)  # fails if another task does it
            log.append("left")

    log = []
    assert tool.enter_async_context(session()) == "inside"
    tool.close()
    assert log == ["left"]


@pytest.mark.parametrize("manager", [None, 1, contextlib.nullcontext, object(), open])
def test_what_is_no_async_context_manager_is_refused(tool, manager):
    with pytest.raises(TypeError, match="async context manager"):
        tool.enter_async_context(manager)


def test_entering_inside_a_task_is_refused_and_nothing_is_entered(tool):
    manager = Manager()

    async def enter():
        tool.enter_async_context(manager)

    error = tool.spawn(enter()).exception()
    assert isinstance(error, RuntimeError)
    finish(tool)
    tool.close()
    assert manager.log == []


def test_entering_in_a_worker_thread_of_the_tool_works(tool):
    manager = Manager()
    assert tool.spawn(tool.enter_async_context, manager).result() == "it"
    tool.close()
    assert manager.log == ["it entered", "it left None"]


def test_a_background_task_of_a_context_runs_whenever_the_tool_does(tool):
    """As that of a connection pool would."""

    @contextlib.asynccontextmanager
    async def connection():
        beats, event = [], asyncio.Event()

        async def beat():
            while True:
                await event.wait()
                event.clear()
                beats.append(1)

        task = asyncio.create_task(beat())
        try:
            yield beats, event
        finally:
            task.cancel()
            await asyncio.wait([task])

    beats, event = tool.enter_async_context(connection())

    async def use():
        event.set()
        await asyncio.sleep(0.001)

    for n in range(1, 4):
        tool.spawn(use())
        finish(tool)
        assert len(beats) == n


def test_a_manager_that_is_cancelled_in_entering_was_not_entered(tool):
    with pytest.raises(CancelledError, match="context"):
        tool.enter_async_context(Manager(entering=asyncio.CancelledError()))
    finish(tool)
    assert tool.errors == []


@pytest.mark.parametrize("gives_in", [True, False])
def test_what_is_being_entered_as_another_thread_closes_is_cancelled(make, in_thread, gives_in):
    """Or left at once, if it is inside after all."""
    log, tool, entering = [], make(), threading.Event()

    @contextlib.asynccontextmanager
    async def slow():
        entering.set()
        try:
            await asyncio.Event().wait()  # its host never answers
        except asyncio.CancelledError:
            await asyncio.sleep(0.001)
            log.append("cleaned up")
            if gives_in:
                raise
        yield "inside"
        log.append("left")

    enter = in_thread(tool.enter_async_context, slow())
    assert entering.wait(5)
    tool.close()
    with pytest.raises(ClosedError, match="closed meanwhile"):
        enter()
    assert log == (["cleaned up"] if gives_in else ["cleaned up", "left"])


def test_an_entering_that_fails_as_another_thread_closes_is_told_to_both(make, in_thread):
    tool, entering = make(), threading.Event()

    @contextlib.asynccontextmanager
    async def slow():
        entering.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("no answer")
        yield

    enter = in_thread(tool.enter_async_context, slow())
    assert entering.wait(5)
    with contextlib.suppress(ExceptionGroup):  # whoever sees it first
        tool.close()
    with pytest.raises(OSError, match="no answer"):
        enter()


def test_a_plain_function_of_another_tool_may_enter(tool):
    def enter():
        return tool.enter_async_context(Manager("a session"))

    with Group() as group:
        assert group.spawn(enter).result() == "a session"
