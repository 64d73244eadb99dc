"""One contender under pyperf: what `bench` starts, again and again.

    python benchmarks/pyperf_side.py spawning.NOOPS aioutils 50000 -o result.json

pyperf starts the process that does the work, and collects the values and what machine it was.
"""

from argparse import Namespace

import pyperf
from contest import Entry


def pass_on(command: list[str], given: Namespace) -> None:
    """Tells the working process what this one was told."""
    command += [given.work, given.contender, str(given.n)]
    if given.size is not None:
        command.append(str(given.size))


def main() -> None:
    runner = pyperf.Runner(add_cmdline_args=pass_on)
    runner.argparser.add_argument("work")
    runner.argparser.add_argument("contender")
    runner.argparser.add_argument("n", type=int)
    runner.argparser.add_argument("size", type=int, nargs="?")
    given = runner.parse_args()
    entry = Entry(given.work, given.contender, given.n, given.size)
    contender = entry.find()
    if given.worker:
        contender.prepare()
        contender.play(max(1, entry.n // 10), entry.size)  # warms up

    def play(loops: int) -> float:
        return sum(contender.play(entry.n, entry.size) for _ in range(loops))

    runner.bench_time_func(entry.label, play, inner_loops=entry.share)


if __name__ == "__main__":
    main()
