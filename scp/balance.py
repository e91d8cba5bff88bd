"""How many connections each process of the door has, so that the next one goes to the process with the fewest.

The kernel wakes every process that waits on the shared socket and lets the fastest accept: of four associations three
often ended in one process, whose interpreter serves one thread at a time, while the other process had a core to spare.

One small file in memory that all share: a number per process, in a record that its owner keeps locked. The kernel drops
the lock of a process that dies, however it dies, so its number counts no more.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from pathlib import Path

_NUMBER = struct.Struct("=I")


class Balance:
    """This process's number, and a look at those of the others. One instance a process: see Slots."""

    def __init__(self, path: Path, processes: int) -> None:
        """`processes` of the door; one more that finds no record left is simply not counted."""
        path.parent.mkdir(parents=True, exist_ok=True)
        records = 2 * processes  # one that only seems taken, because somebody looks at it, is passed over
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._descriptor, records * _NUMBER.size)
        self._numbers = mmap.mmap(self._descriptor, records * _NUMBER.size)
        self._own = next((record for record in range(records) if self._lock(record)), None)
        self.note(0)

    def note(self, connections: int) -> None:
        """This process has so many now."""
        if self._own is not None:
            _NUMBER.pack_into(self._numbers, self._own * _NUMBER.size, connections)

    def is_above(self, connections: int) -> bool:
        """Whether a living process has fewer than this one, which has `connections`."""
        fewer = (record for record, (other,) in enumerate(_NUMBER.iter_unpack(self._numbers)) if other < connections)
        return connections > 0 and any(record != self._own and self._is_alive(record) for record in fewer)

    def close(self) -> None:
        """Count no more."""
        self._numbers.close()
        os.close(self._descriptor)

    def _lock(self, record: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, record)
        except BlockingIOError:
            return False
        return True

    def _is_alive(self, record: int) -> bool:
        """A lock that can be had is nobody's."""
        if not self._lock(record):
            return True
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, record)
        return False
