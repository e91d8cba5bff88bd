"""WADO-URI, requirement by requirement; the id in front of each sentence is the row of DICOM.md and the clause."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from bridge.errors import ConfigError
from tests.bridge.shown import content, instance, presentation_state, referenced, report, sequence_item
from tests.dicomweb.web import ROOT, Web, ct, open_web, read_part10

STUDY, SERIES = "1.2.3", "1.2.3.4"
LOOP, PLAIN, REPORT, FILM, PDF, BROKEN, STATE = (f"{SERIES}.{number}" for number in range(1, 8))


def gradient(*shape: int) -> NDArray[np.uint16]:
    return (np.arange(np.prod(shape), dtype=np.uint32) % 4096).astype("<u2").reshape(shape)


def image(uid: str, pixels: NDArray[np.uint16], **attributes: Any) -> Dataset:
    item = ct(1, study=STUDY, series=SERIES, SOPInstanceUID=uid, **attributes)
    item.Rows, item.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        item.NumberOfFrames = len(pixels)
    item["PixelData"].value = pixels.tobytes()
    return item


def other(sop_class: str, uid: str, **attributes: Any) -> Dataset:
    return placed(instance(sop_class, **attributes), uid)


def placed(item: Dataset, uid: str) -> Dataset:
    item.StudyInstanceUID, item.SeriesInstanceUID, item.SOPInstanceUID = STUDY, SERIES, uid
    return item


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One instance of each kind."""
    with open_web(tmp_path_factory.mktemp("web")) as opened:
        plain = image(PLAIN, gradient(40, 80))
        opened.add(plain, ImplicitVRLittleEndian)
        opened.add(image(LOOP, gradient(3, 16, 16)))
        opened.add(placed(report(content("TEXT", TextValue="all well")), REPORT))
        film = other("1.2.840.10008.5.1.4.1.1.77.1.1.1", FILM, Rows=8, Columns=8, NumberOfFrames=2)
        for keyword, value in (("BitsAllocated", 8), ("BitsStored", 8), ("HighBit", 7), ("PixelRepresentation", 0)):
            setattr(film, keyword, value)
        film.SamplesPerPixel, film.PhotometricInterpretation = 3, "YBR_PARTIAL_420"
        film.PlanarConfiguration = 0
        film.PixelData = encapsulate([bytes(range(256))])
        film["PixelData"].VR = "OB"
        opened.add(film, MPEG4HP41)
        opened.add(other(EncapsulatedPDFStorage, PDF, EncapsulatedDocument=b"%PDF-1.4 x"))
        broken = image(BROKEN, gradient(4, 4))
        broken.PixelData = encapsulate([b"no such codestream"])
        opened.add(broken, RLELossless)
        state = presentation_state(referenced(PLAIN))
        state.SoftcopyVOILUTSequence = [sequence_item(WindowCenter="10", WindowWidth="1")]
        opened.add(placed(state, STATE))
        yield opened


def ask(web: Web, uid: str, query: str = "", accept: str | None = None, **changed: str | None) -> Any:
    """The answer for an instance; `changed` replaces or, with None, leaves out what is always sent."""
    named = {"requestType": "WADO", "studyUID": STUDY, "seriesUID": SERIES, "objectUID": uid} | changed
    sent = urlencode({name: value for name, value in named.items() if value is not None})
    return web.get(f"/wado?{sent}&{query}", accept)


def picture(response: Any, form: str) -> Image.Image:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == f"image/{form.lower()}"
    found = Image.open(io.BytesIO(response.content))
    assert found.format == form
    return found


@pytest.mark.parametrize(
    ("uid", "content_type"),
    [
        (PLAIN, "image/jpeg"), (LOOP, "image/gif"), (REPORT, "text/html; charset=utf-8"), (FILM, "video/mp4"),
        (PDF, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"),
        (BROKEN, "application/dicom; transfer-syntax=1.2.840.10008.1.2.5"),
    ],
    ids=["image", "frames", "report", "video", "document", "broken"],
)  # fmt: skip
def test_1_5_the_default_goes_by_the_category(web: Web, uid: str, content_type: str) -> None:
    response = ask(web, uid) if uid != BROKEN else ask(web, uid, "transferSyntax=*")
    assert (response.status_code, response.headers["content-type"]) == (200, content_type)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"requestType": None}, 400),
        ({"requestType": "wado"}, 400),
        ({"objectUID": None}, 400),
        ({"objectUID": "1.2.x"}, 400),
        ({"studyUID": "a"}, 400),
        ({"studyUID": None}, 200),
        ({"seriesUID": None}, 200),
        ({"studyUID": None, "seriesUID": None}, 200),
        ({"studyUID": "1.2.9"}, 404),
        ({"seriesUID": "1.2.9"}, 404),
        ({"studyUID": "1.2.9", "seriesUID": None}, 404),
        ({"studyUID": None, "seriesUID": "1.2.9"}, 404),
        ({"objectUID": "1.2.9"}, 404),
        ({"objectUID": "1.2.9", "studyUID": None}, 404),
    ],
)
def test_1_5_the_instance_is_named_by_its_uids_and_a_wrong_parent_fails(
    web: Web, changed: dict[str, str | None], status: int
) -> None:
    assert ask(web, PLAIN, **changed).status_code == status


