"""Ctrl-C at random moments: every `finally` is finished, one KeyboardInterrupt leaves (rule 17).

`ctrl_c_trials.py` makes the trials, many in one process. AIOUTILS_STRESS=long makes more of
them; what a trial does depends on AIOUTILS_SEED alone, the moment of the signal on the machine.
"""

import os
import sys

import ctrl_c_trials
import pytest
from ctrl_c_scenarios import GIVEN_UP
from ctrl_c_scenarios import SCENARIOS as ALL
from ctrl_c_script import environment

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = os.environ.get("AIOUTILS_SEED", "1")
# When a second signal comes soon enough after the first depends on the machine: not in make test.
SCENARIOS = [name for name, scenario in ALL.items() if LONG or scenario not in GIVEN_UP]
TRIALS = "200" if LONG else "5"

pytestmark = [
    pytest.mark.timeout(1220 if LONG else 70),
    pytest.mark.skipif(sys.platform == "win32", reason="needs os.kill(pid, SIGINT)"),
]


@pytest.fixture
def shoot_at(run_script):
    """Runs the trials of one scenario in a process of its own, which must say nothing."""

    def run(scenario, kind="SIGINT", dev=False, loop=""):
        code = f"import runpy; runpy.run_path({ctrl_c_trials.__file__!r}, run_name='__main__')"
        arguments = [scenario, SEED, TRIALS, kind]
        env = {**environment(), "AIOUTILS_LOOP": loop}
        done = run_script(code, *arguments, dev=dev, timeout=1200 if LONG else 60, env=env)
        assert done.stderr == "", f"{scenario} under {kind}, AIOUTILS_SEED={SEED}"
        assert (done.returncode, done.stdout) == (0, "")

    return run


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_finally_is_finished_and_one_keyboard_interrupt_leaves(shoot_at, scenario):
    """Under -X dev, which has nothing to add."""
    shoot_at(scenario, dev=True)


@pytest.mark.skipif(not LONG, reason="the same as in a test of pytest")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_sigterm_handler_that_raises_system_exit_does_the_same(shoot_at, scenario):
    shoot_at(scenario, "SIGTERM")


@pytest.mark.parametrize("scenario", SCENARIOS if LONG else ["iteration"])
def test_an_alarm_whose_handler_raises_does_the_same(shoot_at, scenario):
    """Any exception, which asyncio would keep to itself."""
    shoot_at(scenario, "SIGALRM")


@pytest.mark.skipif(not LONG, reason="takes its time")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_on_uvloop(shoot_at, scenario):
    shoot_at(scenario, loop="uvloop")


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"] if LONG else ["SIGTERM"])
def test_the_same_in_a_test_of_pytest(run_script, tmp_path, kind):
    """Which looks for what was printed, logged or left behind; the handler of SIGTERM raises
    SystemExit."""
    (tmp_path / "test_trials.py").write_text(
        "import ctrl_c_trials, pytest\n"
        f"@pytest.mark.parametrize('scenario', {SCENARIOS})\n"
        "@pytest.mark.filterwarnings('error', 'ignore:this call blocks the event loop')\n"
        "def test_trials(scenario, capfd):\n"
        f"    ctrl_c_trials.main(scenario, {SEED!r}, {TRIALS!r}, {kind!r})\n"
        "    assert capfd.readouterr() == ('', '')\n"
    )
    code = "import pytest, sys; sys.exit(pytest.main(['-q', 'test_trials.py']))"
    done = run_script(code, timeout=1200 if LONG else 60, env=environment())
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_uncaught_it_ends_pytest(run_script, tmp_path):
    (tmp_path / "test_it.py").write_text(
        "from ctrl_c_start import *\n"
        "def test_it():\n"
        "    with Group() as group:\n"
        "        group.spawn(tidy)\n"
        "        shoot(0.01, when=running)\n"
    )
    code = "import pytest, sys; sys.exit(pytest.main(['-q', '-s', 'test_it.py']))"
    done = run_script(code, env=environment())
    assert (done.returncode, done.stderr) == (2, "")
    assert "tidy cleaned up" in done.stdout
    assert done.stdout.count("!!! KeyboardInterrupt !!!") == 1
