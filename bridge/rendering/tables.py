"""Lookup tables: modality, VOI, presentation (PS3.3 §C.11.1.1.1), and colour palettes (§C.7.6.3.1.5, §C.7.9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.attributes import Attributes
from bridge.rendering.header import PALETTE_CHANNELS
from bridge.rendering.refusal import Unpaintable

_ENTRIES_LIMIT = 1 << 16
_SEGMENTS_LIMIT = 1 << 16  # one for every entry there may be; more only waste time
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2  # segment types (PS3.3 §C.7.9.2)


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table: values below `first` take the first entry, values beyond the last one the last."""

    first: int
    bits: int  # of an entry
    entries: NDArray[np.uint16]

    @property
    def highest(self) -> int:
        """The largest entry that `bits` allow."""
        return (1 << self.bits) - 1

    def apply(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """The entry of each value, which is rounded to a whole number first."""
        places = np.rint(values - float(self.first)).clip(0, len(self.entries) - 1).astype(np.intp)
        return self.entries[places]


def lookup_table(item: Attributes, *, signed: bool) -> Table | None:
    """The table in an item of a LUT sequence, None without a usable one. `signed`: what it maps may be negative."""
    described = _descriptor(item, "LUTDescriptor", signed=signed)
    data = _words(item, "LUTData")
    if described is None or not data:
        return None
    entries, first, bits = described
    return Table(first, bits, _entries(data, entries, bits))


def palette(attributes: Attributes, *, signed: bool) -> tuple[Table, Table, Table]:
    """Red, green and blue of a PALETTE COLOR image. Raises Unpaintable when one is missing or broken."""
    red, green, blue = (_channel(attributes, channel, signed=signed) for channel in PALETTE_CHANNELS)
    if max(int(table.entries.max(initial=0)) for table in (red, green, blue)) <= 0xFF:
        return replace(red, bits=8), replace(green, bits=8), replace(blue, bits=8)  # devices that say 16 and mean 8
    return red, green, blue


def _channel(attributes: Attributes, channel: str, *, signed: bool) -> Table:
    name = f"{channel}PaletteColorLookupTable"
    described = _descriptor(attributes, f"{name}Descriptor", signed=signed)
    if described is None:
        raise Unpaintable("the image has no palette")
    count, first, bits = described
    if data := _words(attributes, f"{name}Data"):
        return Table(first, bits, _entries(data, count, bits))
    return Table(first, bits, _expanded(_words(attributes, f"Segmented{name}Data"), count, bits))


def _descriptor(attributes: Attributes, keyword: str, *, signed: bool) -> tuple[int, int, int] | None:
    """(number of entries, first value mapped, bits of an entry); 0 entries mean 65536 (PS3.3 §C.11.1.1.1)."""
    numbers = [int(number) for number in attributes.numbers(keyword)]
    if len(numbers) != 3:
        return None
    count, first, bits = numbers[0] & 0xFFFF, numbers[1], numbers[2] & 0xFFFF
    if signed and first > 0x7FFF:
        first -= 0x10000
    elif not signed and first < 0:
        first += 0x10000
    if not 0 < bits <= 16:
        return None
    return count or _ENTRIES_LIMIT, first, bits


def _words(attributes: Attributes, keyword: str) -> bytes:
    """Table data as little-endian words: DICOM JSON has OW in base64, US as numbers."""
    numbers = [int(number) & 0xFFFF for number in attributes.numbers(keyword)]
    return attributes.binary(keyword) or np.array(numbers, "<u2").tobytes()


def _entries(data: bytes, count: int, bits: int) -> NDArray[np.uint16]:
    """`count` entries of bytes or words; a table cut short goes on with its last entry. Raises Unpaintable."""
    packed = bits <= 8 and len(data) < 2 * count  # 8-bit entries, two to a word (PS3.3 §C.11.1.1.1)
    found = np.frombuffer(data, np.uint8 if packed else "<u2", len(data) if packed else len(data) // 2)
    if found.size == 0:
        raise Unpaintable("a lookup table of the image is empty")
    entries = found[:count].astype(np.uint16)
    if bits <= 8 and int(entries.max()) > 0xFF:
        entries = entries & np.uint16(0xFF)
    return np.pad(entries, (0, count - entries.size), mode="edge")


def _expanded(data: bytes, count: int, bits: int) -> NDArray[np.uint16]:
    """A segmented palette written out (PS3.3 §C.7.9.2). Raises Unpaintable."""
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
