"""Bytes of a frame become words, words become values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.rendering.refusal import Unpaintable
from bridge.rendering.samples import StoredValues, stored_values, words_of
from tests.bridge.frames_of import described

SMALL = np.zeros((2, 3), "u1")


def about(**changes: Any) -> Any:
    return described(SMALL, **changes)


def test_one_bit_pixels_come_low_bit_first() -> None:
    assert words_of(b"\x15\x00", about(bits_allocated=1)).tolist() == [[1, 0, 1], [0, 1, 0]]


def test_twelve_allocated_bits_are_unpacked() -> None:
    values = [0xABC, 0x123, 0xFFF, 0, 1, 0x800]
    packed = sum(value << 12 * place for place, value in enumerate(values)).to_bytes(9, "little")
    assert words_of(packed, about(bits_allocated=12)).ravel().tolist() == values


@pytest.mark.parametrize(("kind", "bits"), [("<u1", 8), ("<u2", 16), ("<u4", 32), ("<u8", 64)])
def test_whole_words_are_read_little_endian(kind: str, bits: int) -> None:
    pixels = np.arange(6, dtype=kind).reshape(2, 3)
    assert np.array_equal(words_of(pixels.tobytes(), about(bits_allocated=bits)), pixels)


@pytest.mark.parametrize(("tag", "kind"), [(0x7FE00008, "<f4"), (0x7FE00009, "<f8")])
def test_float_pixel_data_are_floats(tag: int, kind: str) -> None:
    pixels = np.linspace(-1, 1, 6, dtype=kind).reshape(2, 3)
    assert np.array_equal(words_of(pixels.tobytes(), about(tag=tag, bits_allocated=32)), pixels)


def test_planes_become_pixels() -> None:
    planes = np.arange(18, dtype="u1")
    pixels = words_of(planes.tobytes(), about(samples_per_pixel=3, planar_configuration=1))
    assert pixels[0, 1].tolist() == [1, 7, 13]


def test_shared_chrominance_is_given_to_both_pixels() -> None:
    pixels = words_of(bytes([10, 20, 100, 200]), about(rows=1, columns=2, samples_per_pixel=3))
    assert pixels.tolist() == [[[10, 100, 200], [20, 100, 200]]]


def test_shared_chrominance_needs_an_even_number_of_columns() -> None:
    with pytest.raises(Unpaintable, match="even number of columns"):
        words_of(bytes(12), about(samples_per_pixel=3))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rows": 0}, "no rows"),
        ({"samples_per_pixel": 4}, "4 samples"),
        ({"rows": 60000, "columns": 60000}, "shorter"),
        ({"bits_allocated": 0}, "0 bits"),
        ({"bits_allocated": 48}, "48 bits"),
    ],
)
def test_a_description_that_cannot_be_is_refused(changes: dict[str, int], reason: str) -> None:
    with pytest.raises(Unpaintable, match=reason):
        words_of(SMALL.tobytes(), about(**changes))


def test_the_value_lies_below_the_high_bit_and_its_highest_bit_is_the_sign() -> None:
    values = StoredValues(16, 12, 13, True).of(np.array([0x0004, 0x3FFC, 0x2000, 0x1FFF, 0xC003], "<u2"))
    assert values.tolist() == [1, -1, -2048, 2047, 0]


@pytest.mark.parametrize(("stored", "high"), [(0, 0), (99, 15), (12, 3), (12, 40)])
def test_contradicting_bits_are_put_right(stored: int, high: int) -> None:
    found = stored_values(about(bits_allocated=16, bits_stored=stored, high_bit=high))
    assert found.bits - 1 <= found.high_bit < 16
