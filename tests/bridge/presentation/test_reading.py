"""What a presentation state says of one frame of one image (PS3.3 §A.33)."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ColorSoftcopyPresentationStateStorage, PseudoColorSoftcopyPresentationStateStorage

from bridge.attributes import Attributes, key_of
from bridge.frames import PixelDescription
from bridge.presentation.grey import in_place
from bridge.presentation.reading import Target, targets
from bridge.presentation.shown import Plane, activates_image_overlays, presentation_of
from bridge.presentation.values import Caption, Line, Presentation, from_values
from tests.bridge.shown import SERIES, as_metadata, presentation_state, referenced, sequence_item

IMAGE, OTHER = f"{SERIES}.1", f"{SERIES}.2"
DESCRIPTION = PixelDescription(
    rows=64, columns=64, samples_per_pixel=1, bits_allocated=16, bits_stored=12, high_bit=11, pixel_representation=0,
    photometric_interpretation="MONOCHROME1", planar_configuration=0, number_of_frames=1, tag=0x7FE00010, vr="OW",
)  # fmt: skip


def no_bulk(path: str) -> bytes:
    raise AssertionError(f"{path} is not needed")


def shown(state: Dataset, uid: str = IMAGE, frame: int = 1) -> Presentation:
    return presentation_of(as_metadata(state), uid, frame, no_bulk)


def greys(state: Dataset, uid: str = IMAGE, frame: int = 1, **image: Any) -> Attributes:
    elements = {key_of(keyword): {"vr": "DS", "Value": [value]} for keyword, value in image.items()}
    return Attributes(in_place(elements, as_metadata(state), DESCRIPTION, uid, frame, no_bulk))


def state(**attributes: object) -> Dataset:
    return presentation_state(referenced(IMAGE), **attributes)


def annotation(layer: str, *graphics: Dataset, texts: tuple[Dataset, ...] = (), **attributes: object) -> Dataset:
    item = sequence_item(GraphicLayer=layer, **attributes)
    if graphics:
        item.GraphicObjectSequence = list(graphics)
    if texts:
        item.TextObjectSequence = list(texts)
    return item


def graphic(kind: str, *numbers: float, units: str = "PIXEL", filled: str = "N") -> Dataset:
    return sequence_item(
        GraphicAnnotationUnits=units, GraphicDimensions=2, NumberOfGraphicPoints=len(numbers) // 2,
        GraphicData=list(numbers), GraphicType=kind, GraphicFilled=filled,
    )  # fmt: skip


def test_a_state_names_its_images_and_their_frames_in_its_order() -> None:
    made = presentation_state(referenced(OTHER), referenced(IMAGE, ReferencedFrameNumber=[3, 1]))
    assert targets(as_metadata(made)) == [Target(SERIES, OTHER), Target(SERIES, IMAGE, (3, 1))]


def test_an_unusable_uid_is_no_image() -> None:
    assert targets(as_metadata(presentation_state(referenced("")))) == []


def test_the_state_takes_the_place_of_the_images_grey_transformations() -> None:
    voi = sequence_item(WindowCenter="50", WindowWidth="200")
    made = state(RescaleSlope="2", RescaleIntercept="-10", SoftcopyVOILUTSequence=[voi])
    read = greys(made, WindowCenter=1000, WindowWidth=1, RescaleSlope=7, PixelPaddingValue=5)
    assert (read.number("WindowCenter"), read.number("WindowWidth")) == (50, 200)
    assert (read.number("RescaleSlope"), read.number("RescaleIntercept")) == (2, -10)
    assert read.number("PixelPaddingValue") == 5
    assert read.text("PhotometricInterpretation") == "MONOCHROME2"


def test_what_the_state_leaves_out_is_the_identity_not_the_images_own() -> None:
    read = greys(state(), WindowCenter=1000, WindowWidth=1, RescaleSlope=7)
    assert "RescaleSlope" not in read
    assert (read.number("WindowCenter"), read.number("WindowWidth")) == (2047.5, 4095)
    assert read.text("VOILUTFunction") == "LINEAR_EXACT"


def test_the_identity_spans_what_the_rescale_can_give() -> None:
    read = greys(state(RescaleSlope="-2", RescaleIntercept="10"))
    assert (read.number("WindowCenter"), read.number("WindowWidth")) == (-4085, 8190)


def test_a_window_for_one_image_or_frame_holds_for_it_alone() -> None:
    one = sequence_item(WindowCenter="1", WindowWidth="2", ReferencedImageSequence=[referenced(OTHER)])
    two = sequence_item(
        WindowCenter="3", WindowWidth="4", ReferencedImageSequence=[referenced(IMAGE, ReferencedFrameNumber=2)]
    )
    made = state(SoftcopyVOILUTSequence=[one, two])
    assert greys(made, OTHER).number("WindowCenter") == 1
    assert greys(made, IMAGE, 2).number("WindowCenter") == 3
    assert greys(made, IMAGE, 1).number("WindowCenter") == 2047.5


def test_tables_given_by_reference_are_fetched() -> None:
    table = sequence_item(LUTDescriptor=[4096, 0, 16], LUTData=bytes(range(256)) * 32)
    table["LUTData"].VR = "OW"
    made = state(ModalityLUTSequence=[table])
    asked: list[str] = []

    def fetch(path: str) -> bytes:
        asked.append(path)
        return b"\1\2"

    read = Attributes(in_place({}, as_metadata(made), DESCRIPTION, IMAGE, 1, fetch))
    assert asked == ["00283000/1/00283006"]
    assert read.item("ModalityLUTSequence").binary("LUTData") == b"\1\2"
    assert read.number("WindowWidth") == 65535  # the identity spans the table's output


def test_a_colour_state_leaves_the_images_transformations_alone() -> None:
    made = state(sop_class_uid=ColorSoftcopyPresentationStateStorage)
    assert greys(made, WindowCenter=1000).number("WindowCenter") == 1000


def test_rotation_flip_and_displayed_area_are_read() -> None:
    area = sequence_item(
        DisplayedAreaTopLeftHandCorner=[11, 21], DisplayedAreaBottomRightHandCorner=[40, 60],
        PresentationSizeMode="MAGNIFY", PresentationPixelMagnificationRatio=2.0, PresentationPixelSpacing=["0.5", "1"],
    )  # fmt: skip
    read = shown(state(ImageRotation=270, ImageHorizontalFlip="Y", DisplayedAreaSelectionSequence=[area]))
    assert (read.rotation, read.flipped) == (270, True)
    assert read.area is not None
    assert (read.area.left, read.area.top, read.area.right, read.area.bottom) == (10, 20, 40, 60)
    assert (read.area.pixel_ratio, read.area.magnification) == (0.5, 2.0)


def test_an_area_whose_corners_are_turned_is_the_same_part_of_the_image() -> None:
    area = sequence_item(DisplayedAreaTopLeftHandCorner=[40, 60], DisplayedAreaBottomRightHandCorner=[11, 21])
    read = shown(state(DisplayedAreaSelectionSequence=[area]))
    assert read.area is not None
    assert (read.area.left, read.area.top, read.area.right, read.area.bottom) == (10, 20, 40, 60)


def test_shutters_of_every_shape_are_read() -> None:
    read = shown(
        state(
            ShutterShape=["RECTANGULAR", "CIRCULAR", "POLYGONAL"],
            ShutterLeftVerticalEdge=11, ShutterRightVerticalEdge=50, ShutterUpperHorizontalEdge=21,
            ShutterLowerHorizontalEdge=60, CenterOfCircularShutter=[30, 32], RadiusOfCircularShutter=8,
            VerticesOfThePolygonalShutter=[1, 2, 3, 4, 5, 6], ShutterPresentationValue=0xFFFF,
        )
    ).shutter  # fmt: skip
    assert read is not None
    assert read.box == (10, 20, 50, 60)
    assert read.circle == (31.5, 29.5, 8)
    assert read.polygon == ((1.5, 0.5), (3.5, 2.5), (5.5, 4.5))
    assert read.colour == (255, 255, 255)


def overlay(made: Dataset, group: int, layer: str | None, bits: bytes) -> Dataset:
    made.add_new(group << 16 | 0x0010, "US", 2)
    made.add_new(group << 16 | 0x0011, "US", 8)
    made.add_new(group << 16 | 0x0040, "CS", "G")
    made.add_new(group << 16 | 0x0050, "SS", [3, 5])
    made.add_new(group << 16 | 0x3000, "OW", bits)
    if layer is not None:
        made.add_new(group << 16 | 0x1001, "CS", layer)
    return made


def test_only_overlays_that_the_state_activates_are_shown() -> None:
    made = overlay(overlay(state(), 0x6000, "LAYER1", b"\x0f\xf0"), 0x6002, None, b"\xff\xff")
    made.GraphicLayerSequence = [
        sequence_item(GraphicLayer="LAYER1", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayGrayscaleValue=0x8080)
    ]
    (bitmap,) = shown(made).overlays
    assert (bitmap.rows, bitmap.columns, bitmap.top, bitmap.left) == (2, 8, 2, 4)
    assert base64.b64decode(bitmap.bits) == b"\x0f\xf0"
    assert bitmap.colour == (128, 128, 128)


def test_overlays_of_the_image_are_shown_when_the_state_activates_them() -> None:
    image = overlay(presentation_state(), 0x6000, None, b"\x0f\xf0\xff\xff\x00\x00")
    image.add_new(0x60000015, "IS", 3)
    image.add_new(0x60000051, "US", 2)
    plane = Plane(as_metadata(image), no_bulk)
    made = state()
    assert not activates_image_overlays(as_metadata(made))
    made.add_new(0x60001001, "CS", "LAYER1")
    read = as_metadata(made)
    assert activates_image_overlays(read)

    def overlays(frame: int) -> list[bytes]:
        return [base64.b64decode(one.bits) for one in presentation_of(read, IMAGE, frame, no_bulk, plane).overlays]

    assert [overlays(frame) for frame in (1, 2, 3, 4, 5)] == [[], [b"\x0f\xf0"], [b"\xff\xff"], [b"\0\0"], []]
    assert presentation_of(read, IMAGE, 2, no_bulk).overlays == ()


def test_a_bitmap_shutter_is_the_overlay_that_it_names() -> None:
    made = overlay(state(ShutterShape="BITMAP", ShutterOverlayGroup=0x6004), 0x6004, None, b"\x0f\xf0")
    read = shown(made)
    assert read.shutter is not None
    assert read.shutter.bitmap is not None
    assert read.overlays == ()


def test_annotations_come_in_the_order_of_their_layers_with_their_colours() -> None:
    made = state(
        GraphicLayerSequence=[
            sequence_item(GraphicLayer="TOP", GraphicLayerOrder=2,
                          GraphicLayerRecommendedDisplayCIELabValue=[0x8A67, 0xD0C9, 0xC350]),
            sequence_item(GraphicLayer="BOTTOM", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayGrayscaleValue=0),
        ],
        GraphicAnnotationSequence=[
            annotation("TOP", graphic("POLYLINE", 1, 1, 2, 2)),
            annotation("BOTTOM", graphic("POINT", 5, 6, units="DISPLAY")),
        ],
    )  # fmt: skip
    first, second = shown(made).drawn
    assert isinstance(first, Line)
    assert (first.points, first.dot, first.relative, first.colour) == (((5, 6),), True, True, (0, 0, 0))
    assert second.colour[0] > 200 > 80 > second.colour[1]


def test_an_annotation_of_another_frame_is_left_out() -> None:
    item = annotation(
        "L", graphic("POINT", 1, 1), ReferencedImageSequence=[referenced(IMAGE, ReferencedFrameNumber=[2])]
    )
    made = state(GraphicAnnotationSequence=[item])
    assert shown(made, frame=1).drawn == ()
    assert len(shown(made, frame=2).drawn) == 1


@pytest.mark.parametrize(
    ("kind", "numbers", "count"),
    [
        ("POLYLINE", (0, 0, 10, 0, 10, 10), 3),
        ("INTERPOLATED", (0, 0, 10, 0, 10, 10), 25),
        ("CIRCLE", (5, 5, 5, 10), 97),
        ("ELLIPSE", (0, 5, 10, 5, 5, 2, 5, 8), 97),
        ("CIRCLE", (5, 5), 0),
        ("ELLIPSE", (1, 2, 3, 4), 0),
        ("STAR", (1, 2, 3, 4), 0),
        ("POLYLINE", (), 0),
    ],
)
def test_every_graphic_type_becomes_points(kind: str, numbers: tuple[float, ...], count: int) -> None:
    drawn = shown(state(GraphicAnnotationSequence=[annotation("L", graphic(kind, *numbers))])).drawn
    assert sum(len(line.points) for line in drawn if isinstance(line, Line)) == count


def test_texts_have_a_box_or_an_anchor() -> None:
    boxed = sequence_item(
        UnformattedTextValue="Läsion\r\n病变", BoundingBoxAnnotationUnits="DISPLAY",
        BoundingBoxTopLeftHandCorner=[0.1, 0.2], BoundingBoxBottomRightHandCorner=[0.5, 0.3],
        BoundingBoxTextHorizontalJustification="CENTER",
    )  # fmt: skip
    anchored = sequence_item(
        UnformattedTextValue="here", AnchorPointAnnotationUnits="PIXEL", AnchorPoint=[7, 8], AnchorPointVisibility="Y"
    )
    first, second = shown(state(GraphicAnnotationSequence=[annotation("L", texts=(boxed, anchored))])).drawn
    assert isinstance(first, Caption)
    assert isinstance(second, Caption)
    assert first.text == "Läsion\n病变"
    assert first.box == (pytest.approx((0.1, 0.2)), pytest.approx((0.5, 0.3)))
    assert (first.box_relative, first.align, first.anchor) == (True, "CENTER", None)
    assert (second.anchor, second.anchor_relative, second.anchor_visible) == ((7, 8), False, True)


def test_a_pseudo_colour_state_has_a_palette_of_256_colours() -> None:
    made = state(sop_class_uid=PseudoColorSoftcopyPresentationStateStorage)
    for channel, first in (("Red", 0), ("Green", 255), ("Blue", 128)):
        setattr(made, f"{channel}PaletteColorLookupTableDescriptor", [256, 0, 8])
        entries = bytes(abs(first - level) for level in range(256))
        made.add_new(key_of(f"{channel}PaletteColorLookupTableData"), "OW", entries)
    colours = base64.b64decode(shown(made).palette)
    assert colours[:3] == bytes([0, 255, 128])
    assert colours[-3:] == bytes([255, 0, 127])


def test_a_presentation_travels_as_json() -> None:
    made = overlay(
        state(
            ShutterShape=["RECTANGULAR", "POLYGONAL", "BITMAP"], ShutterOverlayGroup=0x6000,
            ShutterLeftVerticalEdge=1, ShutterRightVerticalEdge=2, ShutterUpperHorizontalEdge=1,
            ShutterLowerHorizontalEdge=2, VerticesOfThePolygonalShutter=[1, 2, 3, 4, 5, 6],
            GraphicAnnotationSequence=[
                annotation(
                    "L",
                    graphic("CIRCLE", 5, 5, 5, 10),
                    texts=(sequence_item(UnformattedTextValue="a", AnchorPoint=[7, 8]),),
                )
            ],
            DisplayedAreaSelectionSequence=[
                sequence_item(DisplayedAreaTopLeftHandCorner=[1, 1], DisplayedAreaBottomRightHandCorner=[4, 4])
            ],
        ),
        0x6000, "L", b"\x0f\xf0",
    )  # fmt: skip
    read = shown(made)
    assert from_values(json.loads(json.dumps(asdict(read)))) == read
    assert from_values(json.loads(json.dumps(asdict(Presentation())))) == Presentation()


@pytest.mark.parametrize(
    "garbage",
    [
        {"ShutterShape": ["CIRCULAR"], "CenterOfCircularShutter": [1]},
        {"ShutterShape": ["POLYGONAL"], "VerticesOfThePolygonalShutter": [1, 2, 3]},
        {"ShutterShape": ["BITMAP"], "ShutterOverlayGroup": 0x6002},
        {"ImageRotation": 45, "DisplayedAreaSelectionSequence": [Dataset()]},
        {"GraphicAnnotationSequence": [Dataset()], "GraphicLayerSequence": [Dataset()]},
    ],
)
def test_what_makes_no_sense_is_left_out(garbage: dict[str, object]) -> None:
    read = shown(state(**garbage))
    assert (read.shutter, read.area, read.drawn) == (None, None, ())
    assert read.rotation in (0, 90, 180, 270)
