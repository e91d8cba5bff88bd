"""Colours as presentation states give them -> RGB (PS3.3 §C.10.7.1.1). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.attributes import Attributes
from bridge.presentation.values import Colour

_WHITE_POINT = (0.9642, 1.0, 0.8249)  # D50, of the profile connection space
# XYZ at D50 -> linear sRGB, chromatic adaptation included (IEC 61966-2-1, Bradford)
_TO_SRGB = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
_BEND = 6.0 / 29.0  # below it CIELab is linear


def layer_colour(item: Attributes, default: Colour) -> Colour:
    """The colour recommended for a graphic layer: CIELab, the retired RGB, or a grey P-Value."""
    lab = item.numbers("GraphicLayerRecommendedDisplayCIELabValue")
    rgb = item.numbers("GraphicLayerRecommendedDisplayRGBValue")
    grey = item.numbers("GraphicLayerRecommendedDisplayGrayscaleValue")
    if len(lab) == 3:
        return from_cielab(lab)
    if len(rgb) == 3:
        return (_byte(rgb[0] / 65535), _byte(rgb[1] / 65535), _byte(rgb[2] / 65535))
    return grey_of(grey[0]) if grey else default


def cielab_of(item: Attributes, keyword: str, default: Colour) -> Colour:
    """The colour in an attribute with a CIELab value."""
    lab = item.numbers(keyword)
    return from_cielab(lab) if len(lab) == 3 else default


def grey_of(p_value: float) -> Colour:
    """A P-Value of 16 bits as grey."""
    level = _byte(p_value / 65535)
    return (level, level, level)


def from_cielab(encoded: Sequence[float]) -> Colour:
    """CIELab as DICOM encodes it: L* 0 to 100, a* and b* -128 to 127, each over 0 to 65535 (PS3.3 §C.10.7.1.1)."""
    lightness, a, b = (min(65535.0, max(0.0, number)) / 65535 for number in encoded)
    lightness, a, b = lightness * 100, a * 255 - 128, b * 255 - 128
    y = (lightness + 16) / 116
    xyz = [white * _unbent(root) for white, root in zip(_WHITE_POINT, (y + a / 500, y, y - b / 200), strict=True)]
    red, green, blue = (
        _byte(_gamma(sum(factor * part for factor, part in zip(row, xyz, strict=True)))) for row in _TO_SRGB
    )
    return (red, green, blue)


def _unbent(root: float) -> float:
    return root**3 if root > _BEND else 3 * _BEND**2 * (root - 4 / 29)


def _gamma(linear: float) -> float:
    clipped = min(1.0, max(0.0, linear))
    return 12.92 * clipped if clipped <= 0.0031308 else 1.055 * float(clipped ** (1 / 2.4)) - 0.055


def _byte(part: float) -> int:
    return round(255 * min(1.0, max(0.0, part)))
