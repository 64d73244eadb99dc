"""What a signal handler, or a finalizer, may do: come in between any two lines of ours.

`at_line(k, call, handler)` runs the call, and the handler at the k-th line that the call executes
in aioutils, as the interpreter would run it there. Returns what both returned or raised, and where
that was; None for the place if the call has no such line.
"""

import sys
from pathlib import Path

import aioutils

_OURS = str(Path(aioutils.__file__).parent)


def outcome(function):
    try:
        return function()
    except Exception as error:
        return error


def at_line(k, call, handler):
    lines, place, handled = 0, None, None

    def trace(frame, event, arg):
        nonlocal lines, place, handled
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        if event == "line":
            if lines == k:
                place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                print(place, flush=True)  # the last one if it hangs
                handled = outcome(handler)
            lines += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        called = outcome(call)
    finally:
        sys.settrace(before)
    return called, handled, place
