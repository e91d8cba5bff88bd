"""How fast a peer may deliver, over all its associations and all processes of a box: back-pressure, never a refusal.

One small file a peer holds, for each of its two rates, the time at which what was delivered so far is paid for. Whoever
delivers moves it on and waits until then; meanwhile TCP's window holds the sender back.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import time
from pathlib import Path

from bridge.settings import Peer

_PAID = struct.Struct("=dd")  # by bytes, by instances; the clock of the machine since its start
_BURST_S = 0.25  # what a peer that has been quiet may deliver at once
_DEBT_S = 60.0  # at most: the clock begins anew with the machine, the file does not


class Pace:
    """One association's share in its peer's pace."""

    def __init__(self, directory: Path, peer: Peer) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(peer.name.encode()).hexdigest()[:16]
        self._descriptor = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._seconds_per_byte = 1 / peer.bytes_per_second if peer.bytes_per_second else 0.0
        self._seconds_per_instance = 1 / peer.instances_per_second if peer.instances_per_second else 0.0

    def owed_s(self, size_bytes: int, instances: int) -> float:
        """Account for a delivery; the seconds to wait before more is taken."""
        costs = (size_bytes * self._seconds_per_byte, instances * self._seconds_per_instance)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)  # of this open file: threads keep each other out too
        try:
            now = time.monotonic()
            paid = [_advanced(at, cost, now) for at, cost in zip(self._read(), costs, strict=True)]
            os.pwrite(self._descriptor, _PAID.pack(*paid), 0)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return max((0.0, *(at - now for at, cost in zip(paid, costs, strict=True) if cost)))

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)

    def _read(self) -> tuple[float, float]:
        kept = os.pread(self._descriptor, _PAID.size, 0)
        if len(kept) < _PAID.size:
            return 0.0, 0.0
        by_bytes, by_instances = _PAID.unpack(kept)
        return by_bytes, by_instances


def pace_of(directory: Path, peer: Peer | None) -> Pace | None:
    """The pace of a peer; None for one without a rate."""
    if peer is None or not (peer.bytes_per_second or peer.instances_per_second):
        return None
    return Pace(directory, peer)


def _advanced(paid: float, cost: float, now: float) -> float:
    return min(max(paid, now - _BURST_S) + cost, now + _DEBT_S) if cost else paid
