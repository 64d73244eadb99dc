"""The tools of a program, drawn from the seed: one to three, some of which share a loop."""

from aioutils import Group, OrderedYielder, Pool, Yielder

KINDS = (Group, Group, Pool, Pool, Pool, Yielder, OrderedYielder)


class Tools(list):
    def __init__(self, rng, ledger_of, calm):
        super().__init__()
        self.homes, self.on_error, self._limits = [], [], []
        for number in range(rng.choice((1, 1, 2, 2, 3))):
            within = rng.choice((None, *self, *self)) if self else None
            self._draw(rng, rng.choice(KINDS), number, within, ledger_of, calm)
        self.numbers = range(len(self))
        self.yielders = [n for n in self.numbers if isinstance(self[n], Yielder)]
        self.mappers = [n for n in self.numbers if n not in self.yielders]

    def _draw(self, rng, kind, number, within, ledger_of, calm):
        size = rng.randint(1, 5)
        on_error = rng.choice(("continue",) * 4 + ("continue" if calm else "cancel", "call"))
        options = {"on_exit": rng.choice(("wait", "wait", "cancel", "refuse")), "within": within}
        options["on_error"] = on_error
        if on_error == "call":
            options["on_error"] = lambda task: ledger_of().see(task.exception())
        if kind is Group:
            options["threads"] = size
        else:
            options["size"] = size
        if issubclass(kind, Yielder) and rng.random() < 0.4:
            options["buffer"] = rng.randint(1, 3)
        self.append(kind(**options))
        self.homes.append(number if within is None else self.homes[self.index(within)])
        self.on_error.append(on_error)
        self._limits.append((kind is Group, size))

    def limit(self, number, kind):
        """How many works of this kind may run at once; None: any number."""
        functions_only, size = self._limits[number]
        return None if functions_only and kind != "function" else size

    def is_ordered(self, number):
        return isinstance(self[number], OrderedYielder)

    def apart(self, one, other):
        """True of two that don't share a loop."""
        return self.homes[one] != self.homes[other]
