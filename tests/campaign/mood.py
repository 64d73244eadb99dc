"""What a program is like: what does not happen in it, so that more may be expected of the rest."""


class Mood:
    def __init__(self, rng):
        chance = rng.random()
        self.calm = chance < 0.2  # nothing in it cancels anything
        # One tool under on_error="cancel", and one after the other asks it for results.
        self.strict = chance < 0.07
        self.lets_go = rng.random() < 0.2  # one thread, where what is let go is cleaned up at once
        self.functions = not (self.strict or self.lets_go)
        # Of the works; half as many do in their clean-up.
        self.failing = 0.08 if self.functions else 0.2
        self.plans = rng.choice((1, 1, 2, 3)) if self.functions else 1
        self.in_async_code = rng.random() < 0.3 and not self.lets_go
