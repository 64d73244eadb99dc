"""A web site with every fault that a crawl meets. Standard library only; the seed draws the faults.

    python faulty_site.py SEED COUNT    prints its address and serves until its standard input ends

`/page/<n>` is one of COUNT pages; page 0 leads to all of them. Half of the requests go wrong in one
of the ways of `FAULTS`, but from the fifth request on a page is there, unless it is `broken`: such
a page goes wrong each time. `/ledger` tells what the site has seen.
"""

import asyncio
import json
import random
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Those after which the page was there all the same, and those after which it was not.
HARMLESS = ("slow", "trickles", "drops the connection")
FAULTS = (
    "resets",
    "resets in the body",
    "ends in the head",
    "ends in the body",
    "ends in a chunk",
    "talks nonsense",
    "hangs",
    "429",
    "503",
)
FORGIVING = 4  # requests for a page that may go wrong


class FaultySite:
    """What there is on it, and what happens to whom. Equal seeds make equal sites."""

    def __init__(self, seed: str, count: int) -> None:
        self.seed = seed
        self.count = count
        chance = random.Random(f"site {seed}")
        # Leaves of the tree, or what they lead to would not be found.
        leaves = [n for n in range(count) if not self.children(n)]
        ways = [fault for fault in FAULTS if fault != "hangs"]  # each time, that takes a while
        self.broken = {n: chance.choice(ways) for n in chance.sample(leaves, count // 50)}

    def children(self, n: int) -> list[int]:
        return [child for child in range(3 * n + 1, 3 * n + 4) if child < self.count]

    def page(self, n: int) -> dict[str, object]:
        chance = random.Random(f"page {self.seed} {n}")
        others = [chance.randrange(self.count) for _ in range(3)]
        return {"links": [*self.children(n), *others], "text": f"page {n} " * chance.randrange(300)}

    def fault(self, n: int, request: int) -> str:
        if n in self.broken:
            return self.broken[n]
        chance = random.Random(f"fault {self.seed} {n} {request}")
        if chance.random() < 0.5:
            return chance.choice(("", *HARMLESS))
        return chance.choice(FAULTS if request < FORGIVING else HARMLESS)


class Server:
    def __init__(self, site: FaultySite) -> None:
        self.site = site
        self.requests: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.open = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if not await self.answer(head.split()[1].decode(), reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            self.open -= 1
            writer.close()

    async def answer(
        self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Returns whether the connection goes on."""
        if path == "/ledger":
            writer.write(answer(200, {"faults": self.faults, "open": self.open}))
            return True
        n = int(path.rpartition("/")[2])
        fault = self.site.fault(n, self.requests[n])
        self.requests[n] += 1
        self.faults[fault] += 1
        whole = answer(200, self.site.page(n))
        if fault.isdigit():
            whole = answer(int(fault), "later", "Retry-After: 0.01\r\n")
        head = whole.index(b"\r\n\r\n") + 4
        half = (head + len(whole)) // 2
        if fault == "hangs":
            await reader.read()
            return False
        if fault == "resets":
            return reset(writer)
        if fault == "resets in the body":
            writer.write(whole[:half])
            await asyncio.sleep(0.01)
            return reset(writer)
        if fault == "ends in the head":
            writer.write(whole[: head // 2])
            return False
        if fault == "ends in the body":
            writer.write(whole[:half])
            return False
        if fault == "ends in a chunk":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf a chun")
            return False
        if fault == "talks nonsense":
            writer.write(b"\x16\x03\x01 what?\r\n\r\n")
            return False
        if fault == "slow":
            await asyncio.sleep(0.03)
        if fault == "trickles":
            for at in range(0, len(whole), len(whole) // 4 + 1):
                writer.write(whole[at : at + len(whole) // 4 + 1])
                await writer.drain()
                await asyncio.sleep(0.005)
        else:
            writer.write(whole)
            await writer.drain()
        # It said nothing of it: the client may ask for its next page here, just now.
        return fault != "drops the connection"


def answer(status: int, content: object, more: str = "") -> bytes:
    body = json.dumps(content).encode()
    return f"HTTP/1.1 {status} So\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def reset(writer: asyncio.StreamWriter) -> bool:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
    return False


@contextmanager
def served(seed: str, count: int) -> Iterator[str]:
    """Serves the site from a process of its own, which ends with ours; gives its address."""
    with subprocess.Popen(
        [sys.executable, __file__, seed, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate()


async def main(seed: str, count: str) -> None:
    handler = Server(FaultySite(seed, int(count))).connected
    server = await asyncio.start_server(handler, "127.0.0.1", 0, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
