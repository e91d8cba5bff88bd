"""Entity tags and byte ranges (RFC 9110 §8.8.3, §13.1.2, §14; DICOM.md W27). Pure but for `partial`."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dicomweb import problem
from dicomweb.grammar import parse_entity_tags
from dicomweb.reply import Header, Reply, streamed, whole

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

Read = Callable[[int, int | None], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class ByteRange:
    """One range: first byte and length; length 0 means that it cannot be satisfied."""

    start: int
    length: int


def entity_tag(state: str, *representation: str | bytes) -> str:
    """A tag for one state of a resource in one representation. Weak: multipart boundaries differ each time."""
    check = 0
    for piece in representation:
        check = zlib.crc32(piece if isinstance(piece, bytes) else piece.encode(), check) ^ len(piece)
    return f'W/"{state[:40]}-{check:08x}"'


def unmodified(headers: Mapping[str, str], tag: str) -> bool:
    """Whether If-None-Match names this state (weak comparison)."""
    value = headers.get("if-none-match")
    if not value:
        return False
    return not {"*", tag.removeprefix("W/")}.isdisjoint(parse_entity_tags(value))


def parse_range(headers: Mapping[str, str], size_bytes: int, tag: str) -> ByteRange | None:
    """The range asked for; None for no range, several ranges or other units, all of which mean the whole (§14.2)."""
    match = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    condition = headers.get("if-range")
    if match is None or (condition is not None and condition.strip() != tag):
        return None
    first, last = match[1], match[2]
    if not first:
        if not last:
            return None
        length = min(int(last), size_bytes)
        return ByteRange(size_bytes - length, length)
    start = int(first)
    end = min(int(last), size_bytes - 1) if last else size_bytes - 1
    if last and int(last) < start:
        return None
    return ByteRange(start, max(0, end - start + 1))


def partial(content_type: str, wanted: ByteRange, size_bytes: int, read: Read, headers: list[Header]) -> Reply:
    """206 with the range, or 416 when no byte of it exists."""
    if wanted.length == 0:
        unsatisfied = [(b"content-range", b"bytes */%d" % size_bytes)]
        return whole(416, problem.CONTENT_TYPE, problem.body(416, f"there are {size_bytes} bytes"), unsatisfied)
    last = wanted.start + wanted.length - 1
    reply = streamed(
        content_type,
        read(wanted.start, wanted.length),
        size_bytes=wanted.length,
        headers=[*headers, (b"content-range", b"bytes %d-%d/%d" % (wanted.start, last, size_bytes))],
    )
    reply.status = 206
    return reply
