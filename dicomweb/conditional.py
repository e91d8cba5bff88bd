"""Entity tags and byte ranges (RFC 9110 §8.8.3, §13.1.2, §14; DICOM.md W27), and the replies that have one item."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dicomweb import multipart, problem
from dicomweb.grammar import parse_entity_tags
from dicomweb.multipart import Part
from dicomweb.reply import Header, Reply, streamed, whole

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

Read = Callable[[int, int | None], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class ByteRange:
    """One range: first byte and length; length 0 means that it cannot be satisfied."""

    start: int
    length: int


def entity_tag(state: str, *representation: str | bytes, weak: bool = True) -> str:
    """A tag for one state of a resource in one representation. Weak where bytes differ each time: the boundary of a
    multipart message does.
    """
    check = 0
    for piece in representation:
        check = zlib.crc32(piece if isinstance(piece, bytes) else piece.encode(), check) ^ len(piece)
    tag = f'"{state[:40]}-{check:08x}"'
    return f"W/{tag}" if weak else tag


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


def single_part(
    asked: Mapping[str, str], content_type: str, size_bytes: int | None, read: Read, tag: str, headers: list[Header]
) -> Reply:
    """A body sent alone: 200 with all of it, 206 with the range that was asked for, 416 when no byte of that exists.

    Only what has a known size has ranges.
    """
    if size_bytes is None:
        return streamed(content_type, read(0, None), headers=headers)
    headers = [*headers, (b"accept-ranges", b"bytes")]
    wanted = parse_range(asked, size_bytes, tag)
    if wanted is None:
        return streamed(content_type, read(0, None), size_bytes=size_bytes, headers=headers)
    if wanted.length == 0:
        return unsatisfied(size_bytes)
    chunks = read(wanted.start, wanted.length)
    reply = streamed(content_type, chunks, size_bytes=wanted.length, headers=headers)
    return partial(reply, wanted, size_bytes)


def partial(reply: Reply, sent: ByteRange, size_bytes: int) -> Reply:
    """The reply as a 206 that says which bytes of how many it holds."""
    last = sent.start + sent.length - 1
    reply.status = 206
    reply.headers.append((b"content-range", b"bytes %d-%d/%d" % (sent.start, last, size_bytes)))
    return reply


def unsatisfied(size_bytes: int) -> Reply:
    """416: no byte of the range exists."""
    headers = [(b"content-range", b"bytes */%d" % size_bytes)]
    return whole(416, problem.CONTENT_TYPE, problem.body(416, f"there are {size_bytes} bytes"), headers)


def single_part_message(part: Part, root_type: str, headers: list[Header]) -> Reply:
    """A multipart message of one part, its size announced where it is known."""
    boundary = multipart.new_boundary()
    return streamed(
        multipart.content_type(root_type, boundary),
        multipart.write([part], boundary),
        size_bytes=multipart.total_size([part], boundary),
        headers=headers,
    )
