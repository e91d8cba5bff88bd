"""Whatever a data set says of its pixels: a picture or a sentence, in bounded time, never another exception."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.frames import PixelDescription
from bridge.rendering.drawing import Drawing, draw
from bridge.rendering.encoding import STILLS
from bridge.rendering.refusal import Unpaintable
from tests.bridge.rendering.looks import document, looks

NUMBERS = st.one_of(st.integers(-70000, 70000), st.floats(), st.text(max_size=4), st.none())
VALUES = st.one_of(st.lists(NUMBERS, max_size=4), st.binary(max_size=40))
TABLES = st.builds(
    lambda about, data: [document(LUTDescriptor=about, LUTData=data)], st.lists(NUMBERS, max_size=3), VALUES
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "PixelSpacing",
             "PixelPaddingRangeLimit", "PixelAspectRatio", "VOILUTFunction", "FloatPixelPaddingValue",
             "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
             "SegmentedRedPaletteColorLookupTableData"),
            VALUES,
        ),
        **dict.fromkeys(("VOILUTSequence", "ModalityLUTSequence", "PresentationLUTSequence"), TABLES),
    },
)  # fmt: skip
SMALL = st.one_of(st.integers(0, 9), st.integers(0, 65535))
DESCRIPTIONS = st.builds(
    PixelDescription,
    rows=SMALL,
    columns=SMALL,
    samples_per_pixel=st.integers(0, 4),
    bits_allocated=st.sampled_from([0, 1, 7, 8, 12, 16, 24, 32, 64, 65535]),
    bits_stored=st.integers(0, 70),
    high_bit=st.integers(0, 70),
    pixel_representation=st.integers(0, 2),
    photometric_interpretation=st.sampled_from(
        ["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "PALETTE COLOR", "", "X"]
    ),
    planar_configuration=st.integers(0, 2),
    number_of_frames=st.just(1),
    tag=st.sampled_from([0x7FE00008, 0x7FE00009, 0x7FE00010]),
    vr=st.just("OW"),
)


@settings(max_examples=400, deadline=None)
@given(frame=st.binary(max_size=400), about=DESCRIPTIONS, values=ATTRIBUTES, media_type=st.sampled_from(STILLS))
def test_any_description_gives_a_picture_or_a_sentence(
    frame: bytes, about: PixelDescription, values: dict[str, Any], media_type: str
) -> None:
    palette = {key.replace("Red", channel): value for channel in ("Green", "Blue") for key, value in values.items()}
    drawing = Drawing(
        description=about, attributes_json=looks(**values, **{k: v for k, v in palette.items() if k not in values}),
        media_type=media_type,
    )  # fmt: skip
    with contextlib.suppress(Unpaintable):
        assert draw(frame, drawing)


@pytest.mark.parametrize("size", [(1, 65535), (65535, 1), (1, 1), (2, 3)])
@pytest.mark.parametrize("media_type", STILLS)
def test_odd_shapes_are_written_or_refused(size: tuple[int, int], media_type: str) -> None:
    about = PixelDescription(
        rows=size[0], columns=size[1], samples_per_pixel=1, bits_allocated=8, bits_stored=8, high_bit=7,
        pixel_representation=0, photometric_interpretation="MONOCHROME2", planar_configuration=0, number_of_frames=1,
        tag=0x7FE00010, vr="OB",
    )  # fmt: skip
    with contextlib.suppress(Unpaintable):
        assert draw(bytes(size[0] * size[1]), Drawing(description=about, attributes_json=b"{}", media_type=media_type))


def test_a_palette_of_segments_without_end_is_given_up() -> None:
    endless = b"\2\0\xff\xff\0\0\0\0" * 4000 + b"\0\0\0\0" * 8000
    names = {f"{channel}PaletteColorLookupTable" for channel in ("Red", "Green", "Blue")}
    values = {f"{name}Descriptor": [0, 0, 16] for name in names} | {f"Segmented{name}Data": endless for name in names}
    about = PixelDescription(
        rows=1, columns=1, samples_per_pixel=1, bits_allocated=8, bits_stored=8, high_bit=7, pixel_representation=0,
        photometric_interpretation="PALETTE COLOR", planar_configuration=0, number_of_frames=1, tag=0x7FE00010, vr="OB",
    )  # fmt: skip
    with pytest.raises(Unpaintable, match="palette"):
        draw(b"\0", Drawing(description=about, attributes_json=looks(**values), media_type="image/png"))
