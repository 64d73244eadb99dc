"""What all tools do with what is spawned into them (rules 7 to 11)."""

import asyncio
import contextvars
import gc
import threading
import weakref

import pytest
from four_tools import DEBUG, finish, returns, start

VAR = contextvars.ContextVar("VAR", default="unset")


def test_a_coroutine_a_function_and_a_plain_function_are_run(tool):
    tasks = [
        tool.spawn(returns(1)),
        tool.spawn(returns, 2),
        tool.spawn(int, "3"),
    ]
    finish(tool)
    assert [task.result() for task in tasks] == [1, 2, 3]


def test_nothing_runs_before_somebody_waits(tool):
    ran = []

    async def run():
        ran.append(1)

    task = tool.spawn(run())
    assert (ran, task.done()) == ([], False)
    finish(tool)
    assert (ran, task.done()) == ([1], True)


def test_no_task_runs_between_two_waits(tool):
    steps = []

    async def run():
        for step in range(3):
            steps.append(step)
            await asyncio.sleep(0)

    tool.spawn(run())
    finish(tool)
    tool.spawn(run())
    assert steps == [0, 1, 2]
    finish(tool)
    assert steps == [0, 1, 2] * 2


def test_keywords_of_any_name_reach_the_function(tool):
    async def names(**kwargs):
        return kwargs

    wanted = {"self": 1, "work": 2, "args": 3, "kwargs": 4, "timeout": 5, "name": 6}
    assert tool.spawn(names, **wanted).result() == wanted
    assert tool.spawn(dict, **wanted).result() == wanted


def test_what_tasks_spawn_is_waited_for_at_any_depth(tool):
    ended = []

    async def node(depth):
        await asyncio.sleep(0)
        if depth:
            tool.spawn(node(depth - 1))
            tool.spawn(node, depth - 1)
        ended.append(depth)

    tool.spawn(node(6))
    finish(tool)
    assert len(ended) == 2**7 - 1


def test_what_plain_functions_spawn_is_waited_for(tool):
    ended = []

    def node(depth):
        if depth:
            tool.spawn(node, depth - 1)
        ended.append(depth)

    tool.spawn(node, 5)
    finish(tool)
    assert sorted(ended) == [0, 1, 2, 3, 4, 5]


def test_what_another_thread_spawns_meanwhile_is_waited_for(tool):
    ended, release = [], threading.Event()

    async def run():
        ended.append(1)

    def feed():
        release.wait(5)
        for _ in range(100):
            tool.spawn(run())

    thread = threading.Thread(target=feed)

    async def stay():
        release.set()
        await asyncio.to_thread(thread.join)

    thread.start()
    tool.spawn(stay())
    finish(tool)
    assert len(ended) == 100


def test_a_task_spawned_by_a_done_callback_is_waited_for(tool):
    ended = []

    async def run(name):
        ended.append(name)

    tool.spawn(run("first")).add_done_callback(lambda task: tool.spawn(run("second")))
    finish(tool)
    assert ended == ["first", "second"]


def test_a_chain_of_spawns_costs_no_stack(tool):
    length, ended = 2000 if DEBUG else 20_000, 0  # a frame each would be too many

    async def link(left):
        nonlocal ended
        ended += 1
        if left:
            tool.spawn(link(left - 1))

    tool.spawn(link(length - 1))
    finish(tool)
    assert ended == length


def test_a_task_sees_the_context_of_its_spawn(tool):
    async def look():
        return VAR.get()

    tasks = []
    for value in ("a", "b"):
        token = VAR.set(value)
        tasks += [tool.spawn(look()), tool.spawn(look), tool.spawn(VAR.get)]
        VAR.reset(token)
    finish(tool)
    assert [task.result() for task in tasks] == ["a"] * 3 + ["b"] * 3


@pytest.mark.parametrize("before", [[], [contextvars.ContextVar("OTHER")]], ids=["empty", "set"])
def test_changes_to_context_variables_stay_the_tasks_own(tool, before):
    async def change():
        VAR.set("changed")
        await asyncio.sleep(0)
        return tool.spawn(look()), VAR.get()

    async def look():
        return VAR.get()

    def spawn_and_join():
        for variable in before:
            variable.set("before")
        changed, other = tool.spawn(change()), tool.spawn(look())
        later = tool.spawn(VAR.set, "in a thread")
        finish(tool)
        nested, own = changed.result()
        later.result()
        assert (own, nested.result(), other.result(), VAR.get()) == (
            "changed",
            "changed",
            "unset",
            "unset",
        )
        assert list(contextvars.copy_context()) == before

    contextvars.Context().run(spawn_and_join)


def test_the_tool_can_be_used_again_and_again(tool):
    for number in range(5):
        task = tool.spawn(returns(number))
        finish(tool)
        assert task.result() == number
        finish(tool)


def test_the_same_loop_serves_every_wait(tool):
    async def loop():
        return asyncio.get_running_loop()

    loops = []
    for _ in range(3):
        task = tool.spawn(loop())
        finish(tool)
        loops.append(task.result())
    assert loops[0] is loops[1] is loops[2]


def test_a_task_that_only_its_own_future_leads_to_is_kept(tool):
    """The loop holds its tasks weakly; what they wait for may be held by nobody else."""
    futures, ended = [], []

    async def waits():
        future = asyncio.get_running_loop().create_future()
        futures.append(weakref.ref(future))
        ended.append(await future)

    async def collects():
        gc.collect()
        futures[0]().set_result("kept")

    tool.spawn(waits)
    start(tool)
    gc.collect()
    tool.spawn(collects)
    finish(tool)
    assert ended == ["kept"]
