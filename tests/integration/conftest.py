"""Programs in processes of their own: how the tests start, ask, measure and end them."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples" / "frameworks"
CARELESS = ("gunicorn.arbiter", "waitress.wasyncore")  # they leave things open themselves


class Program:
    """A Python program with the examples on its path; what it says on stderr is kept.

    FD in its arguments stands for a socket that listens before the program does: so requests
    wait for it, and no test has to.
    """

    def __init__(self, *command, folder, **variables):
        self._stderr = folder / "stderr"
        with (
            socket.create_server(("127.0.0.1", 0), backlog=128) as listener,
            self._stderr.open("w") as stderr,
        ):
            self.port, fd = listener.getsockname()[1], listener.fileno()
            self._process = psutil.Popen(
                [sys.executable, *(part.replace("FD", str(fd)) for part in command)],
                pass_fds=[fd],
                env=environment() | variables,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )

    def get(self, path):
        """The answer, as status and text."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def state(self):
        """How many threads and descriptors each of its processes has: the fewest within a while,
        because what is about to end is not meant."""
        state, give_up = self._state(), time.monotonic() + 0.3
        while time.monotonic() < give_up:
            time.sleep(0.02)
            state &= self._state()
        return state

    def more_than(self, before):
        """What it has more than before; what is about to end has five seconds to do so."""
        give_up = time.monotonic() + 5
        while (more := self.state() - before) and time.monotonic() < give_up:
            pass
        return dict(more)

    def _state(self):
        state = Counter()
        for process in self._processes():
            state[process.pid, "threads"] = process.num_threads()
            state[process.pid, "descriptors"] = process.num_fds()
        return state

    def complaints(self):
        """What it said on stderr; a line that is indented belongs to the one before."""
        return re.findall(r"^\S.*(?:\n\s.*)*", self._stderr.read_text(), re.MULTILINE)

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self):
        """Until it ends; the exit status."""
        return self._process.wait(20)

    def kill(self):
        if self._process.is_running():
            for process in self._processes():
                process.kill()
        self._process.wait()

    def _processes(self):
        return [self._process, *self._process.children(recursive=True)]


def environment():
    """Ours, with the examples on the path, and without what else is set for Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    shown = [
        "default::ResourceWarning",
        "ignore:You're running the worker",
        *(f"ignore::ResourceWarning:{name}" for name in CARELESS),
    ]
    return kept | {"PYTHONPATH": str(EXAMPLES), "PYTHONWARNINGS": ",".join(shown)}


def unskipped(report):
    """In CI everything is there, so that a test that skips itself is one that does not run."""
    if report.skipped and os.environ.get("AIOUTILS_NO_SKIP"):
        report.outcome, report.longrepr = "failed", f"skipped in CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return unskipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return unskipped((yield))


@pytest.fixture(scope="session")
def prices(tmp_path_factory):
    """The service that all of them ask."""
    folder = tmp_path_factory.mktemp("prices")
    service = Program(str(HERE / "gated_service.py"), "FD", folder=folder)
    yield service
    service.kill()
    assert service.complaints() == []


@pytest.fixture
def start(prices, tmp_path):
    """`start(*command, **variables)` starts a `Program`, which does not outlive the test."""
    programs = []

    def start(*command, **variables):
        address = f"http://127.0.0.1:{prices.port}"
        programs.append(Program(*command, folder=tmp_path, PRICES=address, **variables))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()


@pytest.fixture
def clients():
    """Twenty threads, as an executor."""
    with ThreadPoolExecutor(20) as threads:
        yield threads


@pytest.fixture
def questions():
    """200 times ten items and their total; one time in ten an item has no price, so no total."""
    questions = []
    for number in range(200):
        items = [str(item) for item in range(number, number + 10)]
        total = sum(int(item) ** 2 for item in items)
        if number % 10 == 7:
            items[number % 9], total = "nothing", None
        questions.append((items, total))
    return questions
