"""A presentation on a picture: what is covered, turned, cut and drawn where."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bridge.presentation.colours import from_cielab
from bridge.presentation.painting import present
from bridge.presentation.placing import place
from bridge.presentation.values import Area, Bitmap, Caption, Line, Presentation, Shutter

WIDTH, HEIGHT = 40, 20


def ramp() -> Image.Image:
    """Grey levels that tell every pixel from its neighbours."""
    return Image.fromarray(np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH).astype(np.uint8))


def flat(level: int = 100, mode: str = "L") -> Image.Image:
    return Image.new(mode, (WIDTH, HEIGHT), level if mode == "L" else (level,) * 3)


def shown(presentation: Presentation, image: Image.Image | None = None) -> NDArray[np.uint8]:
    return np.asarray(present(image or ramp(), presentation, None, 1.0))


def test_a_presentation_of_nothing_changes_nothing() -> None:
    np.testing.assert_array_equal(shown(Presentation()), np.asarray(ramp()))


@pytest.mark.parametrize(("rotation", "turns"), [(0, 0), (90, -1), (180, 2), (270, 1)])
@pytest.mark.parametrize("flipped", [False, True])
def test_the_picture_is_turned_clockwise_and_then_flipped(rotation: int, turns: int, flipped: bool) -> None:
    expected = np.rot90(np.asarray(ramp()), turns)
    expected = np.fliplr(expected) if flipped else expected
    np.testing.assert_array_equal(shown(Presentation(rotation=rotation, flipped=flipped)), expected)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flipped", [False, True])
def test_points_move_with_the_pixels(rotation: int, flipped: bool) -> None:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[3, 7] = 255
    presentation = Presentation(rotation=rotation, flipped=flipped, area=Area(left=2, top=1, right=38, bottom=19))
    placing = place((WIDTH, HEIGHT), presentation, None, 1.0)
    (y, x), *_ = np.argwhere(np.asarray(placing.moved(Image.fromarray(pixels))) == 255).tolist()
    assert placing.point((7.5, 3.5), relative=False) == pytest.approx((x + 0.5, y + 0.5))


def test_parts_of_the_displayed_area_do_not_turn() -> None:
    placing = place((WIDTH, HEIGHT), Presentation(rotation=90, flipped=True), None, 1.0)
    assert placing.size == (HEIGHT, WIDTH)
    assert placing.point((0.25, 0.5), relative=True) == (5, 20)


def test_the_displayed_area_is_cut_out_and_black_beyond_the_image() -> None:
    picture = shown(Presentation(area=Area(left=-5, top=10, right=15, bottom=30)), flat())
    assert picture.shape == (20, 20)
    assert (picture[:10, 5:] == 100).all()
    assert not picture[:, :5].any()
    assert not picture[10:].any()


def test_an_absurd_area_stays_near_the_image() -> None:
    picture = shown(Presentation(area=Area(left=-1e9, top=-1e9, right=1e9, bottom=1e9)))
    assert picture.shape == (3 * HEIGHT, 3 * WIDTH)
    assert shown(Presentation(area=Area(left=1e9, top=1e9, right=1e9, bottom=1e9))).shape == (1, 1)


def test_the_result_fits_the_box_and_keeps_the_shape_of_its_pixels() -> None:
    presentation = Presentation(rotation=90, area=Area(left=0, top=0, right=40, bottom=20, pixel_ratio=2.0))
    assert present(ramp(), presentation, (100, 60), 1.0).size == (60, 60)
    assert present(ramp(), Presentation(), None, 2.0).size == (40, 40)
    assert present(ramp(), Presentation(), None, 0.5).size == (80, 20)


def test_magnification_enlarges_within_limits() -> None:
    def size(magnification: float) -> tuple[int, int]:
        area = Area(left=0, top=0, right=40, bottom=20, magnification=magnification)
        return present(ramp(), Presentation(area=area), None, 1.0).size

    assert size(2.0) == (80, 40)
    assert max(size(1e6)) == 4096


def test_a_rectangular_shutter_covers_all_outside_of_it() -> None:
    picture = shown(Presentation(shutter=Shutter(box=(10, 5, 30, 15), colour=(7, 7, 7))), flat())
    assert (picture[5:15, 10:30] == 100).all()
    assert (picture == 7).sum() == WIDTH * HEIGHT - 20 * 10


def test_a_circular_shutter_covers_all_outside_of_it() -> None:
    picture = shown(Presentation(shutter=Shutter(circle=(19.5, 9.5, 5))), flat())
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = np.hypot(x - 19, y - 9) <= 5  # from the middle of the 20th pixel of the 10th row
    np.testing.assert_array_equal(picture, np.where(inside, 100, 0))


def test_a_polygonal_shutter_covers_all_outside_of_it() -> None:
    picture = shown(Presentation(shutter=Shutter(polygon=((0, 0), (39, 0), (0, 19)))), flat())
    assert picture[2, 2] == 100
    assert picture[17, 37] == 0


def test_shutters_of_several_shapes_all_cover() -> None:
    picture = shown(Presentation(shutter=Shutter(box=(0, 0, 20, 20), circle=(19.5, 9.5, 5))), flat())
    assert picture[9, 17] == 100
    assert picture[9, 22] == 0
    assert picture[9, 2] == 0


def bitmap(bits: bytes, **place: int) -> Bitmap:
    return Bitmap(rows=2, columns=8, top=place.get("top", 0), left=place.get("left", 0),
                  bits=base64.b64encode(bits).decode(), colour=(200, 200, 200))  # fmt: skip


def test_a_bitmap_shutter_covers_its_set_bits() -> None:
    picture = shown(Presentation(shutter=Shutter(bitmap=bitmap(b"\x0f\xf0", top=4, left=10))), flat())
    assert not picture[4, 10:14].any()
    assert (picture[4, 14:18] == 100).all()
    assert not picture[5, 14:18].any()
    assert (picture != 100).sum() == 8


def test_overlays_are_drawn_bit_by_bit_also_over_the_edge() -> None:
    picture = shown(Presentation(overlays=(bitmap(b"\xff\xff", top=-1, left=36),)), flat())
    assert (picture[0, 36:] == 200).all()
    assert (picture == 200).sum() == 4


def test_a_palette_takes_the_place_of_grey_levels() -> None:
    table = np.stack([np.arange(256), 255 - np.arange(256), np.zeros(256)], axis=1).astype(np.uint8)
    palette = base64.b64encode(table.tobytes()).decode()
    picture = shown(Presentation(palette=palette))
    np.testing.assert_array_equal(picture[..., 0], np.asarray(ramp()))
    np.testing.assert_array_equal(picture[..., 1], 255 - np.asarray(ramp()))


def test_lines_are_drawn_in_their_colour_through_their_points() -> None:
    line = Line(points=((5, 5.5), (35, 5.5)), colour=(255, 0, 0))
    picture = shown(Presentation(drawn=(line,)), flat())
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert tuple(picture[5, 20]) == (255, 0, 0)
    assert tuple(picture[10, 20]) == (100, 100, 100)


def test_grey_annotations_keep_a_grey_picture_grey() -> None:
    line = Line(points=((5, 5), (35, 5)))
    assert shown(Presentation(drawn=(line,)), flat()).shape == (HEIGHT, WIDTH)


def test_filled_graphics_are_areas_and_points_are_dots() -> None:
    square = ((5, 5), (15, 5), (15, 15), (5, 15), (5, 5))
    assert shown(Presentation(drawn=(Line(points=square, filled=True),)), flat())[10, 10] == 255
    assert shown(Presentation(drawn=(Line(points=square),)), flat())[10, 10] == 100
    assert shown(Presentation(drawn=(Line(points=((20, 10),), dot=True),)), flat())[10, 20] == 255


def test_later_layers_lie_on_top() -> None:
    below = Line(points=((0, 10), (40, 10)), colour=(255, 0, 0), width=3)
    above = Line(points=((20, 0), (20, 20)), colour=(0, 255, 0), width=3)
    assert tuple(shown(Presentation(drawn=(below, above)), flat())[10, 20]) == (0, 255, 0)


def large(*captions: Caption) -> NDArray[np.uint8]:
    image = Image.new("L", (400, 200), 100)
    return np.asarray(present(image, Presentation(drawn=captions), None, 1.0))


def test_text_stands_in_its_box_or_beside_its_anchor() -> None:
    boxed = large(Caption(text="LEFT LUNG", box=((100, 50), (300, 90))))
    y, x = np.nonzero(boxed != 100)
    assert 95 <= x.min() < 120
    assert x.max() < 300
    assert 45 <= y.min() < y.max() < 95
    anchored = large(Caption(text="here", anchor=(200, 100), anchor_visible=True))
    y, x = np.nonzero(anchored != 100)
    assert 195 <= x.min() <= 206
    assert 85 <= y.min() <= 105


@pytest.mark.parametrize(("align", "side"), [("LEFT", 0), ("CENTER", 1), ("RIGHT", 2)])
def test_text_keeps_to_its_side_of_the_box(align: str, side: int) -> None:
    _, x = np.nonzero(large(Caption(text="ab", box=((100, 50), (300, 90)), align=align)) != 100)
    assert 100 + side * 67 - 4 <= x.mean() <= 167 + side * 67 + 4


def test_long_text_is_made_smaller_but_not_too_small() -> None:
    narrow = large(Caption(text="a" * 30, box=((100, 50), (200, 90))))
    _, x = np.nonzero(narrow != 100)
    assert x.max() < 260


def test_text_can_be_read_on_its_own_colour() -> None:
    white = np.asarray(
        present(Image.new("L", (400, 200), 255), Presentation(drawn=(Caption(text="a", anchor=(9, 90)),)), None, 1.0)
    )
    assert (white < 50).any()


@pytest.mark.parametrize("far", [1e30, -1e30])
def test_coordinates_far_away_are_no_trouble(far: float) -> None:
    things = (
        Line(points=((far, far), (0, 0), (far, -far)), filled=True, colour=(1, 2, 3)),
        Line(points=((far, far),), dot=True),
        Caption(text="x", anchor=(far, far), anchor_visible=True),
        Caption(text="x", box=((far, far), (far, far))),
    )
    shutter = Shutter(box=(far, far, far, far), circle=(far, far, abs(far)), polygon=((far, far), (0, 0), (far, 0)))
    assert shown(Presentation(drawn=things, shutter=shutter)).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("lab", "rgb"),
    [((0xFFFF, 0x8080, 0x8080), (255, 255, 255)), ((0, 0x8080, 0x8080), (0, 0, 0)),
     ((0x8B00, 0xD0D0, 0xC300), (255, 0, 0)), ((0xE0E0, 0x3080, 0xD380), (0, 255, 0))],
)  # fmt: skip
def test_cielab_becomes_rgb(lab: tuple[int, int, int], rgb: tuple[int, int, int]) -> None:
    assert from_cielab(lab) == pytest.approx(rgb, abs=28)
