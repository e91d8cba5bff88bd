"""Frames of one data set as they are stored: native ones cut out byte-exact, encapsulated ones as bare codestreams.

Native frames come out little endian and starting on a byte (DICOM.md W13); nothing is decoded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.dictionary import WORD_BYTES
from bridge.errors import InvalidRequest, NotAcceptable, NotFound
from bridge.extents import DataSetBytes, Extent, ExtentReader
from bridge.frames import FrameTable, repack_bits
from bridge.words import swap_words


@dataclass(frozen=True, slots=True)
class FrameBytes:
    """One frame: its number from 1 on, its exact size, its bytes (valid until the next frame is asked for)."""

    number: int
    size_bytes: int
    chunks: Iterator[bytes]


def frame_count(table: FrameTable) -> int:
    """How many frames can be taken out."""
    return len(table.frames) if table.encapsulated else max(1, table.description.number_of_frames)


def check_numbers(table: FrameTable, numbers: Sequence[int]) -> None:
    """Raise InvalidRequest for a number below 1, NotFound, naming the count, for one beyond the last frame."""
    if not numbers or min(numbers) < 1:
        raise InvalidRequest("frame numbers begin at 1")
    count = frame_count(table)
    if max(numbers) > count:
        raise NotFound(f"there is no frame {max(numbers)}; the instance has {count}")


def codestreams(table: FrameTable, numbers: Sequence[int], source: DataSetBytes) -> Iterator[FrameBytes]:
    """Encapsulated frames, all fragments of a frame joined, without item headers (DICOM.md W12)."""
    groups = [table.frames[number - 1] for number in numbers]
    for number, group, chunks in zip(numbers, groups, ExtentReader(source, groups), strict=True):
        yield FrameBytes(number, sum(length for _, length in group), chunks)


def native_frames(table: FrameTable, numbers: Sequence[int], source: DataSetBytes) -> Iterator[FrameBytes]:
    """Native frames; those in a row come out of one read. NotAcceptable when the value ends before one of them."""
    bits = table.description.frame_bits
    if bits == 0 or bits * max(numbers) > table.length * 8:
        raise NotAcceptable("the pixel data is shorter than its description says")
    width = _word_bytes(table) if table.big_endian else 1
    groups = [[_extent(table, number, bits, width)] for number in numbers]
    return _native_frames(numbers, bits, width, groups, source, table.offset)


def _native_frames(
    numbers: Sequence[int],
    bits: int,
    width: int,
    groups: Sequence[Sequence[Extent]],
    source: DataSetBytes,
    value_offset: int,
) -> Iterator[FrameBytes]:
    size = (bits + 7) // 8
    for number, group, chunks in zip(numbers, groups, ExtentReader(source, groups), strict=True):
        if width > 1 or bits % 8:
            skipped_bits = (number - 1) * bits - (group[0][0] - value_offset) * 8
            chunks = _repacked(chunks, width, skipped_bits, bits)
        yield FrameBytes(number, size, chunks)


def _extent(table: FrameTable, number: int, bits: int, width: int) -> Extent:
    """The whole words that hold a frame."""
    first = (number - 1) * bits // 8 // width * width
    last = min(-(-(number * bits) // (8 * width)) * width, table.length)
    return table.offset + first, last - first


def _repacked(chunks: Iterator[bytes], width: int, skipped_bits: int, bits: int) -> Iterator[bytes]:
    words = swap_words(b"".join(chunks), width)
    yield repack_bits(words[skipped_bits // 8 :], skipped_bits % 8, bits)


def _word_bytes(table: FrameTable) -> int:
    return WORD_BYTES.get(table.description.vr, 1)
