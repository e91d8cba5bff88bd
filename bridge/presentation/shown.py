"""What a state puts on one frame: shutters, overlays, displayed area, rotation, annotations (PS3.3 §A.33). Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.attributes import Attributes
from bridge.frames import repack_bits
from bridge.presentation.colours import cielab_of, grey_of, layer_colour
from bridge.presentation.grey import Fetch
from bridge.presentation.palettes import palette_of
from bridge.presentation.reading import applicable
from bridge.presentation.shapes import outline
from bridge.presentation.values import WHITE, Area, Bitmap, Caption, Colour, Line, Point, Presentation, Shutter

OBJECTS_LIMIT = 5000  # graphic and text objects on one frame
POINTS_LIMIT = 10_000  # of one graphic object
ALL_POINTS_LIMIT = 200_000  # about; the annotation that goes beyond is the last
TEXT_LIMIT = 1024  # characters of one text object
_OVERLAY_GROUPS = tuple(range(0x6000, 0x6020, 2))
_OVERLAY_SIDE_LIMIT = 1 << 14

Layers = dict[str, tuple[int, Colour]]  # name -> order and colour


@dataclass(frozen=True, slots=True)
class Plane:
    """A data set that may hold overlay planes, and what fetches its bulk values."""

    data_set: Attributes
    fetch: Fetch


def presentation_of(
    state: Attributes, sop_instance_uid: str, frame: int, fetch: Fetch, image: Plane | None = None
) -> Presentation:
    """The state's presentation of one frame. `fetch` gives bulk values of the state.

    `image` is needed when the state activates overlay planes of the image.
    """
    layers = _layers(state)
    bitmaps = _bitmaps(state, image or Plane(Attributes({}), fetch), layers, frame, fetch)
    shutter_group = state.integer("ShutterOverlayGroup")
    areas = applicable(state, "DisplayedAreaSelectionSequence", sop_instance_uid, frame)
    rotation = round(state.number("ImageRotation") / 90) * 90 % 360
    return Presentation(
        shutter=_shutter(state, bitmaps.get(shutter_group)),
        palette=palette_of(state, fetch),
        overlays=tuple(bitmap for group, bitmap in bitmaps.items() if _activated(state, group)),
        area=_area(next(areas, None)),
        rotation=rotation,
        flipped=state.text("ImageHorizontalFlip") == "Y",
        drawn=tuple(_drawn(state, layers, sop_instance_uid, frame)),
    )


def _layers(state: Attributes) -> Layers:
    """Graphic layers (PS3.3 §C.10.7)."""
    return {
        item.text("GraphicLayer"): (item.integer("GraphicLayerOrder"), layer_colour(item, WHITE))
        for item in state.items("GraphicLayerSequence")
    }


def _shutter(state: Attributes, bitmap: Bitmap | None) -> Shutter | None:
    """Display and bitmap shutter; several shapes are all applied."""
    shapes = {shape.strip() for shape in state.texts("ShutterShape")}
    edges = [
        state.number(f"Shutter{edge}")
        for edge in ("LeftVerticalEdge", "UpperHorizontalEdge", "RightVerticalEdge", "LowerHorizontalEdge")
    ]
    centre, radius = state.numbers("CenterOfCircularShutter"), state.number("RadiusOfCircularShutter")
    vertices = state.numbers("VerticesOfThePolygonalShutter")[: 2 * POINTS_LIMIT]
    colour = grey_of(state.number("ShutterPresentationValue"))
    shutter = Shutter(
        # Edges are the first and last lines that are seen, counted from 1.
        box=(edges[0] - 1, edges[1] - 1, edges[2], edges[3]) if "RECTANGULAR" in shapes else None,
        circle=(centre[1] - 0.5, centre[0] - 0.5, radius) if "CIRCULAR" in shapes and len(centre) == 2 else None,
        polygon=tuple((x - 0.5, y - 0.5) for y, x in zip(vertices[::2], vertices[1::2], strict=False))
        if "POLYGONAL" in shapes and len(vertices) >= 6
        else (),
        bitmap=bitmap if "BITMAP" in shapes else None,
        colour=cielab_of(state, "ShutterPresentationColorCIELabValue", colour),
    )
    return shutter if shutter.box or shutter.circle or shutter.polygon or shutter.bitmap else None


def _bitmaps(state: Attributes, image: Plane, layers: Layers, frame: int, fetch: Fetch) -> dict[int, Bitmap]:
    """Overlay planes by group: the state's own, and those of the image that the state activates (PS3.3 §C.11.7)."""
    found: dict[int, Bitmap] = {}
    for group in _OVERLAY_GROUPS:
        _, colour = layers.get(state.text(f"{group:04X}1001"), (0, WHITE))
        bitmap = _bitmap(state, group, frame, colour, fetch)
        if bitmap is None and _activated(state, group):
            bitmap = _bitmap(image.data_set, group, frame, colour, image.fetch)
        if bitmap is not None:
            found[group] = bitmap
    return found


