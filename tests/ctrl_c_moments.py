"""A signal at one moment after the other: `python ctrl_c_moments.py FIRST STEP SIGNAL SCENARIO...`

`ctrl_c_trials.py` shoots at random, and seldom hits the few instructions around a wait, where a
handler of the user's raises at once. Here a trace function counts the moments at which the
interpreter looks for signals (a call has returned, a function or one more round of a loop begins),
and raises one at the chosen moment.

Says nothing but the number of moments if all is well.
"""

import dis
import faulthandler
import gc
import logging
import os
import signal
import sys
import time
import warnings

from ctrl_c_short import SHORT, Count

from aioutils._signals import Signals

_HERE = os.path.dirname(os.path.abspath(__file__))
# The interpreter looks for signals at the end of these.
_NAMES = ("CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD", "RESUME", "PRECALL")
_LOOKS = {code for name, code in dis.opmap.items() if name in _NAMES}


class Moments:
    """Raises the signal at the k-th moment outside of this directory; `where` says where."""

    def __init__(self, k, number):
        self.k, self.number = k, number
        self.count = 0
        self.where = None
        self._last = None  # frame and instruction

    def __call__(self, frame, event, arg):
        if frame.f_code.co_filename.startswith((_HERE, "<frozen")):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self._last = None
        self._moment(frame)
        return self._step

    def _step(self, frame, event, arg):
        if event == "opcode":
            last, self._last = self._last, (frame, frame.f_code.co_code[frame.f_lasti])
            if last is not None and last[0] is frame and last[1] in _LOOKS:
                self._moment(frame)
        elif event == "return":
            self._last = None
        return self._step

    def _moment(self, frame):
        if self._finalizer_begins(frame):
            return
        self.count += 1
        if self.count == self.k:
            self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            self._last = None
            signal.raise_signal(self.number)

    def _finalizer_begins(self, frame):
        """Or ends, or the callback of a weak reference: nobody can keep the interpreter from
        printing what a handler raises there."""
        if isinstance(getattr(signal.getsignal(self.number), "__self__", None), Signals):
            return False
        while frame is not None and not _is_callback(frame):
            frame = frame.f_back
        return frame is not None


def _is_callback(frame):
    weak = frame.f_globals.get("__name__") in ("weakref", "_weakrefset")
    return frame.f_code.co_name == "__del__" or (weak and "remove" in frame.f_code.co_name)


def trial(scenario, moments, expected):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ledger, left = Count(), 0
    sys.settrace(moments)
    try:
        scenario(ledger)
        sys.settrace(None)
        if moments.where is not None:
            time.sleep(1)  # from a finalizer it comes a little later
    except expected:
        left += 1
    finally:
        sys.settrace(None)
    gc.collect()
    for number, handler in before.items():
        assert signal.getsignal(number) is handler, "the handler is not back"
    ledger.check()
    assert left == (moments.where is not None), f"{left} {expected.__name__} left"


class Said(logging.Handler):
    """What somebody complained of, by whatever way."""

    def __init__(self):
        super().__init__()
        self.lines = []
        logging.getLogger().addHandler(self)
        sys.unraisablehook = lambda hook: self.lines.append(f"ignored {hook!r}")
        warnings.simplefilter("always")
        # A signal between the call that makes a coroutine and the one that takes it.
        warnings.filterwarnings("ignore", ".*never awaited", RuntimeWarning)
        warnings.showwarning = lambda message, *_, **__: self.lines.append(str(message))

    def emit(self, record):
        message = record.getMessage()
        if not (record.name == "asyncio" and message.startswith("Executing ")):  # of debug mode
            self.lines.append(message)


def terminate(number, frame):
    raise SystemExit(number)


def main(first, step, kind, *names):
    number = getattr(signal, kind)
    expected = KeyboardInterrupt if kind == "SIGINT" else SystemExit
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)
    said, all_in_all = Said(), 0
    for name in names:
        SHORT[name](Count())  # imports and caches
        k, moments = int(first), None
        while moments is None or moments.where is not None:
            faulthandler.dump_traceback_later(10, exit=True)  # a trial that hangs
            moments = Moments(k, number)
            try:
                trial(SHORT[name], moments, expected)
                assert not said.lines, said.lines
            except BaseException:
                place = f"at moment {k} of {name}, {kind}, {moments.where}"
                print(place, *said.lines, sep="\n", file=sys.stderr)
                raise
            k += int(step)
        all_in_all += moments.count
    faulthandler.cancel_dump_traceback_later()
    print(all_in_all)


if __name__ == "__main__":
    main(*sys.argv[1:])
