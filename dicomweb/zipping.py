"""ZIP archives as they are read: stored, not deflated, with ZIP64 where it is needed (PKWARE APPNOTE; Sup 211). Pure.

A member's bytes pass through once, for their check sum, which follows them; only the directory grows, by about two
hundred bytes a member.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from zlib_ng.zlib_ng import crc32

_LIMIT = 0xFFFFFFFF  # sizes and offsets from here on need ZIP64
_COUNT_LIMIT = 0xFFFF
_PLAIN_VERSION, _ZIP64_VERSION = 20, 45
_FLAGS = 0x0008  # sizes and check sum follow the member
_DATE, _TIME = 0x0021, 0x0000  # 1980-01-01: the archive's members are made now, and no clock is worth a difference

_LOCAL = struct.Struct("<IHHHHHIIIHH")
_DESCRIPTOR, _DESCRIPTOR_64 = struct.Struct("<IIII"), struct.Struct("<IIQQ")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_EXTRA_64 = struct.Struct("<HHQQ")
_CENTRAL_EXTRA_64 = struct.Struct("<HHQQQ")
_END = struct.Struct("<IHHHHIIH")
_END_64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<IIQI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file: its ASCII name, its bytes, its size where that is known."""

    name: str
    chunks: Iterable[bytes]
    size_bytes: int | None = None

    @property
    def is_large(self) -> bool:
        """Whether it may need sizes of 64 bits; one whose size is unknown may."""
        return self.size_bytes is None or self.size_bytes >= _LIMIT


def member_size(name: str, size_bytes: int) -> int:
    """What a member adds to an archive without ZIP64."""
    return _LOCAL.size + _DESCRIPTOR.size + _CENTRAL.size + 2 * len(name) + size_bytes


def total_size(members_bytes: int, count: int) -> int | None:
    """Bytes of an archive whose members add so much; None where it takes ZIP64."""
    total = members_bytes + _END.size
    return total if total < _LIMIT and count < _COUNT_LIMIT else None


def write(members: Iterable[Member]) -> Generator[bytes, None, None]:
    """The archive in chunks. Closing the iterator closes the open member."""
    directory: list[bytes] = []
    position = 0
    for member in members:
        offset = position
        header = _local_header(member)
        yield header
        size = checksum = 0
        chunks = iter(member.chunks)
        try:
            for chunk in chunks:
                checksum = crc32(chunk, checksum)
                size += len(chunk)
                yield chunk
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        descriptor = _DESCRIPTOR_64 if member.is_large else _DESCRIPTOR
        yield descriptor.pack(0x08074B50, checksum, size, size)
        directory.append(_central_header(member, checksum, size, offset))
        position += len(header) + size + descriptor.size
    yield from _joined(directory)
    yield _end(position, sum(map(len, directory)), len(directory))


def _local_header(member: Member) -> bytes:
    name = member.name.encode("ascii")
    extra = _EXTRA_64.pack(1, 16, 0, 0) if member.is_large else b""
    version = _ZIP64_VERSION if member.is_large else _PLAIN_VERSION
    sizes = _LIMIT if member.is_large else 0
    fields = (0x04034B50, version, _FLAGS, 0, _TIME, _DATE, 0, sizes, sizes, len(name), len(extra))
    return _LOCAL.pack(*fields) + name + extra


def _central_header(member: Member, checksum: int, size: int, offset: int) -> bytes:
    name = member.name.encode("ascii")
    large = size >= _LIMIT or offset >= _LIMIT
    extra = _CENTRAL_EXTRA_64.pack(1, 24, size, size, offset) if large else b""
    version = _ZIP64_VERSION if large or member.is_large else _PLAIN_VERSION
    if large:
        size = offset = _LIMIT
    fields = (0x02014B50, version, version, _FLAGS, 0, _TIME, _DATE, checksum, size, size, len(name), len(extra))
    return _CENTRAL.pack(*fields, 0, 0, 0, 0, offset) + name + extra


def _end(offset: int, size: int, count: int) -> bytes:
    """The end of the directory, which begins at `offset`."""
    tail = b""
    if offset >= _LIMIT or size >= _LIMIT or count >= _COUNT_LIMIT:
        version = _ZIP64_VERSION
        tail = _END_64.pack(0x06064B50, _END_64.size - 12, version, version, 0, 0, count, count, size, offset)
        tail += _LOCATOR_64.pack(0x07064B50, 0, offset + size, 1)
    count, size, offset = min(count, _COUNT_LIMIT), min(size, _LIMIT), min(offset, _LIMIT)
    return tail + _END.pack(0x06054B50, 0, 0, count, count, size, offset, 0)


def _joined(pieces: list[bytes]) -> Iterable[bytes]:
    """The directory, a thousand entries at a time."""
    return (b"".join(pieces[at : at + 1000]) for at in range(0, len(pieces), 1000))
