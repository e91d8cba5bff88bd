"""A card that stands for what has no picture of its own, such as a report or a video: just its kind, in a word."""

from __future__ import annotations

from PIL import Image, ImageDraw

from bridge.fonts import font
from bridge.kinds import Kind
from bridge.rendering.encoding import encoded
from bridge.rendering.geometry import Viewport

_PAPER, _EDGE, _INK = (238, 240, 243), (140, 150, 165), (60, 70, 85)
_WORD_PART = 0.13  # height of the letters by the shorter side


def card(kind: Kind, media_type: str, box: Viewport, quality: int | None) -> bytes:
    """The card as a picture file of this size."""
    image = Image.new("RGB", (box.width, box.height), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, box.width - 1, box.height - 1), outline=_EDGE)
    word = kind.value.split(" without ")[0]
    pen.text(
        (box.width / 2, box.height / 2),
        word.replace(" ", "\n").upper(),
        fill=_INK,
        font=font(min(box.width, box.height) * _WORD_PART, word),
        anchor="mm",
        align="center",
    )
    return encoded(image, media_type, quality)
