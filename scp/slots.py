"""How many associations are open, over all processes of a box, in all and per peer (E16).

One small file: a fixed record per association, each held by a record lock of the process that owns it. The kernel drops
the locks of a process that dies, however it dies, so its records count no more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_RECORD_BYTES = 32  # SHA-256 of the caller's key
_GUARD = 0  # byte 0 is locked while the file is searched; record n is guarded by byte n + 1
_FIRST = 64  # where the records begin


class Slots:
    """The shared table. One instance a process: closing the file gives all of the process's locks away."""

    def __init__(self, path: Path, total: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._total = total
        self._own: set[int] = set()
        self._mutex = threading.Lock()

    def take(self, key: str, limit: int) -> Callable[[], None] | None:
        """Take a slot for this caller; returns the function that gives it back, or None when a limit is reached."""
        record = hashlib.sha256(key.encode()).digest()
        with self._guarded():
            used = dict(self._used())
            free = next((number for number in range(self._total) if number not in used), None)
            if free is None or sum(holder == record for holder in used.values()) >= limit:
                return None
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, free + 1)
            os.pwrite(self._descriptor, record, _FIRST + free * _RECORD_BYTES)
            self._own.add(free)
        return lambda: self._give_back(free)

    def open(self) -> int:
        """How many are taken, over all processes."""
        with self._guarded():
            return len(dict(self._used()))

    def close(self) -> None:
        """Give everything back."""
        os.close(self._descriptor)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._mutex:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, _GUARD)
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _GUARD)

    def _used(self) -> Iterator[tuple[int, bytes]]:
        """(number, holder) of the slots that a living process holds."""
        table = os.pread(self._descriptor, self._total * _RECORD_BYTES, _FIRST)
        empty = bytes(_RECORD_BYTES)
        for number in range(self._total):
            holder = table[number * _RECORD_BYTES : (number + 1) * _RECORD_BYTES]
            if holder in (b"", empty):
                continue
            if number in self._own or self._is_held_elsewhere(number):
                yield number, holder

    def _is_held_elsewhere(self, number: int) -> bool:
        """A lock that can be had is nobody's: locks of the own process never stand in the way, hence `_own`."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number + 1)
        except BlockingIOError:
            return True
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number + 1)
        return False

    def _give_back(self, number: int) -> None:
        with self._guarded():
            self._own.discard(number)
            os.pwrite(self._descriptor, bytes(_RECORD_BYTES), _FIRST + number * _RECORD_BYTES)
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number + 1)
