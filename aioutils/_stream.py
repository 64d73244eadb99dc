"""An iterator over results: two short ends of a `Handout`, in sync code and in async code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from ._body import Awaiting
from ._dropping import drop_iteration
from ._failures import passes_unseen
from ._handout import END, LOOK, WAIT, Handout
from ._job import DONE
from ._later import Later
from ._lease import current, heed, pause, refuse, refuse_circle
from ._raised import is_a
from ._source import Closing
from ._steps import Steps, arun, cancel_again, requests, run
from ._waiting import A_LOOK
from .errors import DeadlockError, WrongLoopError

if TYPE_CHECKING:
    from ._bound import Tie
    from ._loop import Loop

T_co = TypeVar("T_co", covariant=True)

_FIX = (
    "In async code write 'async for', 'await task' or 'await tool.wait()'; else iterate outside "
    "of the tasks."
)


class Stream(Handout, Closing, Generic[T_co]):
    """An iterator over results, which drives the tool while it waits for the next one.

    `close()`, or letting it go before its end, cancels what is unfinished and cleans up.
    """

    def __iter__(self) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"an iteration of {self._tool!r} can't be copied: itertools.tee() shares it"
        )

    def __next__(self) -> T_co:
        if self._ready:  # the short way
            try:
                job = self._ready.popleft()
            except IndexError:  # pragma: no cover: another thread took it, just now
                pass
            else:
                if job._state is DONE:
                    order = self._order
                    order.taken += 1
                    if order._watchers:  # another thread, as in `take`
                        order.tell()
                    return job._outcome  # type: ignore[no-any-return]
                self._ready.appendleft(job)
                del job
        item: Any = None
        try:
            self._over or self._tool._opened()
            heed(self)  # it may never have to wait
            item = self._step() if self._begun else self._begin(blocks=True)
            while item is WAIT or item is LOOK:
                self._asking, left = True, self._left()
                if item is WAIT and not self._scheduler.block(self, left, _FIX):
                    self._time_is_up()
                loop = self._scheduler.loop
                # On its own loop one only pulls, until there is something to wait for.
                if item is LOOK and not (loop is not None and loop.is_here()):
                    self._scheduler.look(self, _FIX)
                self._asking = False
                item = self._step()
            if item is not END:
                return item  # type: ignore[no-any-return]
            self._scheduler.settle(self._left())
        except BaseException as error:
            self._leave_with(error)
            if is_a(error, StopIteration):
                raise self._no_end(error) from error
            raise
        finally:
            # The frames of a task's failure lead to this one, and it would keep what a `break`
            # leaves; and if the item is an exception, it knows this frame itself.
            del self, item
        raise StopIteration

    def rest(self) -> list[T_co]:
        """As `list` would return it, but for a call an item; by nobody else at the same time."""
        results: list[Any] = []
        item: Any = None
        try:
            for item in self:
                results.append(item)
                self._order.take_done(results)
            return results
        finally:
            del self, item, results  # as in `__next__`

    def _leave_with(self, error: BaseException) -> None:
        if self._is_source():  # the others go on
            self._asking = False
            return
        try:
            if self._was_refused(error):
                self._give_up(error)
            self._leave(error)
        except (DeadlockError, WrongLoopError):
            pass  # of the clean-up: `error` goes before
        except Exception as failure:
            self._ride(error, failure, "a source failed in closing")
        try:
            self._hand.ride(error)
        finally:
            del self, error  # as in `__next__`: a clean-up may fail

    def _no_end(self, error: BaseException) -> RuntimeError:
        """A failure that would be taken for the end of the iteration; as generators do."""
        return RuntimeError(f"a task or the source of {self._tool!r} raised {type(error).__name__}")

    def close(self) -> None:
        """Ends the iteration: what is unfinished in it is cancelled, and its clean-up runs.

        Where that would wait for itself, in the source or in an item, it is refused with a
        `RuntimeError`, and the iteration goes on.
        """
        left = None
        try:
            left = self._left_to_end()
            if left is not None:
                refuse(self._scheduler.bound(), left, _FIX)
            self._leave()
        finally:
            del self, left  # as in `__next__`: a clean-up may fail

    def _leave(self, error: BaseException | None = None) -> None:
        try:
            if not self._over:
                run(self._stopping(error), self._scheduler, _FIX)
                self._scheduler.settle()
        finally:
            del self, error

    def __aiter__(self) -> Stream[T_co]:
        return self

    async def __anext__(self) -> T_co:
        try:
            self._over or self._tool._opened()
            item = self._step() if self._begun else self._begin(blocks=False)
            while item is WAIT or item is LOOK:
                loop = self._scheduler.loop
                if item is LOOK and loop is not None and not loop.is_here():
                    await asyncio.sleep(0)  # what has failed there goes before a refusal to wait
                else:
                    self._asking = True
                    with Awaiting(self._scheduler, self):
                        if item is LOOK:
                            for _ in range(A_LOOK):
                                await asyncio.sleep(0)
                        elif not await pause(self, _FIX, self._left()):
                            self._time_is_up()
                    self._asking = False
                item = self._step()
        except GeneratorExit:  # nothing can be awaited any more: the iterator's own end cleans up
            self._asking = False
            raise
        except BaseException as error:
            await self._aleave(error)
            self._hand.ride(error)
            if is_a(error, StopAsyncIteration):
                raise self._no_end(error) from error
            raise
        if item is END:
            raise StopAsyncIteration
        try:
            return item  # type: ignore[no-any-return]
        finally:
            del item

    async def _aleave(self, error: BaseException) -> None:
        """A failure goes before a cancellation from outside, which is then requested anew."""
        if self._is_source():  # as in `_leave_with`
            self._asking = False
            return
        before = requests()
        try:
            if self._was_refused(error):
                self._give_up(error)
            await self._aend(error)
        except (DeadlockError, WrongLoopError):
            pass  # what is left was cancelled, and can't be waited for here
        except Exception as failure:
            self._ride(error, failure, "a source failed in closing")
        except asyncio.CancelledError:
            if passes_unseen(error):
                raise
            cancel_again(before)

    def _follow(self, loop: Loop) -> Tie | None:
        """With all that it is made of, or its source would block the loop."""
        tie = super()._follow(loop)
        if tie is None or self._source is None or self._source.may_run_on(loop):
            return tie
        return None

    def tells_failure(self) -> bool:
        return self._hand.tells

    def _stopping(self, error: BaseException | None = None) -> Steps[None]:
        try:
            yield from super()._stopping(error)
            if self._hand.failed and current.get() is None:  # in a task, one may wait for it
                # The rest was cancelled as well. What is new, once it was raised, goes on.
                yield self._scheduler if self._hand.failed_fast else self._scheduler.cleaning_up()
        finally:
            del self, error  # as in `__next__`

    async def aclose(self) -> None:
        """`close` in async code."""
        left = self._left_to_end()
        if left is not None:
            self._scheduler.bind_running(self)
            refuse_circle(left, _FIX)
        await self._aend()

    async def _aend(self, error: BaseException | None = None) -> None:
        if not self._over:
            await arun(self._stopping(error), self._scheduler, _FIX, ends_all=False)

    def __del__(self) -> None:
        try:
            if self._begun and not self._over:
                with Later():
                    drop_iteration(self._scheduler, self._thread, self._dropped, self._leave)
                self._over = True
            elif not self._over:
                self._over = True
                self._hand.end_early()
        finally:
            del self  # as in `close`
