"""STOW-RS with metadata and bulk data (DICOM.md T3, J13), requirement by requirement: senders without DICOM."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image

from dicomweb.xml import native_model
from tests.bridge.test_stream_description import h264
from tests.dicomweb.storing import BOUNDARY, FAILED, OTHER, Part, message, post, spooled, values
from tests.dicomweb.web import ROOT, Web, open_web, parts, read_part10

STUDY, SERIES, SOP = "1.2.826.0.1.77", "1.2.826.0.1.77.1", "1.2.826.0.1.77.1.1"
PHOTO, VIDEO, PDF, CT_CLASS = (
    "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.77.1.4.1", "1.2.840.10008.5.1.4.1.1.104.1",
    "1.2.840.10008.5.1.4.1.1.2",
)  # fmt: skip
INSTANCE = f"/studies/{STUDY}/series/{SERIES}/instances/{SOP}"
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
GREY = np.random.default_rng(1).integers(0, 255, (12, 10), dtype=np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 255, (12, 10, 3), dtype=np.uint8)
DEEP = np.random.default_rng(3).integers(0, 60000, (12, 10), dtype=np.uint16)


def saved(pixels: Any, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


DEEP_COLOUR = np.dstack([DEEP, DEEP // 2, DEEP // 3])
PNG = saved(GREY, "PNG")
JPEG = "1.2.840.10008.1.2.4."


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path) as opened:
        yield opened


def metadata(sop_class: str = PHOTO, *, sop: str = SOP, pixels: str | None = "pixels", **more: Any) -> dict[str, Any]:
    """What a site without DICOM writes: four UIDs, a patient, and where the pixels are. None takes away."""
    document: dict[str, Any] = {
        "00080016": {"vr": "UI", "Value": [sop_class]},
        "00080018": {"vr": "UI", "Value": [sop]},
        "00080060": {"vr": "CS", "Value": ["XC"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Zhang^San", "Ideographic": "张^三"}]},
        "00100020": {"vr": "LO", "Value": ["P1"]},
        "0020000D": {"vr": "UI", "Value": [STUDY]},
        "0020000E": {"vr": "UI", "Value": [SERIES]},
    }
    if pixels:
        document["7FE00010"] = {"vr": "OB", "BulkDataURI": pixels}
    document |= more
    return {key: value for key, value in document.items() if value is not None}


def us(value: int) -> dict[str, Any]:
    return {"vr": "US", "Value": [value]}


def part(kind: str, body: bytes, location: str = "pixels") -> Part:
    return f"Content-Type: {kind}\r\nContent-Location: {location}\r\n", body


def send(web: Web, documents: Any, *bulk: Part, kind: str = "application/dicom+json", **headers: str) -> Any:
    """The response of a POST of metadata and bulk data."""
    root = (f"Content-Type: {kind}\r\n", json.dumps(documents).encode())
    related = f'multipart/related; type="{kind}"; boundary={BOUNDARY}'
    return post(web, message([root, *bulk]), kind=related, **headers)


def kept(web: Web, path: str = INSTANCE) -> pydicom.FileDataset:
    """The instance as it is stored."""
    ((_, body),) = parts(web.get(path, AS_STORED))
    return read_part10(body)


# ---- picture files: converted without loss ----


def palette() -> tuple[bytes, Any]:
    picture = Image.fromarray(COLOUR).quantize(16)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue(), np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize(
    ("kind", "file", "expected"),
    [
        ("image/png", saved(GREY, "PNG"), GREY),
        ("image/png", saved(DEEP, "PNG"), DEEP),
        ("image/png", saved(COLOUR, "PNG"), COLOUR),
        ("image/png", saved(np.dstack([COLOUR, GREY]), "PNG"), COLOUR),
        ("image/png", imagecodecs.png_encode(DEEP_COLOUR), DEEP_COLOUR),
        ("image/png", *palette()),
        ("image/png", saved(GREY > 100, "PNG"), (GREY > 100) * np.uint8(255)),
        ("image/gif", saved(GREY, "GIF"), np.dstack([GREY] * 3)),
    ],
    ids=["grey", "16 bits", "colour", "transparent", "48 bits", "palette", "1 bit", "gif"],
)  # fmt: skip
def test_t3_10_5_2_a_picture_file_becomes_native_pixels_without_loss(
    web: Web, kind: str, file: bytes, expected: Any
) -> None:
    response = send(web, [metadata()], part(kind, file))
    assert response.status_code == 200, response.text
    stored = kept(web)
    assert stored.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (stored.pixel_array == expected).all()
    assert stored.PatientName == "Zhang^San=张^三"


def test_t3_10_5_2_an_animation_becomes_a_multi_frame_image(web: Web) -> None:
    pictures = [Image.fromarray(np.roll(GREY, step)) for step in range(3)]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:])
    assert send(web, metadata(), part("image/gif", file.getvalue())).status_code == 200
    stored = kept(web)
    assert stored.NumberOfFrames == 3
    assert (stored.pixel_array[..., 0] == np.stack([np.asarray(picture) for picture in pictures])).all()


# ---- compressed images and videos: kept ----


@pytest.mark.parametrize(
    ("kind", "stream", "syntax", "lossy"),
    [
        ("image/jpeg", saved(COLOUR, "JPEG"), JPEG + "50", True),
        ("image/jpg", saved(GREY, "JPEG"), JPEG + "50", True),
        ("image/jls", imagecodecs.jpegls_encode(DEEP), JPEG + "80", False),
        ("image/jp2", imagecodecs.jpeg2k_encode(COLOUR, reversible=True, codecformat="J2K"), JPEG + "90", False),
        ("image/jpx", imagecodecs.jpeg2k_encode(GREY, reversible=True, codecformat="J2K"), JPEG + "92", False),
        ("image/jphc", imagecodecs.htj2k_encode(GREY), JPEG + "201", False),
    ],
)
def test_t3_10_5_1_4_a_compressed_image_is_kept_and_described(
    web: Web, kind: str, stream: bytes, syntax: str, lossy: bool
) -> None:
    response = send(web, [metadata()], part(kind, stream))
    assert response.status_code == 200, response.text
    stored = kept(web)
    assert stored.file_meta.TransferSyntaxUID == syntax
    assert (stored.Rows, stored.Columns) == (12, 10)
    assert ("LossyImageCompression" in stored) is lossy
    (fragment,) = pydicom.encaps.generate_frames(stored.PixelData, number_of_frames=1)
    assert fragment.rstrip(b"\0") == stream.rstrip(b"\0")
    frame = web.get(f"{INSTANCE}/frames/1", 'multipart/related; type="application/octet-stream"')
    assert frame.status_code == 200


def test_t3_8_7_3_a_jp2_file_loses_its_box(web: Web) -> None:
    assert send(web, metadata(), part("image/jp2", saved(COLOUR, "JPEG2000"))).status_code == 200
    (frame,) = pydicom.encaps.generate_frames(kept(web).PixelData, number_of_frames=1)
    assert frame.startswith(b"\xff\x4f\xff\x51")


def test_t3_10_5_1_4_parts_of_one_location_are_the_frames_in_order(web: Web) -> None:
    streams = [saved(np.roll(GREY, step), "JPEG") for step in range(3)]
    assert send(web, metadata(), *(part("image/jpeg", stream) for stream in streams)).status_code == 200
    stored = kept(web)
    assert stored.NumberOfFrames == 3
    for number, stream in enumerate(streams, 1):
        response = web.get(f"{INSTANCE}/frames/{number}", 'multipart/related; type="image/jpeg"')
        assert parts(response)[0][1].rstrip(b"\0") == stream


def test_t3_10_5_2_a_video_is_kept(web: Web) -> None:
    film = h264()
    assert send(web, metadata(VIDEO), part("video/mp4", film)).status_code == 200
    stored = kept(web)
    assert stored.file_meta.TransferSyntaxUID == JPEG + "102"
    assert (stored.Rows, stored.Columns, stored.NumberOfFrames) == (480, 640, 25)
    assert stored.PhotometricInterpretation == "YBR_PARTIAL_420"
    sent = web.get(f"{INSTANCE}/bulkdata/7FE00010", "video/mp4")
    assert sent.content.rstrip(b"\0") == film.rstrip(b"\0")


def test_t3_a_24_2_a_pdf_is_kept_with_its_type_and_length(web: Web) -> None:
    letter = b"%PDF-1.4 a letter of odd length\n"[:-1]
    document = metadata(PDF, pixels=None, **{"00420011": {"vr": "OB", "BulkDataURI": "letter"}})
    assert send(web, [document], part("application/pdf", letter, "letter")).status_code == 200
    stored = kept(web)
    assert stored.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert stored.EncapsulatedDocumentLength == len(letter)
    assert web.get(f"{INSTANCE}/bulkdata/00420011", "application/pdf").content == letter


# ---- raw pixels and other bulk data ----

IMAGE = {
    "00280002": us(1), "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]}, "00280010": us(12), "00280011": us(10),
    "00280100": us(16), "00280101": us(16), "00280102": us(15), "00280103": us(0),
}  # fmt: skip


def test_t3_10_5_1_4_uncompressed_bulk_data_is_little_endian(web: Web) -> None:
    response = send(web, [metadata(CT_CLASS, **IMAGE)], part("application/octet-stream", DEEP.tobytes()))
    assert response.status_code == 200, response.text
    assert (kept(web).pixel_array == DEEP).all()


def test_t3_what_we_give_as_metadata_and_bulk_data_can_be_sent_back(web: Web) -> None:
    assert send(web, [metadata(CT_CLASS, **IMAGE)], part("application/octet-stream", DEEP.tobytes())).status_code == 200
    (document,) = web.json(f"{INSTANCE}/metadata")
    location = document["7FE00010"]["BulkDataURI"]
    body = web.client.get(location, headers={"accept": "application/octet-stream"}).content
    document["00080018"]["Value"] = [SOP + ".2"]
    assert send(web, [document], part("application/octet-stream", body, location)).status_code == 200
    assert (kept(web, INSTANCE + ".2").pixel_array == DEEP).all()


def test_t3_one_message_may_describe_many_instances(web: Web) -> None:
    documents = [metadata(sop=f"{SOP}.{number}", pixels=f"pixels/{number}") for number in range(4)]
    pictures = [part("image/png", saved(np.roll(GREY, number), "PNG"), f"pixels/{number}") for number in range(4)]
    assert send(web, documents, *reversed(pictures)).status_code == 200
    for number in range(4):
        assert (kept(web, f"{INSTANCE}.{number}").pixel_array == np.roll(GREY, number)).all()


def test_t3_metadata_alone_may_be_the_whole_body(web: Web) -> None:
    document = metadata("1.2.840.10008.5.1.4.1.1.88.11", pixels=None)
    for kind in ("application/dicom+json", "application/json"):
        assert post(web, json.dumps([document]).encode(), kind=kind).status_code == 200
    assert kept(web).PatientID == "P1"


# ---- XML ----


def send_xml(web: Web, documents: list[bytes], *bulk: Part) -> Any:
    roots = [("Content-Type: application/dicom+xml\r\n", document) for document in documents]
    related = f'multipart/related; type="application/dicom+xml"; boundary={BOUNDARY}'
    return post(web, message([*roots, *bulk]), kind=related)


def test_t3_f_3_xml_metadata_one_instance_a_part(web: Web) -> None:
    documents = [native_model(metadata(sop=f"{SOP}.{number}", pixels=f"{number}")) for number in (1, 2)]
    pictures = [part("image/png", saved(COLOUR + number, "PNG"), f"{number}") for number in (1, 2)]
    response = send_xml(web, documents, *pictures)
    assert response.status_code == 200, response.text
    assert (kept(web, INSTANCE + ".2").pixel_array == COLOUR + 2).all()
    assert kept(web, INSTANCE + ".1").PatientName == "Zhang^San=张^三"


def test_t3_f_3_xml_alone_may_be_the_whole_body(web: Web) -> None:
    document = native_model(metadata("1.2.840.10008.5.1.4.1.1.88.11", pixels=None))
    assert post(web, document, kind="application/dicom+xml").status_code == 200


@pytest.mark.parametrize(
    "document", [b'<!DOCTYPE x [<!ENTITY a "b">]><NativeDicomModel>&a;</NativeDicomModel>', b"<NativeDicomModel>", b"x"]
)
def test_t3_xml_with_entities_or_broken_is_400(web: Web, document: bytes) -> None:
    response = send_xml(web, [document])
    assert response.status_code == 400
    assert spooled(web) == []


# ---- refusals, with a reason ----


@pytest.mark.parametrize("tag", ["00080016", "00080018", "0020000D", "0020000E"])
def test_t3_a_missing_uid_fails_that_instance_by_name(web: Web, tag: str) -> None:
    whole, broken = metadata(sop=f"{SOP}.1"), metadata(**{tag: None})
    response = send(web, [broken, whole], part("image/png", saved(GREY, "PNG")))
    assert response.status_code == 202
    assert "UID is missing" in response.headers["warning"]
    assert len(web.json("/instances")) == 1


@pytest.mark.parametrize(
    ("change", "kind", "body", "reason"),
    [
        ({"7FE00010": {"vr": "OB", "BulkDataURI": "elsewhere"}}, "image/png", PNG, "not among the parts"),
        ({"00280010": us(13)}, "image/png", PNG, "Rows is not that of the pixel data"),
        ({"00280002": us(3)}, "image/jpeg", saved(GREY, "JPEG"), "SamplesPerPixel is not that"),
        ({"00280008": {"vr": "IS", "Value": [2]}}, "image/jpeg", saved(GREY, "JPEG"), "NumberOfFrames is not"),
        ({"00280004": {"vr": "CS", "Value": ["RGB"]}}, "image/jpeg", saved(COLOUR, "JPEG"), "colours of the"),
        ({"00280004": {"vr": "CS", "Value": ["YBR_FULL"]}}, "image/png", saved(COLOUR, "PNG"), "colours of the"),
        ({}, "application/octet-stream", DEEP.tobytes(), "SamplesPerPixel is missing"),
        (IMAGE, "application/octet-stream", DEEP.tobytes()[:-2], "238 bytes where the image has 240"),
        (IMAGE | {"00280010": {"vr": "US", "Value": [{}]}}, "application/octet-stream", DEEP.tobytes(), "Rows is no"),
        ({}, "image/png", PNG[:-30], "broken"),
        ({}, "image/png", saved(GREY, "JPEG"), "no PNG file"),
        ({}, "image/jpeg", b"no JPEG", "no image in it"),
        ({}, "video/mp4", b"no film", "no MPEG-4 file"),
        ({}, "image/webp", b"x", "no transfer syntax for pixel data of type image/webp"),
        ({}, f"image/jpeg; transfer-syntax={JPEG}80", saved(GREY, "JPEG"), "does not hold image/jpeg"),
        ({}, f"image/jpeg; transfer-syntax={JPEG}70", saved(GREY, "JPEG"), "is lossless"),
        ({"00100010": {"vr": "PN", "Value": [5.5, []]}}, "image/png", PNG, r"(0010,0010): a value is no PN"),
        ({"00280004": {"Value": 5}}, "image/png", PNG, "(0028,0004): Value is no array"),
        ({"00280010": {"Value": 5}}, "image/jpeg", saved(COLOUR, "JPEG"), "(0028,0010): Value is no array"),
        ({"00080020": {"Value": "x"}}, "image/png", PNG, "(0008,0020): Value is no array"),
    ],
)  # fmt: skip
def test_t3_what_cannot_be_put_together_fails_with_a_reason(
    web: Web, change: dict[str, Any], kind: str, body: bytes, reason: str
) -> None:
    response = send(web, [metadata(**change)], part(kind, body))
    assert response.status_code == 400, response.text
    assert values(response.json(), FAILED, "00081155") == [SOP]
    assert reason in response.headers["warning"]
    assert web.json("/instances") == []
    assert spooled(web) == []


@pytest.mark.parametrize("document", [5, "x", [], {}, None, {"00080018": 5}, {"00080018": {"vr": "UI", "Value": [5]}}])
def test_j13_metadata_that_are_none_fail_without_an_identity(web: Web, document: Any) -> None:
    response = send(web, [document, metadata()], part("image/png", saved(GREY, "PNG")))
    assert response.status_code == 202
    assert values(response.json(), OTHER, "00081197") == [0xC000]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"NaN"])
def test_j13_metadata_that_cannot_be_read_at_all_are_400(web: Web, body: bytes) -> None:
    root = ("Content-Type: application/dicom+json\r\n", body)
    related = f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'
    response = post(web, message([root]), kind=related)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


def test_j13_metadata_beyond_their_limit_are_413(tmp_path: Path) -> None:
    with open_web(tmp_path, document_limit_bytes=300) as narrow:
        assert send(narrow, [metadata()], part("image/png", saved(GREY, "PNG"))).status_code == 413


def test_j13_metadata_of_too_many_instances_are_400(tmp_path: Path) -> None:
    with open_web(tmp_path, parts_limit=3) as narrow:
        response = send(narrow, [{}] * 4)
        assert response.status_code == 400
        assert "http.parts_limit" in response.json()["detail"]


def test_t12_only_the_study_of_the_path_comes_in(web: Web) -> None:
    root = ("Content-Type: application/dicom+json\r\n", json.dumps([metadata()]).encode())
    related = f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'
    picture = part("image/png", saved(GREY, "PNG"))
    assert post(web, message([root, picture]), path="/studies/1.2.3", kind=related).status_code == 409
    assert post(web, message([root, picture]), path=f"/studies/{STUDY}", kind=related).status_code == 200


def test_t13_the_same_metadata_and_pixels_again_change_nothing(web: Web) -> None:
    for _ in range(2):
        assert send(web, [metadata()], part("image/png", saved(COLOUR, "PNG"))).status_code == 200
    assert len(web.archive.index.events(after=0, limit=10)) == 1


def test_t3_415_names_every_type_that_may_be_sent(web: Web) -> None:
    detail = post(web, b"", kind="text/plain").json()["detail"]
    for kind in ("application/dicom", "application/dicom+json", "application/dicom+xml"):
        assert kind in detail
    assert ROOT not in detail
