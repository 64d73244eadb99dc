"""Trees: each task spawns ten more, down to a depth; nobody holds the children."""

import asyncio

from work import Work

TREE = Work("a tree of 11,111 spawns, 10 children each", 11_111)


def depth_of(n):
    """How deep a tree of ten children each is if it has `n` nodes, at most: 11,111 are 4."""
    depth = 0
    while (10 ** (depth + 2) - 1) // 9 <= n:
        depth += 1
    return depth


@TREE.by("aioutils", "aioutils")
def aioutils_tree(n):
    from aioutils import Group

    async def node(depth):
        if depth:
            for _ in range(10):
                group.spawn(node(depth - 1))

    group = Group()
    group.spawn(node(depth_of(n)))
    group.join()


async def task_group(n):
    async def node(depth):
        if depth:
            for _ in range(10):
                group.create_task(node(depth - 1))

    async with asyncio.TaskGroup() as group:
        group.create_task(node(depth_of(n)))


@TREE.by("TaskGroup")
def task_group_tree(n):
    asyncio.run(task_group(n))


@TREE.by("eager TaskGroup", since=(3, 12))
def eager_tree(n):
    with asyncio.Runner() as runner:
        runner.get_loop().set_task_factory(asyncio.eager_task_factory)
        runner.run(task_group(n))


@TREE.by("gevent", "gevent.pool")
def gevent_tree(n):
    from gevent.pool import Group

    def node(depth):
        if depth:
            for _ in range(10):
                group.spawn(node, depth - 1)

    group = Group()
    group.spawn(node, depth_of(n))
    group.join()


async def node_of(group, depth):
    """For nurseries, trio's and anyio's."""
    if depth:
        for _ in range(10):
            group.start_soon(node_of, group, depth - 1)


@TREE.by("trio", "trio")
def trio_tree(n):
    import trio

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node_of, nursery, depth_of(n))

    trio.run(main)


@TREE.by("anyio", "anyio._backends._asyncio")
def anyio_tree(n):
    import anyio

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(node_of, group, depth_of(n))

    anyio.run(main)
