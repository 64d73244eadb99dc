"""Random trees of works that wait for their children, in pools that are too small for them.

A tree is drawn from its seed: what each node is (a coroutine or a plain function), in which of one
or two pools it runs, how it waits for its children, and, in every second tree, what goes wrong.
A node counts itself out while it waits, so that the counts say how many slots are in use.
"""

import asyncio
import random
import threading
import time
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, contextmanager, suppress

from on_a_loop import wait_for

from aioutils import Pool


class Boom(Exception):
    """A node's failure."""


EXPECTED = (Boom, TimeoutError, CancelledError)
PATIENCE = 30  # seconds; who waits longer waits for ever


class Tree:
    def __init__(self, seed):
        self.chance = chance = random.Random(f"tree {seed}")
        self.faulty = chance.random() < 0.5
        a = Pool(chance.randint(1, 5))
        # Two loops know each other's tasks only where functions wait, in threads.
        pools, self.functions = chance.choice(
            (
                ([a], 0.3),
                ([a], 0),
                ([a, Pool(chance.randint(1, 5), within=a)], 0.3),
                ([a, Pool(chance.randint(1, 5))], 0),
                ([a, Pool(chance.randint(1, 5))], 1),
            )
        )
        self.pools = pools
        self.sizes = {pool: pool.free_count() for pool in pools}
        self.lock = threading.Lock()
        self.running = dict.fromkeys(pools, 0)
        self.most = dict.fromkeys(pools, 0)
        self.nodes = []
        self.unexpected = []
        self.roots = [Node(self, chance.randint(1, 4), a) for _ in range(chance.randint(1, 4))]

    def run(self):
        for root in self.roots:
            root.task = root.pool.spawn(root.body, root)
        waiters = [
            threading.Thread(target=root.wait, daemon=True)
            for root in self.roots[: self.chance.choice((0, 0, 1, 2))]
        ]
        for thread in waiters:
            thread.start()
        while any(map(len, self.pools)):
            for pool in self.pools:
                assert pool.join(PATIENCE, raise_error=False), f"{pool!r} hangs"
        for thread in waiters:
            thread.join(PATIENCE)
        self.check()
        for pool in self.pools:
            pool.take_errors()
            pool.close()

    def check(self):
        assert not self.unexpected, self.unexpected
        for node in self.nodes:
            assert node.begun == node.ended <= 1, (node.begun, node.ended)
        for pool in self.pools:
            assert (self.running[pool], pool.free_count()) == (0, self.sizes[pool])
            assert self.most[pool] <= self.sizes[pool], f"{self.most[pool]} at once in {pool!r}"
        if not self.faulty:
            for root in self.roots:
                assert root.task.result(0) == root.size()

    def count(self, pool, change):
        with self.lock:
            self.running[pool] += change
            self.most[pool] = max(self.most[pool], self.running[pool])

    @contextmanager
    def inside(self, node):
        node.begun += 1
        self.count(node.pool, +1)
        try:
            yield
        except Exception as error:
            unexpected = ExceptionGroup("", [error]).split(EXPECTED)[1]
            if unexpected is not None:
                self.unexpected.append(unexpected)
            raise
        finally:
            self.count(node.pool, -1)
            node.ended += 1


class Node:
    def __init__(self, tree, depth, pool=None, body=None):
        chance = tree.chance
        self.tree = tree
        self.pool = pool or chance.choice(tree.pools)
        self.body = body or (function if chance.random() < tree.functions else coroutine)
        self.way = chance.choice(WAYS[self.body])
        self.pause = chance.choice((0, 0, 0, 0.0005, 0.001))
        self.fails, self.cancels, self.is_impatient = (
            tree.faulty and chance.random() < 0.1 for _ in range(3)
        )
        self.waits_for_elder = chance.random() < 0.2
        count, pool, body = chance.choice((0, 1, 1, 2, 2, 3)) if depth else 0, None, None
        self.children = []
        for _ in range(count):
            self.children.append(Node(tree, depth - 1, pool, body))
            if self.way in MAPPED:  # one call has one function, in one pool
                pool, body = self.children[0].pool, self.children[0].body
        self.elder = self.task = None
        self.begun = self.ended = 0
        tree.nodes.append(self)

    def size(self):
        return 1 + sum(child.size() for child in self.children)

    def spawn_children(self):
        if self.way in MAPPED:
            return []
        tasks, elder = [], None
        for child in self.children:
            child.elder = elder
            child.task = child.pool.spawn(child.body, child)
            tasks.append(child.task)
            elder = child
        if self.cancels and tasks:
            tasks[-1].cancel()
        return tasks

    def wait(self):
        """In a thread of its own."""
        with suppress(CancelledError):
            self.task.exception(PATIENCE)

    def end(self, total):
        if self.fails:
            raise Boom
        return total

    @property
    def elder_task(self):
        return self.elder.task if self.waits_for_elder and self.elder is not None else None

    @property
    def patience(self):
        return 0.0005 if self.is_impatient else PATIENCE

    @contextmanager
    def waiting(self):
        self.tree.count(self.pool, -1)
        try:
            yield
        finally:
            self.tree.count(self.pool, +1)


