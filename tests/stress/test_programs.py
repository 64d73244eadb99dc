"""Random programs over the whole public API: nothing runs twice, nothing is lost, no limit is
broken, no order changes, nothing hangs. `tests/campaign` draws, runs and checks them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parents[1] / "campaign"
LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = os.environ.get("AIOUTILS_SEED")
FIRST, COUNT = range(0, 10_000 if LONG else 300, 100), 100
if SEED is not None:
    FIRST, COUNT = range(int(SEED), int(SEED) + 1), 1


@pytest.mark.timeout(600 if LONG else 120)
@pytest.mark.parametrize("first", FIRST)
def test_random_programs_keep_every_promise(first):
    dev = ["-X", "dev"] if sys.flags.dev_mode else []
    command = [sys.executable, *dev, str(CAMPAIGN), str(first), str(COUNT)]
    done = subprocess.run(command, capture_output=True, text=True)
    again = f"again, until it fails: {sys.executable} {CAMPAIGN} SEED 0"
    assert done.returncode == 0 and done.stderr == "", f"{done.stderr}\n{again}"
