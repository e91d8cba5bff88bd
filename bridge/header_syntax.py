"""How element headers are written: explicit or implicit VR, little or big endian (PS3.5 §7.1, Annex A)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from bridge.charset import ESCAPE
from bridge.dicomjson import NO_VALUE, Writer, key_prefix, skip, writers
from bridge.dictionary import BINARY, KNOWN, LONG_HEADER, NUMERIC, vr_of
from bridge.syntaxes import lookup

UNDEFINED: Final = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD  # PS3.5 §7.5
DELIMITERS = (ITEM, ITEM_END, SEQUENCE_END)
CHARSET_TAG: Final = 0x00080005
ENCAPSULATED_DOCUMENT_TAG: Final = 0x00420011  # always by reference: a document has a media type
REMEMBERED_BYTES: Final = 1024  # values up to this size are remembered with their JSON
_SHORT_BYTES = 64
_VALUES_PER_TAG = 64
_LONG_VALUES_PER_TAG = 2  # tables of a device, alike in all instances of a series
_CACHE_LIMIT = 20_000  # headers, and values of 64 bytes, remembered per syntax; strangers must not fill the memory


class Entry(NamedTuple):
    """What is known about an element from its tag and VR alone. `write` is None when its value needs more than that."""

    tag: int
    long: bool  # the 32-bit length stands 8 bytes into the header
    prefix: bytes  # JSON before what `write` gives
    empty: bytes  # JSON of the element without a value
    write: Writer | None
    vr: str
    seen: dict[bytes, bytes]  # value -> JSON of the whole element: most elements of a series repeat


class Syntax:
    """One way of writing headers. `entries` remembers an Entry per header seen, by its bytes before the length."""

    def __init__(self, *, explicit: bool, big_endian: bool) -> None:
        order = ">" if big_endian else "<"
        self.explicit = explicit
        self.big_endian = big_endian
        self.entries: dict[bytes, Entry] = {}
        self._remembered = 0  # values since the entries were last cleared, at most
        self.writers = writers(big_endian=big_endian)
        self.unpack_header = struct.Struct(order + ("6sH" if explicit else "4sI")).unpack_from  # first 8 bytes
        self.unpack_length = struct.Struct(order + "I").unpack_from
        self.delimiters = {struct.pack(order + "HH", tag >> 16, tag & 0xFFFF): tag for tag in DELIMITERS}
        self._unpack_tag = struct.Struct(order + "HH").unpack_from

    def tag_of(self, head: bytes) -> int:
        """The tag at the beginning of an element."""
        group, element = self._unpack_tag(head)
        return int(group) << 16 | int(element)

    def learn(self, head: bytes) -> Entry:
        """The Entry of a header not seen before: 4 bytes tag, and 2 bytes VR when explicit."""
        tag = self.tag_of(head)
        group, element = tag >> 16, tag & 0xFFFF
        vr = head[4:6].decode("latin-1") if self.explicit else vr_of(tag)
        long = self.explicit and vr in LONG_HEADER
        if vr == "UN" and self.explicit and not self.big_endian:
            known = vr_of(tag)  # an attribute passed on by a system that did not know it (PS3.5 §6.2.2)
            vr = known if known in KNOWN and known not in BINARY and known != "SQ" else "UN"
        if element == 0 and group > 2:
            entry = Entry(tag, long, b"", b"", skip, vr, {})  # group length
        else:
            prefix = key_prefix(tag, vr if vr in KNOWN else "UN")
            entry = Entry(tag, long, prefix, prefix + NO_VALUE, self._writer(tag, vr), vr, {})
        if len(self.entries) > _CACHE_LIMIT:
            self.entries.clear()
        self.entries[head] = entry
        return entry

    def remember(self, entry: Entry, value: bytes, piece: bytes) -> None:
        """Keep the JSON of an element, unless it depends on a character set."""
        if (value.isascii() and ESCAPE not in value) or entry.vr in NUMERIC or entry.vr in BINARY:
            if len(entry.seen) >= (_VALUES_PER_TAG if len(value) <= _SHORT_BYTES else _LONG_VALUES_PER_TAG):
                entry.seen.clear()
            entry.seen[value] = piece
            self._remembered += 1 + len(value) // _SHORT_BYTES
            if self._remembered > _CACHE_LIMIT:
                self.entries.clear()
                self._remembered = 0

    def _writer(self, tag: int, vr: str) -> Writer | None:
        """None for what the scanner must look at: structure, groups 0000 and 0002, character set, bulk by nature."""
        if tag >> 16 in (0x0000, 0x0002, 0x7FE0, 0xFFFE) or tag in (CHARSET_TAG, ENCAPSULATED_DOCUMENT_TAG):
            return None
        if vr == "UN" and vr_of(tag) == "SQ":
            return None
        return self.writers.get(vr)


EXPLICIT_LITTLE = Syntax(explicit=True, big_endian=False)
EXPLICIT_BIG = Syntax(explicit=True, big_endian=True)
IMPLICIT_LITTLE = Syntax(explicit=False, big_endian=False)


def syntax_of(transfer_syntax_uid: str) -> Syntax:
    """The header syntax of a transfer syntax; unknown and private ones are explicit VR little endian (PS3.5 §A.4)."""
    known = lookup(transfer_syntax_uid)
    if known is None:
        return EXPLICIT_LITTLE
    if not known.explicit:
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if known.big_endian else EXPLICIT_LITTLE


def is_deflated(transfer_syntax_uid: str) -> bool:
    """Is the whole data set deflated (PS3.5 §A.5)?"""
    known = lookup(transfer_syntax_uid)
    return known is not None and known.deflated
