"""Whatever is wrong with a data set, what shows it gives a picture, a text or a refusal, and nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from random import Random
from typing import Any

import numpy as np
import orjson
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import PseudoColorSoftcopyPresentationStateStorage

from bridge import documents
from bridge.attributes import Attributes
from bridge.errors import BridgeError
from bridge.frames import PixelDescription
from bridge.presentation.grey import in_place
from bridge.presentation.painting import present
from bridge.presentation.reading import targets
from bridge.presentation.shown import Plane, presentation_of
from bridge.presentation.values import from_values
from bridge.waveforms import raster, svg
from bridge.waveforms.sheet import SECONDS_SHOWN, lay_out
from bridge.waveforms.signals import read_recording
from tests.bridge.documents.test_report import VALUES
from tests.bridge.presentation.test_reading import annotation, graphic, overlay, state
from tests.bridge.shown import as_metadata, content, evidence, referenced, report, sequence_item
from tests.bridge.waveforms.test_waveforms import channel, column, ecg, group

ROUNDS = 250
WEIRD: tuple[Any, ...] = (
    0, -1, 1, 2, 7, 0.5, -0.5, 1e300, -1e300, 1e18, 1e-300, 1 << 62, 65535, 65536, "", "x", "\0", "1.2.3", None, True,
    {}, [], {"Alphabetic": 5},
)  # fmt: skip
DESCRIPTION = PixelDescription(
    rows=8, columns=8, samples_per_pixel=1, bits_allocated=16, bits_stored=12, high_bit=11, pixel_representation=1,
    photometric_interpretation="MONOCHROME2", planar_configuration=0, number_of_frames=1, tag=0x7FE00010, vr="OW",
)  # fmt: skip


def spoiled(item: Dataset) -> Iterator[Attributes]:
    """The data set's DICOM JSON with a few values replaced, taken away or multiplied, differently each time."""
    read = as_metadata(item)
    whole = read.picked(*read.keys())
    for seed in range(ROUNDS):
        document, random = copy.deepcopy(whole), Random(seed)
        for _ in range(random.randint(1, 4)):
            spoil(document, random)
        yield Attributes(document)


def spoil(document: dict[str, Any], random: Random) -> None:
    holder, place = random.choice(list(places(document)))
    kind = random.random()
    if kind < 0.2 and isinstance(holder, dict):
        del holder[place]
    elif kind < 0.3 and isinstance(holder, list):
        holder *= 3
    elif kind < 0.5 and isinstance(holder[place], list):
        holder[place] = [copy.deepcopy(random.choice(WEIRD)) for _ in range(random.randint(0, 9))]
    else:
        holder[place] = copy.deepcopy(random.choice(WEIRD))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) below a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, inner in list(pairs):
        yield value, place
        yield from places(inner)


def fetch(_path: str, length: int = 64) -> bytes:
    return bytes(range(64))[:length]


def shows_or_refuses(item: Dataset, show: Callable[[Attributes], None]) -> None:
    for document in spoiled(item):
        try:
            show(document)
        except BridgeError:
            continue


def test_any_report_is_written() -> None:
    items = [content(value_type, **attributes) for value_type, attributes, _ in VALUES]
    image = content("IMAGE", *items, ReferencedSOPSequence=[referenced("1.2", ReferencedFrameNumber=[1, 2])])
    whole = report(image, CurrentRequestedProcedureEvidenceSequence=[evidence(referenced("1.2"))])

    def show(document: Attributes) -> None:
        for form in documents.FORMS:
            assert b"".join(documents.render(document, form, "http://x"))

    shows_or_refuses(whole, show)


def test_any_waveform_is_drawn_or_refused() -> None:
    described = channel(ChannelBaseline="1", ChannelTimeSkew="0.1", ChannelSampleSkew="1")
    first = group(np.arange(400).reshape(200, 2), described, channel("II", "mm[Hg]"), WaveformPaddingValue=b"\0\0")

    def show(document: Attributes) -> None:
        sheet = lay_out(read_recording(document, fetch, SECONDS_SHOWN), calibrated=True)
        assert raster.paint(sheet).width > 0
        assert "".join(svg.pieces(sheet, "x"))

    shows_or_refuses(ecg(first, group(column(1, 2, 3, 4), channel(), kind="SL")), show)


def show_state(document: Attributes) -> None:
    targets(document)
    orjson.dumps(in_place({}, document, DESCRIPTION, "1.2.3", 1, fetch))
    presentation = presentation_of(document, "1.2.3", 1, fetch, Plane(document, fetch))
    assert from_values(json.loads(orjson.dumps(asdict(presentation)))) == presentation
    assert present(Image.new("L", (8, 8)), presentation, None, 1.0).width > 0
    assert present(Image.new("RGB", (8, 8)), presentation, (50, 40), 2.0).size <= (50, 40)


def whole_state(**attributes: object) -> Dataset:
    """A state with everything in it."""
    graphics = [graphic(kind, 1, 2, 3, 4, 5, 6, 7, 8) for kind in ("POLYLINE", "INTERPOLATED", "ELLIPSE", "POINT")]
    text = sequence_item(
        UnformattedTextValue="a\nb", AnchorPoint=[1, 2], AnchorPointVisibility="Y", BoundingBoxTopLeftHandCorner=[1, 2],
        BoundingBoxBottomRightHandCorner=[3, 4],
    )  # fmt: skip
    made = state(
        ShutterShape=["RECTANGULAR", "CIRCULAR", "POLYGONAL", "BITMAP"], ShutterOverlayGroup=0x6002,
        ShutterLeftVerticalEdge=1, ShutterRightVerticalEdge=7, ShutterUpperHorizontalEdge=1,
        ShutterLowerHorizontalEdge=7, CenterOfCircularShutter=[4, 4], RadiusOfCircularShutter=3,
        VerticesOfThePolygonalShutter=[1, 2, 3, 4, 5, 6], ShutterPresentationValue=5, RescaleSlope="2",
        RescaleIntercept="1", SoftcopyVOILUTSequence=[sequence_item(WindowCenter="1", WindowWidth="2")],
        ImageRotation=90, ImageHorizontalFlip="Y",
        DisplayedAreaSelectionSequence=[
            sequence_item(
                DisplayedAreaTopLeftHandCorner=[1, 1], DisplayedAreaBottomRightHandCorner=[8, 8],
                PresentationSizeMode="MAGNIFY", PresentationPixelMagnificationRatio=2.0,
                PresentationPixelSpacing=["1", "2"],
            )
        ],
        GraphicLayerSequence=[
            sequence_item(
                GraphicLayer="L", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayCIELabValue=[1, 2, 3]
            )
        ],
        GraphicAnnotationSequence=[
            annotation("L", *graphics, graphic("CIRCLE", 1, 2, 3, 4, filled="Y"), texts=(text,))
        ],
        **attributes,
    )  # fmt: skip
    return overlay(overlay(made, 0x6000, "L", b"\x0f\xf0"), 0x6002, None, b"\x0f\xf0")


def test_any_presentation_state_is_put_on_a_picture() -> None:
    shows_or_refuses(whole_state(), show_state)


def test_any_palette_of_a_presentation_state_is_put_on_a_picture() -> None:
    made = whole_state(sop_class_uid=PseudoColorSoftcopyPresentationStateStorage)
    for channel_number in (1, 2, 3):
        made.add_new(0x00281100 | channel_number, "US", [256, 0, 8])
        made.add_new(0x00281200 | channel_number, "OW", bytes(256))
    shows_or_refuses(made, show_state)
