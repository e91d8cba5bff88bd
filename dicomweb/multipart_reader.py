"""Multipart/related reader (PS3.18 §8.6.1.2, RFC 2046 §5.1, RFC 2387). Pure, sans-IO, constant memory.

Bytes go in as they come, however they are cut; out come part headers, views of the bytes that came, and ends of parts.
Only what may be the beginning of a delimiter, or an unfinished header, is kept between two chunks.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from bridge.errors import InvalidRequest

BOUNDARY_LIMIT = 200  # characters; RFC 2046 §5.1.1 says 70, clients do not always count
HEADER_LINES_LIMIT = 64  # of one part
_PADDING_LIMIT = 64  # blanks between a boundary and its line end
_AFTER_BOUNDARY = re.compile(rb"--|[ \t]{0,%d}\r\n" % _PADDING_LIMIT)
_UNDECIDED = re.compile(rb"-|[ \t]{0,%d}\r?" % _PADDING_LIMIT)
_BOUNDARY = re.compile(r"[ -~]*[!-~]")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([^\0\r\n]*)")
_FOLD = re.compile(rb"\r\n[ \t]+")
_BLANK = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part starts. Header names are in lower case, values as sent, without blanks around them."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that started last is whole."""


Event: TypeAlias = PartBegin | memoryview | PartEnd


class Reader:
    """One message. Feed it, then call `end`. Both raise InvalidRequest for what is no multipart message."""

    def __init__(self, boundary: str, *, parts_limit: int, header_limit_bytes: int) -> None:
        """`header_limit_bytes` is of one part's header block."""
        if len(boundary) > BOUNDARY_LIMIT or not _BOUNDARY.fullmatch(boundary):
            raise InvalidRequest(f"a boundary is 1 to {BOUNDARY_LIMIT} printable characters")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._parts_limit = parts_limit
        self._header_limit = header_limit_bytes
        self._held = b"\r\n"  # the first boundary may stand at the very start
        self._skipped = 2  # bytes of a delimiter's line end at the start of what is held: data of no part
        self._in_header = False
        self.parts = 0
        self.closed = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """What these bytes complete. Views are of `data` and valid as long as it is."""
        window, self._held = self._held + data if self._held else data, b""
        at = 0
        while at < len(window) and not self.closed:
            at = yield from (self._header(window, at) if self._in_header else self._body(window, at))

    def end(self) -> None:
        """The message is over. What follows the closing boundary was ignored (RFC 2046 §5.1.1, epilogue)."""
        if not self.closed:
            raise InvalidRequest("the multipart message ends without its closing boundary")
        if not self.parts:
            raise InvalidRequest("the multipart message has no parts")

    def _body(self, window: bytes, at: int) -> Generator[Event, None, int]:
        """Data up to the next delimiter, or up to what may become one."""
        found, after = self._next_delimiter(window, at)
        if found > at and self.parts:
            yield memoryview(window)[at + self._skipped : found]
        if found > at:
            self._skipped = 0
        if after is None:
            self._held = window[found:]
            return len(window)
        if self.parts:
            yield PartEnd()
        self.closed = window.startswith(b"--", found + len(self._delimiter))
        self._in_header = True
        return after - 2 if not self.closed else after  # an empty header block ends with the delimiter's own line end

    def _next_delimiter(self, window: bytes, at: int) -> tuple[int, int | None]:
        """(end of the data, start of what follows the delimiter; None while that is undecided)."""
        search = at
        while (found := window.find(self._delimiter, search)) >= 0:
            tail = found + len(self._delimiter)
            if match := _AFTER_BOUNDARY.match(window, tail):
                return found, match.end()
            if _UNDECIDED.fullmatch(window, tail):
                return found, None
            search = found + 1  # a longer line that begins like the boundary
        start = max(at, len(window) - len(self._delimiter) + 1)
        while (start := window.find(b"\r", start)) >= 0:
            if self._delimiter.startswith(window[start:]):
                return start, None
            start += 1
        return len(window), None

    def _header(self, window: bytes, at: int) -> Generator[Event, None, int]:
        """A header block; it is read from the line end before it, so that an empty one looks like any other."""
        end = window.find(_BLANK, at, at + self._header_limit + 2 * len(_BLANK))
        if end < 0:
            if len(window) - at > self._header_limit + len(_BLANK):
                raise InvalidRequest("a part's header is larger than http.part_header_bytes")
            self._held = window[at:]
            return len(window)
        self.parts += 1
        if self.parts > self._parts_limit:
            raise InvalidRequest("the message has more parts than http.parts_limit")
        yield PartBegin(_parse_header(window[at + 2 : end]))
        self._in_header, self._skipped = False, 2
        return end + 2  # the blank line may belong to the next delimiter already, when the part is empty


def _parse_header(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    lines = _FOLD.sub(b" ", block).split(b"\r\n") if block else []
    if len(lines) > HEADER_LINES_LIMIT:
        raise InvalidRequest(f"a part has more than {HEADER_LINES_LIMIT} header lines")
    for line in lines:
        match = _HEADER_LINE.fullmatch(line)
        if match is None:
            raise InvalidRequest("a part has a header line that is none")
        name = match[1].decode("ascii").lower()
        if name in headers:
            raise InvalidRequest("a part has the same header line twice")
        headers[name] = match[2].rstrip(b" \t").decode("latin-1")
    return headers
