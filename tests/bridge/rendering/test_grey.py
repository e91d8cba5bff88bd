"""Grey images: each stage with known values, then the order of the stages (PS3.4 §N.2.1; DICOM.md W23)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bridge.rendering.looks import document, lut, shown

RAMP = np.arange(256, dtype="u1").reshape(16, 16)


def line(pixels: list[Any], kind: str = "u1", drawn: dict[str, Any] | None = None, **values: Any) -> list[int]:
    found: list[int] = shown(np.array([pixels], kind), drawn, **values)[0].tolist()
    return found


def test_a_window_over_everything_leaves_eight_bits_as_they_are() -> None:
    assert np.array_equal(shown(RAMP, WindowCenter=128, WindowWidth=256), RAMP)


def test_rescale_comes_before_the_window() -> None:
    assert line([0, 50, 100], RescaleSlope=2, RescaleIntercept=-100, WindowCenter=0.5, WindowWidth=201) == [0, 128, 255]


def test_a_modality_lut_takes_the_place_of_rescale() -> None:
    table = lut(1, 16, [1000, 2000, 3000])
    window = {"WindowCenter": 2000.5, "WindowWidth": 2001}
    assert line([0, 1, 2, 3, 9], ModalityLUTSequence=[table], RescaleSlope=7, **window) == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("as_words", [True, False])
def test_a_voi_lut_maps_modality_values_and_clamps_at_its_ends(as_words: bool) -> None:
    table = lut(10, 8, [0, 100, 255], as_words=as_words)
    assert line([0, 10, 11, 12, 200], VOILUTSequence=[table]) == [0, 0, 100, 255, 255]


def test_a_voi_lut_of_an_image_with_negative_values_starts_below_zero() -> None:
    table = lut(0xFFFE, 8, [0, 64, 128, 255])
    assert line([-3, -2, -1, 0, 1], "<i2", VOILUTSequence=[table]) == [0, 0, 64, 128, 255]


def test_a_voi_lut_comes_before_a_window() -> None:
    assert line([0, 1], VOILUTSequence=[lut(0, 8, [9, 8])], WindowCenter=0, WindowWidth=1) == [9, 8]


def test_the_first_of_several_windows_counts() -> None:
    values = {"WindowCenter": [128, 5], "WindowWidth": [256, 1]}
    assert np.array_equal(shown(RAMP, **values), RAMP)


@pytest.mark.parametrize("width", [0, -5])
def test_a_window_without_width_is_none(width: int) -> None:
    assert line([10, 20], WindowCenter=1, WindowWidth=width) == [0, 255]


def test_without_a_window_the_darkest_value_is_black_and_the_brightest_white() -> None:
    assert line([100, 150, 200]) == [0, 128, 255]


def test_an_image_of_one_value_is_black() -> None:
    assert line([7, 7]) == [0, 0]


def test_padding_does_not_count_for_the_range() -> None:
    assert line([-2000, 0, 100], "<i2", PixelPaddingValue=-2000) == [0, 0, 255]
    assert line([-2000, 0, 100], "<i2", PixelPaddingValue=63536) == [0, 0, 255]
    assert line([0, 50, 63536], "<u2", PixelPaddingValue=63536) == [0, 255, 255]
    assert line([-2000, -1990, 0, 100], "<i2", PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1500) == [0, 0, 0, 255]


def test_an_image_of_padding_alone_is_no_error() -> None:
    assert len(line([9, 9], PixelPaddingValue=9)) == 2


def test_an_empty_mask_is_black_and_a_full_one_white() -> None:
    for byte, expected in ((0x00, 0), (0xFF, 255)):
        pixels = np.full((1, 1), byte, "u1")
        drawn = {"bits_allocated": 1, "bits_stored": 1, "high_bit": 0, "columns": 8}
        assert shown(pixels, drawn).tolist() == [[expected] * 8]


@pytest.mark.parametrize("how", [{"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}])
def test_monochrome1_and_an_inverse_shape_turn_black_and_white_around(how: dict[str, str]) -> None:
    assert np.array_equal(shown(RAMP, None, WindowCenter=128, WindowWidth=256, **how), 255 - RAMP)


def test_a_presentation_lut_comes_last() -> None:
    table = lut(0, 8, list(range(255, -1, -1)))
    assert np.array_equal(shown(RAMP, WindowCenter=128, WindowWidth=256, PresentationLUTSequence=[table]), 255 - RAMP)


def test_thirty_two_bits_are_computed_without_a_table() -> None:
    assert line([0, 1 << 30, 1 << 31], "<u4") == [0, 128, 255]
    assert line([-(1 << 30), 0, 1 << 30], "<i4", RescaleSlope=0.5) == [0, 128, 255]


def test_floats_are_windowed_and_what_is_no_number_is_black() -> None:
    drawn = {"tag": 0x7FE00008, "bits_allocated": 32}
    assert line([-1.0, 0.0, 1.0, np.nan, np.inf], "<f4", drawn, WindowCenter=0, WindowWidth=2,
                VOILUTFunction="LINEAR_EXACT") == [0, 128, 255, 0, 255]  # fmt: skip
    assert line([0.0, np.nan, 0.5, 1.0], "<f4", drawn) == [0, 0, 128, 255]
    assert line([0.0, -9999.0, 1.0], "<f4", drawn, FloatPixelPaddingValue=-9999.0) == [0, 0, 255]


def test_a_linear_window_of_width_one_over_floats_is_read_as_exact() -> None:
    drawn = {"tag": 0x7FE00009, "bits_allocated": 64}
    assert line([0.0, 0.5, 1.0], "<f8", drawn, WindowCenter=0.5, WindowWidth=1) == [0, 128, 255]


@given(
    slope=st.floats(allow_nan=False, allow_infinity=False),
    intercept=st.floats(allow_nan=False, allow_infinity=False),
    center=st.floats(allow_nan=False, allow_infinity=False),
    width=st.floats(allow_nan=False, allow_infinity=False),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", "CUBIC", ""]),
)
def test_no_number_in_the_attributes_raises(
    slope: float, intercept: float, center: float, width: float, function: str
) -> None:
    values = {"RescaleSlope": slope, "RescaleIntercept": intercept, "WindowCenter": center, "WindowWidth": width}
    assert shown(RAMP, **values, VOILUTFunction=function).dtype == np.uint8
    assert shown(RAMP.astype("<f4"), {"tag": 0x7FE00008}, **values).dtype == np.uint8


@pytest.mark.parametrize(
    "item",
    [
        {},
        document(LUTDescriptor=[1, 2]),
        document(LUTDescriptor=[2, 0, 99], LUTData=[1, 2]),
        document(LUTDescriptor=["a", 0, 8], LUTData=[1]),
        document(LUTDescriptor=[2, 0, 8], LUTData=b""),
    ],
)
def test_a_broken_lookup_table_is_passed_over(item: dict[str, Any]) -> None:
    assert line([0, 255], VOILUTSequence=[item]) == [0, 255]
