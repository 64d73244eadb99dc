"""Ctrl-C at random moments: every `finally` is finished, one KeyboardInterrupt leaves (rule 17).

`ctrl_c_trials.py` makes the trials, many in one process. AIOUTILS_STRESS=long makes more of
them; what a trial does depends on AIOUTILS_SEED alone, the moment of the signal on the machine.
"""

import os
import sys

import ctrl_c_trials
import pytest
from ctrl_c_scenarios import SCENARIOS
from ctrl_c_script import environment

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = os.environ.get("AIOUTILS_SEED", "1")
TRIALS = "200" if LONG else "10"

pytestmark = [
    pytest.mark.timeout(320 if LONG else 70),
    pytest.mark.skipif(sys.platform == "win32", reason="needs os.kill(pid, SIGINT)"),
]


@pytest.fixture
def shoot_at(run_script):
    """Runs the trials of one scenario in a process of its own, which must say nothing."""

    def run(scenario, kind="SIGINT", dev=False):
        code = f"import runpy; runpy.run_path({ctrl_c_trials.__file__!r}, run_name='__main__')"
        arguments = [scenario, SEED, TRIALS, kind]
        done = run_script(code, *arguments, dev=dev, timeout=300 if LONG else 60, env=environment())
        assert done.stderr == "", f"{scenario} under {kind}, AIOUTILS_SEED={SEED}"
        assert (done.returncode, done.stdout) == (0, "")

    return run


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_finally_is_finished_and_one_keyboard_interrupt_leaves(shoot_at, scenario):
    shoot_at(scenario)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_python_dev_mode_has_nothing_to_add(shoot_at, scenario):
    shoot_at(scenario, dev=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_sigterm_handler_that_raises_system_exit_does_the_same(shoot_at, scenario):
    shoot_at(scenario, "SIGTERM")
