"""What a presentation state puts on one picture, as plain frozen values that travel to a codec worker as JSON.

Points are (x, y): x to the right, y down. In pixels (0, 0) is the top left corner of the first pixel (PS3.3
§C.10.5.1.2); in parts of the displayed area (0, 0) is its top left corner and (1, 1) the bottom right one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

Colour = tuple[int, int, int]  # RGB, 8 bits
Point = tuple[float, float]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bitmap:
    """One bit per pixel, rows packed one after the other, low bit first (PS3.3 §C.9.2); `bits` in base64."""

    rows: int
    columns: int
    top: int  # of its first pixel, in rows of the image from 0 on; may lie outside
    left: int
    bits: str
    colour: Colour = WHITE


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutter:
    """What is covered: all outside of each shape, and the set bits of the bitmap (PS3.3 §C.7.6.11, §C.7.6.15)."""

    box: tuple[float, float, float, float] | None = None  # left, top, right, bottom in pixels
    circle: tuple[float, float, float] | None = None  # centre x, y and radius
    polygon: tuple[Point, ...] = ()
    bitmap: Bitmap | None = None
    colour: Colour = BLACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A drawn line; a filled one is also an area. `dot` marks each point instead."""

    points: tuple[Point, ...]
    relative: bool = False  # to the displayed area, not to the image
    filled: bool = False
    dot: bool = False
    colour: Colour = WHITE
    width: float = 1.0  # pixels of the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """Text in a box, beside an anchor point, or both (PS3.3 §C.10.5.1.1)."""

    text: str
    box: tuple[Point, Point] | None = None
    box_relative: bool = False
    anchor: Point | None = None
    anchor_relative: bool = False
    anchor_visible: bool = False
    align: str = "LEFT"  # LEFT, CENTER or RIGHT, in the box
    colour: Colour = WHITE


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The part of the image shown, in pixels from 0 on; it may reach beyond the image (PS3.3 §C.10.4)."""

    left: float
    top: float
    right: float
    bottom: float
    pixel_ratio: float | None = None  # height of a pixel by its width; None: the image's own
    magnification: float | None = None  # picture pixels per image pixel; None: to fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """All of it, in the order in which it is put on. `drawn` is sorted by layer, the lowest first."""

    shutter: Shutter | None = None
    palette: str = ""  # 256 RGB triples in base64 that take the place of grey levels
    overlays: tuple[Bitmap, ...] = ()
    area: Area | None = None
    rotation: int = 0  # degrees clockwise: 0, 90, 180, 270
    flipped: bool = False  # left to right, after the rotation
    drawn: tuple[Line | Caption, ...] = ()


def without_texts(presentation: Presentation) -> Presentation:
    """The same without its captions."""
    return replace(presentation, drawn=tuple(thing for thing in presentation.drawn if isinstance(thing, Line)))


def from_values(values: dict[str, Any]) -> Presentation:
    """The inverse of `dataclasses.asdict` after a journey as JSON."""
    shutter, area = values["shutter"], values["area"]
    return Presentation(
        shutter=_shutter(shutter) if shutter else None,
        palette=values["palette"],
        overlays=tuple(_bitmap(one) for one in values["overlays"]),
        area=Area(**area) if area else None,
        rotation=values["rotation"],
        flipped=values["flipped"],
        drawn=tuple(_caption(one) if "text" in one else _line(one) for one in values["drawn"]),
    )


def _bitmap(values: dict[str, Any]) -> Bitmap:
    return Bitmap(**{**values, "colour": tuple(values["colour"])})


def _shutter(values: dict[str, Any]) -> Shutter:
    return Shutter(
        box=tuple(values["box"]) if values["box"] else None,
        circle=tuple(values["circle"]) if values["circle"] else None,
        polygon=tuple(map(tuple, values["polygon"])),
        bitmap=_bitmap(values["bitmap"]) if values["bitmap"] else None,
        colour=tuple(values["colour"]),
    )


def _line(values: dict[str, Any]) -> Line:
    points = tuple(map(tuple, values["points"]))
    return Line(**{**values, "points": points, "colour": tuple(values["colour"])})


def _caption(values: dict[str, Any]) -> Caption:
    box, anchor = values["box"], values["anchor"]
    return Caption(
        **{
            **values,
            "box": tuple(map(tuple, box)) if box else None,
            "anchor": tuple(anchor) if anchor else None,
            "colour": tuple(values["colour"]),
        }
    )
