"""The failures that nobody has seen yet: none is lost.

A failure is seen once its exception was raised or returned to somebody, or rode along as a note.
Added to on the loop; everything else from any thread (a dict's own operations are atomic).
"""

import logging
from collections.abc import Iterable
from typing import NoReturn

from ._job import Job
from ._order import Order

_log = logging.getLogger("aioutils")


class Failures:
    def __init__(self) -> None:
        self._unseen: dict[Job, None] = {}  # in order of failing
        self.ended: int = 0  # jobs, failed or not, since failures were last raised

    def __len__(self) -> int:
        return len(self._unseen)

    def add(self, job: Job) -> None:
        self._unseen[job] = None

    def see(self, job: Job) -> bool:
        """Returns True if nobody had seen it before."""
        return self._unseen.pop(job, self) is None

    def jobs(self) -> list[Job]:
        return list(self._unseen)

    def errors(self) -> list[BaseException]:
        return distinct(self.jobs())

    def take(self) -> list[BaseException]:
        return distinct([job for job in self.jobs() if self.see(job)])

    def take_of(self, order: Order) -> list[BaseException]:
        """Those of one call."""
        return distinct([job for job in self.jobs() if job._order is order and self.see(job)])

    def raise_all(self, errors: list[BaseException], who: object) -> NoReturn:
        """Raises the errors, which are seen by that, as one whose message says the most."""
        ids = set(map(id, errors))
        for job in self.jobs():
            if id(job._outcome) in ids:
                self.see(job)
        ended, self.ended = self.ended, 0
        message = f"{who!r}: {len(errors)} of {ended} tasks failed, first {errors[0]!r}"
        raise BaseExceptionGroup(message, errors)

    def raise_first(self, jobs: list[Job], who: object) -> None:
        """Raises the first of those that nobody has seen as itself, the others as its notes."""
        errors = distinct([job for job in jobs if self.see(job)])
        if errors:
            for other in errors[1:]:
                errors[0].add_note(f"{who!r}: another task failed: {other!r}")
            try:
                raise errors[0]
            finally:
                del errors, jobs, self

    def log(self, who: object) -> None:
        """The last chance to be seen, as the tool goes."""
        for error in self.take():
            _log.error("%s went away with a failure that nobody saw", who, exc_info=error)


def distinct(jobs: Iterable[Job]) -> list[BaseException]:
    """Each exception once, with its own traceback: two tasks may fail with the same one."""
    return list({id(job._outcome): job.error() for job in jobs}.values())
