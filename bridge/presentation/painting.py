"""Putting a `Presentation` on a picture: shutter, overlays, area, rotation, size, then lines and text on top.

The picture comes with one pixel per pixel of the image. Annotations are drawn at the size of the result, so they stay
sharp; their points travel through the same rotation, cut and scaling as the pixels.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from bridge.fonts import font
from bridge.presentation.placing import Placing, place
from bridge.presentation.values import BLACK, WHITE, Bitmap, Caption, Colour, Line, Point, Presentation, Shutter

_TEXT_PX, _LEAST_TEXT_PX = 16.0, 8.0  # height of letters: usual, smallest
_TEXT_PART = 0.03  # of the picture's height, when that is more
_LINE_PART = 0.002  # of the picture's height: the thinnest line
_DOT_PX = 2.5
_ANCHOR_GAP_PX = 6.0
_DARK = 96  # a colour with no channel beyond this gets a bright rim
_FAR_PX = 100_000.0


def present(
    image: Image.Image, presentation: Presentation, box: tuple[int, int] | None, pixel_ratio: float
) -> Image.Image:
    """The picture as the state wants it, fitted into `box`; `pixel_ratio`: of the image, where the state has none."""
    if presentation.palette and image.mode == "L":
        image = _coloured(image, presentation.palette)
    if _has_colour(presentation):
        image = image.convert("RGB")
    if presentation.shutter is not None:
        image = _shuttered(image, presentation.shutter)
    for bitmap in presentation.overlays:
        image.paste(_shade(image, bitmap.colour), (bitmap.left, bitmap.top), _mask_of(bitmap))
    placing = place(image.size, presentation, box, pixel_ratio)
    picture = placing.moved(image)
    for thing in presentation.drawn:
        if isinstance(thing, Line):
            _draw_line(picture, placing, thing)
        else:
            _draw_caption(picture, placing, thing)
    return picture


def _has_colour(presentation: Presentation) -> bool:
    colours = [thing.colour for thing in (*presentation.drawn, *presentation.overlays)]
    if presentation.shutter is not None:
        colours.append(presentation.shutter.colour)
    return any(len(set(colour)) > 1 for colour in colours)


def _shade(image: Image.Image, colour: Colour) -> int | Colour:
    """A colour as the picture's mode has it."""
    return colour[0] if image.mode == "L" else colour


def _coloured(image: Image.Image, palette: str) -> Image.Image:
    table = np.frombuffer(base64.b64decode(palette), np.uint8).reshape(256, 3)
    return Image.fromarray(table[np.asarray(image)])


def _shuttered(image: Image.Image, shutter: Shutter) -> Image.Image:
    """The picture with the shutter's colour wherever one of its shapes covers it."""
    seen = Image.new("1", image.size, 1)
    if shutter.box is not None:
        left, top, right, bottom = (_bounded(edge) for edge in shutter.box)
        inside = (left, top, max(left, right - 1), max(top, bottom - 1))
        seen = _also(seen, lambda pen: pen.rectangle(inside, fill=1))
    if shutter.circle is not None:
        seen = ImageChops.logical_and(seen, _disc(image.size, *shutter.circle))
    if shutter.polygon:
        corners = [_near(corner) for corner in shutter.polygon]
        seen = _also(seen, lambda pen: pen.polygon(corners, fill=1))
    if shutter.bitmap is not None:
        seen.paste(0, (shutter.bitmap.left, shutter.bitmap.top), _mask_of(shutter.bitmap))
    covered = Image.new(image.mode, image.size, _shade(image, shutter.colour))
    return Image.composite(image, covered, seen)


def _disc(size: tuple[int, int], x: float, y: float, radius: float) -> Image.Image:
    """Every pixel whose middle lies in the circle."""
    across = (np.arange(size[0]) + 0.5 - _bounded(x)) ** 2
    down = (np.arange(size[1]) + 0.5 - _bounded(y)) ** 2
    return Image.fromarray(across[None, :] + down[:, None] <= _bounded(radius) ** 2)


