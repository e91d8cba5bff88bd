"""Segmented palettes: runs of entries, slopes between entries, and references to either (PS3.3 §C.7.9.2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bridge.rendering.refusal import Unpaintable

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2  # segment types
_SEGMENTS_LIMIT = 1 << 16  # one for every entry there may be; more only waste time


def expanded(data: bytes, count: int, bits: int) -> NDArray[np.uint16]:
    """The `count` entries of a palette channel, each of `bits`. Raises Unpaintable."""
    wide = bits > 8
    words = np.frombuffer(data, "<u2" if wide else np.uint8, len(data) // (2 if wide else 1)).tolist()
    segments = _Segments(words, wide, count)
    segments.run()
    if len(segments.out) < count:
        raise Unpaintable("a segmented palette of the image is shorter than it says")
    return np.array(segments.out[:count], np.uint16)


class _Segments:
    """The interpreter of a segmented palette: where it reads, and what it has written."""

    def __init__(self, words: list[int], wide: bool, count: int) -> None:
        self._words, self._wide, self._count = words, wide, count
        self.out: list[int] = []
        self._read = 0
        self._kinds: dict[int, Callable[[int], int]] = {_DISCRETE: self._discrete, _LINEAR: self._linear}

    def run(self) -> None:
        position = 0
        while position + 1 < len(self._words) and len(self.out) < self._count:
            is_indirect = self._words[position] == _INDIRECT
            position = self._indirect(position) if is_indirect else self._segment(position)

    def _segment(self, position: int) -> int:
        """Write out one discrete or linear segment; gives the position after it."""
        kind = self._kinds.get(self._words[position])
        self._read += 1
        if kind is None or self._read > _SEGMENTS_LIMIT:
            raise Unpaintable("a segmented palette of the image holds unknown segments, or too many")
        try:
            return kind(position)
        except IndexError:
            raise Unpaintable("a segmented palette of the image is cut off") from None

    def _discrete(self, position: int) -> int:
        length = self._words[position + 1]
        end = position + 2 + length
        if end > len(self._words):
            raise IndexError
        self.out += self._words[position + 2 : end]
        return end

    def _linear(self, position: int) -> int:
        length, last = self._words[position + 1], self._words[position + 2]
        start = self.out[-1]
        step = (last - start) / max(1, length)
        self.out += [round(start + step * number) for number in range(1, length + 1)]
        return position + 3

    def _indirect(self, position: int) -> int:
        """Segments that stand elsewhere: how many, and at which byte. They are never indirect themselves."""
        width = 1 if self._wide else 2  # an offset has 32 bits
        low_words = self._words[position + 2 : position + 2 + 2 * width]
        if len(low_words) < 2 * width:
            raise Unpaintable("a segmented palette of the image is cut off")
        bits = 16 if self._wide else 8
        offset = sum(word << (bits * place) for place, word in enumerate(low_words))
        source = offset // (2 if self._wide else 1)
        for _ in range(self._words[position + 1]):
            if source + 1 >= len(self._words) or len(self.out) >= self._count:
                break
            source = self._segment(source)
        return position + 2 + 2 * width
