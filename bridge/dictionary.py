"""Value representations by tag, for data sets that do not state them (PS3.6, PS3.5 §6.2, §7.8).

The table is read once from pydicom's dictionary; nothing here keeps a pydicom object.
"""

from __future__ import annotations

import functools

# Value representations whose explicit header has two reserved bytes and a 32-bit length (PS3.5 §7.1.2).
LONG_HEADER = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
SHORT_HEADER = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN"}
    | {"SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"}
)
KNOWN = LONG_HEADER | SHORT_HEADER
BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})  # InlineBinary in DICOM JSON (PS3.18 §F.2.7)
NUMERIC = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})

# Bytes that swap together between little and big endian (PS3.5 §7.3).
WORD_BYTES = {
    "AT": 2, "OW": 2, "SS": 2, "US": 2, "FL": 4, "OF": 4, "OL": 4, "SL": 4, "UL": 4,
    "FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8,
}  # fmt: skip

PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # Float, Double Float, Pixel Data (PS3.3 §C.7.6.3.1.4)


def vr_of(tag: int) -> str:
    """The VR of `tag` without context; "US or SS" and the like stay as PS3.6 writes them; "UN" when unknown."""
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0:
        return "UL"
    if group & 1:
        return "LO" if 0x10 <= element <= 0xFF else "UN"  # private creator (PS3.5 §7.8.1)
    public, repeating = _tables()
    return public.get(tag) or next((vr for mask, bits, vr in repeating if tag & mask == bits), "UN")


def is_multi_valued(tag: int) -> bool:
    """Whether PS3.6 lets the attribute have more than one value; True where it does not know the attribute."""
    from pydicom.datadict import DicomDictionary

    row = DicomDictionary.get(tag)
    return row is None or str(row[1]) != "1"


@functools.cache
def _tables() -> tuple[dict[int, str], tuple[tuple[int, int, str], ...]]:
    """(tag -> VR, (mask, bits, VR) of repeating groups such as 60xx)."""
    from pydicom.datadict import DicomDictionary, RepeatersDictionary

    public = {int(tag): str(row[0]) for tag, row in DicomDictionary.items()}
    repeating = tuple(
        (
            int("".join("0" if digit == "x" else "F" for digit in mask), 16),
            int(mask.replace("x", "0"), 16),
            str(row[0]),
        )
        for mask, row in RepeatersDictionary.items()
    )
    return public, repeating
