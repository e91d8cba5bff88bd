"""Request bodies that come compressed (RFC 9110 §8.4): inflated as a stream, within a size and a ratio. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from bridge.errors import InvalidRequest, TooLarge
from bridge.source import RATIO_FLOOR_BYTES

_CHUNK_BYTES = 1 << 18
# coding -> window bits of zlib; RFC 9110 §8.4.1.2 and .3
CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class UnsupportedMediaType(InvalidRequest):
    """The body is of a type, or in a coding, that is not understood: 415, where InvalidRequest is 400."""


def decoded(chunks: Iterator[bytes], coding: str, *, limit_bytes: int, ratio_limit: int) -> Iterator[bytes]:
    """The body without its content coding. Raises UnsupportedMediaType at once for a coding that is not known.

    While it is read: TooLarge beyond `limit_bytes` or when it swells more than `ratio_limit` times, InvalidRequest when
    the stream is broken or ends early.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return chunks
    if coding not in CODINGS:
        raise UnsupportedMediaType(f"Content-Encoding may be {', '.join(CODINGS)} or left out")
    return _inflated(chunks, CODINGS[coding], limit_bytes, ratio_limit)


def _inflated(chunks: Iterator[bytes], window_bits: int, limit_bytes: int, ratio_limit: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(window_bits)
    taken = given = 0
    for chunk in chunks:
        taken += len(chunk)
        while chunk:
            if inflater.eof:  # the next member of a gzip file (RFC 1952 §2.2)
                inflater = zlib.decompressobj(window_bits)
            plain = _step(inflater, chunk)
            chunk = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            given += len(plain)
            if given > limit_bytes or given > max(RATIO_FLOOR_BYTES, taken * ratio_limit):
                raise TooLarge("the inflated body is beyond http.body_limit_bytes or pixels.inflate_ratio_limit")
            if plain:
                yield plain
    if not inflater.eof:
        raise InvalidRequest("the compressed body ends too early")


def _step(inflater: zlib._Decompress, chunk: bytes) -> bytes:
    try:
        return inflater.decompress(chunk, _CHUNK_BYTES)
    except zlib.error as error:
        raise InvalidRequest("the compressed body is broken") from error
