"""Many Ctrl-C in one process: `python ctrl_c_trials.py SCENARIO SEED TRIALS [SIGNAL]`.

Each trial waits in one of the ways there are, is shot at a random moment, and checks what
rule 17 promises; where a clean-up is stuck or the loop is blocked, it is shot at once more. It says
nothing if all is well: `test_ctrl_c.py` looks at stderr.
"""

import faulthandler
import gc
import os
import random
import signal
import sys
import threading
import time
import warnings

import conftest
from ctrl_c_ledger import Ledger
from ctrl_c_scenarios import BEGUN, FINALIZERS, GIVEN_UP, SCENARIOS, STEADY, blocked_loop

# as documented, of no interest here
warnings.filterwarnings("ignore", "this call blocks the event loop", RuntimeWarning)


def trial(scenario, ledger, number, expected, delay):
    """Returns how many `expected` left; the first one must be the only one."""
    before = signal.getsignal(number)
    last = 0.0

    def until_held():
        while signal.getsignal(number) is before:
            time.sleep(0.0002)  # until the main thread waits

    def shoot():
        nonlocal last
        assert BEGUN.get(scenario, lambda ledger: ledger.running)(ledger).wait(10)
        if scenario in STEADY:
            until_held()
        time.sleep(delay)
        if scenario in FINALIZERS:
            until_held()
        os.kill(os.getpid(), number)
        if scenario is blocked_loop:  # until it was noted
            while not signal.getsignal(number).__self__.noted:
                time.sleep(0.0002)
        elif scenario in GIVEN_UP:  # until it was delivered, and the clean-up has begun
            while signal.getsignal(number).__self__._patient:
                time.sleep(0.0002)
        else:
            return
        time.sleep(delay)
        last = time.monotonic()
        os.kill(os.getpid(), number)

    shooter = threading.Thread(target=shoot)
    left = 0
    try:
        shooter.start()
        try:
            scenario(ledger)
            raise AssertionError("the scenario ended, the signal was lost")
        except expected:
            left += 1
        assert not last or time.monotonic() < last + 1, "the second one did not end it at once"
        shooter.join()
        for _ in range(20):  # were there a second one, it would come now
            time.sleep(0.0001)
    except expected:
        left += 1
    assert left == 1, f"{left} {expected.__name__} left"
    assert signal.getsignal(number) is before, "the handler is not back"
    if scenario in FINALIZERS:
        gc.collect()  # of what was cancelled, tracebacks remain, whose frames hold the tool
    if scenario not in GIVEN_UP:
        ledger.check()


class Alarm(Exception):
    pass


def terminate(number, frame):
    raise SystemExit(number)


def ring(number, frame):
    raise Alarm


KINDS = {
    "SIGINT": (signal.default_int_handler, KeyboardInterrupt),
    "SIGTERM": (terminate, SystemExit),
    "SIGALRM": (ring, Alarm),
}


def main(name, seed, trials, kind="SIGINT"):
    if os.environ.get("AIOUTILS_LOOP") == "uvloop":
        conftest.run_on_uvloop()
    number = getattr(signal, kind)
    handler, expected = KINDS[kind]
    signal.signal(number, handler)
    for n in range(int(trials)):
        faulthandler.dump_traceback_later(10, exit=True)  # a trial that hangs
        rng = random.Random(f"{seed} {name} {n}")
        ledger = Ledger(rng)
        try:
            trial(SCENARIOS[name], ledger, number, expected, rng.uniform(0, 0.008))
        except BaseException:
            print(f"in trial {n} of {name}, seed {seed}, {kind}", file=sys.stderr)
            raise
    faulthandler.cancel_dump_traceback_later()
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    assert others == [threading.main_thread()], others


if __name__ == "__main__":
    main(*sys.argv[1:])
