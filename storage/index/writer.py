"""Group commit: whoever waits for the database is committed together, by one of those who wait.

The first to come leads: once the database is its own, it commits everything that has gathered, up to a limit, then
hands the lead to the next in line, waits until the disk has it, and wakes the others. There is no writer thread, so a
lone instance is committed without a change of thread; and who comes while another process has the database is in the
group.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from storage.errors import StorageError, StorageUnavailable
from storage.index.group import Waiting
from storage.records import Committed

Join = Callable[[], Sequence[Waiting]]  # closes the group at its first call; the same members at each further one
Write = Callable[[Join], None]


def _settled() -> None:
    """For a database whose commits are durable by themselves."""


@dataclass(slots=True, eq=False)
class _Place:
    """A place in the queue. `wake` is released once: when the result is there, or when it is its turn to lead."""

    waiting: Waiting
    wake: threading.Lock = field(default_factory=threading.Lock)
    leads: bool = False


class GroupWriter:
    """Brings instances together into transactions."""

    def __init__(
        self, write: Write, settle: Callable[[], None] = _settled, *, group_limit: int, wait_limit_s: float
    ) -> None:
        """`write` commits a group, `settle` returns when what was committed is durable."""
        self._write = write
        self._settle = settle
        self._group_limit = group_limit
        self._wait_limit_s = wait_limit_s
        self._mutex = threading.Lock()
        self._idle = threading.Condition(self._mutex)
        self._queue: deque[_Place] = deque()
        self._busy = False
        self._settling = 0  # groups that are committed and not yet durable
        self._closed = False

    def commit(self, waiting: Waiting) -> Committed:
        """Return when the instance is durably committed; raises its own error, never one of another's."""
        place = _Place(waiting)
        place.wake.acquire()
        with self._mutex:
            if self._closed:
                raise StorageUnavailable("the index is closed")
            self._queue.append(place)
            place.leads = not self._busy
            self._busy = True
        if not place.leads:
            self._wait(place)
        if place.leads:
            self._lead()
        if waiting.error is not None:
            raise waiting.error
        assert waiting.result is not None, "a group ends with a result or an error for each"
        return waiting.result

    def close(self) -> None:
        """Take nothing more and wait until what waits is committed."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: not self._busy and not self._settling, timeout=self._wait_limit_s)

    def _wait(self, place: _Place) -> None:
        if place.wake.acquire(timeout=self._wait_limit_s):
            return
        with self._mutex:
            if place in self._queue and not place.leads:
                self._queue.remove(place)
                raise StorageUnavailable("the index is too busy; the wait for a commit is over")
        place.wake.acquire()  # it is being committed right now

    def _lead(self) -> None:
        group: list[_Place] = []

        def join() -> list[Waiting]:
            if not group:
                with self._mutex:
                    group.extend(self._gather())
            return [place.waiting for place in group]

        try:
            commit_each(self._write, join)
        finally:
            self._hand_over()
            self._make_durable(group)
            for place in group:
                if not place.leads:
                    place.wake.release()

    def _hand_over(self) -> None:
        with self._mutex:
            self._settling += 1
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].wake.release()
            else:
                self._busy = False

    def _make_durable(self, group: Sequence[_Place]) -> None:
        """Wait for the disk; a group that it does not keep was not committed."""
        try:
            self._settle()
        except StorageError as error:
            _fail([place.waiting for place in group], error)
        finally:
            with self._mutex:
                self._settling -= 1
                self._idle.notify_all()

    def _gather(self) -> list[_Place]:
        """The next group, this leader first; an instance that is in it already waits for the next one."""
        group: list[_Place] = []
        later: list[_Place] = []
        seen = set()
        while self._queue and len(group) < self._group_limit:
            place = self._queue.popleft()
            if place.waiting.identity in seen:
                later.append(place)
            else:
                seen.add(place.waiting.identity)
                group.append(place)
        self._queue.extendleft(reversed(later))
        return group


def commit_each(write: Write, join: Join) -> None:
    """Commit a group; when the database refuses it, each member alone, so that only the culprit fails."""
    try:
        write(join)
    except StorageUnavailable as error:
        _fail(join(), error)
    except Exception as error:
        group = join()
        if len(group) == 1:
            _fail(group, error)
        else:
            for waiting in group:
                commit_each(write, partial(_alone, waiting))


def _alone(waiting: Waiting) -> list[Waiting]:
    return [waiting]


def _fail(group: Sequence[Waiting], error: Exception) -> None:
    for waiting in group:
        waiting.result = None
        waiting.error = (
            error if isinstance(error, StorageError) else StorageUnavailable("the index refuses this record")
        )
        waiting.error.__cause__ = error.__cause__ or error
