"""Ctrl-C at any line of ours, inside of a wait or not: what is left can be ended, in any thread."""

import asyncio
import os
import signal

import pytest
from at_every_line import at_line
from four_tools import finish, forever, returns, start

from aioutils import Group, Pool

LONG = os.environ.get("AIOUTILS_STRESS") == "long"

# A task that was cancelled but not counted out, or a loop that is held: nobody's wait would end.
CALLS = {
    "spawn": (Pool, lambda pool: pool.spawn(int)),
    "cancel one": (Group, lambda group: [task.cancel() for task in group]),
    "cancel all": (Group, lambda group: group.cancel()),
    "look once": (Group, lambda group: group.join(timeout=0)),
}
LONG_CALLS = {
    "join": (Pool, lambda pool: pool.join(timeout=0.001)),
    "result": (Group, lambda group: group.spawn(returns(1)).result()),
    "map": (Pool, lambda pool: pool.map(returns, range(3))),
}

pytestmark = [
    pytest.mark.timeout(300 if LONG else 30),
    # A coroutine whose spawn was interrupted has an owner no more.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("name", [*CALLS, *LONG_CALLS] if LONG else CALLS)
def test_an_interrupt_at_any_line_leaves_a_tool_that_can_be_ended(name):
    make, call = {**CALLS, **LONG_CALLS}[name]
    place, k = "", 0
    while place is not None:
        with make(3) if make is Pool else make() as tool:
            told, tasks = [], [tool.spawn(forever())]
            start(tool)
            tasks.append(tool.spawn(forever()))
            for task in tasks:
                task.add_done_callback(told.append)
            place = interrupted(k, call, tool)
            tool.cancel()
            finish(tool)
            assert sorted(map(id, told)) == sorted(map(id, tasks))
        k += 1
    print(f"{name}: interrupted at each of {k - 1} lines")
    assert k > 10


WAITS = {
    "join": lambda group: group.join(),
    "look once": lambda group: group.join(timeout=0),
    "await": lambda group: asyncio.run(wait_for(group)),
}


async def wait_for(group):
    await group.wait()


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_that_was_interrupted_at_any_line_binds_the_tool_no_more(name):
    place, k = "", 0
    while place is not None:
        group = Group()
        group.spawn(returns(1))
        place = interrupted(k, WAITS[name], group)
        group.cancel()
        finish(group)
        asyncio.run(wait_for(group))
        k += 1 if LONG else 2
    assert k > 100


def interrupted(k, call, tool):
    """Where, or None if the call has no such line."""
    try:
        return at_line(k, lambda: call(tool), lambda: signal.raise_signal(signal.SIGINT))[-1]
    except KeyboardInterrupt:
        return "somewhere"
