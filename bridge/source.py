"""Bytes of a data set at given offsets: a buffer (mapped files too), or the output of inflate without keeping it all.

Only the asked ranges are touched, so the header of a huge mapped file costs a few pages.
"""

from __future__ import annotations

import mmap
import zlib
from typing import Protocol, TypeAlias

from bridge.errors import InvalidInstance

Buffer: TypeAlias = bytes | bytearray | memoryview | mmap.mmap

KEPT_INFLATED_BYTES = 16 << 20  # inflated data sets up to this size are kept in memory, larger ones inflated twice
RATIO_FLOOR_BYTES = 64 << 20  # the inflate ratio is not judged below this: empty masks deflate 1000 to 1
_CHUNK = 1 << 18


class Source(Protocol):
    """`size` bytes that can be read by range. Ranges beyond the end come back short."""

    size: int

    def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`."""
        ...

    def close(self) -> None:
        """Let go of the caller's buffer, so that a mapped file may be closed."""
        ...


class BufferSource:
    """A buffer as a source."""

    def __init__(self, data: Buffer) -> None:
        outer = memoryview(data)
        self._view = outer.cast("B") if outer.format != "B" or outer.ndim != 1 else outer
        self.size = self._view.nbytes

    def read(self, start: int, length: int) -> bytes:
        """See Source."""
        return bytes(self._view[start : start + length])

    def close(self) -> None:
        """See Source."""
        self._view.release()


class InflatedSource:
    """A deflated data set (PS3.5 §A.5, raw RFC 1951) read forwards; going back starts again.

    The first pass inflates to the end: it proves the stream whole and within `ratio_limit`, and finds `size`.
    Raises InvalidInstance for a broken, truncated or bomb-like stream.
    """

    def __init__(self, data: Buffer, ratio_limit: int) -> None:
        self._view = memoryview(data).cast("B")
        self._kept: bytearray | None = bytearray()
        self._limit = max(RATIO_FLOOR_BYTES, self._view.nbytes * ratio_limit)
        self.size = 0
        try:
            self._measure()
        except BaseException:
            self._view.release()
            raise
        self._rewind()

    def _measure(self) -> None:
        self._rewind()
        while chunk := self._inflate():
            self.size += len(chunk)
            if self.size > self._limit:
                raise InvalidInstance("the deflated data set inflates beyond the ratio limit")
            if self._kept is not None:
                self._kept += chunk
                if len(self._kept) > KEPT_INFLATED_BYTES:
                    self._kept = None
        if not self._decoder.eof:
            raise InvalidInstance("the deflated data set is truncated")

    def _rewind(self) -> None:
        self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        self._taken = 0  # bytes of input handed to the decoder
        self._window = b""  # the last bytes inflated
        self._base = 0  # where they start

    def _inflate(self) -> bytes:
        """The next bytes, at most _CHUNK; empty at the end of the stream or of the input."""
        while not self._decoder.eof:
            pending = self._decoder.unconsumed_tail
            if not pending:
                pending = bytes(self._view[self._taken : self._taken + _CHUNK])
                self._taken += len(pending)
            try:
                chunk = self._decoder.decompress(pending, _CHUNK)
            except zlib.error as error:
                raise InvalidInstance("the deflated data set is corrupt") from error
            if chunk or not pending:
                return chunk
        return b""

    def read(self, start: int, length: int) -> bytes:
        """See Source."""
        if self._kept is not None:
            return bytes(self._kept[start : start + length])
        if start < self._base:
            self._rewind()
        while self._base + len(self._window) < start + length:
            chunk = self._inflate()
            if not chunk:
                break
            used = max(0, min(start - self._base, len(self._window)))
            self._window = self._window[used:] + chunk
            self._base += used
        return self._window[start - self._base : start - self._base + length]

    def close(self) -> None:
        """See Source."""
        self._view.release()
