"""Ranges of one stored data set, whatever the object's form: plain, or deflated as a whole (PS3.5 A.5).

An extent is (offset, length) in bytes, counted from the start of the (inflated) data set. Neighbouring extents come out
of one bounded read of the store; every byte is passed on at most once and at most 1 MiB is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bridge.errors import Unavailable
from bridge.inflate import inflate

Extent = tuple[int, int]
Read = Callable[[int, int | None], Iterator[bytes]]

_BRIDGED_BYTES = 1 << 16  # a gap up to this size is cheaper to read over than to ask the store again
_PARKED_CURSORS = 2  # one that looks ahead, one that sends


class DataSetBytes(Protocol):
    """Bytes of a data set by range."""

    gap_bytes: int  # a forward gap up to this size is read over

    def read(self, start: int, length: int | None) -> Iterator[bytes]:
        """Yield that range in chunks of at most 1 MiB; less where the data set ends before."""
        ...


@dataclass(slots=True)
class Plain:
    """A data set that lies in its object as it is, from `offset` on."""

    read_object: Read
    offset: int
    gap_bytes: int = _BRIDGED_BYTES

    def read(self, start: int, length: int | None) -> Iterator[bytes]:
        """One ranged read of the object."""
        return self.read_object(self.offset + start, length)


@dataclass(slots=True)
class Inflated:
    """A deflated data set: going forward is cheap, going back inflates from the start again. Not thread-safe."""

    read_object: Read
    offset: int
    limit_bytes: int
    gap_bytes: int = 1 << 62
    _parked: list[Cursor] = field(default_factory=list)

    def read(self, start: int, length: int | None) -> Iterator[bytes]:
        """Inflate up to `start`, then yield. Raises NotAcceptable for a broken stream."""
        cursor = self._cursor(start)
        try:
            cursor.skip_to(start)
            yield from cursor.rest() if length is None else cursor.up_to(length)
        finally:
            self._parked.append(cursor)
            if len(self._parked) > _PARKED_CURSORS:
                self._parked.pop(0).close()

    def _cursor(self, start: int) -> Cursor:
        """The parked cursor that is nearest before `start`, else one at the beginning."""
        behind = [cursor for cursor in self._parked if cursor.position <= start]
        if not behind:
            return Cursor(inflate(self.read_object(self.offset, None), limit_bytes=self.limit_bytes), 0)
        nearest = max(behind, key=lambda cursor: cursor.position)
        self._parked.remove(nearest)
        return nearest


class Cursor:
    """A place in a stream of chunks: skip forward, take some, take the rest. Closing frees the stream at once."""

    def __init__(self, chunks: Iterator[bytes], position: int) -> None:
        self._chunks = chunks
        self._held: memoryview | bytes = b""
        self.position = position

    def take(self, length: int) -> Iterator[bytes]:
        """Yield exactly `length` bytes. Raises Unavailable if the stream ends before."""
        wanted = self.position + length
        yield from self.up_to(length)
        if self.position < wanted:
            raise Unavailable("the stored object is shorter than the index says")

    def up_to(self, length: int) -> Iterator[bytes]:
        """Yield at most `length` bytes."""
        end = self.position + length
        while self.position < end and (piece := self._piece(end - self.position)):
            yield bytes(piece)

    def rest(self) -> Iterator[bytes]:
        """Yield everything that is left."""
        while piece := self._piece(1 << 62):
            yield bytes(piece)

    def skip_to(self, position: int) -> None:
        """Move forward to `position`, or to the end of the stream if that comes first."""
        while self.position < position and self._piece(position - self.position):
            pass

    def close(self) -> None:
        """Let go of the stream."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def _piece(self, limit: int) -> memoryview | bytes:
        held = self._held or next((chunk for chunk in self._chunks if chunk), b"")
        if len(held) <= limit:
            self._held = b""
        else:
            view = memoryview(held)
            held, self._held = view[:limit], view[limit:]
        self.position += len(held)
        return held


class ExtentReader:
    """Bytes of groups of extents, in the order given; neighbours share one read.

    The store is let go with the last byte, or when an iterator is closed before its end.
    """

    def __init__(self, source: DataSetBytes, groups: Sequence[Sequence[Extent]]) -> None:
        self._source = source
        self._groups = groups
        self._cursor: Cursor | None = None
        self._end = 0

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        """Yield one iterator of bytes per group, valid until the next is asked for; what it leaves unread is skipped.

        Taking from one raises Unavailable when the object is shorter than the extents say.
        """
        ends = iter(_run_ends([extent for group in self._groups for extent in group], self._source.gap_bytes))
        for number, group in enumerate(self._groups, 1):
            yield self._bytes(group, [next(ends) for _ in group], is_last=number == len(self._groups))

    def close(self) -> None:
        """Let go of the store."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

    def _bytes(self, group: Sequence[Extent], ends: Sequence[int], *, is_last: bool) -> Iterator[bytes]:
        keep = False
        try:
            for (offset, length), end in zip(group, ends, strict=True):
                yield from self._at(offset, end).take(length)
            keep = not is_last
        finally:
            if not keep:  # done, failed, or closed by a client that left
                self.close()

    def _at(self, offset: int, end: int) -> Cursor:
        cursor = self._cursor
        if cursor is None or not cursor.position <= offset <= self._end:
            self.close()
            cursor = self._cursor = Cursor(self._source.read(offset, end - offset), offset)
            self._end = end
        cursor.skip_to(offset)
        return cursor


def _run_ends(extents: Sequence[Extent], gap_bytes: int) -> list[int]:
    """For each extent, where the run that it belongs to ends: a run goes forward with small gaps only."""
    ends = [0] * len(extents)
    for number in range(len(extents) - 1, -1, -1):
        offset, length = extents[number]
        end = offset + length
        follows = number + 1 < len(extents) and 0 <= extents[number + 1][0] - end <= gap_bytes
        ends[number] = ends[number + 1] if follows else end
    return ends
