"""Random programs: nothing runs twice, nothing is lost, no limit is broken, nothing hangs."""

import os

import pytest
from random_programs import Program

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = os.environ.get("AIOUTILS_SEED")
BATCHES, BATCH = (200, 50) if LONG else (10, 10)


def run(seed):
    # A program that hangs has its seed as the last line of the captured output.
    print(f"AIOUTILS_SEED={seed}", flush=True)
    try:
        Program(seed).run()
    except BaseException as error:
        error.add_note(f"again: AIOUTILS_SEED={seed} make test ARGS='-k random_program'")
        raise


@pytest.mark.timeout(60)
@pytest.mark.parametrize("batch", range(BATCHES) if SEED is None else [SEED])
def test_a_random_program_keeps_every_promise(batch):
    for seed in range(batch * BATCH, (batch + 1) * BATCH) if SEED is None else [SEED]:
        run(seed)
