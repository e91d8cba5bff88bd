"""Colour images: luminance and chrominance, palettes whole and segmented, other depths than 8 bits."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.rendering.refusal import Unpaintable
from tests.bridge.rendering.looks import shown

COLOURS = {"black": (0, 128, 128), "white": (255, 128, 128), "red": (76, 85, 255), "blue": (29, 255, 107)}
RGB = {"black": (0, 0, 0), "white": (255, 255, 255), "red": (254, 0, 0), "blue": (0, 0, 254)}


def colours(*pixels: tuple[int, int, int], kind: str = "u1") -> NDArray[Any]:
    return np.array([pixels], kind)


def palette(*, bits: int = 8, first: int = 0, **data: Any) -> dict[str, Any]:
    """Attributes of a palette of three equal channels, unless `data` names one."""
    entries = data.pop("entries")
    found: dict[str, Any] = {}
    for channel in ("Red", "Green", "Blue"):
        found[f"{channel}PaletteColorLookupTableDescriptor"] = [data.get("count", len(entries)), first, bits]
        key = f"{'Segmented' if data.get('segmented') else ''}{channel}PaletteColorLookupTableData"
        found[key] = struct.pack(f"<{len(entries)}H", *entries) if data.get("words", True) else bytes(entries)
    return found


def indexed(pixels: list[int], kind: str = "u1", **values: Any) -> list[int]:
    """The red of each index."""
    drawn = {"photometric_interpretation": "PALETTE COLOR"}
    return shown(np.array([pixels], kind), drawn, **values)[0, :, 0].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("kind", ["YBR_FULL", "YBR_FULL_422"])
def test_full_range_luminance_becomes_rgb(name: str, kind: str) -> None:
    pixel = shown(colours(COLOURS[name], COLOURS[name]), {"photometric_interpretation": kind})[0, 0]
    assert np.abs(pixel.astype(int) - RGB[name]).max() <= 1


def test_partial_range_luminance_runs_from_16_to_235() -> None:
    drawn = {"photometric_interpretation": "YBR_PARTIAL_422"}
    assert shown(colours((16, 128, 128), (235, 128, 128)), drawn).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("kind", ["RGB", "YBR_RCT", "YBR_ICT"])
def test_rgb_stays_as_it_is(kind: str) -> None:
    assert shown(colours((1, 2, 3)), {"photometric_interpretation": kind}).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("kind", ["u2", "u4"])
def test_deeper_colour_is_spread_to_eight_bits(kind: str) -> None:
    top = np.iinfo(kind).max
    assert shown(colours((0, top // 2, top), kind=kind)).tolist() == [[[0, 127, 255]]]


@pytest.mark.parametrize("kind", ["CMYK", "HSV", ""])
def test_other_colour_spaces_are_refused(kind: str) -> None:
    with pytest.raises(Unpaintable, match="photometric interpretation"):
        shown(colours((1, 2, 3)), {"photometric_interpretation": kind})


@pytest.mark.parametrize("words", [True, False])
def test_a_palette_of_bytes_may_stand_in_words_or_packed(words: bool) -> None:
    assert indexed([0, 1, 2, 3, 9], **palette(entries=[10, 20, 30, 40], words=words)) == [10, 20, 30, 40, 40]


def test_a_palette_of_words_is_cut_to_its_high_byte() -> None:
    assert indexed([0, 1], **palette(bits=16, entries=[0x1234, 0xFFFF])) == [0x12, 0xFF]


def test_a_palette_that_says_16_bits_and_means_8_is_understood() -> None:
    assert indexed([0, 1], **palette(bits=16, entries=[0x34, 0xFF])) == [0x34, 0xFF]


def test_a_dark_channel_of_a_real_16_bit_palette_stays_dark() -> None:
    values = palette(bits=16, entries=[0x00FF, 0x00FF])
    values["GreenPaletteColorLookupTableData"] = struct.pack("<2H", 0xFFFF, 0)
    drawn = {"photometric_interpretation": "PALETTE COLOR"}
    assert shown(np.array([[0, 1]], "u1"), drawn, **values).tolist() == [[[0, 255, 0], [0, 0, 0]]]


def test_a_palette_may_begin_beyond_zero_and_below() -> None:
    assert indexed([0, 100, 101], **palette(first=100, entries=[7, 8])) == [7, 7, 8]
    assert indexed([-2, -1, 0], "<i2", **palette(first=0xFFFF, entries=[7, 8])) == [7, 7, 8]


def test_sixteen_bit_indices_and_the_whole_of_65536_entries() -> None:
    entries = [number & 0xFFFF for number in range(65536)]
    assert indexed([0, 256, 65535], "<u2", **palette(bits=16, entries=entries, count=0)) == [0, 1, 255]


def test_a_segmented_palette_is_written_out() -> None:
    segments = [0, 2, 0x1000, 0x2000, 1, 4, 0x4000, 0, 1, 0x5000]  # two entries, four steps to 0x4000, one entry
    assert indexed(list(range(7)), **palette(bits=16, segmented=True, count=7, entries=segments)) == [
        0x10, 0x20, 0x28, 0x30, 0x38, 0x40, 0x50,
    ]  # fmt: skip


def test_an_indirect_segment_repeats_what_stands_elsewhere() -> None:
    words = [0, 2, 0x1000, 0x2000, 2, 1, 0, 0, 0, 1, 0x3000]  # the segment at byte 0 once more
    assert indexed([0, 1, 2, 3, 4], **palette(bits=16, segmented=True, count=5, entries=words)) == [
        0x10, 0x20, 0x10, 0x20, 0x30,
    ]  # fmt: skip


@pytest.mark.parametrize("segments", [[], [9, 1, 1], [0, 5, 1], [1, 4, 5], [2, 1], [2, 1, 0, 0], [0, 1, 7, 2, 3, 6, 0]])
def test_a_broken_segmented_palette_is_refused(segments: list[int]) -> None:
    with pytest.raises(Unpaintable, match="palette"):
        indexed([0], **palette(bits=16, segmented=True, count=40000, entries=segments))


def test_a_missing_palette_is_refused() -> None:
    with pytest.raises(Unpaintable, match="no palette"):
        indexed([0])
