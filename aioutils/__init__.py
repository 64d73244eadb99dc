"""gevent-like concurrency for code that is not async, on asyncio.

The layers, each importing only from those below it:

- tools: `on`, a function bound to an executor
- dual, _sync, _sync_calls: `dual`, async functions that sync code can call too
- yielder: `Yielder`, `OrderedYielder`, `yielding`, `ordered_yielding`: results one by one
- pool: `Pool`, a group with a limit
- group, _mapping: `Group`, tasks that are joined together; `map` and its family
- _tool, _body: what the four tools share; the block of an ``async with``
- _stream, _handout, _hand, _puller, _source, _async_source, _crew, _each, _flow, _aclosing:
  handing results out, and pulling what gives them
- task: `Task`, the handle of what was spawned
- _dropping: what nobody holds any more
- _ending, _steps: left, and closed; procedures of several waits, for both worlds
- _joining: the end of everything, for those who wait for it
- _scheduler, _cancelling, _admission, _completion, _roster, _bound, _lane, _order, _spawn_order,
  _stay, _failures, _options: who waits, who runs, who is done, and what the tool was told
- _threads: worker threads for plain functions
- _lease, _loan, _turn: the slot that a task lends while it waits, and its way back
- _loop, _election, _driven, _owner: what runs a loop, and who drives it
- _graph, _job: one piece of work, and who waits for whom
- _waiting, _helper: who sleeps until he is told, and who drives for him
- _eventloop, _runner, _clock, _foreign, _place, _work: event loops, their tasks and clock, the
  executors of users, what can be spawned
- _later, _signals, _handlers, _interrupted, _alarm: what Ctrl-C and other signals do
- errors, _warnings, _raised: what is raised for misuse, what is warned of, and what exceptions
  of users are
"""

from .dual import dual
from .errors import ClosedError, DeadlockError, UnfinishedError, WrongLoopError
from .group import Group
from .pool import Pool
from .task import Task
from .tools import on
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
    "dual",
    "on",
    "ordered_yielding",
    "yielding",
]
