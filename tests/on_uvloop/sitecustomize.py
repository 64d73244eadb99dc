"""Every tool without a `loop_factory` runs on uvloop in a process that has this folder in its
PYTHONPATH: Python imports this as it starts. `make test-uvloop` puts it there."""

import uvloop

from aioutils import _eventloop

_take = _eventloop.take
_eventloop.take = lambda factory: _take(factory or uvloop.new_event_loop)
