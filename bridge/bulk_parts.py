"""Bulk values that came beside their metadata, in one unnamed temporary file: constant memory, nothing is left over.

A value is found by its location, the text of the BulkDataURI (PS3.18 §10.5.1.4); several parts with one location are
the frames of an image, in their order.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from storage.errors import StorageFull

_CHUNK_BYTES = 1 << 20


@dataclass(slots=True, kw_only=True)
class BulkPart:
    """One part: `size` bytes of the file. A Source (`bridge.source`), as long as the file is open."""

    media_type: str
    transfer_syntax_uid: str  # "" where the sender does not say
    descriptor: int
    offset: int
    size: int

    def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`."""
        return os.pread(self.descriptor, max(0, min(length, self.size - start)), self.offset + start)

    def close(self) -> None:
        """Nothing to let go of: the file is closed with the others."""

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes of a range, 1 MiB at a time."""
        end = self.size if end is None else end
        while start < end and (chunk := self.read(start, min(_CHUNK_BYTES, end - start))):
            start += len(chunk)
            yield chunk


class BulkParts:
    """All parts of one message."""

    def __init__(self, directory: Path) -> None:
        """The file is made in `directory`, without a name. Raises StorageFull."""
        try:
            self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115  # closed by close()
        except OSError as error:
            raise StorageFull(f"cannot create a temporary file: {error.strerror}") from error
        self.size = 0  # bytes so far: where the next part starts
        self._by_location: dict[str, list[BulkPart]] = {}

    def write(self, chunk: bytes | memoryview) -> None:
        """Append to the part. Raises StorageFull."""
        view = memoryview(chunk)
        try:
            while view:
                written = self._file.write(view) or 0
                self.size += written
                view = view[written:]
        except OSError as error:
            raise StorageFull(f"cannot write a temporary file: {error.strerror}") from error

    def end(self, start: int, location: str, media_type: str, transfer_syntax_uid: str) -> None:
        """The part that began at `start` is whole."""
        part = BulkPart(
            media_type=media_type,
            transfer_syntax_uid=transfer_syntax_uid,
            descriptor=self._file.fileno(),
            offset=start,
            size=self.size - start,
        )
        self._by_location.setdefault(location, []).append(part)

    def at(self, location: str) -> Sequence[BulkPart]:
        """The parts of a value; none when nothing was sent for it."""
        return self._by_location.get(location, ())

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> BulkParts:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()
