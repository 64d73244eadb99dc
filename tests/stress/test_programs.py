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
BATCHES, BATCH = (100, 100) if LONG else (3, 100)


@pytest.mark.timeout(600 if LONG else 120)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_programs_keep_every_promise(batch):
    command = [sys.executable, str(CAMPAIGN), str(batch * BATCH), str(BATCH)]
    done = subprocess.run(command, capture_output=True, text=True)
    again = f"again: {sys.executable} {CAMPAIGN} SEED 0"
    assert done.returncode == 0 and done.stderr == "", f"{done.stderr}\n{again}"
