"""Bytes on their way into a store: kept in memory while small, in a file beyond, hashed as they arrive.

A `Spool` grows; `finish()` turns it into a `Payload`. Each byte is copied once and hashed once, while it is still in
the cache. The whole object is never in memory once it is larger than `memory_bytes`.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from zlib_ng.zlib_ng import crc32

from storage.errors import StorageError, StorageFull, StorageUnavailable

_IDLE_BUFFERS = 8  # of a process; with more objects coming in at once, the others get new memory
HEADER_LIMIT_BYTES = 1 << 20  # of a preamble and file meta information; ours have less than 1 KiB
_CHUNK = 1 << 20


class Begun(Protocol):
    """A store has begun to write a payload (storage/objects/local/early.py)."""

    def take(self) -> int:
        """The file, once it is written."""
        ...

    def drop(self) -> None:
        """Forget it, once it is written."""
        ...


@dataclass(slots=True, kw_only=True)
class Payload:
    """A finished object: `header` (preamble and file meta) followed by `body` (the data set, as received).

    Exactly one of `body` and `path` holds the bytes: `body` the data set in memory, `path` a file with both. Memory
    from a spool is used again after `discard`, unless `keep` was called.
    """

    header: bytes
    body: bytearray | bytes | memoryview | None
    path: Path | None
    size_bytes: int
    sha256: str  # of the header and the data set's digest, see `integrity`; hex
    data_set_sha256: str  # of the data set alone, hex
    aligned: memoryview | None = None  # header and body in one piece that begins with a page of memory
    begun: Begun | None = None
    _buffer: mmap.mmap | None = None

    @classmethod
    def of(cls, body: bytes) -> Payload:
        """A small object without a header: a decision, a bundle."""
        digest = hashlib.sha256(body)
        return cls(
            header=b"",
            body=body,
            path=None,
            size_bytes=len(body),
            sha256=integrity(b"", digest.digest()),
            data_set_sha256=digest.hexdigest(),
        )

    @property
    def data_set_offset(self) -> int:
        """Where the data set starts in the object."""
        return len(self.header)

    def chunks(
        self, chunk_bytes: int = _CHUNK, start: int = 0, length: int | None = None
    ) -> Iterator[bytes | memoryview]:
        """The object's bytes in order, or a part of them; may be called again after a failed put.

        Those in memory are views, not copies. Raises StorageUnavailable when the temporary file cannot be read, or
        after `discard`.
        """
        if self.path is None and self.body is None:
            raise StorageUnavailable("the payload has been dropped")
        end = self.size_bytes if length is None else min(start + length, self.size_bytes)
        if self.path is None:
            whole = ((self.aligned, 0),) if self.aligned is not None else None
            for part, at in whole or ((self.header, 0), (self.body or b"", len(self.header))):
                view = memoryview(part)[max(0, start - at) : max(0, end - at)]
                for first in range(0, len(view), chunk_bytes):
                    yield view[first : first + chunk_bytes]
            return
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(start)
                while start < end and (chunk := file.read(min(chunk_bytes, end - start))):
                    start += len(chunk)
                    yield chunk
        except OSError as error:
            raise StorageUnavailable(f"the temporary file cannot be read: {error.strerror}") from error

    def object_crc32(self) -> int:
        """CRC-32 of the object's bytes as they are. Reads them all once more, thirty times as fast as SHA-256."""
        found = 0
        for chunk in self.chunks():
            found = crc32(chunk, found)
        return found

    def object_sha256(self) -> str:
        """SHA-256 of the object's bytes as they are, hex: what an S3 request may have to say. Reads them all again."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()

    @contextmanager
    def data_set(self, offset: int | None = None) -> Iterator[memoryview]:
        """The data set (or what lies from `offset` of the object on) as one buffer.

        It is the bytes in memory, or the file mapped, so that only pages that are read are loaded.
        """
        start = self.data_set_offset if offset is None else offset
        if self.path is None:
            with memoryview(self.body or b"") as body, body[start - len(self.header) :] as view:
                yield view
            return
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as whole,
            whole[start:] as view,
        ):
            yield view

    @property
    def is_alone(self) -> bool:
        """Whether no other object is in this process's memory on its way in."""
        return len(_BUFFERS.lent) <= 1

    def keep(self) -> None:
        """Somebody may still read the bytes after `discard`: their memory is not to be used again."""
        if self._buffer is not None:
            _BUFFERS.lent.discard(self._buffer)
            self._buffer = None

    def discard(self) -> None:
        """Drop the temporary file, if there is one and no store has adopted it, or give the memory back."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        if self.begun is not None:
            begun, self.begun = self.begun, None
            begun.drop()
        if self._buffer is not None:
            buffer, self._buffer = self._buffer, None
            self.body = self.aligned = None
            _BUFFERS.give(buffer)

    def __enter__(self) -> Payload:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.discard()


class Spool:
    """A growing object. Raises StorageFull when `directory` has no room."""

    def __init__(self, header: bytes, *, directory: Path, memory_bytes: int) -> None:
        self._header = header
        self._directory = directory
        self._memory_bytes = memory_bytes
        self._buffer: mmap.mmap | None = None  # header and data set, while they are in memory
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._hash = hashlib.sha256()
        self.data_set_bytes = 0

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append `chunk` to the data set; it is copied, so the caller may reuse its buffer."""
        self._hash.update(chunk)
        if self._descriptor is not None:
            self._write_file(chunk)
        elif self.data_set_bytes + len(chunk) <= self._memory_bytes:
            self._write_memory(chunk)
        else:
            self._spill()
            self._write_file(chunk)
        self.data_set_bytes += len(chunk)

    def finish(self) -> Payload:
        """The finished object; the spool must not be written to afterwards."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        size_bytes = len(self._header) + self.data_set_bytes
        buffer, self._buffer = self._buffer, None
        aligned = None if buffer is None else memoryview(buffer)[:size_bytes]
        body = b"" if aligned is None else aligned[len(self._header) :]
        return Payload(
            header=self._header,
            body=body if self._path is None else None,
            path=self._path,
            aligned=aligned,
            _buffer=buffer,
            size_bytes=size_bytes,
            sha256=integrity(self._header, self._hash.digest()),
            data_set_sha256=self._hash.hexdigest(),
        )

    def discard(self) -> None:
        """Forget everything, the temporary file included."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._give_buffer_back()

    def _write_memory(self, chunk: bytes | bytearray | memoryview) -> None:
        start = len(self._header) + self.data_set_bytes
        if self._buffer is None:
            self._buffer = _BUFFERS.take(len(self._header) + self._memory_bytes)
            self._buffer[: len(self._header)] = self._header
        self._buffer[start : start + len(chunk)] = chunk

    def _give_buffer_back(self) -> None:
        if self._buffer is not None:
            buffer, self._buffer = self._buffer, None
            _BUFFERS.give(buffer)

    def _spill(self) -> None:
        try:
            self._descriptor, name = tempfile.mkstemp(prefix="spool-", suffix=".tmp", dir=self._directory)
        except OSError as error:
            raise StorageFull(f"cannot create a temporary file: {error.strerror}") from error
        self._path = Path(name)
        if self._buffer is None:
            self._write_file(self._header)
            return
        with memoryview(self._buffer) as view, view[: len(self._header) + self.data_set_bytes] as received:
            self._write_file(received)
        self._give_buffer_back()

    def _write_file(self, chunk: bytes | bytearray | memoryview) -> None:
        assert self._descriptor is not None
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise StorageFull(f"cannot write a temporary file: {error.strerror}") from error


