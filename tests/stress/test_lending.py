"""Random trees in full pools: who waits lends its slot, so nothing hangs, and no limit breaks."""

import os

import pytest
from random_trees import Tree

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
SEED = os.environ.get("AIOUTILS_SEED")
BATCHES, BATCH = (100, 50) if LONG else (8, 25)


def run(seed):
    # A tree that hangs has its seed as the last line of the captured output.
    print(f"AIOUTILS_SEED={seed}", flush=True)
    try:
        Tree(seed).run()
    except BaseException as error:
        error.add_note(f"again: AIOUTILS_SEED={seed} make test ARGS='-k random_tree'")
        raise


@pytest.mark.timeout(60)
@pytest.mark.parametrize("batch", range(BATCHES) if SEED is None else [SEED])
def test_a_random_tree_ends_and_keeps_the_limits(batch):
    for seed in range(batch * BATCH, (batch + 1) * BATCH) if SEED is None else [SEED]:
        run(seed)
