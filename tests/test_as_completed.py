"""as_completed: the tool's tasks, as they finish."""

import asyncio
import gc
import weakref

import pytest

from aioutils import Group, Pool


async def give(n):
    await asyncio.sleep(0)
    return n


def test_as_completed_hands_out_tasks_as_they_finish_those_spawned_meanwhile_too():
    async def chain(n):
        if n:
            group.spawn(chain, n - 1).name = f"spawned {n - 1}"
        await asyncio.sleep(0)
        return n

    group = Group()
    tasks, got = [group.spawn(chain(2)), group.spawn(asyncio.sleep, 0.02, "slow")], []
    for task in group.as_completed():
        assert task.done()
        got.append(task.result())
        if got == [2]:
            tasks.append(group.spawn(give("from the loop")))
    assert sorted(map(str, got)) == ["0", "1", "2", "from the loop", "slow"]
    assert got[0] == 2 and got[-1] == "slow"


@pytest.mark.parametrize("make", [Group, lambda **options: Pool(1, **options)])
def test_as_completed_hands_out_the_failure_before_what_it_ended(make):
    """Else the first `result()` raises a cancellation, and its cause is not to be seen."""

    async def fail():
        await asyncio.sleep(0)
        raise ValueError("the cause")

    with make(on_error="cancel") as tool:
        first, *others = [tool.spawn(work) for work in (fail(), give(1), asyncio.sleep(5))]
        others += [tool.spawn(asyncio.sleep(5)) for _ in range(3)]
        completed = tool.as_completed()
        with pytest.raises(ValueError, match="the cause"):
            next(task for task in completed if task.cancelled() or task.exception()).result()
        assert first.done()
        assert not any(task.done() and not task.cancelled() for task in others[1:])
        list(completed)
        assert all(task.cancelled() for task in others[1:])


def test_as_completed_leaves_failures_with_their_tasks():
    async def fail():
        raise ValueError("mine")

    group = Group()
    group.spawn(fail())
    cancelled = group.spawn(asyncio.Event().wait())
    finished = group.as_completed()
    cancelled.cancel()
    tasks = list(finished)
    assert len(tasks) == 2 and cancelled in tasks
    with pytest.raises(ExceptionGroup):
        group.join()


def test_as_completed_of_an_idle_group_ends_at_once():
    assert list(Group().as_completed()) == []


def test_a_task_that_iterates_as_completed_of_its_own_group_is_refused(run_script):
    done = run_script(  # a process of its own, because a thread that hangs can't be ended
        """
        from aioutils import Group, Pool
        group = Group()
        def own():
            return list(group.as_completed())
        try:
            group.spawn(own).result()
        except RuntimeError as error:
            print(error)
        """
    )
    assert "wait for itself" in done.stdout


def test_as_completed_left_early_cancels_nothing():
    group = Group()
    tasks = [group.spawn(give(n)) for n in range(5)]
    for _ in group.as_completed():
        break
    assert group.join()
    assert [task.result() for task in tasks] == list(range(5))


@pytest.mark.parametrize("how", ["never begun", "left", "ended", "closed"])
def test_a_task_is_forgotten_after_as_completed(how):
    group = Group()
    group.spawn(give(0))
    stream = group.as_completed()
    if how == "left":
        next(stream)
    elif how == "ended":
        list(stream)
    elif how == "closed":
        stream.close()
    del stream
    task = group.spawn(give(1))
    group.join()
    seen = weakref.ref(task)
    del task
    gc.collect()
    assert seen() is None
