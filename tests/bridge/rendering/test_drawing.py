"""Pictures as files: types, sizes, profiles, animations, text; and a drawing's way to a worker."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageCms

from bridge.rendering.annotation import annotated
from bridge.rendering.drawing import RAW, Drawing, draw, raw_image
from bridge.rendering.encoding import STILLS, animated, encoded
from bridge.rendering.geometry import Viewport
from bridge.rendering.profiles import CHOICES, NO, with_profile
from bridge.rendering.refusal import Unpaintable
from bridge.rendering.windows import Window
from tests.bridge.frames_of import described, image
from tests.bridge.rendering.looks import looks

GREY = Image.fromarray(image("u1", rows=32, columns=48))
COLOUR = Image.fromarray(image("u1", rows=32, columns=48, colour=True))


def opened(body: bytes) -> Image.Image:
    found = Image.open(io.BytesIO(body))
    found.load()
    return found


@pytest.mark.parametrize(("media_type", "picture"), list(itertools.product(STILLS, (GREY, COLOUR))))
def test_every_type_is_written_as_itself(media_type: str, picture: Image.Image) -> None:
    found = opened(encoded(picture, media_type, None))
    assert found.get_format_mimetype() == media_type
    difference = np.abs(np.asarray(found.convert("RGB")).astype(int) - np.asarray(picture.convert("RGB")))
    assert difference.mean() < 12


def test_jpeg_is_baseline_and_a_higher_quality_is_larger() -> None:
    low, high = (encoded(COLOUR, "image/jpeg", quality) for quality in (10, 95))
    assert b"\xff\xc0" in low
    assert len(low) < len(high)


def test_jpeg_2000_is_lossless_unless_a_quality_asks_for_less() -> None:
    assert np.array_equal(np.asarray(opened(encoded(COLOUR, "image/jp2", None))), np.asarray(COLOUR))
    assert len(encoded(COLOUR, "image/jp2", 10)) < len(encoded(COLOUR, "image/jp2", None))


def test_a_picture_too_large_for_its_type_is_refused() -> None:
    with pytest.raises(Unpaintable, match="smaller viewport"):
        encoded(Image.new("L", (16384, 1)), "image/webp", None)


def test_an_animation_has_all_frames_and_their_durations() -> None:
    frames = [Image.new("L", (8, 8), level) for level in (0, 80, 160)]
    found = opened(animated(frames, [40, 80, 120]))
    seen = []
    for number in range(3):
        found.seek(number)
        seen.append((found.info["duration"], found.convert("L").getpixel((0, 0))))
    assert seen == [(40, 0), (80, 80), (120, 160)]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("picture", [GREY, COLOUR])
def test_a_profile_is_embedded_as_asked_and_describes_the_pixels(choice: str, picture: Image.Image) -> None:
    found, profile = with_profile(picture, choice, b"")
    if choice == NO:
        assert (found, profile) == (picture, None)
        return
    assert profile is not None
    back = ImageCms.profileToProfile(
        opened(encoded(found, "image/png", None, profile)), io.BytesIO(profile), ImageCms.createProfile("sRGB")
    )
    assert np.abs(np.asarray(back).astype(int) - np.asarray(picture.convert("RGB"))).mean() < 2


def test_the_images_own_profile_is_passed_on_when_it_is_one() -> None:
    _, adobe = with_profile(COLOUR, "adobergb", b"")
    assert adobe is not None
    assert with_profile(COLOUR, "yes", adobe)[1] == adobe
    assert with_profile(COLOUR, "yes", b"garbage")[1] == with_profile(COLOUR, "yes", b"")[1]


def test_a_broken_profile_is_refused_when_it_must_be_read() -> None:
    broken = bytearray(200)
    broken[36:40], broken[16:20] = b"acsp", b"RGB "
    with pytest.raises(Unpaintable, match="colour profile"):
        with_profile(COLOUR, "srgb", bytes(broken))


@pytest.mark.parametrize("picture", [Image.new("L", (200, 100)), Image.new("RGB", (200, 100))])
def test_text_is_written_into_the_upper_corners_only(picture: Image.Image) -> None:
    pixels = np.asarray(annotated(picture, ["Zhang San 张三"], ["CT", "Im 1"]).convert("L"))
    assert pixels[:40, :100].max() > 200
    assert pixels[:40, 150:].max() > 200
    assert pixels[60:].max() == 0
    assert np.asarray(picture).max() == 0


def test_without_text_the_picture_stays_the_same_object() -> None:
    assert annotated(GREY, (), ()) is GREY


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (500, 4)])
def test_text_on_tiny_pictures_is_no_error(size: tuple[int, int]) -> None:
    assert annotated(Image.new("L", size), ["x" * 500], ["y"]).size == size


def test_a_drawing_comes_out_of_json_as_it_went_in() -> None:
    drawing = Drawing(
        description=described(image("u1")),
        attributes_json=looks(WindowCenter=1),
        media_type="image/png",
        window=Window(1, 2, "SIGMOID"),
        viewport=Viewport(3, 4, 0.5),
        left=("张三",),
        icc_profile="yes",
        own_profile=b"\0\xff",
    )
    assert Drawing.from_json(drawing.to_json()) == drawing


@pytest.mark.parametrize("colour", [False, True])
def test_raw_pictures_are_read_back(colour: bool) -> None:
    pixels = image("u1", colour=colour)
    drawing = Drawing(
        description=described(pixels), attributes_json=looks(WindowCenter=128, WindowWidth=256), media_type=RAW
    )
    assert np.array_equal(np.asarray(raw_image(draw(pixels.tobytes(), drawing))), pixels)
