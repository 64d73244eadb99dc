"""A Pool in a Celery task, in real workers: examples/frameworks/celery_app.py."""

import importlib
import io
import os
import signal
import sys

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from kombu.transport import filesystem

WORKER = "-m celery --quiet --app celery_app worker --loglevel warning".split()
# Their options, and how many tasks run at once.
POOLS = {"prefork": ("--concurrency=2", 2), "threads": ("--concurrency=20", 20)}


class Whole(io.FileIO):
    """A message that is there once it is written. Kombu's are there before, and a worker that finds
    an empty one takes no more. What does not end in `.msg` is no message."""

    def __init__(self, name):
        self.message = name
        super().__init__(f"{name}.new", "wb")

    def close(self):
        if not self.closed:
            super().close()
            os.replace(f"{self.message}.new", self.message)


def open_whole(name, mode, **options):
    return Whole(name) if mode == "wb" else open(name, mode, **options)


@pytest.fixture
def queue(tmp_path, monkeypatch, project):
    """The module of the task as its clients import it; messages are files."""
    monkeypatch.setattr(filesystem, "open", open_whole, raising=False)
    monkeypatch.syspath_prepend(project / "examples" / "frameworks")
    monkeypatch.setenv("QUEUE", str(tmp_path))
    module = importlib.import_module("celery_app")
    yield module
    module.app.close()
    del sys.modules["celery_app"]


@pytest.fixture
def work(start, queue):
    """`work(*options)` starts a worker."""
    return lambda *options: start(*WORKER, *options, QUEUE=str(queue.QUEUE))


@pytest.fixture
def ask(queue):
    """`ask(items, **options)`: the answer of a worker, None if an item has no price."""

    def ask(items, **options):
        try:
            return queue.total.apply_async([items], **options).get(timeout=30, interval=0.01)
        except LookupError as error:
            assert "404" in str(error)
            return None

    return ask


@pytest.mark.parametrize("kind", POOLS)
def test_200_tasks_of_20_clients_leave_no_thread_and_no_descriptor(
    kind, work, ask, clients, questions
):
    concurrency, at_once = POOLS[kind]
    worker = work(f"--pool={kind}", concurrency)
    # All at once: so each process or thread of the worker has been in the task, and keeps its loop.
    assert set(clients.map(ask, [[f"gate-{at_once}"]] * at_once)) == {0}
    before = worker.state()

    answers = list(clients.map(ask, [items for items, _ in questions]))

    assert answers == [total for _, total in questions]
    assert worker.more_than(before) == {}
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert worker.complaints() == []


def test_a_soft_time_limit_ends_the_task_and_leaves_nothing(work, ask):
    worker = work("--pool=prefork", "--concurrency=1")
    assert ask(["3"]) == 9
    before = worker.state()
    with pytest.raises(SoftTimeLimitExceeded):
        ask(["1", "gate-1000"], soft_time_limit=0.5)
    assert ask(["4"]) == 16
    assert worker.more_than(before) == {}
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    limit, task, _, error = worker.complaints()
    assert "Soft time limit (0.5s) exceeded" in limit
    assert task.endswith("raised unexpected: SoftTimeLimitExceeded()")
    assert error == "billiard.exceptions.SoftTimeLimitExceeded: SoftTimeLimitExceeded()"
