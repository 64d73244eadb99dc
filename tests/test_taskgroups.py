"""CPython's own tests of `asyncio.TaskGroup`, run against `Group(on_error="cancel")`.

They are those of the interpreter at hand, loaded from its `test` package. What differs by design
is in `DIFFERS`, with the reason; everything else passes, and what is listed fails.
"""

import asyncio
import importlib
import sys
import unittest

import pytest

from aioutils import Group

try:
    cpython = importlib.import_module("test.test_asyncio.test_taskgroups")
except ImportError:
    pytest.skip("this interpreter came without its `test` package", allow_module_level=True)

NAMES = unittest.TestLoader().getTestCaseNames(cpython.TestTaskGroup)

DIFFERS = {
    "test_taskgroup_task_name": "a task has `name`, which is settable, not `get_name()`",
    "test_taskgroup_task_context": "a task sees the context of its spawn; its changes stay its own",
    "test_taskgroup_no_create_task_after_failure": "a spawn after the failure is no error: its "
    "task is cancelled before it starts",
    "test_taskgroup_already_entered": "a group says in words of its own that it can't be entered",
    "test_taskgroup_double_enter": "a group says in words of its own that it was closed",
    "test_taskgroup_finished": "a group says in words of its own that it was closed",
    "test_coro_closed_when_tg_closed": "a group says in words of its own that it was closed",
    "test_taskgroup_not_entered": "a group takes work before it is entered, and without",
    "test_taskgroup_without_parent_task": "a group takes work before it is entered, and without",
}


class TaskGroup:
    """A group under the name, and with the wrapping of failures, that the tests know."""

    def __init__(self):
        self._group = Group(on_error="cancel")
        self._made = []

    @property
    def _tasks(self):
        return set(self._group)

    def create_task(self, coroutine, *, name=None, context=None):
        spawn = self._group.spawn
        task = spawn(coroutine) if context is None else context.run(spawn, coroutine)
        if name is not None:
            task.name = name
        self._made.append(task)
        return task

    async def __aenter__(self):
        await self._group.__aenter__()
        return self

    async def __aexit__(self, kind, error, trace):
        """The group raises its first failure as itself, or lets the block's exception through."""
        raised = error
        try:
            if await self._group.__aexit__(kind, error, trace):
                return True
        except BaseException as failure:
            raised = failure
        bare = (asyncio.CancelledError, KeyboardInterrupt, SystemExit)
        if raised is None or isinstance(raised, bare):
            if raised is not error:
                raise raised
            return False
        failures = [task.exception() for task in self._made if not task.cancelled()]
        failures = [failure for failure in failures if failure is not None]
        if raised is error:
            failures.append(error)
        assert raised in failures
        try:
            raise BaseExceptionGroup("as a TaskGroup would raise it", failures) from None
        finally:
            self._made.clear()  # as a TaskGroup, which keeps neither tasks nor failures
            del self, error, raised, failures


def run(name, monkeypatch):
    """Runs one of CPython's tests; returns what went wrong."""
    monkeypatch.setattr(asyncio.taskgroups, "TaskGroup", TaskGroup)
    monkeypatch.setattr(asyncio, "TaskGroup", TaskGroup)
    result = unittest.TestResult()
    cpython.TestTaskGroup(name).run(result)
    assert (result.testsRun, result.skipped) == (1, [])
    return "".join(trace for _, trace in result.failures + result.errors)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in DIFFERS])
def test_a_group_does_what_a_task_group_does(name, monkeypatch):
    wrong = run(name, monkeypatch)
    assert not wrong, wrong


@pytest.mark.parametrize("name", [name for name in NAMES if name in DIFFERS])
def test_what_is_listed_as_different_is_different(name, monkeypatch):
    assert run(name, monkeypatch), f"{name} passes: take it off the list of differences"


def test_the_list_of_differences_names_tests_that_exist():
    """Older interpreters lack some."""
    assert sys.version_info < (3, 13) or DIFFERS.keys() <= set(NAMES)
    assert len(NAMES) > 30
