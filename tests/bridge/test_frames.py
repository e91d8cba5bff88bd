"""Frame tables: where the bytes of frame n are, for every way pixel data can lie (PS3.5 §8.1, §A.4)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import InvalidRequest, NotFound
from bridge.frames import (
    BulkElement,
    FrameTable,
    PixelDescription,
    frame_range,
    group_fragments,
    native_bits,
    pack,
    pack_bulk,
    repack_bits,
    unpack,
    unpack_bulk,
)
from tests.bridge.elements import JPEG_BASELINE, RLE

J2K = b"\xff\x4f\xff\x51"
JPEG = b"\xff\xd8\xff\xe0"


def about(*, rows: int = 4, columns: int = 5, frames: int = 3, bits: int = 16, samples: int = 1,
          photometric: str = "MONOCHROME2") -> PixelDescription:  # fmt: skip
    """A description of small frames."""
    return PixelDescription(
        rows=rows, columns=columns, samples_per_pixel=samples, bits_allocated=bits, bits_stored=bits,
        high_bit=bits - 1, pixel_representation=1, photometric_interpretation=photometric, planar_configuration=0,
        number_of_frames=frames, tag=0x7FE00010, vr="OW",
    )  # fmt: skip


def native(description: PixelDescription, length: int) -> FrameTable:
    """A native table at offset 1000."""
    return FrameTable(description=description, encapsulated=False, offset=1000, length=length)


def laid_out(*payloads: bytes) -> tuple[list[tuple[int, int]], bytes]:
    """Fragments as they lie behind each other with item headers between them, and the bytes."""
    spans, data = [], b""
    for payload in payloads:
        data += struct.pack("<HHI", 0xFFFE, 0xE000, len(payload))
        spans.append((len(data), len(payload)))
        data += payload
    return spans, data


def grouped(payloads: list[bytes], frames: int, syntax: str = JPEG_BASELINE, offsets: list[int] | None = None,
            extended: tuple[list[int], list[int]] = ([], [])) -> tuple[list[list[int]], bool]:  # fmt: skip
    """Fragment numbers of each frame."""
    spans, data = laid_out(*payloads)
    answer, certain = group_fragments(
        spans, frames, syntax, basic_offsets=offsets or [], extended=extended, peek=lambda at: data[at : at + 12]
    )
    number = {span[0]: index for index, span in enumerate(spans)}
    return [[number[span[0]] for span in frame] for frame in answer], certain


def test_native_frames_follow_each_other() -> None:
    table = native(about(), 120)
    assert [frame_range(table, n) for n in (1, 2, 3)] == [[(1000, 40)], [(1040, 40)], [(1080, 40)]]


def test_a_frame_below_one_is_a_bad_request() -> None:
    with pytest.raises(InvalidRequest):
        frame_range(native(about(), 120), 0)


def test_a_frame_beyond_the_last_is_not_found() -> None:
    with pytest.raises(NotFound):
        frame_range(native(about(), 400), 4)
    with pytest.raises(NotFound):
        frame_range(native(about(), 119), 3)  # described, but its last byte is missing


def test_a_table_without_pixel_attributes_has_no_frames() -> None:
    with pytest.raises(NotFound):
        frame_range(native(about(rows=0), 120), 1)


def test_ybr_full_422_keeps_two_samples_a_pixel() -> None:
    table = native(about(samples=3, bits=8, photometric="YBR_FULL_422", frames=1), 40)
    assert frame_range(table, 1) == [(1000, 40)]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 6), st.data())
def test_one_bit_frames_come_out_of_the_middle_of_bytes(
    rows: int, columns: int, frames: int, data: st.DataObject
) -> None:
    size = rows * columns
    bits = data.draw(st.lists(st.integers(0, 1), min_size=size * frames, max_size=size * frames))
    packed = sum(bit << place for place, bit in enumerate(bits)).to_bytes((len(bits) + 7) // 8, "little")
    table = native(about(rows=rows, columns=columns, frames=frames, bits=1), len(packed))
    assert table.byte_aligned == (size % 8 == 0)
    for number in range(1, frames + 1):
        [(offset, length)] = frame_range(table, number)
        _, skipped, count = native_bits(table, number)
        frame = repack_bits(packed[offset - 1000 : offset - 1000 + length], skipped, count)
        unpacked = [frame[place // 8] >> place % 8 & 1 for place in range(size)]
        assert unpacked == bits[size * (number - 1) : size * number]
        assert len(frame) == (size + 7) // 8


def test_one_fragment_a_frame_needs_no_table() -> None:
    assert grouped([b"a" * 6] * 3, 3) == ([[0], [1], [2]], True)


def test_a_single_frame_takes_all_fragments() -> None:
    assert grouped([JPEG, b"x", JPEG], 1) == ([[0, 1, 2]], True)


def test_a_basic_offset_table_is_followed() -> None:
    payloads = [b"a" * 10, b"b" * 4, b"c" * 6, b"d" * 2]
    assert grouped(payloads, 2, offsets=[0, 18 + 12]) == ([[0, 1], [2, 3]], True)


@pytest.mark.parametrize("offsets", [[0, 19], [8, 30], [0, 0], [30, 0], [0, 10_000], [0, 18, 30]])
def test_a_wrong_basic_offset_table_gives_way_to_codestream_starts(offsets: list[int]) -> None:
    payloads = [JPEG + b"a" * 6, b"b" * 4, JPEG + b"c" * 2, b"d" * 2]
    assert grouped(payloads, 2, offsets=offsets) == ([[0, 1], [2, 3]], True)


@pytest.mark.parametrize("start", [JPEG, J2K, b"\0\0\0\x0cjP  \r\n", b"\xff\x0a\x01"])
def test_codestream_starts_separate_frames(start: bytes) -> None:
    assert grouped([start + b"1", b"more", start + b"2"], 2) == ([[0, 1], [2]], True)


def test_codestream_starts_that_do_not_match_the_frame_count_are_said_to_be_uncertain() -> None:
    assert grouped([JPEG, b"x", JPEG], 5) == ([[0, 1], [2]], False)
    assert grouped([b"x", b"y", b"z"], 2) == ([[0, 1, 2]], False)


def test_rle_is_one_fragment_a_frame() -> None:
    assert grouped([b"a", b"b"], 3, RLE) == ([[0], [1]], False)


def test_video_is_one_item() -> None:
    assert grouped([b"a", b"b", b"c"], 3, "1.2.840.10008.1.2.4.102") == ([[0, 1, 2]], True)
    assert grouped([b"a", b"b", b"c"], 250, "1.2.840.10008.1.2.4.107.1") == ([[0, 1, 2]], True)


def test_the_extended_offset_table_takes_the_padding_away() -> None:
    spans, data = laid_out(b"a" * 6, b"b" * 4)
    extended = ([0, 14], [5, 4])
    frames, certain = group_fragments(spans, 2, JPEG_BASELINE, extended=extended, peek=lambda at: data[at : at + 12])
    assert (frames, certain) == ([((8, 5),), ((22, 4),)], True)


@pytest.mark.parametrize("extended", [([0, 15], [5, 4]), ([0, 14], [9, 4]), ([0], [5]), ([0, 14], [])])
def test_a_wrong_extended_offset_table_is_not_believed(extended: tuple[list[int], list[int]]) -> None:
    assert grouped([b"a" * 6, b"b" * 4], 2, extended=extended) == ([[0], [1]], True)


def test_no_fragments_are_no_frames() -> None:
    assert grouped([], 1) == ([], False)


spans = st.tuples(st.integers(0, 2**40), st.integers(0, 2**32 - 1))


@given(st.lists(st.lists(spans, min_size=1, max_size=3).map(tuple), max_size=8))
def test_packed_tables_are_read_back(frames: list[tuple[tuple[int, int], ...]]) -> None:
    table = FrameTable(description=about(), encapsulated=True, offset=7, length=2**33, frames=frames)
    again = unpack(pack(table))
    assert (again.description, again.offset, again.length, again.encapsulated) == (about(), 7, 2**33, True)
    assert list(again.frames) == frames
    assert pack(again) == pack(table)
    for number, frame in enumerate(frames, 1):
        assert frame_range(again, number) == list(frame)
    with pytest.raises(NotFound):
        frame_range(again, len(frames) + 1)


def test_packed_frames_are_a_sequence() -> None:
    frames = [((0, 1),), ((9, 2), (20, 3)), ((40, 4),)]
    again = unpack(pack(FrameTable(description=about(), encapsulated=True, offset=0, length=0, frames=frames))).frames
    assert (again[-1], again[1:], len(again)) == (frames[-1], frames[1:], 3)
    assert again == frames
    with pytest.raises(IndexError):
        again[3]


def test_a_thousand_frames_pack_into_less_than_20_kb() -> None:
    frames = [((n * 5000, 4990),) for n in range(1000)]
    table = FrameTable(description=about(frames=1000), encapsulated=True, offset=0, length=5_000_000, frames=frames)
    assert len(pack(table)) < 20_000


def test_big_endian_is_remembered() -> None:
    table = FrameTable(description=about(), encapsulated=False, big_endian=True, offset=0, length=120)
    assert unpack(pack(table)) == table


@pytest.mark.parametrize("photometric", ["", "RGB", "A\0B\0C", "é" * 10, "X" * 500])
def test_any_photometric_interpretation_can_be_packed(photometric: str) -> None:
    again = unpack(pack(native(about(photometric=photometric), 120))).description.photometric_interpretation
    assert again == photometric.encode("ascii", "replace").decode()[:64]


def test_a_table_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        unpack(b"\xff" + pack(native(about(), 120))[1:])


def test_bulk_elements_are_read_back() -> None:
    elements = [
        BulkElement(path="00420011", vr="OB", offset=10, length=2**33, media_type="application/pdf"),
        BulkElement(path="54000100/12/54001010", vr="OW", offset=0, length=0, big_endian=True, encapsulated=True),
    ]
    assert unpack_bulk(pack_bulk(elements)) == elements
    assert unpack_bulk(b"") == []
