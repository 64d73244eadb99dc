"""An alarm that is held back rings again: it would ring once, for a loop that may be blocked."""

from __future__ import annotations

import signal

ALARM = int(getattr(signal, "SIGALRM", 0))
BLOCKED = 1.0  # seconds, after which nothing comes back by itself any more

_rings = False  # again


def ring_again() -> None:
    """Unless the user's own timer will."""
    global _rings
    if signal.getitimer(signal.ITIMER_REAL)[0] == 0:
        _rings = True
        signal.setitimer(signal.ITIMER_REAL, BLOCKED)


def has_rung_again() -> bool:
    """True if the alarm that came just now is not the user's, but that one."""
    return _rings and signal.getitimer(signal.ITIMER_REAL)[0] == 0


def ring_no_more() -> None:
    if _rings:
        forget()
        if signal.getitimer(signal.ITIMER_REAL)[0] <= BLOCKED:  # else it is the user's, again
            signal.setitimer(signal.ITIMER_REAL, 0)


def forget() -> None:
    """In the child of a fork: timers stay with the parent."""
    global _rings
    _rings = False
