"""A sheet as pixels."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from bridge.fonts import font
from bridge.waveforms.sheet import Box, Points, Sheet

PIXELS_PER_MM = 6.0  # 152 dpi: a square of 1 mm is clearly seen
_PIXELS_LIMIT = 8_000_000
_FINER = 2  # a trace is drawn this much larger and shrunk, which smooths it
_PEN_MM, _FINE_MM, _COARSE_MM = 0.25, 0.1, 0.2
_PAPER, _FINE, _COARSE, _INK = (255, 255, 255), (250, 216, 216), (236, 160, 160), (0, 0, 0)


def paint(sheet: Sheet) -> Image.Image:
    """The sheet in RGB at 6 pixels a millimetre, or fewer for a very large sheet."""
    scale = min(PIXELS_PER_MM, math.sqrt(_PIXELS_LIMIT / (sheet.width * sheet.height)))
    image = Image.new("RGB", (round(sheet.width * scale), round(sheet.height * scale)), _PAPER)
    pen = ImageDraw.Draw(image)
    for box in sheet.boxes:
        _squares(pen, box, scale)
    for trace in sheet.traces:
        _trace(image, trace * scale, max(1, round(_PEN_MM * scale * _FINER)))
    for label in sheet.labels:
        place = (label.left * scale, label.base * scale)
        pen.text(place, label.text, fill=_INK, font=font(label.size * scale, label.text), anchor="ls")
    return image


def _trace(image: Image.Image, points: Points, width: int) -> None:
    """One line through points of the picture; only the part of the picture around it is drawn larger."""
    start = np.floor(points.min(axis=0)).astype(int) - 2
    end = np.ceil(points.max(axis=0)).astype(int) + 2
    size = (end - start) * _FINER
    mask = Image.new("L", (int(size[0]), int(size[1])), 0)
    ImageDraw.Draw(mask).line(((points - start) * _FINER).ravel().tolist(), fill=255, width=width)
    image.paste(_INK, (int(start[0]), int(start[1])), mask.reduce(_FINER))


def _squares(pen: ImageDraw.ImageDraw, box: Box, scale: float) -> None:
    """Lines each millimetre, heavier ones each fifth."""
    right, bottom = box.left + box.width, box.top + box.height
    for heavy in (False, True):
        colour, width = (_COARSE, _COARSE_MM) if heavy else (_FINE, _FINE_MM)
        thick = max(1, round(scale * width))
        for number in range(round(box.width) + 1):
            if (number % 5 == 0) is heavy:
                x = (box.left + number) * scale
                pen.line((x, box.top * scale, x, bottom * scale), fill=colour, width=thick)
        for number in range(round(box.height) + 1):
            if (number % 5 == 0) is heavy:
                y = (box.top + number) * scale
                pen.line((box.left * scale, y, right * scale, y), fill=colour, width=thick)
