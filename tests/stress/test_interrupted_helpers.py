"""Interrupts at random moments of waits inside a running loop, which a helper thread drives.

`make cov` leaves this file out: a signal that comes while coverage holds a lock leaves it locked.
"""

import asyncio
import random
import signal
import threading

import pytest
from on_a_loop import on_a_loop

from aioutils import Group

pytestmark = pytest.mark.filterwarnings("ignore:this call blocks the event loop:RuntimeWarning")


class Alarm(BaseException):
    pass


def helpers():
    return [thread for thread in threading.enumerate() if thread.name == "aioutils helper"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no timers that signal")
@on_a_loop
async def test_they_leave_no_thread_behind_and_stop_nobody(eventually):
    def ring(number, frame):
        raise Alarm

    async def same(value):
        return value

    async def cleans_up():
        begun = threading.get_ident()
        try:
            await asyncio.sleep(0.05)
        finally:
            threads.append((begun, threading.get_ident()))

    rng, before = random.Random(16), signal.signal(signal.SIGALRM, ring)
    threads, rounds = [], 0
    try:
        with Group() as group:
            while rounds < 200 or len(threads) <= 100:  # so many had begun as the alarm rang
                rounds += 1
                group.spawn(cleans_up)
                with pytest.raises(Alarm):
                    signal.setitimer(signal.ITIMER_REAL, 0.0003 + rng.random() * 0.001)
                    while True:
                        group.join(timeout=0.0001)
                assert group.spawn(same, 7).result(timeout=10) == 7
    finally:
        signal.signal(signal.SIGALRM, before)
    eventually(lambda: not helpers(), 5)
    assert len(threads) > 100
    assert all(begun == ended for begun, ended in threads)
