"""The site of the crawl: every GET is answered with 1 KB after 5 ms. Standard library only.

python server.py    prints its address and serves until its standard input ends
"""

import asyncio
import atexit
import subprocess
import sys
from functools import cache

BODY = b"x" * 1024
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(BODY)}\r\n\r\n"
ANSWER = HEAD.encode() + BODY


class Site(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.received = transport, b""
        self.loop = asyncio.get_running_loop()

    def data_received(self, data):
        *requests, self.received = (self.received + data).split(b"\r\n\r\n")
        for _ in requests:
            self.loop.call_later(0.005, self.transport.write, ANSWER)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Site, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


@cache
def site() -> str:
    """The address of a server in a process of its own, which ends with this one."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)  # its standard input ends, and it is waited for
    assert process.stdout
    return process.stdout.readline().strip()


if __name__ == "__main__":
    asyncio.run(main())
