"""gevent-like concurrency for code that is not async, on asyncio.

The layers, each importing only from those below it:

- yielder: `Yielder`, `OrderedYielder`, `yielding`, `ordered_yielding`: results one by one
- pool: `Pool`, a group with a limit
- group: `Group`, tasks that are joined together
- task: `Task`, the handle of what was spawned
- errors: what is raised for misuse
- _ending, _tool: what the four tools share; how they are closed and dropped
- _scheduler, _lane, _order, _stay, _failures, _job: who waits, runs, is done, has failed
- _lease: who waits for whom, and lends his slot meanwhile
- _loop, _waiting, _signals: who drives the loop, who sleeps, and what Ctrl-C does
- _eventloop, _threads, _work: event loops, worker threads, what can be spawned
"""

from .errors import ClosedError, DeadlockError, UnfinishedError, WrongLoopError
from .group import Group
from .pool import Pool
from .task import Task
from .yielder import OrderedYielder, Yielder, ordered_yielding, yielding

__all__ = [
    "ClosedError",
    "DeadlockError",
    "Group",
    "OrderedYielder",
    "Pool",
    "Task",
    "UnfinishedError",
    "WrongLoopError",
    "Yielder",
    "ordered_yielding",
    "yielding",
]
