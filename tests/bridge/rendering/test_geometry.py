"""Region, mirror image, pixel shape and size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from bridge.rendering.geometry import Viewport, pixel_ratio, placed
from bridge.rendering.refusal import Unpaintable
from tests.bridge.rendering.looks import attributes

PIXELS = np.arange(24, dtype="u1").reshape(4, 6)  # 6 columns, 4 rows


def seen(viewport: Viewport | None, ratio: float = 1.0) -> Any:
    return np.asarray(placed(Image.fromarray(PIXELS), viewport, ratio))


def test_without_a_viewport_nothing_changes() -> None:
    assert np.array_equal(seen(None), PIXELS)


@pytest.mark.parametrize(
    ("box", "expected"), [((12, 100), (12, 8)), ((100, 8), (12, 8)), ((3, 3), (3, 2)), ((600, 400), (600, 400))]
)
def test_the_picture_fits_in_the_box_and_keeps_its_shape(box: tuple[int, int], expected: tuple[int, int]) -> None:
    assert seen(Viewport(*box)).shape[::-1] == expected


def test_a_region_is_cut_out_before_scaling() -> None:
    assert np.array_equal(seen(Viewport(2, 2, 3, 1, 2, 2)), PIXELS[1:3, 3:5])


@pytest.mark.parametrize(("signs", "rows", "columns"), [((-1, 1), 1, -1), ((1, -1), -1, 1), ((-1, -1), -1, -1)])
def test_a_negative_extent_mirrors(signs: tuple[int, int], rows: int, columns: int) -> None:
    view = Viewport(6, 4, 0, 0, 6 * signs[0], 4 * signs[1])
    assert np.array_equal(seen(view), PIXELS[::rows, ::columns])


def test_a_region_without_extent_goes_to_the_edge_and_is_cut_there() -> None:
    assert np.array_equal(seen(Viewport(2, 4, 4)), PIXELS[:, 4:])
    assert np.array_equal(seen(Viewport(2, 4, 4, 0, 99, 99)), PIXELS[:, 4:])


def test_a_region_outside_of_the_image_is_refused() -> None:
    with pytest.raises(Unpaintable, match="outside"):
        seen(Viewport(2, 2, 6, 0, 1, 1))


@pytest.mark.parametrize(("ratio", "expected"), [(2.0, (6, 8)), (0.5, (12, 4))])
def test_pixels_that_are_no_squares_are_stretched_in_their_long_direction(
    ratio: float, expected: tuple[int, int]
) -> None:
    assert seen(None, ratio).shape[::-1] == expected
    assert seen(Viewport(60, 60), ratio).shape[::-1] == ((45, 60) if ratio == 2.0 else (60, 20))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 1.0),
        ({"PixelAspectRatio": [4, 3], "PixelSpacing": [1, 1]}, 4 / 3),
        ({"PixelSpacing": [0.5, 0.25]}, 2.0),
        ({"ImagerPixelSpacing": ["0.2", "0.1"]}, 2.0),
        ({"PixelSpacing": [0.500, 0.501]}, 1.0),
        ({"PixelSpacing": [0, 0]}, 1.0),
        ({"PixelAspectRatio": [1000, 1]}, 1.0),
        ({"PixelAspectRatio": ["x", 1]}, 1.0),
    ],
)
def test_the_pixel_shape_is_read_from_what_says_it(values: dict[str, Any], expected: float) -> None:
    assert pixel_ratio(attributes(**values)) == pytest.approx(expected)
