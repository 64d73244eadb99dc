"""A signal at one moment after the other of short lives of tools, as `ctrl_c_moments.py` does it.

In the short form at every 401st, or, in debug mode, where there are more, at every 2,005th; with
AIOUTILS_STRESS=long at every seventh.
"""

import os

import ctrl_c_moments
import pytest
from ctrl_c_script import environment
from ctrl_c_short import SHORT
from four_tools import DEBUG

LONG = os.environ.get("AIOUTILS_STRESS") == "long"


@pytest.mark.timeout(1220 if LONG else 70)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no SIGTERM to raise")
@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"] if LONG else ["SIGINT"])
def test_at_no_moment_a_signal_is_lost_or_breaks_a_tool(run_script, kind):
    code = f"import runpy; runpy.run_path({ctrl_c_moments.__file__!r}, run_name='__main__')"
    which = ["2", "7"] if LONG else ["200", "2005" if DEBUG else "401"]
    timeout = 1200 if LONG else 60
    done = run_script(code, *which, kind, *SHORT, timeout=timeout, env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 10_000