def _bitmap(data_set: Attributes, group: int, frame: int, colour: Colour, fetch: Fetch) -> Bitmap | None:
    """One plane, of several frames the one for `frame`; None when there is none (PS3.3 §C.9.2, §C.9.3)."""
    key = f"{group:04X}"
    rows, columns = data_set.integer(f"{key}0010"), data_set.integer(f"{key}0011")
    if not (0 < rows <= _OVERLAY_SIDE_LIMIT and 0 < columns <= _OVERLAY_SIDE_LIMIT):
        return None
    count, first = data_set.integer(f"{key}0015", 1), data_set.integer(f"{key}0051", 1)
    place = frame - first if count > 1 else 0
    data, start = data_set.binary(f"{key}3000", fetch), place * rows * columns
    if not 0 <= place < max(1, count) or len(data) * 8 < start + rows * columns:
        return None
    bits = repack_bits(data[start // 8 :], start % 8, rows * columns)
    limit = _OVERLAY_SIDE_LIMIT
    origin = [min(max(int(number), -limit), limit) for number in data_set.numbers(f"{key}0050")]
    top, left = (origin[0] - 1, origin[1] - 1) if len(origin) == 2 else (0, 0)
    encoded = base64.b64encode(bits).decode("ascii")
    return Bitmap(rows=rows, columns=columns, top=top, left=left, bits=encoded, colour=colour)


def _activated(state: Attributes, group: int) -> bool:
    """Does the state show this overlay in a layer?"""
    return bool(state.text(f"{group:04X}1001"))


def activates_image_overlays(state: Attributes) -> bool:
    """Does the state show overlay planes that it does not hold itself?"""
    return any(_activated(state, group) and f"{group:04X}3000" not in state for group in _OVERLAY_GROUPS)


def _area(item: Attributes | None) -> Area | None:
    """The displayed area; corners are pixels counted from 1, in any order (PS3.3 §C.10.4)."""
    if item is None:
        return None
    first = item.numbers("DisplayedAreaTopLeftHandCorner")
    last = item.numbers("DisplayedAreaBottomRightHandCorner")
    if len(first) != 2 or len(last) != 2:
        return None
    spacing = item.numbers("PresentationPixelSpacing") or item.numbers("PresentationPixelAspectRatio")
    ratio = spacing[0] / spacing[1] if len(spacing) == 2 and min(spacing) > 0 else None
    magnified = item.text("PresentationSizeMode") == "MAGNIFY"
    magnification = item.number("PresentationPixelMagnificationRatio")
    return Area(
        left=min(first[0], last[0]) - 1,
        top=min(first[1], last[1]) - 1,
        right=max(first[0], last[0]),
        bottom=max(first[1], last[1]),
        pixel_ratio=ratio if ratio is not None and 0.05 < ratio < 20 else None,
        magnification=magnification if magnified and magnification > 0 else None,
    )


def _drawn(state: Attributes, layers: Layers, sop_instance_uid: str, frame: int) -> list[Line | Caption]:
    """Graphics and texts of every layer, the lowest layer first."""
    found: list[tuple[int, Line | Caption]] = []
    counted = drawn_points = 0
    for item in applicable(state, "GraphicAnnotationSequence", sop_instance_uid, frame):
        order, colour = layers.get(item.text("GraphicLayer"), (0, WHITE))
        found += [(order, line) for one in item.items("GraphicObjectSequence") for line in _lines(one, colour)]
        found += [(order, _text(one, colour)) for one in item.items("TextObjectSequence")]
        drawn_points += sum(len(thing.points) for _, thing in found[counted:] if isinstance(thing, Line))
        counted = len(found)
        if counted >= OBJECTS_LIMIT or drawn_points >= ALL_POINTS_LIMIT:
            break
    return [thing for _, thing in sorted(found[:OBJECTS_LIMIT], key=lambda pair: pair[0])]


def _lines(item: Attributes, layer: Colour) -> Iterator[Line]:
    """One graphic object (PS3.3 §C.10.5.1.2); styles of their own take the place of the layer's colour."""
    points = _points(item.numbers("GraphicData")[: 2 * POINTS_LIMIT])
    style = item.item("LineStyleSequence")
    through = outline(item.text("GraphicType"), points)
    if through:
        yield Line(
            points=through,
            relative=item.text("GraphicAnnotationUnits") == "DISPLAY",
            filled=item.text("GraphicFilled") == "Y",
            dot=item.text("GraphicType") == "POINT",
            colour=cielab_of(style, "PatternOnColorCIELabValue", layer),
            width=min(20.0, max(1.0, style.number("LineThickness", 1.0))),
        )


def _text(item: Attributes, layer: Colour) -> Caption:
    """One text object (PS3.3 §C.10.5.1.1)."""
    corners = _points(item.numbers("BoundingBoxTopLeftHandCorner") + item.numbers("BoundingBoxBottomRightHandCorner"))
    anchor = _points(item.numbers("AnchorPoint"))
    return Caption(
        text=item.text("UnformattedTextValue").replace("\r\n", "\n").replace("\r", "\n")[:TEXT_LIMIT],
        box=(corners[0], corners[1]) if len(corners) == 2 else None,
        box_relative=item.text("BoundingBoxAnnotationUnits") == "DISPLAY",
        anchor=anchor[0] if anchor else None,
        anchor_relative=item.text("AnchorPointAnnotationUnits") == "DISPLAY",
        anchor_visible=item.text("AnchorPointVisibility") == "Y",
        align=item.text("BoundingBoxTextHorizontalJustification") or "LEFT",
        colour=cielab_of(item.item("TextStyleSequence"), "TextColorCIELabValue", layer),
    )


def _points(numbers: Sequence[float]) -> list[Point]:
    """Column, row pairs; also where a data set has them as one list."""
    return list(zip(numbers[::2], numbers[1::2], strict=False))
