"""A sheet as pixels."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from bridge.fonts import font
from bridge.waveforms.sheet import Box, Sheet

PIXELS_PER_MM = 6.0  # 152 dpi: a square of 1 mm is clearly seen
_FINER = 2  # traces are drawn this much larger and shrunk, which smooths them
_PIXELS_LIMIT = 24_000_000  # of the larger drawing
_PAPER, _FINE, _COARSE, _INK = (255, 255, 255), (250, 216, 216), (236, 160, 160), (0, 0, 0)


def paint(sheet: Sheet) -> Image.Image:
    """The sheet in RGB at 6 pixels a millimetre, or fewer for a very large sheet."""
    scale = PIXELS_PER_MM * _FINER
    scale = min(scale, math.sqrt(_PIXELS_LIMIT / (sheet.width * sheet.height)))
    size = (round(sheet.width * scale), round(sheet.height * scale))
    image = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(image)
    for box in sheet.boxes:
        _squares(pen, box, scale)
    for trace in sheet.traces:
        pen.line((trace * scale).ravel().tolist(), fill=_INK, width=max(1, round(scale * 0.25)), joint=None)
    for label in sheet.labels:
        place = (label.left * scale, label.base * scale)
        pen.text(place, label.text, fill=_INK, font=font(label.size * scale, label.text), anchor="ls")
    return image.reduce(_FINER)


def _squares(pen: ImageDraw.ImageDraw, box: Box, scale: float) -> None:
    """Lines each millimetre, heavier ones each fifth."""
    right, bottom = box.left + box.width, box.top + box.height
    for heavy in (False, True):
        colour, width = (_COARSE, max(1, round(scale * 0.2))) if heavy else (_FINE, max(1, round(scale * 0.1)))
        for number in range(round(box.width) + 1):
            if (number % 5 == 0) is heavy:
                x = (box.left + number) * scale
                pen.line((x, box.top * scale, x, bottom * scale), fill=colour, width=width)
        for number in range(round(box.height) + 1):
            if (number % 5 == 0) is heavy:
                y = (box.top + number) * scale
                pen.line((box.left * scale, y, right * scale, y), fill=colour, width=width)
