"""What one piece of work is: its steps, drawn from the seed, and what became of it.

A work waits only for works below it and for its elder sibling, so no program waits for itself; and
only tasks of the same yielder wait for those of a yielder, which may pause until it is iterated.
"""

from typing import NamedTuple

DEPTH = 3


class Boom(Exception):
    """A work's failure."""


def failure_of(error):
    """The number of a failure, by which it is known where it is not kept; None of all else."""
    return error.args[0] if isinstance(error, Boom) else None


class Step(NamedTuple):
    way: str
    works: tuple = ()
    number: float = 0.0


class Work:
    def __init__(self, draw, number, tool, depth=0, kind=None, elder=None, called=False):
        rng = draw.rng
        self.number, self.tool, self.elder = number, tool, elder
        self.kind = kind or draw.kind_for(tool)
        self.called = called or self.kind == "dual"  # it may run on the loop of who called it
        self.fails = rng.random() < draw.mood.failing
        self.fails_late = rng.random() < draw.mood.failing / 2
        self.result = None if rng.random() < 0.1 else number
        self.applied = False  # a task that only `apply` knows
        self.calls_back = rng.random() < 0.3
        self.callbacks = 0
        self.clean_up = rng.choice((None, None, 0, 0.001))
        self.children = []
        self.steps = [self._step(draw, depth) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        self.begun = self.ended = 0
        self.cancels = 0  # that reached it: before its clean-up, and in that
        self.cancel_calls = 0  # by the program
        self.outcome = self.failure = self.task = None

    def _step(self, draw, depth):
        rng = draw.rng
        way = rng.choice(draw.ways(self.kind, depth < DEPTH))
        if way in draw.LONELY:
            return Step(way, (), rng.choice((0, 0, 0.0005, 0.002)))
        if way in draw.MAPPED:
            kind = draw.kind_of_items(way)
            tools = [draw.tool(mapper=True)] * rng.randint(1, 5)
        elif way == "scope":
            kind, tools = None, [draw.tools.scope(rng, self.tool)] * rng.randint(1, 3)
        else:
            kind = None
            tools = [draw.tool(self.tool, way) for _ in range(rng.choice((1, 1, 2, 3)))]
        works = []
        for tool in tools:
            elder = self.children[-1] if self.children and kind is None else None
            if elder is not None and draw.waits_badly(tool, elder.tool):
                elder = None
            number = (*self.number, len(self.children))
            works.append(Work(draw, number, tool, depth + 1, kind, elder, self.called))
            if kind is None:
                self.children.append(works[-1])
            else:
                self.children.append(None)  # an item has no task that could be waited for
        return Step(way, tuple(works), rng.random())

    def is_task(self):
        """Not so an item of a map, or what is called through dual."""
        return self.applied or self.task is not None

    def __repr__(self):
        return f"{self.kind} {self.number}"
