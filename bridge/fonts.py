"""Letters for drawings: a font of the system with Han, kana and hangul where one is installed, else Pillow's own."""

from __future__ import annotations

import functools
from pathlib import Path

from PIL import ImageFont

# Where Debian, Fedora and Alpine keep fonts with every script that names come in; the first that is there is used.
_WIDE_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
)
_STEP_PX = 2  # sizes are rounded to this, so that few are kept

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font(height_px: float, text: str) -> Font:
    """A font whose letters are about `height_px` high and that has the characters of `text`, if any has."""
    size = max(8, round(height_px / _STEP_PX) * _STEP_PX)
    return _wide(size) if any(character > "\u024f" for character in text) else _built_in(size)


@functools.lru_cache(32)
def _built_in(size: int) -> Font:
    return ImageFont.load_default(size)


@functools.lru_cache(32)
def _wide(size: int) -> Font:
    for path in _WIDE_FONTS:
        if Path(path).is_file():
            return ImageFont.truetype(path, size)
    return _built_in(size)
