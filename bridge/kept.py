"""Bytes by key, kept within a limit of bytes in memory; the least recently used go first. Standard library only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

_OVERHEAD_BYTES = 400  # of one entry's key and bookkeeping
_LARGEST_SHARE = 4  # one entry may take a quarter of the room


class Kept:
    """What was made once and may be asked for again. Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._values: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """What is kept now, bookkeeping counted in."""
        return self._size

    @property
    def largest_bytes(self) -> int:
        """The largest value that is kept."""
        return self._limit // _LARGEST_SHARE

    def get(self, key: Hashable) -> bytes | None:
        """The value, or None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: Hashable, value: bytes) -> None:
        """Keep a value, unless it would push out too much of the rest."""
        if len(value) > self.largest_bytes:
            return
        with self._lock:
            old = self._values.pop(key, None)
            self._size += len(value) + _OVERHEAD_BYTES - (len(old) + _OVERHEAD_BYTES if old is not None else 0)
            self._values[key] = value
            while self._size > self._limit:
                _, dropped = self._values.popitem(last=False)
                self._size -= len(dropped) + _OVERHEAD_BYTES
