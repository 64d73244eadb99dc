"""For the tests of signals: the fixture that runs scripts which begin with `ctrl_c_start`."""

import os
import textwrap

import pytest

_HERE = os.path.dirname(__file__)


def environment():
    """In which a script finds the helpers that lie beside this file."""
    path = [_HERE, os.environ.get("PYTHONPATH")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def run_with_start(run_script, code, **options):
    code = "from ctrl_c_start import *\n" + textwrap.dedent(code)
    return run_script(code, env=environment(), **options)


@pytest.fixture(params=[False, True], ids=["plain", "dev"])
def script(request, run_script):
    """Runs the code after `ctrl_c_start`, returns its lines; it must not write to stderr."""

    def run(code, returncode=0):
        done = run_with_start(run_script, code, dev=request.param)
        # asyncio in debug mode tells who blocked its loop
        stderr = [line for line in done.stderr.splitlines() if not line.startswith("Executing ")]
        assert (done.returncode, stderr) == (returncode, [])
        return done.stdout.splitlines()

    return run
