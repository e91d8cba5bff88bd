"""Region, mirror image, pixel shape and size of a picture (PS3.18 §8.3.5.1.3; PS3.3 §C.7.6.3.1.7)."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from bridge.attributes import Attributes
from bridge.rendering.refusal import Unpaintable

# Each is height and width, or spacing between rows and between columns (PS3.3 §C.7.6.3.1.7, §10.7.1.3).
_PIXEL_SHAPES = ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_OBLONG_LIMIT = 20.0  # a pixel shape beyond this is a mistake


@dataclass(frozen=True, slots=True)
class Viewport:
    """A box of `width` x `height` that the picture fits in, and the region of the image shown there.

    Region in columns and rows of the image; None is to the edge. A negative extent mirrors.
    """

    width: int
    height: int
    left: float = 0.0
    top: float = 0.0
    region_width: float | None = None
    region_height: float | None = None

    @property
    def has_region(self) -> bool:
        """Does it cut or mirror?"""
        return bool(self.left or self.top or self.region_width or self.region_height)


def placed(image: Image.Image, viewport: Viewport | None, pixel_ratio: float) -> Image.Image:
    """The image as it is to be seen. `pixel_ratio` is the height of a pixel by its width. Raises Unpaintable."""
    if viewport is not None:
        image = _region(image, viewport)
    width, height = float(image.width), float(image.height)
    if pixel_ratio > 1:
        height *= pixel_ratio
    else:
        width /= pixel_ratio
    if viewport is not None:
        scale = min(viewport.width / width, viewport.height / height)
        width, height = width * scale, height * scale
    size = (max(1, round(width)), max(1, round(height)))
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def pixel_ratio(attributes: Attributes) -> float:
    """Height of a pixel by its width: Pixel Aspect Ratio, else the spacings, which count only by their ratio."""
    for keyword in _PIXEL_SHAPES:
        numbers = attributes.numbers(keyword)
        if len(numbers) == 2 and min(numbers) > 0:
            ratio = numbers[0] / numbers[1]
            if 1 / _OBLONG_LIMIT < ratio < _OBLONG_LIMIT:
                return 1.0 if abs(ratio - 1) < 0.005 else ratio
    return 1.0


def _region(image: Image.Image, viewport: Viewport) -> Image.Image:
    left, right, mirrored = _span(viewport.left, viewport.region_width, image.width)
    top, bottom, upside_down = _span(viewport.top, viewport.region_height, image.height)
    if (left, top, right, bottom) != (0, 0, image.width, image.height):
        image = image.crop((left, top, right, bottom))
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if upside_down else image


def _span(start: float, extent: float | None, limit: int) -> tuple[int, int, bool]:
    """(first, end, mirrored?) of a region in one direction, cut at the image's edge."""
    length = limit - start if extent is None else abs(extent)
    first, end = max(0, round(start)), min(limit, round(start + length))
    if first >= end:
        raise Unpaintable("the region asked for lies outside of the image")
    return first, end, extent is not None and extent < 0
