"""The rendering query parameters -> Parameters (PS3.18 §8.3.5; DICOM.md W18-W21). Pure.

A parameter that is there with a bad value is InvalidRequest with a sentence that says how it is written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypeVar

from bridge.errors import InvalidRequest
from bridge.render.parameters import Parameters
from bridge.render.wording import PATIENT, TECHNIQUE
from bridge.rendering.geometry import Viewport
from bridge.rendering.profiles import CHOICES, NO
from bridge.rendering.windows import LINEAR, LINEAR_EXACT, SIGMOID, Window

_FUNCTIONS = {"linear": LINEAR, "linear-exact": LINEAR_EXACT, "sigmoid": SIGMOID}
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})(?:[eE][+-]?[0-9]{1,2})?")

ANNOTATIONS = frozenset({PATIENT, TECHNIQUE})
_UNPRINTABLE = re.compile(r"[^ -~]")  # what must not stand in a header field

_T = TypeVar("_T")
Parameter = Callable[[str], str | None]


def parse_rendering(parameter: Parameter, *, viewport_limit_px: int) -> Parameters:
    """How images are wanted. `parameter` gives a query parameter's value or None. Raises InvalidRequest."""
    return Parameters(
        window=_parsed(parameter("window"), _window),
        viewport=_parsed(parameter("viewport"), lambda text: _viewport(text, viewport_limit_px)),
        quality=_parsed(parameter("quality"), _quality),
        annotation=frozenset(annotation_words(parameter)) & ANNOTATIONS,
        icc_profile=_parsed(parameter("iccprofile"), _icc_profile) or NO,
    )


def annotation_words(parameter: Parameter) -> list[str]:
    """The words of the annotation parameter, known or not (§8.3.5.1.1; W20). Raises InvalidRequest for an empty one."""
    text = parameter("annotation")
    words = [] if text is None else [word.strip() for word in text.split(",")]
    if not all(words):
        raise InvalidRequest("annotation is a list of the words patient and technique")
    return words


def unsupported_annotations(parameter: Parameter) -> str:
    """The sentence of the warning about words we do not know, in the standard's words; "" when there are none."""
    unknown = [word for word in annotation_words(parameter) if word not in ANNOTATIONS]
    shown = ", ".join(_UNPRINTABLE.sub("?", word)[:40] for word in unknown[:10])
    return f"The following annotation values are not supported: {shown}" if unknown else ""


def parse_thumbnail(parameter: Parameter, *, viewport_limit_px: int) -> Viewport | None:
    """The box a thumbnail shall fit in; a region is refused (W18). Raises InvalidRequest."""
    text = parameter("viewport")
    if text is None:
        return None
    if text.count(",") != 1:
        raise InvalidRequest("the viewport of a thumbnail is vw,vh")
    return _viewport(text, viewport_limit_px)


def _parsed(text: str | None, parse: Callable[[str], _T]) -> _T | None:
    return None if text is None else parse(text)


def _window(text: str) -> Window:
    """`center,width,function` (§8.3.5.1.4; W19)."""
    pieces = text.split(",")
    if len(pieces) != 3 or pieces[2].strip() not in _FUNCTIONS:
        raise InvalidRequest("window is center,width,function with function linear, linear-exact or sigmoid")
    center, width = (_decimal(piece, "window") for piece in pieces[:2])
    function = _FUNCTIONS[pieces[2].strip()]
    if width <= 0 or (function == LINEAR and width < 1):
        raise InvalidRequest("the width of a window must be above 0, of a linear one at least 1")
    return Window(center, width, function)


def _viewport(text: str, limit_px: int) -> Viewport:
    """`vw,vh[,sx,sy,sw,sh]`; a value left out keeps its comma (§8.3.5.1.3; W18)."""
    pieces = [piece.strip() for piece in text.split(",")]
    if len(pieces) not in (2, 6):
        raise InvalidRequest("viewport is vw,vh or vw,vh,sx,sy,sw,sh; a value left out keeps its comma")
    width, height = (_size(piece, limit_px) for piece in pieces[:2])
    if len(pieces) == 2:
        return Viewport(width, height)
    left, top, region_width, region_height = (_decimal(one, "viewport") if one else None for one in pieces[2:])
    if (left or 0) < 0 or (top or 0) < 0 or region_width == 0 or region_height == 0:
        raise InvalidRequest("the region of a viewport begins inside the image and is not empty")
    return Viewport(width, height, left or 0.0, top or 0.0, region_width, region_height)


def _size(text: str, limit_px: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or not 0 < int(text) <= limit_px:
        raise InvalidRequest(f"the width and height of a viewport are whole numbers from 1 to {limit_px}")
    return int(text)


def _quality(text: str) -> int:
    """1 to 100 (§8.3.5.1.2; W18)."""
    if not (text.isascii() and text.isdigit()) or len(text) > 3 or not 1 <= int(text) <= 100:
        raise InvalidRequest("quality is a whole number from 1 to 100")
    return int(text)


def _icc_profile(text: str) -> str:
    """What profile to embed (§8.3.5.1.5; W21)."""
    if text not in CHOICES:
        raise InvalidRequest(f"iccprofile is one of {', '.join(CHOICES)}")
    return text


def _decimal(text: str, name: str) -> float:
    if not _DECIMAL.fullmatch(text.strip()):
        raise InvalidRequest(f"{name} holds {text[:20]!r}, which is not a decimal number")
    number = float(text)
    if not math.isfinite(number):
        raise InvalidRequest(f"{name} holds a number beyond all limits")
    return number
