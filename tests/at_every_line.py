"""What a signal handler, or a finalizer, may do: come in between any two lines of ours.

`at_line(k, call, handler)` runs the call, and the handler at the k-th line that the call executes
in aioutils, as the interpreter would run it there. Returns what both returned or raised, and where
that was; None for the place if the call has no such line.

The end of a `with` block is no such line, though it is traced as one: the interpreter does not look
for signals there, and what a trace function raises would keep a lock locked for good.
"""

import ast
import sys
from functools import cache
from pathlib import Path

import aioutils

_OURS = str(Path(aioutils.__file__).parent)


def outcome(function):
    try:
        return function()
    except Exception as error:
        return error


@cache
def _blocks(file):
    """The lines of the `with` statements, and of what is within."""
    tree = ast.parse(Path(file).read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.With | ast.AsyncWith)]
    return {node.lineno: range(node.body[0].lineno, node.end_lineno + 1) for node in nodes}


def at_line(k, call, handler):
    lines, place, handled = 0, None, None
    before = {}  # the line that each frame was at, by id: with the frame it would be a cycle

    def trace(frame, event, arg):
        nonlocal lines, place, handled
        code = frame.f_code
        if not code.co_filename.startswith(_OURS):
            return None
        last = before.get(id(frame))
        before[id(frame)] = frame.f_lineno
        is_left = last in _blocks(frame.f_code.co_filename).get(frame.f_lineno, ())
        if event == "return":
            del before[id(frame)]
        elif event == "line" and not is_left:
            if lines == k:
                place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                print(place, flush=True)  # the last one if it hangs
                handled = outcome(handler)
            lines += 1
        return trace

    outer = sys.gettrace()
    sys.settrace(trace)
    try:
        called = outcome(call)
    finally:
        sys.settrace(outer)
    return called, handled, place
