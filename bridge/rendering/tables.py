"""Lookup tables: modality, VOI, presentation (PS3.3 §C.11.1.1.1), and colour palettes (§C.7.6.3.1.5, §C.7.9)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.attributes import Attributes
from bridge.rendering.header import PALETTE_CHANNELS
from bridge.rendering.refusal import Unpaintable
from bridge.rendering.segments import expanded

_ENTRIES_LIMIT = 1 << 16


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
    return Table(first, bits, expanded(_words(attributes, f"Segmented{name}Data"), count, bits))


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
