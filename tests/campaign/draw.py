"""Draws works: which tools, of which kind, with which steps."""

from works import Work


class Draw:
    # Steps without works below them.
    LONELY = ("sleep", "put", "swallow", "elder")
    # Those that wait for what they spawned.
    WAITING = ("await", "backwards", "gather", "wait_for", "group", "block")
    # Those whose works are of one kind, in one tool, and have no tasks.
    MAPPED = ("map", "break", "apply", "call")

    def __init__(self, rng, tools, mood):
        self.rng, self.tools, self.mood = rng, tools, mood

    def ways(self, kind, deeper):
        ways = ["sleep", "sleep", "put", "elder"]
        if kind in ("coroutine", "dual"):
            ways.append("swallow")
        if deeper:
            ways += ["leave", "leave", "leave" if self.mood.calm else "cancel"]
            if kind in ("coroutine", "dual"):
                ways += [*self.WAITING, "scope"]
                if not self.mood.functions:
                    ways.remove("block")  # another thread drives meanwhile
            elif kind == "function":
                ways += ["await", "backwards", "wait_for"]
            if self.tools.mappers and kind != "flow":
                ways += self.MAPPED if kind == "function" else ("map", "break")
        return ways

    def kind_for(self, tool):
        kinds = ["coroutine"] * 6 + ["function"] * 2 * self.mood.functions
        return self.rng.choice(kinds + ["flow"] * (tool in self.tools.yielders))

    def kind_of_items(self, way):
        if way == "call":
            return "dual"
        kinds = ("coroutine", "coroutine", "function" if self.mood.functions else "coroutine")
        return self.rng.choice(kinds)

    def tool(self, of=None, way=None, mapper=False):
        """One that a work of tool `of` may wait for, if that is its way."""
        if mapper:
            return self.rng.choice(self.tools.mappers)
        if way == "block":  # sync code in a coroutine, which only another loop's tool allows
            apart = [n for n in self.tools.mappers if self.tools.apart(n, of)]
            return self.rng.choice(apart or [of])
        tool = of if self.rng.random() < 0.6 else self.rng.choice(self.tools.numbers)
        return of if way in self.WAITING and self.waits_badly(of, tool) else tool

    def waits_badly(self, tool, other):
        """A yielder's task may wait for somebody to iterate the yielder."""
        return tool != other and other in self.tools.yielders

    def work(self, *number):
        return Work(self, number, self.rng.choice(self.tools.numbers))

    def works(self, tool, *number):
        """Some of one tool."""
        return tuple(Work(self, (*number, n), tool, depth=1) for n in range(self.rng.randint(1, 2)))

    def items(self, way, *number):
        """Some for one map."""
        tool = self.tool(mapper=True)
        kind = self.kind_of_items(way)
        count = self.rng.randint(0, 6)
        return [Work(self, (*number, n), tool, depth=2, kind=kind) for n in range(count)]
