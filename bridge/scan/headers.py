"""The header of one element at the window's position, whatever its VR (PS3.5 §7.1)."""

from __future__ import annotations

from bridge import walk
from bridge.dictionary import KNOWN
from bridge.errors import InvalidInstance
from bridge.header_syntax import UNDEFINED, Entry
from bridge.scan.levels import Level
from bridge.scan.window import Window


def read_header(window: Window, level: Level, header: bytes) -> tuple[Entry, int, int]:
    """(entry, length, offset of the value) of the element that starts with `header`, of 8 bytes or more.

    Raises InvalidInstance.
    """
    syntax, position = level.syntax, window.position
    head, length = syntax.unpack_header(header, 0)
    entry = syntax.entries.get(head) or syntax.learn(head)
    if not syntax.explicit or entry.tag >> 16 == 0xFFFE:
        return entry, syntax.unpack_length(header, 4)[0], position + 8
    if entry.long or (entry.vr not in KNOWN and _unknown_is_long(window, level, entry.tag, header)):
        if len(header) < 12:
            raise walk.truncated(entry.tag)
        return entry, syntax.unpack_length(header, 8)[0], position + 12
    return entry, length, position + 8


def _unknown_is_long(window: Window, level: Level, tag: int, header: bytes) -> bool:
    """Does an unknown VR have the long header, as new VRs shall (PS3.5 §6.2)? Judged by what would follow."""
    syntax, position = level.syntax, window.position
    if len(header) == 12 and header[6:8] == b"\0\0":
        length = syntax.unpack_length(header, 8)[0]
        if length == UNDEFINED or _is_plausible(window, level, position + 12 + length):
            return True
    if _is_plausible(window, level, position + 8 + syntax.unpack_header(header, 0)[1]):
        return False
    raise InvalidInstance("the structure of the data set cannot be read", offending_tag=tag)


def _is_plausible(window: Window, level: Level, position: int) -> bool:
    """Could an element header stand at `position`?"""
    if position >= level.end:
        return position == level.end
    following = window.source.read(position, 6)
    head = following[:2]
    delimiter = head == (b"\xff\xfe" if level.syntax.big_endian else b"\xfe\xff")
    return delimiter or (len(following) == 6 and following[4:6].isalpha() and following[4:6].isupper())
