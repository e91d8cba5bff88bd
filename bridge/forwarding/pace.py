"""How fast a rule may send: bytes pass in small pieces, and whoever is too fast waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

PIECE_BYTES = 64 << 10  # small enough for the receiver's patience on a thin line


class Pace:
    """One destination's account with a rule; not thread-safe. `bytes_per_second` 0 lets everything pass at once."""

    def __init__(
        self,
        bytes_per_second: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._paid_until = 0.0

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same bytes, no faster than agreed."""
        if not self._rate:
            yield from chunks
            return
        for chunk in chunks:
            for start in range(0, len(chunk), PIECE_BYTES):
                piece = chunk[start : start + PIECE_BYTES]
                self._wait(len(piece))
                yield piece

    def _wait(self, size_bytes: int) -> None:
        now = self._clock()
        begins = max(self._paid_until, now)
        self._paid_until = begins + size_bytes / self._rate
        if begins > now:
            self._sleep(begins - now)
