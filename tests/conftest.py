"""What every test gets: a check that it left nothing behind, and a few helpers.

Warnings are errors, but asyncio only logs "Task was destroyed but it is pending" and "Task
exception was never retrieved", and nobody reports a thread or a descriptor left open:
`nothing_leaks` does.
"""

import asyncio
import contextlib
import gc
import logging
import os
import re
import runpy
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from aioutils import Group, _eventloop, _signals, _source, _sync_calls, dual

try:
    import uvloop
except ImportError:  # not on Windows
    uvloop = None

HELPERS = {path.stem for path in Path(__file__).parent.glob("*.py") if path.stem[:5] != "test_"}
pytest.register_assert_rewrite(*HELPERS)  # what fails in them says why, as in a test

ON_UVLOOP = Path(__file__).with_name("on_uvloop")
FAILED = pytest.StashKey[bool]()


def pytest_configure(config):
    if uvloop is not None:
        uvloop.new_event_loop().close()  # for its signals libuv opens a pipe, once a process
    if os.environ.get("AIOUTILS_LOOP") == "uvloop":
        run_on_uvloop()
    logging.getLogger("asyncio").addFilter(_is_not_about_the_machine)  # pytest keeps all records
    # Started in the background of a shell, SIGINT is ignored, by the scripts that tests start too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_not_about_the_machine(record):
    """That a callback was slow, in debug mode."""
    return not record.getMessage().startswith("Executing ")


def run_on_uvloop():
    """Every tool without a `loop_factory` runs on uvloop, in the processes that tests start too:
    `make test-uvloop`."""
    runpy.run_path(str(ON_UVLOOP / "sitecustomize.py"))
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ON_UVLOOP), *([others] if others else [])])


def pytest_collection_modifyitems(config, items):
    if os.environ.get("AIOUTILS_LOOP") == "uvloop":
        left_out = [item for item in items if item.get_closest_marker("asyncios_loop")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
    return report


# ---- nothing is left behind ------------------------------------------------------------


class _Records(logging.Handler):
    """What logger `asyncio` warns of."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def _descriptors():
    """How many descriptors of each kind are open; nothing where the system does not tell."""
    kinds = Counter()
    with contextlib.suppress(FileNotFoundError):
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # that of listdir itself
                kinds[re.sub(r"\[\d+\]", "", os.readlink(f"/proc/self/fd/{fd}"))] += 1
    return kinds


def _handlers():
    return [signal.getsignal(number) for number in _signals._HELD]


@dual
async def _nothing():
    """For the loop of this thread's sync calls."""


def _keep_a_loop():
    """Make sure that this thread keeps its loops, the one of sync calls and the clean one, so that
    both counts include them."""
    _nothing.sync()
    with Group() as group:
        group.spawn(asyncio.sleep, 0)
        group.join()


@pytest.fixture(scope="module", autouse=True)
def _collect_quickly():
    """Leave pytest, the collected tests and the reports so far out of every later collection.

    Not the loops that this thread keeps: in a tool's reference cycle they are to be collected.
    """
    _eventloop._close_kept()
    _sync_calls._at_exit()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_leaks(request, _collect_quickly):
    """After the test: no complaint from asyncio, no new thread, no new descriptor, no handler of a
    signal that was not there before.

    A test that provokes a complaint on purpose takes this fixture and clears the list it yields.
    """
    asyncio_log = _Records()
    logging.getLogger("asyncio").addHandler(asyncio_log)
    _keep_a_loop()
    threads, descriptors = set(threading.enumerate()), _descriptors()
    handlers = _handlers()

    yield asyncio_log.messages

    leaks = _leaks(threads, descriptors)
    logging.getLogger("asyncio").removeHandler(asyncio_log)
    if not request.node.stash.get(FAILED, False):  # its traceback keeps things alive
        assert not leaks, f"left behind: {leaks}"
        assert _handlers() == handlers
        assert not asyncio_log.messages, f"asyncio complained: {asyncio_log.messages}"


def _leaks(threads, descriptors):
    """New threads and descriptors; threads that are about to end have a second to do so."""
    give_up = time.monotonic() + 1
    while True:
        gc.collect()
        _keep_a_loop()
        new_threads = [thread for thread in threading.enumerate() if thread not in threads]
        leaks = [*new_threads, *(_descriptors() - descriptors)]
        if not leaks or time.monotonic() > give_up:
            return leaks
        time.sleep(0.01)


# ---- helpers ---------------------------------------------------------------------------


@pytest.fixture
def run_script(tmp_path):
    """`run_script(code, *args)` runs it in a process of its own, as `subprocess.run` does.

    What comes back has `returncode`, `stdout`, `stderr`. `dev=True` is `-X dev`; its remarks on
    slow callbacks ("Executing ...") are about the machine, and left out.
    """

    def run(code, *args, dev=False, timeout=15, **options):
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(code))
        command = [sys.executable, *(["-X", "dev"] if dev else []), str(script), *args]
        options = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, **options}
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
        done.stderr = re.sub(r"^Executing <.*\n", "", done.stderr, flags=re.MULTILINE)
        return done

    return run


@pytest.fixture
def quick_pulls(monkeypatch):
    """However slow the machine is, no item takes its time: as many are pulled as there is room."""
    monkeypatch.setattr(_source, "now", lambda: 0.0)


@pytest.fixture
def deadline():
    """`with deadline(2): ...` fails if the block took longer. Be generous: machines are slow."""

    @contextlib.contextmanager
    def limit(seconds):
        start = time.monotonic()
        yield
        took = time.monotonic() - start
        assert took <= seconds, f"took {took:.3f} s, {seconds} s allowed"

    return limit


@pytest.fixture
def eventually():
    """`eventually(lambda: ...)` waits until it is true, for what happens in other threads."""

    def wait(condition, seconds=5):
        give_up = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up, f"not within {seconds} s"
            time.sleep(0.001)

    return wait


@pytest.fixture
def in_thread():
    """`call = in_thread(f, *args)`; then `call()` waits, and returns or raises what `f` did."""
    threads = []

    def start(function, *args, **kwargs):
        outcome = []

        def run():
            try:
                outcome.append((function(*args, **kwargs), None))
            except BaseException as error:
                outcome.append((None, error))

        def call(timeout=10):
            thread.join(timeout)
            assert outcome, f"{function} did not end within {timeout} s"
            value, error = outcome[0]
            if error is not None:
                raise error
            return value

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threads.append(thread)
        return call

    yield start
    for thread in threads:
        thread.join(5)


@pytest.fixture(scope="session")
def project():
    """The root of the checkout: README.md, docs, examples."""
    return Path(__file__).parents[1]
