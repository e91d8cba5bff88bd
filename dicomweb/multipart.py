"""Multipart/related writer (PS3.18 §8.6.1.2, RFC 2387). Pure.

What naive readers in the field rely on is kept exactly: CRLF line ends, header names capitalised as here, the first
boundary at the very start of the body, transfer syntax UIDs without quotes (DICOM.md section 3).
"""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: its Content-Type value, its bytes, and what is known about them."""

    content_type: str
    chunks: Iterable[bytes]
    size_bytes: int | None = None
    location: str = ""


def new_boundary() -> str:
    """A boundary that no body holds by chance (128 random bits)."""
    return secrets.token_hex(16)


def content_type(root_type: str, boundary: str) -> str:
    """The Content-Type of the whole message; `type` is quoted because it holds a slash (RFC 2387 §3.1)."""
    return f'multipart/related; type="{root_type}"; boundary={boundary}'


def part_header(part: Part, boundary: str, *, first: bool) -> bytes:
    """The delimiter and header of a part, up to and with the empty line."""
    lines = [f"--{boundary}" if first else f"\r\n--{boundary}", f"Content-Type: {part.content_type}"]
    if part.size_bytes is not None:
        lines.append(f"Content-Length: {part.size_bytes}")
    if part.location:
        lines.append(f"Content-Location: {part.location}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def closing_delimiter(boundary: str) -> bytes:
    """What ends the message."""
    return f"\r\n--{boundary}--\r\n".encode("latin-1")


def total_size(parts: Iterable[Part], boundary: str) -> int | None:
    """Bytes of the whole message, None when a part's size is not known. The parts' chunks are not touched."""
    total, first = len(closing_delimiter(boundary)), True
    for part in parts:
        if part.size_bytes is None:
            return None
        total += len(part_header(part, boundary, first=first)) + part.size_bytes
        first = False
    return total


def write(parts: Iterable[Part], boundary: str) -> Generator[bytes, None, None]:
    """The message in chunks; each part's chunks pass through untouched. Closing the iterator closes the open part."""
    first = True
    for part in parts:
        yield part_header(part, boundary, first=first)
        first = False
        chunks = iter(part.chunks)
        try:
            yield from chunks
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
    yield closing_delimiter(boundary)
