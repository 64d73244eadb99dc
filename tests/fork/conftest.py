"""How the scripts of these tests begin, and the fixture that runs them."""

import textwrap

import pytest

START = """
import asyncio, contextlib, multiprocessing, os, signal, sys, threading, time, warnings
from aioutils import *

# 3.12 and later warn of any fork in a process with threads
warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
# 3.15, in asyncio's debug mode, of the module that multiprocessing runs this script as
warnings.filterwarnings("ignore", "Module globals is missing", DeprecationWarning)
signal.alarm(10)  # ends what hangs

def work(group=None):
    '''What any tool can do: joins, results, threads, iterations.'''
    group = group or Group()
    tasks = [group.spawn(asyncio.sleep, 0.001, n) for n in range(3)]
    tasks.append(group.spawn(lambda: 3))
    assert group.join() is True
    assert [task.result() for task in tasks] == [0, 1, 2, 3]
    y = Yielder(2)
    for n in range(3):
        y.spawn(asyncio.sleep, 0, n)
    assert sorted(y) == [0, 1, 2]

def say(*words):
    '''A line at once: two processes write here.'''
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def fork(in_child, *args):
    '''Returns a function that waits for the child.'''
    pid = os.fork()
    if not pid:
        signal.alarm(8)
        try:
            in_child(*args)
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    def wait():
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status == 0, status
    return wait
"""


@pytest.fixture(params=[False, True], ids=["plain", "dev"])
def script(request, run_script):
    """Runs the code after START; it must end well and say nothing but what it prints."""

    def run(code):
        done = run_script(START + textwrap.dedent(code), dev=request.param)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return run
