"""Letters for drawings."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from bridge.fonts import font


def inked(text: str, height_px: float) -> list[int]:
    """The columns of ink that a text leaves."""
    image = Image.new("L", (400, 100))
    ImageDraw.Draw(image).text((5, 5), text, fill=255, font=font(height_px, text))
    box = image.getbbox()
    return list(box) if box else []


def test_letters_are_about_as_high_as_asked() -> None:
    low, high = inked("H", 20), inked("H", 60)
    assert 2.5 < (high[3] - high[1]) / (low[3] - low[1]) < 3.5


def test_letters_are_never_too_small_to_read() -> None:
    assert inked("H", 1) == inked("H", 8)


@pytest.mark.parametrize("text", ["张三", "山田", "김희중", "Ωмега", "Jörg"])
def test_every_alphabet_leaves_ink(text: str) -> None:
    assert inked(text, 20)


def test_the_same_size_is_the_same_font_object() -> None:
    assert font(20, "a") is font(20.4, "b")
