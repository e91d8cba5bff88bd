"""From pixels of the image to those of the picture: area, pixel shape, size, rotation, flip (PS3.4 §N.2.2). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from bridge.presentation.values import Point, Presentation

_SIDE_LIMIT_PX = 4096  # of a picture whose size nobody limits
_TURNS = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}


@dataclass(frozen=True, slots=True)
class Placing:
    """Where the displayed area of an image is cut, how large it becomes, and how it is turned."""

    cut: tuple[int, int, int, int]  # left, top, right, bottom in pixels of the image
    width: int  # of the area before it is turned
    height: int
    rotation: int
    flipped: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return (self.height, self.width) if self.rotation in (90, 270) else (self.width, self.height)

    def moved(self, image: Image.Image) -> Image.Image:
        """The area of the image as a picture; black where it reaches beyond the image."""
        if self.cut != (0, 0, *image.size):
            image = image.crop(self.cut)
        if image.size != (self.width, self.height):
            image = image.resize((self.width, self.height), Image.Resampling.BILINEAR, reducing_gap=2.0)
        if self.rotation:
            image = image.transpose(_TURNS[self.rotation])
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.flipped else image.copy()

    def point(self, point: Point, *, relative: bool) -> Point:
        """Where a point of the image, or a part of the displayed area, lies in the picture."""
        width, height = self.size
        if relative:
            return (point[0] * width, point[1] * height)
        left, top, right, bottom = self.cut
        x = (point[0] - left) * self.width / (right - left)
        y = (point[1] - top) * self.height / (bottom - top)
        turned = {0: (x, y), 90: (width - y, x), 180: (width - x, height - y), 270: (y, height - x)}
        x, y = turned[self.rotation]
        return (width - x, y) if self.flipped else (x, y)


def place(
    size: tuple[int, int], presentation: Presentation, box: tuple[int, int] | None, pixel_ratio: float
) -> Placing:
    """How a picture of `size` is placed; `box` is the largest result, None for one picture pixel per image pixel."""
    cut = _cut(size, presentation)
    magnification = 1.0
    if presentation.area is not None:
        pixel_ratio = presentation.area.pixel_ratio or pixel_ratio
        magnification = presentation.area.magnification or 1.0
    width = (cut[2] - cut[0]) / min(1.0, pixel_ratio)
    height = (cut[3] - cut[1]) * max(1.0, pixel_ratio)
    turned = (height, width) if presentation.rotation in (90, 270) else (width, height)
    if box is not None:
        scale = min(box[0] / turned[0], box[1] / turned[1])
    else:
        scale = min(magnification, _SIDE_LIMIT_PX / max(turned))
    return Placing(
        cut=cut,
        width=max(1, round(width * scale)),
        height=max(1, round(height * scale)),
        rotation=presentation.rotation,
        flipped=presentation.flipped,
    )


def _cut(size: tuple[int, int], presentation: Presentation) -> tuple[int, int, int, int]:
    """The displayed area in whole pixels, at most one image's width and height beyond the image on each side."""
    width, height = size
    area = presentation.area
    if area is None:
        return (0, 0, width, height)
    left, right = _between(area.left, area.right, width)
    top, bottom = _between(area.top, area.bottom, height)
    return (left, top, right, bottom)


def _between(first: float, last: float, length: int) -> tuple[int, int]:
    start = min(max(round(first), -length), 2 * length - 1)
    return start, min(max(round(last), start + 1), 2 * length)