async def coroutine(node):
    with node.tree.inside(node):
        await asyncio.sleep(node.pause)
        tasks = node.spawn_children()
        if node.elder_task is not None:
            with node.waiting():
                await node.elder_task
        if node.way in MAPPED:
            return node.end(1 + await by_imap(node))
        with node.waiting():
            total = 1 + sum(await node.way(node, tasks))
        return node.end(total)


def function(node):
    with node.tree.inside(node):
        time.sleep(node.pause)
        tasks = node.spawn_children()
        with node.waiting():
            if node.elder_task is not None:
                node.elder_task.result(PATIENCE)
            total = 1 + sum(node.way(node, tasks))
        return node.end(total)


# ---- how a coroutine waits; nobody may wait on its behalf when it goes on


async def directly(node, tasks):
    return [await task for task in tasks]


async def by_gather(node, tasks):
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def by_wait_for(node, tasks):
    return [await wait_for(task, node.patience) for task in tasks]


async def by_timeout(node, tasks):
    async with asyncio.timeout(node.patience):
        return [await task for task in reversed(tasks)]


async def by_impatient_gather(node, tasks):
    """It is cancelled as a whole; a part that fails leaves the others waiting, and so does not."""

    async def settled(task):
        try:
            return await task
        except (Exception, asyncio.CancelledError) as error:
            if asyncio.current_task().cancelling():
                raise
            return error

    async with asyncio.timeout(node.patience):
        results = await asyncio.gather(*map(settled, tasks))
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def by_task_group(node, tasks):
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(directly(node, [task])) for task in tasks]
    return [wait.result()[0] for wait in waits]


@asynccontextmanager
async def tasks_that_await(tasks):
    """What waits on behalf of a node that goes on may let one more run: none does."""
    waits = [asyncio.create_task(directly(None, [task])) for task in tasks]
    try:
        yield waits
    finally:
        for wait in waits:
            wait.cancel()
        if waits:
            await asyncio.wait(waits)


async def by_create_task(node, tasks):
    async with tasks_that_await(tasks) as waits:
        return [(await wait)[0] for wait in reversed(waits)]


async def by_as_completed(node, tasks):
    async with tasks_that_await(tasks) as waits:
        return [(await wait)[0] for wait in asyncio.as_completed(waits, timeout=node.patience)]


async def by_wait(node, tasks):
    async with tasks_that_await(tasks) as waits:
        left = waits
        while left:
            _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        return [wait.result()[0] for wait in waits]


async def by_imap(node):
    if not node.children:
        return 0
    first, total = node.children[0], 0
    results = getattr(first.pool, node.way)(first.body, node.children)
    node.tree.count(node.pool, -1)
    try:
        async for result in results:
            node.tree.count(node.pool, +1)
            total += result
            node.tree.count(node.pool, -1)
    finally:
        node.tree.count(node.pool, +1)
    return total


# ---- how a function waits, in its thread


def by_result(node, tasks):
    return [task.result(node.patience) for task in tasks]


def by_a_pool_of_its_own(node, tasks):
    with Pool(1) as pool:
        return pool.map(lambda task: task.result(PATIENCE), tasks)


def by_map(node, tasks):
    if not node.children:
        return []
    first = node.children[0]
    return first.pool.map(first.body, node.children)


MAPPED = ("imap", "imap_unordered", by_map)
WAYS = {
    coroutine: [
        directly,
        by_gather,
        by_impatient_gather,
        by_wait_for,
        by_timeout,
        by_task_group,
        by_create_task,
        by_as_completed,
        by_wait,
        *MAPPED[:2],
    ],
    function: [by_result, by_a_pool_of_its_own, by_map],
}
