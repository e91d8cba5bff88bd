"""Walking over parts of a data set without writing them: fragments, skipped sequences, padding (PS3.5 §7.5, §A.4).

Every function reads headers only. InvalidInstance where the structure leads outside of `end`.
"""

from __future__ import annotations

from bridge.errors import InvalidInstance
from bridge.frames import Span
from bridge.header_syntax import IMPLICIT_LITTLE, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, Syntax
from bridge.source import Source

NESTING_LIMIT = 10_000  # of what is only skipped, so that a data set of brackets cannot fill the memory
_PIECE_BYTES = 1 << 16


def truncated(tag: int | None) -> InvalidInstance:
    """The refusal of a data set that ends too early, or whose lengths say so."""
    return InvalidInstance("the data set is truncated or a length in it is wrong", offending_tag=tag)


def fragments(source: Source, syntax: Syntax, tag: int, position: int, end: int) -> tuple[list[Span], int]:
    """(payload ranges of an encapsulated value's items, offset table first; where the value ends) (PS3.5 §A.4)."""
    found: list[Span] = []
    read, unpack = source.read, syntax.unpack_length
    item_tag, _, stop_tag = syntax.delimiters
    while position + 8 <= end:
        header = read(position, 8)
        position += 8
        if header[:4] == stop_tag:
            return found, position
        length = unpack(header, 4)[0]
        if header[:4] != item_tag or position + length > end:
            break
        found.append((position, length))
        position += length
    raise truncated(tag)


def end_of_items(source: Source, syntax: Syntax, tag: int, position: int, end: int) -> int:
    """Where a sequence of undefined length ends whose items start at `position`."""
    levels: list[tuple[bool, Syntax]] = [(True, syntax)]  # (is a sequence, how its headers are written)
    while levels:
        inside_sequence, syntax = levels[-1]
        header = source.read(position, 12)
        if position + 8 > end or len(header) < 8 or len(levels) > NESTING_LIMIT:
            raise truncated(tag)
        here, length = syntax.delimiters.get(header[:4]), syntax.unpack_length(header, 4)[0]
        if here == (SEQUENCE_END if inside_sequence else ITEM_END):
            levels.pop()
            position += 8
        elif not inside_sequence:
            start, length, inner = _element(header, position, syntax)
            if length == UNDEFINED:
                levels.append((True, inner))
            position = start + (0 if length == UNDEFINED else length)
        elif here != ITEM:
            raise InvalidInstance("an item of a sequence cannot be read", offending_tag=tag)
        else:
            if length == UNDEFINED:
                levels.append((False, syntax))
            position += 8 + (0 if length == UNDEFINED else length)
    return position


def _element(header: bytes, position: int, syntax: Syntax) -> tuple[int, int, Syntax]:
    """(start of the value, its length, how headers inside of it are written) of the element at `position`."""
    head, length = syntax.unpack_header(header, 0)
    entry = syntax.entries.get(head) or syntax.learn(head)
    if not entry.long:
        return position + 8, length, syntax
    inner = IMPLICIT_LITTLE if entry.vr == "UN" else syntax
    return position + 12, syntax.unpack_length(header.ljust(12, b"\0"), 8)[0], inner


def holds_items(source: Source, position: int, end: int) -> bool:
    """Is a value that came as UN a sequence of implicit VR items, down to the last byte (PS3.5 §6.2.2)?"""
    ends: list[tuple[bool, int]] = [(True, end)]  # (is a sequence, its end); everything here is of defined length
    while ends:
        inside_sequence, limit = ends[-1]
        if position == limit:
            ends.pop()
            continue
        header = source.read(position, 8)
        if position + 8 > limit or len(ends) > NESTING_LIMIT:
            return False
        head, length = IMPLICIT_LITTLE.unpack_header(header, 0)
        entry = IMPLICIT_LITTLE.entries.get(head) or IMPLICIT_LITTLE.learn(head)
        position += 8
        if length == UNDEFINED or position + length > limit or (entry.tag == ITEM) != inside_sequence:
            return False
        if inside_sequence or entry.vr == "SQ":
            ends.append((not inside_sequence, position + length))
        else:
            position += length
    return True


def only_zeros(source: Source, position: int, end: int) -> bool:
    """Is there nothing but zeros up to `end`?"""
    while position < end:
        piece = source.read(position, min(_PIECE_BYTES, end - position))
        if not piece or piece.count(0) != len(piece):
            return False
        position += len(piece)
    return True
