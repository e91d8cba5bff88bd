"""Sequences that are only walked over: where they end, and whether unknown bytes are one (PS3.5 §6.2.2, §7.5)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import InvalidInstance
from bridge.header_syntax import IMPLICIT_LITTLE, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED
from bridge.source import BufferSource
from bridge.walk import end_of_items, holds_items, only_zeros

TEXT, SEQUENCE = 0x00080070, 0x00081140  # Manufacturer, Referenced Image Sequence
OUTSIDE = 0x00082112  # Source Image Sequence


def header(tag: int, length: int) -> bytes:
    """An implicit VR header."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def wrapped(tag: int, content: bytes, end_tag: int, undefined: bool) -> bytes:
    """Content with its length before it, or a delimiter behind it."""
    if undefined:
        return header(tag, UNDEFINED) + content + header(end_tag, 0)
    return header(tag, len(content)) + content


def items(undefined: st.SearchStrategy[bool]) -> st.SearchStrategy[bytes]:
    """The items of a sequence, some with sequences in them, of defined or undefined length."""
    text = st.binary(max_size=8).map(lambda value: header(TEXT, len(value)) + value)

    def around(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
        sequence = st.builds(lambda content, open_: wrapped(SEQUENCE, content, SEQUENCE_END, open_), inner, undefined)
        elements = st.lists(text | sequence, max_size=3).map(b"".join)
        item = st.builds(lambda content, open_: wrapped(ITEM, content, ITEM_END, open_), elements, undefined)
        return st.lists(item, max_size=3).map(b"".join)

    return st.recursive(st.just(b""), around, max_leaves=8)


@given(items(st.booleans()), st.binary(max_size=20))
def test_a_sequence_ends_behind_its_own_delimiter(content: bytes, after: bytes) -> None:
    written = content + header(SEQUENCE_END, 0)
    source = BufferSource(written + after)
    assert end_of_items(source, IMPLICIT_LITTLE, OUTSIDE, 0, source.size) == len(written)


@given(items(st.booleans()), st.data())
def test_a_sequence_that_is_cut_anywhere_is_refused(content: bytes, data: st.DataObject) -> None:
    written = content + header(SEQUENCE_END, 0)
    kept = data.draw(st.integers(0, len(written) - 1))
    for source in (BufferSource(written[:kept]), BufferSource(written)):  # also where its container ends
        with pytest.raises(InvalidInstance):
            end_of_items(source, IMPLICIT_LITTLE, OUTSIDE, 0, kept)


@given(items(st.just(False)))
def test_items_of_defined_length_are_told_down_to_the_last_byte(content: bytes) -> None:
    assert holds_items(BufferSource(content), 0, len(content))
    longer = content + b"\0"
    assert not holds_items(BufferSource(longer), 0, len(longer))
    source = BufferSource(content + header(ITEM, 12) + header(TEXT, 4) + b"text")
    assert holds_items(source, 0, source.size)
    assert not any(holds_items(source, 0, source.size - missing) for missing in range(1, 20))


@given(st.integers(0, 200_000), st.integers(1, 255), st.data())
def test_one_byte_among_zeros_is_found(size: int, value: int, data: st.DataObject) -> None:
    zeros = bytearray(size + 1)
    assert only_zeros(BufferSource(bytes(zeros)), 0, size + 1)
    at = data.draw(st.integers(0, size))
    zeros[at] = value
    source = BufferSource(bytes(zeros))
    assert not only_zeros(source, 0, size + 1)
    assert only_zeros(source, 0, at)
    assert only_zeros(source, at + 1, size + 1)
