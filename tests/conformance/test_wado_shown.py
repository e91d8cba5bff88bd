"""Rendered resources of what is no plain image; the id in front of each sentence is the row and the clause."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from bridge.errors import InvalidRequest
from bridge.render.parameters import Parameters
from bridge.rendering.windows import Window
from storage.records import ResourceRef
from tests.bridge.shown import SERIES as SHOWN_SERIES
from tests.bridge.shown import STUDY as SHOWN_STUDY
from tests.bridge.shown import (
    Page,
    content,
    evidence,
    instance,
    presentation_state,
    referenced,
    report,
    sequence_item,
)
from tests.dicomweb.web import ROOT, Web, ct, open_web, parts

HOST = f"http://pacs.test:8042{ROOT}"
PLACE = f"/studies/{SHOWN_STUDY}/series/{SHOWN_SERIES}/instances/{SHOWN_SERIES}"
PDF = b"%PDF-1.4 a document of an odd length"
VIDEO = bytes(range(256)) * 40
TEXTS = ["text/html", "text/plain", "text/xml"]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web")) as opened:
        yield opened


def add(web: Web, number: int, item: Dataset, syntax: str = uid.ExplicitVRLittleEndian) -> str:
    """Store it; gives the path of its rendered resource."""
    item.SOPInstanceUID = f"{SHOWN_SERIES}.{number}"
    web.add(item, syntax)
    return f"{PLACE}.{number}/rendered"


def place_of(ref: ResourceRef) -> str:
    return f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}/instances/{ref.sop_instance_uid}"


def document(sop_class: str, body: bytes, stated_type: str = "text/html") -> Dataset:
    item = instance(sop_class, MIMETypeOfEncapsulatedDocument=stated_type)
    item.EncapsulatedDocument = body + bytes(len(body) % 2)
    item.EncapsulatedDocumentLength = len(body)
    return item


def image(number: int, pixels: NDArray[np.uint16], **attributes: Any) -> Dataset:
    item = ct(number, study=SHOWN_STUDY, series=SHOWN_SERIES)
    item.Rows, item.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        item.NumberOfFrames = len(pixels)
    item["PixelData"].value = pixels.astype("<u2").tobytes()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def gradient() -> NDArray[np.uint16]:
    return (np.arange(64 * 64, dtype=np.uint16) % 256).reshape(64, 64)


def grey(body: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(body)).convert("L"))


# Reports


@pytest.fixture(scope="module")
def report_url(web: Web) -> str:
    item = report(
        content("TEXT", TextValue="左肺上叶结节 <b>8 mm</b>"),
        content("IMAGE", ReferencedSOPSequence=[referenced(f"{SHOWN_SERIES}.77")]),
        CurrentRequestedProcedureEvidenceSequence=[evidence(referenced(f"{SHOWN_SERIES}.77"))],
    )
    return add(web, 1, item)


@pytest.mark.parametrize("accept", [None, "*/*", "text/*", "text/html"])
def test_w16_8_7_4_html_is_the_default_of_a_report(web: Web, report_url: str, accept: str | None) -> None:
    response = web.get(report_url, accept)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(response.text)
    assert "左肺上叶结节 <b>8 mm</b>" in page.text
    assert f"{HOST}{PLACE}.77/rendered" in page.links


@pytest.mark.parametrize("media_type", TEXTS)
def test_w16_8_7_4_a_report_comes_in_every_required_form(web: Web, report_url: str, media_type: str) -> None:
    response = web.get(report_url, media_type)
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert "左肺上叶结节" in response.text
    if media_type == "text/xml":
        ElementTree.fromstring(response.content)


def test_w16_a_report_is_no_picture(web: Web, report_url: str) -> None:
    response = web.get(report_url, "image/jpeg")
    assert response.status_code == 406
    assert "text/html" in response.json()["detail"]


def test_a_page_may_run_nothing_and_its_type_is_not_guessed(web: Web, report_url: str) -> None:
    headers = web.get(report_url).headers
    assert headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_links_of_a_report_name_the_public_host(web: Web, report_url: str) -> None:
    response = web.get(report_url, x_forwarded_host="pacs.example", x_forwarded_proto="https")
    assert "https://pacs.example" in response.text
    assert response.headers["etag"] != web.get(report_url).headers["etag"]


def test_w17_a_report_comes_as_multipart_when_only_that_is_accepted(web: Web, report_url: str) -> None:
    ((header, body),) = parts(web.get(report_url, 'multipart/related; type="text/html"'))
    assert header["content-type"] == "text/html; charset=utf-8"
    assert body.startswith(b"<!DOCTYPE html>")


def test_a_report_beyond_the_limit_is_413(tmp_path: Path) -> None:
    with open_web(tmp_path) as small:
        url = add(small, 1, report(content("TEXT", TextValue="x" * 900_000)))
        assert small.get(url).status_code == 200
        renderer = small.door.render._renderers
        for one in renderer.values():
            if hasattr(one, "_limit_bytes"):
                one._limit_bytes = 100_000
        assert small.get(url).status_code == 413


# Documents


@pytest.mark.parametrize(
    ("number", "sop_class", "body", "media_type"),
    [
        (10, uid.EncapsulatedPDFStorage, PDF, "application/pdf"),
        (11, uid.EncapsulatedCDAStorage, b"<ClinicalDocument/>", "text/xml"),
        (12, uid.EncapsulatedSTLStorage, b"solid x\nendsolid x\n!", "model/stl"),
        (13, uid.EncapsulatedOBJStorage, b"v 0 0 0\nv 1 0 0\n", "model/obj"),
        (14, uid.EncapsulatedMTLStorage, b"newmtl a", "model/mtl"),
    ],
)
def test_w8_10_4_1_1_3_a_document_comes_as_it_is_without_its_pad_byte(
    web: Web, number: int, sop_class: str, body: bytes, media_type: str
) -> None:
    url = add(web, number, document(sop_class, body))
    response = web.get(url)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == media_type  # whatever the object says
    assert response.content == body
    assert web.get(url, media_type).content == body
    assert web.get(url, "image/jpeg").status_code == 406


def test_a_document_is_sent_by_range(web: Web) -> None:
    url = add(web, 15, document(uid.EncapsulatedPDFStorage, PDF))
    response = web.get(url, range="bytes=5-7")
    assert (response.status_code, response.content) == (206, PDF[5:8])
    assert response.headers["content-range"] == f"bytes 5-7/{len(PDF)}"


def test_a_document_may_not_run_as_a_page_from_its_bulk_data_either(web: Web) -> None:
    add(web, 17, document(uid.EncapsulatedPDFStorage, b"<script>1</script>", "text/html"))
    response = web.get(f"{PLACE}.17/bulkdata/00420011", "text/html")
    assert response.headers["content-type"] == "text/html"
    assert "sandbox" in response.headers["content-security-policy"]


def test_a_document_without_a_document_is_406(web: Web) -> None:
    item = document(uid.EncapsulatedPDFStorage, PDF)
    del item.EncapsulatedDocument
    assert web.get(add(web, 16, item)).status_code == 406


# Video


@pytest.mark.parametrize(
    ("number", "syntax", "media_type"),
    [(20, uid.MPEG2MPML, "video/mpeg"), (21, uid.MPEG4HP41, "video/mp4"), (22, uid.HEVCMP51, "video/mp4")],
)
def test_w16_8_7_4_a_video_is_its_stream_and_can_be_sought(web: Web, number: int, syntax: str, media_type: str) -> None:
    item = instance(uid.VideoEndoscopicImageStorage, Rows=16, Columns=16, NumberOfFrames=50)
    item.SamplesPerPixel, item.PhotometricInterpretation, item.BitsAllocated, item.BitsStored = (
        3,
        "YBR_PARTIAL_420",
        8,
        8,
    )
    item.HighBit, item.PixelRepresentation, item.PlanarConfiguration = 7, 0, 0
    item.PixelData = encapsulate([VIDEO], fragments_per_frame=3, has_bot=False)
    item["PixelData"].VR, item["PixelData"].is_undefined_length = "OB", True
    url = add(web, number, item, syntax)
    whole = web.get(url)
    assert whole.status_code == 200, whole.text
    assert whole.headers["content-type"] == media_type
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.content == VIDEO
    assert web.get(url, media_type).content == VIDEO
    part = web.get(url, range="bytes=3000-8000")
    assert (part.status_code, part.content) == (206, VIDEO[3000:8001])
    assert web.get(url, range="bytes=99999-").status_code == 416
    assert web.get(f"{PLACE}.{number}/frames/1/rendered").status_code == 406


# Waveforms


@pytest.fixture(scope="module")
def ecg_url(web: Web, shared_data: Path) -> str:
    ref = web.add_file(shared_data / "variety" / "pydicom-pydicom__test_files__waveform_ecg.dcm")
    return (
        f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}/instances/{ref.sop_instance_uid}/rendered"
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF"])
def test_w16_an_ecg_is_drawn(web: Web, ecg_url: str, form: str) -> None:
    response = web.get(ecg_url, f"image/{form.lower()}")
    assert response.status_code == 200, response.text
    picture = Image.open(io.BytesIO(response.content))
    assert picture.format == form
    assert picture.size == (1680, 2760)


def test_w18_an_ecg_fits_the_viewport(web: Web, ecg_url: str) -> None:
    response = web.get(f"{ecg_url}?viewport=400,600", "image/png")
    assert Image.open(io.BytesIO(response.content)).size == (365, 600)


def test_an_ecg_is_svg_for_who_asks_for_it(web: Web, ecg_url: str) -> None:
    response = web.get(ecg_url, "image/svg+xml")
    assert response.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in response.headers["content-security-policy"]
    assert len(ElementTree.fromstring(response.content).findall(".//{*}polyline")) == 48  # traces and pulses


def test_w20_an_ecg_names_the_patient_only_when_asked(web: Web, ecg_url: str) -> None:
    plain = web.get(ecg_url, "image/svg+xml").text
    named = web.get(f"{ecg_url}?annotation=patient,technique", "image/svg+xml").text
    name = "Anonymous"
    assert name not in plain
    assert name in named
    assert "ECG" in named


def test_w21_an_ecg_carries_a_profile_where_its_type_can(web: Web, ecg_url: str) -> None:
    picture = Image.open(io.BytesIO(web.get(f"{ecg_url}?iccprofile=srgb", "image/png").content))
    assert picture.info["icc_profile"]
    assert web.get(f"{ecg_url}?iccprofile=srgb", "image/svg+xml").status_code == 400


def test_sound_is_406(web: Web) -> None:
    url = add(web, 30, instance(uid.BasicVoiceAudioWaveformStorage))
    assert web.get(url).status_code == 406


# What has nothing to show


@pytest.mark.parametrize(("number", "sop_class"), [(40, uid.RTPlanStorage), (41, uid.RTStructureSetStorage)])
def test_w16_what_cannot_be_rendered_says_what_there_is(web: Web, number: int, sop_class: str) -> None:
    response = web.get(add(web, number, instance(sop_class)))
    assert response.status_code == 406
    assert "application/dicom" in response.json()["detail"]


def test_a_segmentation_is_rendered_as_its_frames(web: Web, shared_data: Path) -> None:
    place = place_of(web.add_file(shared_data / "variety" / "ImagingDataCommons-highdicom__seg_image_ct_binary.dcm"))
    assert set(np.unique(grey(web.get(f"{place}/frames/1/rendered", "image/png").content))) <= {0, 255}


# Presentation states


@pytest.fixture(scope="module")
def images(web: Web) -> None:
    add(web, 101, image(101, gradient()))
    add(web, 102, image(102, np.stack([gradient(), 255 - gradient(), gradient() // 2])))


def state(*targets: Dataset, **attributes: object) -> Dataset:
    return presentation_state(*(targets or (referenced(f"{SHOWN_SERIES}.101"),)), **attributes)


def shown(web: Web, number: int, made: Dataset, query: str = "") -> NDArray[np.uint8]:
    response = web.get(add(web, number, made) + query, "image/png")
    assert response.status_code == 200, response.text
    return grey(response.content)


def test_w22_the_window_of_a_presentation_state_is_applied(web: Web, images: None) -> None:
    window = sequence_item(WindowCenter="128", WindowWidth="2", VOILUTFunction="LINEAR_EXACT")
    made = shown(web, 110, state(SoftcopyVOILUTSequence=[window]))
    np.testing.assert_array_equal(made > 127, gradient() >= 128)


def test_w22_without_a_window_the_whole_range_is_shown(web: Web, images: None) -> None:
    made = shown(web, 111, state())
    assert made.max() <= 1  # 255 of 65535


def test_w22_inverse_turns_black_into_white(web: Web, images: None) -> None:
    window = sequence_item(WindowCenter="127.5", WindowWidth="255", VOILUTFunction="LINEAR_EXACT")
    plain = shown(web, 112, state(SoftcopyVOILUTSequence=[window]))
    inverse = shown(web, 113, state(SoftcopyVOILUTSequence=[window], PresentationLUTShape="INVERSE"))
    np.testing.assert_array_equal(plain, gradient())
    np.testing.assert_array_equal(inverse, 255 - gradient())


def test_w22_rotation_shutter_and_annotation_are_applied(web: Web, images: None) -> None:
    window = sequence_item(WindowCenter="127.5", WindowWidth="255", VOILUTFunction="LINEAR_EXACT")
    graphic = sequence_item(
        GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=2, GraphicType="POLYLINE",
        GraphicData=[20.5, 30.5, 40.5, 30.5], GraphicFilled="N",
    )  # fmt: skip
    made = state(
        SoftcopyVOILUTSequence=[window], ImageRotation=90, ImageHorizontalFlip="N",
        ShutterShape="RECTANGULAR", ShutterLeftVerticalEdge=11, ShutterRightVerticalEdge=54,
        ShutterUpperHorizontalEdge=11, ShutterLowerHorizontalEdge=54, ShutterPresentationValue=0,
        GraphicAnnotationSequence=[sequence_item(GraphicLayer="A", GraphicObjectSequence=[graphic])],
    )  # fmt: skip
    picture = shown(web, 114, made)
    expected = np.zeros((64, 64), np.uint8)
    expected[10:54, 10:54] = gradient()[10:54, 10:54]
    expected[30, 20:41] = 255
    np.testing.assert_array_equal(picture, np.rot90(expected, -1))


def test_w22_a_compressed_image_is_shown_as_the_same_one_uncompressed(tmp_path: Path, shared_data: Path) -> None:
    """It is drawn in a codec worker, with everything that the state puts on it."""
    text = sequence_item(UnformattedTextValue="病变", AnchorPointAnnotationUnits="PIXEL", AnchorPoint=[20, 30])
    circle = sequence_item(
        GraphicAnnotationUnits="DISPLAY", GraphicDimensions=2, NumberOfGraphicPoints=2, GraphicType="CIRCLE",
        GraphicData=[0.5, 0.5, 0.5, 0.9], GraphicFilled="N",
    )  # fmt: skip
    layer = sequence_item(
        GraphicLayer="A", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayCIELabValue=[0x8A67, 0xD0C9, 0xC350]
    )
    bodies = []
    for name in ("MR_small.dcm", "MR_small_RLE.dcm"):
        (folder := tmp_path / name).mkdir()
        with open_web(folder) as opened:
            ref = opened.add_file(shared_data / "variety" / f"pydicom-pydicom__test_files__{name}")
            made = state(referenced(ref.sop_instance_uid or ""), ImageRotation=90, GraphicLayerSequence=[layer])
            made.StudyInstanceUID = ref.study_instance_uid
            made.ReferencedSeriesSequence[0].SeriesInstanceUID = ref.series_instance_uid
            made.SoftcopyVOILUTSequence = [sequence_item(WindowCenter="600", WindowWidth="1200")]
            made.GraphicAnnotationSequence = [
                sequence_item(GraphicLayer="A", TextObjectSequence=[text], GraphicObjectSequence=[circle])
            ]
            response = opened.get(f"{place_of(opened.add(made))}/rendered", "image/png")
            assert response.status_code == 200, response.text
            bodies.append(response.content)
    assert bodies[0] == bodies[1]
    assert Image.open(io.BytesIO(bodies[0])).mode == "RGB"


def test_w22_overlays_of_the_image_are_drawn_when_the_state_asks_for_them(web: Web, images: None) -> None:
    item = image(103, np.zeros((16, 16), np.uint16))
    item.add_new(0x60000010, "US", 1)
    item.add_new(0x60000011, "US", 8)
    item.add_new(0x60000040, "CS", "G")
    item.add_new(0x60000050, "SS", [3, 5])
    item.add_new(0x60003000, "OB", b"\x81\x00")
    add(web, 103, item)
    target = referenced(f"{SHOWN_SERIES}.103")
    assert not shown(web, 121, state(target)).any()
    made = state(target)
    made.add_new(0x60001001, "CS", "LAYER1")
    assert np.argwhere(shown(web, 122, made)).tolist() == [[2, 4], [2, 11]]


def test_w22_several_images_and_frames_are_a_multipart_message(web: Web, images: None) -> None:
    both = (referenced(f"{SHOWN_SERIES}.102", ReferencedFrameNumber=[3, 1]), referenced(f"{SHOWN_SERIES}.101"))
    url = add(web, 115, state(*both))
    found = parts(web.get(url, 'multipart/related; type="image/png"'))
    assert [header["content-type"] for header, _ in found] == ["image/png"] * 3
    assert web.get(url, "image/png").content == found[0][1]
    assert len(parts(web.get(url))) == len(parts(web.get(url, "*/*"))) == 3
    single = add(web, 123, state(referenced(f"{SHOWN_SERIES}.102", ReferencedFrameNumber=2)))
    assert web.get(single).headers["content-type"] == "image/jpeg"


def test_w22_w27_a_presentation_state_has_another_tag_when_an_image_comes(web: Web, images: None) -> None:
    url = add(web, 124, state(referenced(f"{SHOWN_SERIES}.101"), referenced(f"{SHOWN_SERIES}.104")))
    before = web.get(url, "image/png").headers["etag"]
    assert web.get(url, "image/png", if_none_match=before).status_code == 304
    add(web, 104, image(104, gradient()))
    assert web.get(url, "image/png", if_none_match=before).status_code == 200


def test_w22_a_window_beside_a_presentation_state_is_400(web: Web, images: None) -> None:
    url = add(web, 116, state())
    assert web.get(f"{url}?window=1,2,linear").status_code == 400
    series = f"/studies/{SHOWN_STUDY}/series/{SHOWN_SERIES}/rendered"
    assert web.get(f"{series}?window=1,2,linear", 'multipart/related; type="image/jpeg"').status_code == 200


def test_w22_a_presentation_state_whose_images_are_not_here_is_404(web: Web) -> None:
    assert web.get(add(web, 117, state(referenced("1.2.3.4")))).status_code == 404


def test_w22_a_pseudo_colour_state_gives_grey_images_its_colours(web: Web, images: None) -> None:
    window = sequence_item(WindowCenter="127.5", WindowWidth="255", VOILUTFunction="LINEAR_EXACT")
    made = state(sop_class_uid=uid.PseudoColorSoftcopyPresentationStateStorage, SoftcopyVOILUTSequence=[window])
    for tag, entries in ((1, range(256)), (2, range(255, -1, -1)), (3, [0] * 256)):
        made.add_new(0x00281100 | tag, "US", [256, 0, 8])
        made.add_new(0x00281200 | tag, "OW", bytes(entries))
    response = web.get(add(web, 118, made), "image/png")
    pixels = np.asarray(Image.open(io.BytesIO(response.content)))
    np.testing.assert_array_equal(pixels[..., 0], gradient())
    np.testing.assert_array_equal(pixels[..., 1], 255 - gradient())


def test_w22_one_image_is_shown_through_a_state_by_one_verb(web: Web, images: None) -> None:
    """What the presentationUID of WADO-URI stands on (PS3.18 section 9)."""

    def record(number: int) -> Any:
        return web.door.retrieve.instance(ResourceRef("default", SHOWN_STUDY, SHOWN_SERIES, f"{SHOWN_SERIES}.{number}"))

    url = add(web, 119, state(referenced(f"{SHOWN_SERIES}.102", ReferencedFrameNumber=[3, 1])))
    found = parts(web.get(url, 'multipart/related; type="image/png"'))
    presented = web.door.render.presented

    def body(frame: int | None) -> bytes:
        return b"".join(presented(record(119), record(102), frame, "image/png", Parameters()).chunks)

    assert body(None) == found[0][1]
    assert body(1) == found[1][1]
    for frame, image_number, parameters in (
        (2, 102, Parameters()),
        (None, 101, Parameters()),
        (1, 102, Parameters(window=Window(1, 2))),
    ):
        with pytest.raises(InvalidRequest):
            presented(record(119), record(image_number), frame, "image/png", parameters)
    with pytest.raises(InvalidRequest):
        presented(record(101), record(102), 1, "image/png", Parameters())


# Thumbnails and whole studies


@pytest.mark.parametrize("number", [1, 10, 20, 40])
def test_w24_what_has_no_picture_has_a_card_with_its_kind(web: Web, report_url: str, number: int) -> None:
    response = web.get(f"{PLACE}.{number}/thumbnail")
    assert response.status_code == 200, response.text
    assert Image.open(io.BytesIO(response.content)).format == "JPEG"


def test_w24_the_thumbnail_of_an_ecg_is_its_drawing_made_small(web: Web, ecg_url: str) -> None:
    response = web.get(ecg_url.replace("/rendered", "/thumbnail"), "image/png")
    picture = Image.open(io.BytesIO(response.content))
    assert max(picture.size) == 200
    assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 20


def test_w24_a_thumbnail_carries_no_text_of_a_presentation_state(web: Web, images: None) -> None:
    text = sequence_item(UnformattedTextValue="Zhang San", AnchorPointAnnotationUnits="DISPLAY", AnchorPoint=[0.1, 0.5])
    made = state(GraphicAnnotationSequence=[sequence_item(GraphicLayer="A", TextObjectSequence=[text])])
    assert shown(web, 120, made).max() == 255
    small = web.get(f"{PLACE}.120/thumbnail", "image/png")
    assert grey(small.content).max() <= 1


def test_w17_a_study_gives_each_instance_in_a_form_that_is_accepted(web: Web, report_url: str, images: None) -> None:
    found = parts(web.get(f"/studies/{SHOWN_STUDY}/rendered"))
    types = {header["content-type"] for header, _ in found}
    assert {"image/jpeg", "text/html; charset=utf-8", "application/pdf", "video/mp4"} <= types