@pytest.mark.parametrize("name", ["requesttype", "REQUESTTYPE"])
def test_1_5_names_are_case_sensitive(web: Web, name: str) -> None:
    assert web.get(f"/wado?{name}=WADO&objectUID={PLAIN}").status_code == 400
    assert picture(ask(web, PLAIN, "ROWS=5&ContentType=image/png"), "JPEG").size == (80, 40)


def test_1_5_unknown_parameters_are_ignored(web: Web) -> None:
    assert ask(web, PLAIN, "useOrig=true&foo=%00&bar").status_code == 200


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("image/png", "PNG"), ("image/jpg", "JPEG"), ("IMAGE/JPEG", "JPEG"), ("image/gif", "GIF"), ("image/*", "JPEG"),
        ("video/mpeg,image/png,image/jpeg", "PNG"), ("image/jpeg;q=0.5,image/png", "PNG"),
        ("text/html, image/webp", "WEBP"),
    ],
)  # fmt: skip
def test_1_5_the_first_possible_content_type_is_taken(web: Web, content_type: str, form: str) -> None:
    picture(ask(web, PLAIN, contentType=content_type), form)


@pytest.mark.parametrize("content_type", ["video/mp4", "text/html", "application/pdf", "image/tiff"])
def test_1_5_an_impossible_content_type_is_406(web: Web, content_type: str) -> None:
    assert ask(web, PLAIN, contentType=content_type).status_code == 406


@pytest.mark.parametrize("content_type", ["", "nonsense", "image", ","])
def test_1_5_a_content_type_that_is_none_is_400(web: Web, content_type: str) -> None:
    assert ask(web, PLAIN, contentType=content_type).status_code == 400


@pytest.mark.parametrize(
    ("syntax", "status"),
    [
        (None, 200), ("*", 200), (ExplicitVRLittleEndian, 200), (ImplicitVRLittleEndian, 406),
        (ExplicitVRBigEndian, 406), (JPEGBaseline8Bit, 406), ("1.2.3", 406), ("1.2.x", 400), ("", 400),
    ],
)  # fmt: skip
def test_1_5_dicom_comes_in_explicit_little_endian_unless_another_is_named(
    web: Web, syntax: str | None, status: int
) -> None:
    response = ask(web, PLAIN, contentType="application/dicom", transferSyntax=syntax)
    assert response.status_code == status
    if status == 200:
        assert response.headers["content-type"] == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
        found = read_part10(response.content)
        assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert found.PixelData == gradient(40, 80).tobytes()


def test_1_5_dicom_is_compressed_into_the_syntax_that_is_named(web: Web) -> None:
    response = ask(web, PLAIN, contentType="application/dicom", transferSyntax=RLELossless)
    assert response.headers["content-type"] == f"application/dicom; transfer-syntax={RLELossless}"
    assert np.array_equal(read_part10(response.content).pixel_array, gradient(40, 80))


def test_1_5_what_ohif_sends_gets_the_object_as_it_is_stored(web: Web) -> None:
    response = ask(web, BROKEN, contentType="application/dicom", transferSyntax="*", accept="*/*")
    assert read_part10(response.content).file_meta.TransferSyntaxUID == RLELossless


def test_1_5_frame_number_chooses_a_frame(web: Web) -> None:
    frames = gradient(3, 16, 16)
    middle = int(frames[1, 8, 0])
    shown = ask(web, LOOP, f"frameNumber=2&windowCenter={middle}&windowWidth=1", contentType="image/png")
    assert np.array_equal(np.asarray(picture(shown, "PNG")), np.where(frames[1] >= middle, 255, 0))
    assert picture(ask(web, LOOP, "frameNumber=3"), "JPEG").size == (16, 16)
    assert ask(web, LOOP, "frameNumber=4").status_code == 404
    assert ask(web, REPORT, "frameNumber=4").status_code == 200


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("", (80, 40)), ("rows=20", (40, 20)), ("columns=20", (20, 10)), ("rows=20&columns=20", (20, 10)),
        ("region=0,0,0.5,1", (40, 40)), ("region=0.25,0.5,0.75,1.0&rows=10", (20, 10)),
        ("region=0.0,0.0,1.0,1.0&columns=160", (160, 80)),
    ],
)  # fmt: skip
def test_1_5_rows_columns_and_region(web: Web, query: str, size: tuple[int, int]) -> None:
    assert picture(ask(web, PLAIN, query), "JPEG").size == size


