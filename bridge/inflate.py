"""Deflated bytes made plain again, as a stream with bounds (PS3.5 A.5, RFC 1951). Pure.

Hostile streams that swell without end are cut off at a limit; truncated ones are an error, never silently short.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from bridge.errors import NotAcceptable

CHUNK_BYTES = 1 << 20


def inflate(chunks: Iterator[bytes], *, limit_bytes: int) -> Iterator[bytes]:
    """Yield the inflated bytes in chunks of at most 1 MiB.

    Raises NotAcceptable when the stream is broken, ends early, or swells beyond `limit_bytes`.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    given = 0
    for chunk in chunks:
        while chunk and not inflater.eof:
            plain = _step(inflater, chunk)
            chunk = inflater.unconsumed_tail
            given += len(plain)
            if given > limit_bytes:
                raise NotAcceptable("the deflated data set swells beyond the limit")
            if plain:
                yield plain
        if inflater.eof:
            return
    if tail := inflater.flush():
        yield tail
    if not inflater.eof:
        raise NotAcceptable("the deflated data set ends too early")


def _step(inflater: zlib._Decompress, chunk: bytes) -> bytes:
    try:
        return inflater.decompress(chunk, CHUNK_BYTES)
    except zlib.error as error:
        raise NotAcceptable("the deflated data set is broken") from error