def read_back(chunks: Iterable[bytes], header_bytes: int, *, directory: Path, memory_bytes: int) -> Payload:
    """A stored object as a payload again, its first `header_bytes` (at most HEADER_LIMIT_BYTES) as the header.

    Raises what `chunks` and `Spool` raise, and StorageError for a longer header.
    """
    if not 0 <= header_bytes <= HEADER_LIMIT_BYTES:
        raise StorageError(f"an object with a header of {header_bytes} bytes is none of ours")
    rest = iter(chunks)
    start = bytearray()
    while len(start) < header_bytes and (chunk := next(rest, b"")):
        start += chunk
    spool = Spool(bytes(start[:header_bytes]), directory=directory, memory_bytes=memory_bytes)
    try:
        spool.write(start[header_bytes:])
        for chunk in rest:
            spool.write(chunk)
    except BaseException:
        spool.discard()
        raise
    return spool.finish()


def integrity(header: bytes, data_set_digest: bytes) -> str:
    """The hash that tells whether an object is intact, hex: SHA-256 of its header followed by its data set's SHA-256.

    It covers every byte, and the data set, nearly all of them, is hashed once for both hashes.
    """
    return hashlib.sha256(header + data_set_digest).hexdigest()


class _Buffers:
    """Memory for objects that come in: whole pages, as direct writes want it, and warm from the object before."""

    def __init__(self) -> None:
        self._idle: deque[mmap.mmap] = deque(maxlen=_IDLE_BUFFERS)
        self.lent: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()  # taken, not given back, not forgotten either

    def take(self, size_bytes: int) -> mmap.mmap:
        """At least so much."""
        buffer = self._idle_or_new(size_bytes)
        self.lent.add(buffer)
        return buffer

    def give(self, buffer: mmap.mmap) -> None:
        """Nobody may read or write it any more."""
        self.lent.discard(buffer)
        self._idle.append(buffer)

    def _idle_or_new(self, size_bytes: int) -> mmap.mmap:
        wanted = -(-max(size_bytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
        try:
            buffer = self._idle.pop()
        except IndexError:
            return memory(wanted)
        return buffer if len(buffer) == wanted else memory(wanted)


def memory(size_bytes: int) -> mmap.mmap:
    """Memory of this process, in pages."""
    return mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


_BUFFERS = _Buffers()