def test_1_5_a_region_is_cut_from_the_top_left(web: Web) -> None:
    window = "windowCenter=1600&windowWidth=3200"
    whole = np.asarray(picture(ask(web, PLAIN, window, contentType="image/png"), "PNG"))
    part = picture(ask(web, PLAIN, f"region=0.5,0.25,1,0.75&{window}", contentType="image/png"), "PNG")
    assert np.array_equal(np.asarray(part), whole[10:30, 40:])


def test_1_5_image_quality_changes_the_size(web: Web) -> None:
    low, high = (len(ask(web, PLAIN, f"imageQuality={quality}").content) for quality in (5, 100))
    assert low < high


@pytest.mark.parametrize(
    "query",
    [
        "frameNumber=0", "frameNumber=-1", "frameNumber=a", "frameNumber=", "rows=0", "rows=x", "columns=1.5",
        "windowCenter=10", "windowWidth=10", "windowCenter=1&windowWidth=0", "windowCenter=a&windowWidth=2",
        "imageQuality=0", "imageQuality=101", "imageQuality=high", "region=0,0,1", "region=0,0,2,1", "region=1,0,0,1",
        "region=0.5,0.5,0.5,1", "region=a,b,c,d", "rows=999999", "presentationUID=1.2", "presentationSeriesUID=1.2",
        "presentationUID=1.2&presentationSeriesUID=1.3&windowCenter=1&windowWidth=1", "charset=latin1", "annotation=",
        "anonymize=no",
    ],
)  # fmt: skip
def test_1_5_bad_values_and_combinations_are_400(web: Web, query: str) -> None:
    response = ask(web, PLAIN, query, contentType="image/jpeg")
    assert response.status_code == 400, response.status_code
    assert response.json()["detail"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "iso-8859-1,utf-8"])
def test_1_5_text_is_utf_8(web: Web, charset: str) -> None:
    response = ask(web, REPORT, charset=charset)
    assert "all well" in response.content.decode("utf-8")


def test_1_5_annotation_words_that_are_not_known_are_warned_of(web: Web) -> None:
    plain, annotated = ask(web, PLAIN), ask(web, PLAIN, "annotation=patient,technique,weather")
    assert annotated.headers["warning"].endswith("The following annotation values are not supported: weather")
    assert "warning" not in plain.headers
    assert plain.content != annotated.content


def test_1_5_anonymize_is_refused_rather_than_pretended(web: Web) -> None:
    for content_type in ("application/dicom", "image/jpeg"):
        response = ask(web, PLAIN, "anonymize=yes", contentType=content_type)
        assert response.status_code == 406
        assert "de-identification is not offered" in response.json()["detail"]


def test_1_5_a_presentation_state_is_applied(web: Web) -> None:
    state = f"presentationUID={STATE}&presentationSeriesUID={SERIES}"
    shown = picture(ask(web, PLAIN, state, contentType="image/png"), "PNG").convert("L")
    assert np.array_equal(np.asarray(shown), np.where(gradient(40, 80) >= 10, 255, 0))
    missing = ask(web, PLAIN, "presentationUID=1.2&presentationSeriesUID=1.3", contentType="image/png")
    assert missing.status_code == 404
    foreign = ask(web, LOOP, state, contentType="image/png")
    assert foreign.status_code == 400


def test_1_5_unchanged_answers_are_304(web: Web) -> None:
    for content_type in ("application/dicom", "image/png"):
        url = f"/wado?requestType=WADO&objectUID={PLAIN}&contentType={content_type}"
        tag = web.get(url).headers["etag"]
        assert web.get(url, if_none_match=tag).status_code == 304
        assert web.get(url.replace(PLAIN, LOOP), if_none_match=tag).status_code == 200


def test_1_5_the_audit_trail_names_the_instance(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "audit"):
        ask(web, PLAIN, studyUID=None)
    line = orjson.loads(caplog.records[-1].getMessage())
    assert (line["action"], line["outcome"]) == ("retrieve", "success")
    assert PLAIN in line.values()


def test_1_5_another_sites_instance_is_404(tmp_path: Path) -> None:
    with open_web(tmp_path) as own:
        own.add(image(PLAIN, gradient(4, 4)), site="elsewhere")
        assert ask(own, PLAIN).status_code == 404
        assert ask(own, PLAIN, studyUID=None).status_code == 404


def test_1_5_the_path_can_be_moved_and_switched_off(tmp_path: Path) -> None:
    with open_web(tmp_path, wado_uri="/old/wado.jsp") as moved:
        moved.add(image(PLAIN, gradient(4, 4)))
        assert moved.client.get(f"{ROOT}/old/wado.jsp?requestType=WADO&objectUID={PLAIN}").status_code == 200
        assert moved.get(f"/wado?requestType=WADO&objectUID={PLAIN}").status_code == 404
    with open_web(tmp_path, wado_uri="") as off:
        assert off.get(f"/wado?requestType=WADO&objectUID={PLAIN}").status_code == 404


def test_1_5_a_path_that_another_resource_has_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"http\.wado_uri"), open_web(tmp_path, wado_uri="studies/"):
        pass
