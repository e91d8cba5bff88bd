"""Text burnt into a picture: lines in its upper corners, white with a dark rim (PS3.18 §8.3.5.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from bridge.fonts import font

_LINES_A_PICTURE = 32  # lines of text that would fill the height
_SMALLEST_PX, _LARGEST_PX = 9, 48
_LONGEST = 64  # characters of a line


def annotated(image: Image.Image, left: Sequence[str], right: Sequence[str]) -> Image.Image:
    """The picture with these lines in its upper left and upper right corner."""
    if not left and not right:
        return image
    image = image.copy()
    height = min(_LARGEST_PX, max(_SMALLEST_PX, image.height / _LINES_A_PICTURE))
    pen = ImageDraw.Draw(image)
    white, black = (255, 0) if image.mode == "L" else ((255, 255, 255), (0, 0, 0))
    rim = max(1, round(height / 12))
    for lines, at_right in ((left, False), (right, True)):
        for number, line in enumerate(lines):
            text = line[:_LONGEST]
            letters = font(height, text)
            x = image.width - height / 2 - pen.textlength(text, letters) if at_right else height / 2
            y = height / 2 + number * height * 1.35
            pen.text((x, y), text, fill=white, font=letters, stroke_width=rim, stroke_fill=black)
    return image
