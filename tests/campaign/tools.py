"""The tools of a program, drawn from the seed: one to three, some of which share a loop."""

import weakref
from concurrent.futures import ThreadPoolExecutor

from aioutils import Group, OrderedYielder, Pool, Yielder

KINDS = (Group, Group, Pool, Pool, Pool, Yielder, OrderedYielder)
ON_ERROR = ("continue",) * 4 + ("cancel", "cancel", "call")


class Tools(list):
    def __init__(self, rng, ledger_of, mood):
        super().__init__()
        self.homes, self.on_error, self._limits = [], [], []
        self.executors = []
        for number in range(1 if mood.strict else rng.choice((1, 1, 2, 2, 3))):
            within = rng.choice((None, *self, *self)) if self else None
            kind = rng.choice((Group, Pool) if mood.strict else KINDS)
            on_error = "cancel" if mood.strict else rng.choice(ON_ERROR)
            self._draw(rng, kind, number, within, ledger_of, on_error)
        self.numbers = range(len(self))
        self.yielders = [n for n in self.numbers if isinstance(self[n], Yielder)]
        self.mappers = [n for n in self.numbers if n not in self.yielders]
        self.scopes = set()
        self.executor = ThreadPoolExecutor(2)  # of the functions of some tools, all of them
        self.elsewhere = {n for n in self.numbers if rng.random() < 0.2}

    def _draw(self, rng, kind, number, within, ledger_of, on_error):
        size = rng.randint(1, 5)
        options = {"on_exit": rng.choice(("wait", "wait", "cancel", "refuse")), "within": within}
        options["on_error"] = on_error
        if on_error == "call":
            options["on_error"] = lambda task: ledger_of().see(task.exception())
        if rng.random() < 0.2:
            options["executor"] = ThreadPoolExecutor(size)
            self.executors.append(options["executor"])
        if kind is Group:
            options["threads"] = size
        else:
            options["size"] = size
        if issubclass(kind, Yielder) and rng.random() < 0.4:
            options["buffer"] = rng.randint(1, 3)
        self._add(kind(**options), on_error, size)
        self.homes.append(number if within is None else self.homes[self.index(within)])

    def _add(self, tool, on_error, size):
        self.append(tool)
        self.on_error.append(on_error)
        self._limits.append((type(tool) is Group, size))

    def scope(self, rng, around, within=None):
        """The number of one more, for some works only, on the loop of tool `around`."""
        number, kind, size = len(self), rng.choice((Group, Pool)), rng.randint(1, 3)
        on_error = rng.choice(("continue", "cancel", "cancel"))
        on_exit = rng.choice(("wait", "wait", "cancel"))
        sizes = {"threads" if kind is Group else "size": size}
        options = {"on_error": on_error, "on_exit": on_exit, "within": within}
        self._add(kind(**sizes, **options), on_error, size)
        self.homes.append(self.homes[around])
        self.scopes.add(number)
        return number

    def drop(self, number):
        """Lets go of one, in whose place comes a closed one. Returns a reference to it."""
        dropped, closed = weakref.ref(self[number]), Group()
        closed.close()  # first: what cleans up may spawn
        self[number] = closed
        return dropped

    def limit(self, number, kind):
        """How many works of this kind may run at once; None: any number. A dual function is
        called by who wants its result, not by the tool."""
        functions_only, size = self._limits[number]
        limited = not functions_only or (kind == "function" and number not in self.elsewhere)
        return size if limited and kind != "dual" else None

    def shut_down(self):
        for executor in (self.executor, *self.executors):
            executor.shutdown()

    def is_ordered(self, number):
        return isinstance(self[number], OrderedYielder)

    def apart(self, one, other):
        """True of two that don't share a loop."""
        return self.homes[one] != self.homes[other]
