"""Iterations of a program in sync code, left early or not; and what they hand out."""

import contextlib
from concurrent.futures import CancelledError

from works import Boom, failure_of


class Iterations:
    lets_go = False

    def __init__(self, tools, ledger, bodies):
        self.tools, self.ledger, self.bodies = tools, ledger, bodies

    def first(self, count, results, number, way, *args, **options):
        """Adds the first results, and leaves the iteration: closes it, or merely lets it go.

        Nothing here may keep it, or its tool: the frames of the failures that a program keeps
        lead here.
        """
        with contextlib.ExitStack() as stack:
            for result in self.closed_by(stack, getattr(self.tools[number], way)(*args, **options)):
                results.append(result)
                self.ledger.see(result)
                if len(results) > count:
                    break

    def closed_by(self, stack, stream):
        return stream if self.lets_go else stack.enter_context(contextlib.closing(stream))

    def leave(self, action):
        number = action.tool
        if number in self.tools.mappers:
            return self.completed(action)
        results, spawned = [], self.ledger.spawned(number)
        self.ledger.handed_out[number].append(results)
        self.ledger.cut_short.add(number)
        self.first(3 * action.fraction, results, number, "yielding", 0.01)
        self.ledger.check_done(spawned, "as the iteration was left")

    def completed(self, action):
        if action.tool in self.tools.mappers:
            found = []
            for task in self.tools[action.tool].as_completed():
                self.ledger.promise(task.done(), task, "handed out by as_completed()")
                found.append(task)
                if len(found) > 5 * action.fraction:
                    break
            self.ledger.promise(len(found) == len(set(found)), "handed out twice:", found)

    def source_of(self, action):
        error = Boom(action.name) if action.number % 10 == 0 else None
        if action.number % 3 == 0:
            return self.bodies.asource(action.works, error), error
        return self.bodies.source(action.works, error), error

    def map(self, action):
        if action.works:
            number, works = action.tool, action.works
            body, (source, error) = self.bodies.of(works[0]), self.source_of(action)
            options = {"isolate": action.number % 5 < 3, "return_exceptions": True}
            outcomes = []
            with self.ledger.iterating(works, number):
                if action.fraction < 0.5:
                    outcomes += self.tools[number].map(body, source, **options)
                    for outcome in outcomes:
                        self.ledger.see(outcome)
                else:
                    self.first(len(works), outcomes, number, "imap", body, source, **options)
            self.ledger.promise(error is None, "what the source raised is lost")
            self.ledger.promise(len(outcomes) == len(works), "map gave", outcomes, "for", works)
            self.check_outcomes(outcomes, works)

    def imap(self, action):
        if action.works:
            number, works, results = action.tool, action.works, []
            body, source = self.bodies.of(works[0]), self.source_of(action)[0]
            unordered = action.number % 2
            options = {"isolate": action.fraction < 0.8, "buffer": action.number % 4 or None}
            options["return_exceptions"] = action.number % 3 == 0
            with self.ledger.iterating(works, number):
                way = "imap_unordered" if unordered else "imap"
                self.first(3 * action.fraction, results, number, way, body, source, **options)
            self.check_outcomes(results, works, unordered)

    def check_outcomes(self, outcomes, works, unordered=False):
        for outcome, work in zip(outcomes, works, strict=False):
            fits = any(fit(outcome, one) for one in (works if unordered else (work,)))
            self.ledger.promise(fits, "imap gave", repr(outcome), "for", work)


def fit(outcome, work):
    if isinstance(outcome, BaseException):
        return isinstance(outcome, CancelledError) or failure_of(outcome) == work.failure
    return outcome == work.result
