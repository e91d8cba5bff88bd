"""Byte order of words (PS3.5 §7.3). Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def swap_words(data: bytes, width: int) -> bytes:
    """Reverse the bytes of each word of `width` bytes; a tail shorter than a word stays as it is."""
    if width == 1:
        return data
    whole = len(data) - len(data) % width
    swapped = np.frombuffer(data, f"u{width}", whole // width).byteswap().tobytes()
    return swapped + data[whole:]


def swapped(chunks: Iterator[bytes], width: int) -> Iterator[bytes]:
    """A stream with the bytes of each word reversed; words may span chunks."""
    if width == 1:
        yield from chunks
        return
    carried = b""
    for chunk in chunks:
        joined = carried + chunk if carried else chunk
        tail = len(joined) % width
        carried = joined[len(joined) - tail :] if tail else b""
        yield swap_words(joined[: len(joined) - tail] if tail else joined, width)
    if carried:
        yield carried
