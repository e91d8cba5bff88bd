"""What an instance is when it is shown."""

from __future__ import annotations

import pytest
from pydicom import uid

from bridge.kinds import DOCUMENT_TYPES, PRESENTATION_CLASSES, WAVEFORM_CLASSES, Kind, kind_of, stored_types

PLAIN = uid.ExplicitVRLittleEndian
ROWS = [
    (uid.CTImageStorage, PLAIN, True, Kind.IMAGE, ()),
    (uid.SegmentationStorage, PLAIN, True, Kind.IMAGE, ()),
    (uid.RTDoseStorage, PLAIN, True, Kind.IMAGE, ()),
    (uid.ComprehensiveSRStorage, PLAIN, False, Kind.REPORT, ()),
    (uid.KeyObjectSelectionDocumentStorage, PLAIN, False, Kind.REPORT, ()),
    (uid.XRayRadiationDoseSRStorage, PLAIN, False, Kind.REPORT, ()),
    (uid.EncapsulatedPDFStorage, PLAIN, False, Kind.DOCUMENT, ("application/pdf",)),
    (uid.EncapsulatedCDAStorage, PLAIN, False, Kind.DOCUMENT, ("text/xml",)),
    (uid.EncapsulatedSTLStorage, PLAIN, False, Kind.DOCUMENT, ("model/stl",)),
    (uid.EncapsulatedOBJStorage, PLAIN, False, Kind.DOCUMENT, ("model/obj",)),
    (uid.EncapsulatedMTLStorage, PLAIN, False, Kind.DOCUMENT, ("model/mtl",)),
    (uid.TwelveLeadECGWaveformStorage, PLAIN, False, Kind.WAVEFORM, ()),
    (uid.BasicVoiceAudioWaveformStorage, PLAIN, False, Kind.OTHER, ()),
    (uid.GrayscaleSoftcopyPresentationStateStorage, PLAIN, False, Kind.PRESENTATION_STATE, ()),
    (uid.VideoEndoscopicImageStorage, uid.MPEG2MPML, True, Kind.VIDEO, ("video/mpeg",)),
    (uid.VideoEndoscopicImageStorage, uid.MPEG4HP41, True, Kind.VIDEO, ("video/mp4",)),
    (uid.VideoEndoscopicImageStorage, uid.HEVCMP51, True, Kind.VIDEO, ("video/mp4", "video/H265")),
    (uid.RTStructureSetStorage, PLAIN, False, Kind.OTHER, ()),
    (uid.RTPlanStorage, PLAIN, False, Kind.OTHER, ()),
    ("1.2.3.4", "1.2.3.4.5", True, Kind.IMAGE, ()),
]  # fmt: skip


@pytest.mark.parametrize(("sop_class", "syntax", "has_pixels", "kind", "types"), ROWS)
def test_class_syntax_and_pixels_say_what_can_be_shown(
    sop_class: str, syntax: str, has_pixels: bool, kind: Kind, types: tuple[str, ...]
) -> None:
    assert kind_of(sop_class, syntax, has_pixels=has_pixels) is kind
    assert stored_types(sop_class, syntax) == types


@pytest.mark.parametrize("sop_class", sorted({*DOCUMENT_TYPES, *WAVEFORM_CLASSES, *PRESENTATION_CLASSES}))
def test_every_class_of_the_tables_is_one_of_the_standard(sop_class: str) -> None:
    assert uid.UID(sop_class).name.endswith("Storage")
