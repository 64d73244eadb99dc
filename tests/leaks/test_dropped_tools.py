"""Tools used and dropped in every way there is: nothing is left, nothing is said.

Each way is gone through many times, then as many descriptors, threads, tasks, loops and objects
of ours are alive as before.
"""

import gc
import logging
import os
import warnings

import census
import pytest
import ways_to_drop

LONG = os.environ.get("AIOUTILS_STRESS") == "long"
ROUNDS = 1000 if LONG else 30


def grown(way, rounds):
    """What there is more of after so many rounds."""
    way()  # what the first one leaves (a kept loop, caches) is no leak
    before = census.census()
    for _ in range(rounds):
        way()
        gc.collect()
    return census.grown(before)


@pytest.fixture(autouse=True)
def _collect_when_told():
    """Inside the loop of another round, a tool in a cycle could not clean up."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def _no_log():
    """Failures that nobody saw are logged, as promised."""
    logging.getLogger("aioutils").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("aioutils").setLevel(logging.NOTSET)


# An open uvloop is held by libuv: what hangs on its timers, and leads to the tool, is no garbage.
ON_ASYNCIOS_LOOP = pytest.param(ways_to_drop.failed_in_join, marks=pytest.mark.asyncios_loop)
CLEAN = [way for way in ways_to_drop.CLEAN if way is not ways_to_drop.failed_in_join]


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:.*blocks the.*loop")
@pytest.mark.parametrize("way", [*CLEAN, ON_ASYNCIOS_LOOP], ids=lambda way: way.__name__)
def test_a_tool_that_was_dropped_leaves_nothing(way, recwarn):
    assert grown(way, ROUNDS) == {}
    assert [str(w.message) for w in recwarn if issubclass(w.category, ResourceWarning)] == []


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:.*blocks the.*loop")
@pytest.mark.parametrize(
    "way",
    ways_to_drop.UNSAFE,
    ids=lambda way: way.__name__,
)
def test_a_tool_that_was_dropped_where_it_cannot_clean_up_warns_and_leaves_nothing(way):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert grown(way, ROUNDS) == {}
    ours = [w for w in caught if issubclass(w.category, ResourceWarning)]
    assert 0 < len(ours) <= ROUNDS + 1  # in a cycle it may be found later, where it can clean up
    assert all("was dropped where it could not clean up" in str(w.message) for w in ours)
