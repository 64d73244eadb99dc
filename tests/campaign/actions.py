"""What a thread of a program does with the tools, in sync code; drawn from the seed."""

import contextlib
import time
from typing import NamedTuple

from iterations import Iterations
from works import Boom, failure_of

WEIGHTS = {
    "finish": 4,
    "poll": 3,
    "result": 3,
    "exception": 1,
    "cancel_one": 1,
    "cancel_all": 0.3,
    "pause": 2,
    "leave": 2,
    "spawn": 3,
    "map": 2,
    "imap": 2,
    "apply": 1,
    "call": 1,
    "completed": 1,
    "put": 1,
    "enter": 1,
    "look": 1,
    "take": 0.5,
}


CANCELLING = ("cancel_one", "cancel_all", "leave", "enter", "drop")


class Action(NamedTuple):
    way: str
    tool: int
    fraction: float
    number: int
    works: tuple
    name: tuple  # for what it makes


def draw_plan(draw, name):
    """A list of actions, with works for those that need some."""
    rng, plan = draw.rng, []
    for n in range(rng.randint(draw.mood.strict, 6)):
        way = rng.choices(list(WEIGHTS), WEIGHTS.values())[0]
        if draw.mood.lets_go and rng.random() < 0.3:
            way = "drop"
        if draw.mood.strict and n == 0:
            way = "imap"
        elif draw.mood.calm and way in CANCELLING:
            way = "look"
        works = ()
        if way in ("map", "imap", "apply", "call"):
            works = tuple(draw.items(way, name, n)) if draw.tools.mappers else ()
        elif way == "spawn":
            works = tuple(draw.work(name, n, k) for k in range(rng.randint(1, 3)))
        elif way == "enter":
            works = draw.works(rng.choice(draw.tools.numbers), name, n)
        elif way == "drop":
            works = draw.works(draw.tools.scope(rng, 0, draw.tools[0]), name, n)
        tool = works[0].tool if works else rng.choice(draw.tools.numbers)
        plan.append(Action(way, tool, rng.random(), rng.randrange(1000), works, (name, n)))
    return plan


class Actions(Iterations):
    def follow(self, plan):
        for action in plan:
            with self.ledger.expecting(action.tool):
                getattr(self, action.way)(action)

    # ---- what waits for a whole tool

    def wait(self, number, timeout):
        """To its end, if there is time; True if that was reached."""
        ledger = self.ledger
        spawned = ledger.spawned(number)
        if number not in self.tools.yielders:
            done = self.tools[number].join(timeout)
            if done:
                ledger.check_end(number, spawned)
            return done
        results = []
        ledger.handed_out[number].append(results)
        with self.cutting_short(number):
            results.extend(self.tools[number].yielding(timeout))
        return True

    @contextlib.contextmanager
    def cutting_short(self, number):
        """An iteration that ends in any other way loses what it would have handed out."""
        try:
            yield
        except TimeoutError:
            raise
        except BaseException as error:
            if not isinstance(error, Boom):
                self.ledger.cut_short.add(number)
            raise

    def finish(self, action):
        self.wait(action.tool, action.fraction * 0.01)

    def poll(self, action):
        self.wait(action.tool, 0)

    # ---- what is about one task

    def some_work(self, action):
        works = self.ledger.spawned()
        return works[action.number % len(works)] if works else None

    def result(self, action):
        if (work := self.some_work(action)) is not None:
            self.ledger.check_result(work, work.task.result(timeout=action.fraction * 0.01))

    def exception(self, action):
        if (work := self.some_work(action)) is not None:
            error = work.task.exception(timeout=action.fraction * 0.01)
            fits = failure_of(error) == work.failure
            self.ledger.promise(fits, work, "failed with", repr(error))
            if error is not None:
                self.ledger.see(error)

    def cancel_one(self, action):
        if (work := self.some_work(action)) is not None:
            self.ledger.cancel(work)

    # ---- what adds work

    def spawn(self, action):
        for work in action.works:
            self.bodies.spawn(work)

    def apply(self, action):
        self.bodies.apply(action.works)

    def call(self, action):
        self.bodies.call(action.works)

    def put(self, action):
        for number in self.tools.yielders:
            self.bodies.put((*action.name, number, "put"), number)

    # ---- the rest

    def enter(self, action):
        """The tool's block, which closes it, or a context that stays until then."""
        number, fraction = action.tool, action.fraction
        if action.number % 4:
            return self.tools[number].enter_async_context(self.ledger.context())
        self.ledger.closing.add(number)
        self.ledger.cut_short.add(number)
        with self.tools[number]:
            self.spawn(action)
            if fraction < 0.2:
                self.ledger.fail_at(action.name)
            elif fraction < 0.5:
                self.wait(number, fraction * 0.01)
            else:
                time.sleep(fraction * 0.001)

    def drop(self, action):
        """A tool that nobody holds any more is cleaned up at once, whatever failures are kept."""
        number, works = action.tool, action.works
        with self.ledger.expecting(number):
            if action.fraction < 0.5:
                self.spawn(action)
                self.wait(number, action.fraction * 0.002)
            else:
                self.imap(action)
        dropped = self.tools.drop(number)
        self.ledger.check_over(works)
        self.ledger.promise(dropped() is None, "something keeps", dropped())

    def cancel_all(self, action):
        self.tools[action.tool].cancel()

    def pause(self, action):
        time.sleep(action.fraction * 0.002)

    def look(self, action):
        tool = self.tools[action.tool]
        repr(tool), len(tool), tool.errors, tool.free_count(), tool.full()

    def take(self, action):
        for error in self.tools[action.tool].take_errors():
            self.ledger.see(error)
