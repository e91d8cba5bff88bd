"""Finished bodies, kept within a number of bytes; the least recently used go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

_OVERHEAD_BYTES = 400  # of one entry's key and bookkeeping
_LARGEST_SHARE = 4  # one body may take a quarter of the room


class BodyCache:
    """Bytes by key. Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._bodies: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """What is kept now, bookkeeping counted in."""
        return self._size

    @property
    def largest_bytes(self) -> int:
        """The largest body that is kept."""
        return self._limit // _LARGEST_SHARE

    def get(self, key: Hashable) -> bytes | None:
        """The body, or None."""
        with self._lock:
            body = self._bodies.get(key)
            if body is not None:
                self._bodies.move_to_end(key)
            return body

    def put(self, key: Hashable, body: bytes) -> None:
        """Keep a body, unless it would push out too much of the rest."""
        if len(body) > self.largest_bytes:
            return
        with self._lock:
            old = self._bodies.pop(key, None)
            self._size += len(body) + _OVERHEAD_BYTES - (len(old) + _OVERHEAD_BYTES if old is not None else 0)
            self._bodies[key] = body
            while self._size > self._limit:
                _, dropped = self._bodies.popitem(last=False)
                self._size -= len(dropped) + _OVERHEAD_BYTES
