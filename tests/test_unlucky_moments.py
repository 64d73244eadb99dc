"""An interrupt in the midst of a few lines of ours: what was begun can be ended all the same."""

import asyncio
import signal
import socket
import threading

import pytest
from four_tools import DEBUG, forever, returns

from aioutils import Group, Pool, _admission, _eventloop


def test_an_interrupt_as_a_spawn_wakes_the_loop_leaves_it_ready_to_be_woken(in_thread):
    running = threading.Event()

    class Loop(asyncio.SelectorEventLoop):
        interrupted = False

        def call_soon_threadsafe(self, *args, **kwargs):
            if running.is_set() and not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt
            return super().call_soon_threadsafe(*args, **kwargs)

    async def stay():
        running.set()
        await forever()

    with Group(loop_factory=Loop) as group:
        stays = group.spawn(stay)
        join = in_thread(group.join)
        assert running.wait(5)
        with pytest.raises(KeyboardInterrupt):
            group.spawn(returns(1))
        assert group.spawn(returns(2)).result(5) == 2
        stays.cancel()
        assert join() is True


@pytest.mark.asyncios_loop
@pytest.mark.skipif(DEBUG, reason="a loop in debug mode is not looked at")
def test_an_interrupt_as_a_loop_is_put_away_closes_it():
    def interrupt():
        raise KeyboardInterrupt

    async def leave_a_callback():
        asyncio.get_running_loop().call_soon(interrupt)
        return asyncio.get_running_loop()

    group = Group()
    loop = group.spawn(leave_a_callback).result()
    with pytest.raises(KeyboardInterrupt):
        group.close()
    assert loop.is_closed()


def test_an_interrupt_as_a_task_starts_cancels_it_and_gives_its_slot_back(monkeypatch):
    start = _admission.start

    def interrupted(run, **kwargs):
        monkeypatch.setattr(_admission, "start", start)
        run.close()
        raise KeyboardInterrupt

    with Pool(1) as pool:
        pool.spawn(returns(0)).result()
        monkeypatch.setattr(_admission, "start", interrupted)
        task = pool.spawn(returns, 1)
        with pytest.raises(KeyboardInterrupt):
            pool.join()
        assert task.cancelled() and pool.free_count() == 1
        assert pool.spawn(returns(2)).result() == 2


@pytest.mark.skipif(_eventloop.LAZY, reason="before 3.12 no task ends in its first step")
def test_an_interrupt_as_a_task_has_just_ended_leaves_it_its_result(monkeypatch):
    start = _admission.start

    def interrupted(run, **kwargs):
        monkeypatch.setattr(_admission, "start", start)
        start(run, **kwargs)
        raise KeyboardInterrupt

    with Pool(1) as pool:
        monkeypatch.setattr(_admission, "start", interrupted)
        task = pool.spawn(returns, 1)
        with pytest.raises(KeyboardInterrupt):
            pool.join()
        assert task.result() == 1 and pool.free_count() == 1


# ---- giving signals back -----------------------------------------------------------------

signals = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals")


@pytest.fixture
def handlers():
    """The test may change them."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@signals
def test_a_handler_that_a_task_installs_stays(handlers):
    async def install():
        signal.signal(signal.SIGTERM, mine)

    def mine(number, frame): ...

    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with Group() as group:
        group.spawn(install)
        group.join()
    assert signal.getsignal(signal.SIGTERM) is mine


@signals
def test_a_handler_that_raises_while_handlers_are_given_back_does_not_keep_the_others_away(
    handlers, monkeypatch
):
    """SIGTERM has its handler again, SIGINT has not, and a SIGTERM comes."""

    class Told(Exception):
        pass

    def tell(number, frame):
        raise Told

    def give_back(number, handler):
        before = set_handler(number, handler)
        if handler is tell:
            monkeypatch.setattr(signal, "signal", set_handler)
            signal.raise_signal(signal.SIGTERM)
        return before

    set_handler, of_sigint = signal.signal, signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGTERM, tell)

    async def wait_for_the_end():
        monkeypatch.setattr(signal, "signal", give_back)

    group = Group()
    group.spawn(wait_for_the_end)
    with pytest.raises(Told):
        group.join()
    assert signal.getsignal(signal.SIGTERM) is tell
    assert signal.getsignal(signal.SIGINT) is of_sigint
    group.close()


@pytest.fixture
def wakeup_descriptor():
    """Another library's."""
    here, there = socket.socketpair()
    with here, there:
        there.setblocking(False)
        signal.set_wakeup_fd(there.fileno())
        yield there.fileno()
        signal.set_wakeup_fd(-1)


@signals
@pytest.mark.asyncios_loop  # uvloop has signals written to its own for as long as it runs
def test_the_wakeup_descriptor_of_another_library_is_left_alone(wakeup_descriptor):
    async def look():
        seen.append(signal.set_wakeup_fd(wakeup_descriptor))

    seen = []
    with Group() as group:
        group.spawn(look)
        group.join()
    assert seen == [wakeup_descriptor]


@signals
def test_the_wakeup_descriptor_of_another_library_is_there_after_a_wait(wakeup_descriptor):
    with Group() as group:
        group.spawn(returns(1))
        group.join()
        assert signal.set_wakeup_fd(wakeup_descriptor) == wakeup_descriptor
    assert signal.set_wakeup_fd(wakeup_descriptor) == wakeup_descriptor
