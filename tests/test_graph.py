"""Who waits for himself, in graphs at random, against the meaning of it."""

import itertools
import random

import pytest

from aioutils import _graph
from aioutils._waiting import Waitable


class Node(Waitable):
    """What comes once all of its blockers have, and one of its givers, if it has any."""

    def __init__(self, number):
        self.number = number
        self.before, self.any_of, self.needed = [], [], []
        self.told = False

    def __repr__(self):
        return str(self.number)

    def is_told(self):
        return self.told

    def blockers(self):
        return self.before

    def givers(self):
        return self.any_of

    def needs(self, job):
        return job in self.needed

    def comes(self, come):
        others = [node for node in self.before if node is not self]
        given = not self.any_of or not come.isdisjoint(self.any_of)
        return self.told or (come.issuperset(others) and given)

    def keepers(self, goal, come):
        """What it can't come without."""
        if self.needs(goal):
            return [goal]
        given = not come.isdisjoint(self.any_of)
        return [node for node in self.before if node not in come] + [*self.any_of] * (not given)


def graph(rng):
    nodes = [Node(number) for number in range(rng.randint(2, 9))]
    for node in nodes:
        node.before = rng.sample(nodes, rng.choice([0, 0, 1, 1, 2]))
        node.any_of = rng.sample(nodes, rng.choice([0, 0, 0, 1, 2]))
        node.needed = rng.sample(nodes, rng.choice([0] * 9 + [1]))
        node.told = rng.random() < 0.1
    return nodes


def coming(nodes, goal):
    """Those that come although the goal does not go on."""
    others = [node for node in nodes if node is not goal and (node.told or not node.needs(goal))]
    come = set()
    for _ in others:
        come |= {node for node in others if node.comes(come)}
    return come


def leads(start, goal, come):
    line = [start]
    for node in line:
        new = [] if node is goal else node.keepers(goal, come)
        line += [one for one in new if one not in line]
    return goal in line


@pytest.mark.parametrize("seeds", range(0, 3000, 500))
def test_the_way_to_oneself_is_found_if_and_only_if_there_is_no_other(seeds):
    found = 0
    for seed in range(seeds, seeds + 500):
        nodes = graph(random.Random(seed))
        start, goal = nodes[0], nodes[-1]
        come = coming(nodes, goal)
        way = _graph.way(start, goal)
        assert (way is not None) == (start not in come and leads(start, goal, come)), seed
        if way is not None:
            found += 1
            assert way[0] is start and way[-1] is goal and come.isdisjoint(way), seed
            for node, keeper in itertools.pairwise(way):
                assert keeper in node.keepers(goal, come), seed
    assert 50 < found < 450
