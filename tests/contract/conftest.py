"""The contract runs over every kind of tool."""

import pytest
from four_tools import LIMITED, MAKERS


@pytest.fixture(params=MAKERS)
def make(request):
    """Makes a tool of the kind at hand."""
    return MAKERS[request.param]


@pytest.fixture
def tool(make):
    tool = make()
    yield tool
    tool.close()


@pytest.fixture(params=LIMITED)
def make_limited(request):
    """Makes a tool with the limit that it is given."""
    return LIMITED[request.param]