def _also(seen: Image.Image, draw: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
    """What was seen so far and lies in the shape drawn as well."""
    shape = Image.new("1", seen.size, 0)
    draw(ImageDraw.Draw(shape))
    return ImageChops.logical_and(seen, shape)


def _mask_of(bitmap: Bitmap) -> Image.Image:
    bits = np.unpackbits(np.frombuffer(base64.b64decode(bitmap.bits), np.uint8), bitorder="little")
    rows: NDArray[np.uint8] = bits[: bitmap.rows * bitmap.columns].reshape(bitmap.rows, bitmap.columns) * np.uint8(255)
    return Image.fromarray(rows)


def _draw_line(picture: Image.Image, placing: Placing, line: Line) -> None:
    pen = ImageDraw.Draw(picture)
    points = [_near(placing.point(point, relative=line.relative)) for point in line.points]
    colour = _shade(picture, line.colour)
    if line.dot:
        for x, y in points:
            pen.ellipse((x - _DOT_PX, y - _DOT_PX, x + _DOT_PX, y + _DOT_PX), fill=colour)
        return
    if line.filled and len(points) > 2:
        pen.polygon(points, fill=colour)
    width = max(1, round(max(line.width, picture.height * _LINE_PART)))
    pen.line(points, fill=colour, width=width, joint="curve")


def _draw_caption(picture: Image.Image, placing: Placing, caption: Caption) -> None:
    """Text with a dark rim, so that it can be read on any image; a line to the anchor where that is visible."""
    pen = ImageDraw.Draw(picture)
    colour = _shade(picture, caption.colour)
    anchor = caption.anchor and _near(placing.point(caption.anchor, relative=caption.anchor_relative))
    box = _box_of(placing, caption)
    size = max(_TEXT_PX, picture.height * _TEXT_PART)
    if box is not None:
        left, top, right, bottom = box
        size = _fitting(pen, caption.text, size, right - left, bottom - top)
        x = {"CENTER": (left + right) / 2, "RIGHT": right}.get(caption.align, left)
        where, hold, align = (x, top), _HOLDS.get(caption.align, "la"), _ALIGNS.get(caption.align, "left")
        if anchor and caption.anchor_visible:
            edge = (min(max(anchor[0], left), right), min(max(anchor[1], top), bottom))
            pen.line((edge, anchor), fill=colour)
    elif anchor:
        where, hold, align = (anchor[0] + _ANCHOR_GAP_PX, anchor[1] - _ANCHOR_GAP_PX), "la", "left"
        if caption.anchor_visible:
            pen.line((where, anchor), fill=colour)
    else:
        return
    letters = font(size, caption.text)
    rim = _shade(picture, BLACK if max(caption.colour) > _DARK else WHITE)
    pen.multiline_text(
        where, caption.text, fill=colour, font=letters, anchor=hold, align=align, stroke_width=1, stroke_fill=rim
    )


_HOLDS: dict[str, str] = {"CENTER": "ma", "RIGHT": "ra"}  # Pillow's anchors: the side that `where` is, and the ascender
_ALIGNS: dict[str, Literal["left", "center", "right"]] = {"CENTER": "center", "RIGHT": "right"}


def _box_of(placing: Placing, caption: Caption) -> tuple[float, float, float, float] | None:
    if caption.box is None:
        return None
    first, last = (_near(placing.point(corner, relative=caption.box_relative)) for corner in caption.box)
    return (min(first[0], last[0]), min(first[1], last[1]), max(first[0], last[0]), max(first[1], last[1]))


def _fitting(pen: ImageDraw.ImageDraw, text: str, size: float, width: float, height: float) -> float:
    """The letters' height, smaller than `size` where the box asks for it, but always readable."""
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font(size, text))
    part = min(1.0, width / max(1.0, right - left), height / max(1.0, bottom - top))
    return max(_LEAST_TEXT_PX, size * part)


def _near(point: Point) -> Point:
    """A point as Pillow counts: the middle of the first pixel is (0, 0)."""
    return (_bounded(point[0] - 0.5), _bounded(point[1] - 0.5))


def _bounded(number: float) -> float:
    """A coordinate that Pillow can draw to; what lies so far outside is not seen anyway."""
    return min(max(number, -_FAR_PX), _FAR_PX)
