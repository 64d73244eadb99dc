"""What a thread of a program does with the tools, in sync code; drawn from the seed."""

import contextlib
import time
from concurrent.futures import CancelledError
from typing import NamedTuple

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
    "completed": 1,
    "put": 1,
    "enter": 1,
    "look": 1,
    "take": 0.5,
}


CANCELLING = ("cancel_one", "cancel_all", "leave", "enter")


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
    for n in range(rng.randint(0, 6)):
        way = rng.choices(list(WEIGHTS), WEIGHTS.values())[0]
        if draw.calm and way in CANCELLING:
            way = "look"
        works = ()
        if way in ("map", "imap"):
            works = tuple(draw.items(name, n)) if draw.tools.mappers else ()
        elif way == "spawn":
            works = tuple(draw.work(name, n, k) for k in range(rng.randint(1, 3)))
        tool = works[0].tool if works else rng.choice(draw.tools.numbers)
        plan.append(Action(way, tool, rng.random(), rng.randrange(1000), works, (name, n)))
    return plan


class Actions:
    def __init__(self, tools, ledger, bodies):
        self.tools, self.ledger, self.bodies = tools, ledger, bodies

    def follow(self, plan):
        for action in plan:
            with self.ledger.expecting(action.tool):
                getattr(self, action.way)(action)

    # ---- what waits for a whole tool

    def wait(self, number, timeout):
        """To its end, if there is time; True if that was reached."""
        tool, ledger = self.tools[number], self.ledger
        spawned = ledger.spawned(number)
        if number in self.tools.mappers:
            done = tool.join(timeout)
            if done:
                ledger.check_end(number, spawned)
            return done
        results = []
        ledger.handed_out[number].append(results)
        with self.cutting_short(number):
            results.extend(tool.yielding(timeout))
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

    def leave(self, action):
        if action.tool in self.tools.mappers:
            return self.completed(action)
        results = []
        self.ledger.handed_out[action.tool].append(results)
        self.ledger.cut_short.add(action.tool)
        with contextlib.closing(self.tools[action.tool].yielding(0.01)) as stream:
            for result in stream:
                results.append(result)
                if len(results) > 3 * action.fraction:
                    break

    def completed(self, action):
        if action.tool in self.tools.mappers:
            found = []
            for task in self.tools[action.tool].as_completed():
                self.ledger.promise(task.done(), task, "handed out by as_completed()")
                found.append(task)
                if len(found) > 5 * action.fraction:
                    break
            self.ledger.promise(len(found) == len(set(found)), "handed out twice:", found)

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

    def put(self, action):
        for number in self.tools.yielders:
            self.bodies.put((*action.name, number, "put"), number)

    def source_of(self, action):
        error = Boom(action.name) if action.number % 10 == 0 else None
        if action.number % 3 == 0:
            return self.bodies.asource(action.works, error), error
        return self.bodies.source(action.works, error), error

    def map(self, action):
        if action.works:
            tool, works = self.tools[action.tool], action.works
            source, error = self.source_of(action)
            options = {"isolate": action.number % 5 < 3, "return_exceptions": True}
            if action.fraction < 0.5:
                outcomes = tool.map(self.bodies.of(works[0]), source, **options)
            else:
                outcomes = []
                for outcome in tool.imap(self.bodies.of(works[0]), source, **options):
                    outcomes.append(outcome)
                    self.ledger.see(outcome)
            self.check_all(outcomes, works, error)

    def check_all(self, outcomes, works, source_error):
        self.ledger.promise(source_error is None, "what the source raised is lost")
        self.ledger.promise(len(outcomes) == len(works), "map gave", outcomes, "for", works)
        for outcome, work in zip(outcomes, works, strict=False):
            if isinstance(outcome, BaseException):
                self.ledger.see(outcome)
                fits = isinstance(outcome, CancelledError)
                fits = fits or failure_of(outcome) == work.failure
            else:
                fits = outcome == work.result
            self.ledger.promise(fits, "map gave", repr(outcome), "for", work)

    def imap(self, action):
        if action.works:
            tool, results = self.tools[action.tool], []
            body, source = self.bodies.of(action.works[0]), self.source_of(action)[0]
            unordered, isolate = action.number % 2, action.fraction < 0.8
            call = tool.imap_unordered if unordered else tool.imap
            buffer = action.number % 4 or None
            with contextlib.closing(call(body, source, buffer=buffer, isolate=isolate)) as stream:
                for result in stream:
                    results.append(result)
                    if len(results) > 10 * action.fraction:
                        break
            expected = [work.result for work in action.works]
            fits = not unordered and results == expected[: len(results)]
            fits = fits or (unordered and not set(results) - set(expected))
            self.ledger.promise(fits, "imap gave", results, "for", expected)

    # ---- the rest

    def enter(self, action):
        """The tool's block, which closes it, or a context that stays until then."""
        tool = self.tools[action.tool]
        if action.number % 4:
            return tool.enter_async_context(self.ledger.context())
        self.ledger.closing.add(action.tool)
        self.ledger.cut_short.add(action.tool)
        with tool:
            time.sleep(action.fraction * 0.001)
            if action.fraction < 0.2:
                self.ledger.fail_at(action.name)

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
