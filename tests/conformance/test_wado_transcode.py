"""WADO-RS in the transfer syntax a client names, in a ZIP, by byte range, and as bulk data; ids as in DICOM.md."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames

from bridge.compression import COMPRESSIONS
from bridge.syntaxes import TRANSFER_SYNTAXES
from tests.conformance.test_wado_retrieve import FILES, path_of
from tests.conftest import Dcmtk
from tests.dicomweb.web import CT, MR_SERIES, ROOT, SERIES, STUDY, Web, ct, fill, open_web, parts, pixels, read_part10

EXPLICIT_LE, DEFLATED, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"
BASE = f"http://pacs.test:8042{ROOT}"
DICOM_MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax={}'
OCTETS_MULTIPART = 'multipart/related; type="application/octet-stream"'
UNSIGNED = [uid for uid in COMPRESSIONS if uid not in (JPEG + "50", JPEG + "51")]
DECODERS = {
    "image/jls": imagecodecs.jpegls_decode,
    "image/jp2": imagecodecs.jpeg2k_decode,
    "image/jphc": imagecodecs.htj2k_decode,
    "image/jxl": imagecodecs.jpegxl_decode,
    "image/jpeg": imagecodecs.jpeg8_decode,
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web")) as opened:
        fill(opened)
        yield opened


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Web]:
    """One study of images in several transfer syntaxes, a report and a waveform."""
    with open_web(tmp_path_factory.mktemp("mixed")) as opened:
        for number, name in enumerate(("raw", "implicit", "jpeg-ls", "rle", "report", "waveform"), 1):
            item = pydicom.dcmread(shared_data / "variety" / FILES[name])
            item.StudyInstanceUID, item.SeriesInstanceUID = "1.2.99", f"1.2.99.{1 + number % 2}"
            item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = f"1.2.99.3.{number}"
            item.save_as(opened.directory / f"{number}.dcm")
            opened.add_file(opened.directory / f"{number}.dcm")
        yield opened


def frame_array() -> np.ndarray:
    return np.frombuffer(pixels(2), "<u2").reshape(4, 4)


# ---- transfer syntaxes by name ----


@pytest.mark.parametrize("uid", UNSIGNED)
def test_g13_8_7_9_an_instance_is_sent_in_the_syntax_that_is_named(web: Web, uid: str) -> None:
    response = web.get(f"{CT}/instances/{SERIES}.2", f"application/dicom; transfer-syntax={uid}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == f"application/dicom; transfer-syntax={uid}"
    item = read_part10(response.content)
    assert item.file_meta.TransferSyntaxUID == uid
    assert item.file_meta.MediaStorageSOPInstanceUID == item.SOPInstanceUID
    is_lossy = TRANSFER_SYNTAXES[uid].lossy
    assert (item.SOPInstanceUID != f"{SERIES}.2") == is_lossy
    assert ("LossyImageCompression" in item) == is_lossy
    assert item["PixelData"].VR == "OB"
    assert len(list(generate_frames(item.PixelData, number_of_frames=1))) == 1


@pytest.mark.parametrize("path", [f"/studies/{STUDY}", CT])
@pytest.mark.parametrize("uid", [JPEG + "80", JPEG + "201", RLE, DEFLATED])
def test_g13_a_study_or_series_is_converted_part_by_part(web: Web, path: str, uid: str) -> None:
    found = parts(web.get(path, DICOM_MULTIPART.format(uid)))
    assert len(found) == (3 if path == CT else 4)
    for header, body in found:
        assert header["content-type"] == f"application/dicom; transfer-syntax={uid}"
        item = read_part10(body)
        assert item.file_meta.TransferSyntaxUID == uid
        assert header["content-location"].endswith(item.SOPInstanceUID)


@pytest.mark.parametrize(
    ("media_type", "uid"),
    [
        ("image/jls", JPEG + "80"),
        ("image/jp2", JPEG + "90"),
        ("image/jphc", JPEG + "201"),
        ("image/jxl", JPEG + "110"),
        ("image/jpeg", JPEG + "70"),
    ],
)
def test_w11_t8_7_3_5_a_frame_is_compressed_into_the_media_type_asked_for(web: Web, media_type: str, uid: str) -> None:
    path = f"{CT}/instances/{SERIES}.2/frames/1"
    for accept in (media_type, f"{media_type}; transfer-syntax={uid}"):
        response = web.get(path, accept)
        assert response.headers["content-type"] == f"{media_type}; transfer-syntax={uid}"
        assert np.array_equal(DECODERS[media_type](response.content), frame_array())
    ((header, body),) = parts(web.get(path, f'multipart/related; type="{media_type}"'))
    assert header["content-type"] == f"{media_type}; transfer-syntax={uid}"
    assert body == response.content


def test_w11_stored_frames_go_from_one_compression_into_another(mixed: Web) -> None:
    stored = mixed.json("/instances?SOPInstanceUID=1.2.99.3.3")[0]
    path = f"/studies/1.2.99/series/{stored['0020000E']['Value'][0]}/instances/1.2.99.3.3/frames/1"
    raw = mixed.get(path, "application/octet-stream").content
    response = mixed.get(path, f"image/jp2; transfer-syntax={JPEG}90")
    assert imagecodecs.jpeg2k_decode(response.content).tobytes() == raw


def test_w15_loss_is_never_a_fallback_and_always_by_name(web: Web) -> None:
    path = f"{CT}/instances/{SERIES}.2"
    for accept in ("image/jpeg", "image/*, */*;q=0.1"):
        assert JPEG + "50" not in web.get(f"{path}/frames/1", accept).headers["content-type"]
    response = web.get(path, f"application/dicom; transfer-syntax={JPEG}50")
    assert response.status_code == 406
    detail = response.json()["detail"]
    assert JPEG + "90" in detail
    assert JPEG + "50" not in detail.partition("possible here")[2]


def test_g2_a_deflated_instance_is_sent_to_who_names_it(web: Web, tmp_path: Path, dcmtk: Dcmtk) -> None:
    response = web.get(f"{CT}/instances/{SERIES}.2", f"application/dicom; transfer-syntax={DEFLATED}")
    item = read_part10(response.content)
    assert (item.file_meta.TransferSyntaxUID, item.PixelData) == (DEFLATED, pixels(2))
    (tmp_path / "deflated.dcm").write_bytes(response.content)
    assert dcmtk.run("dcmdump", tmp_path / "deflated.dcm").returncode == 0


def test_w15_a_broken_frame_is_406_and_no_half_answer(tmp_path: Path) -> None:
    with open_web(tmp_path) as broken:
        item = ct(1)
        item.PixelData = pydicom.encaps.encapsulate([b"\0" * 20])
        item["PixelData"].VR = "OB"
        item["PixelData"].is_undefined_length = True
        ref = broken.add(item, JPEG + "90")
        for wanted in (EXPLICIT_LE, JPEG + "80"):
            assert broken.get(path_of(ref), f"application/dicom; transfer-syntax={wanted}").status_code == 406
            assert broken.get(f"{path_of(ref)}/frames/1", f"*/*; transfer-syntax={wanted}").status_code == 406


def test_g13_8_7_8_2_a_second_choice_holds_for_what_cannot_be_had_in_the_first(mixed: Web) -> None:
    named = DICOM_MULTIPART.format(JPEG + "201")
    response = mixed.get("/studies/1.2.99", named)
    assert response.status_code == 406
    found = parts(mixed.get("/studies/1.2.99", f'{named}, multipart/related; type="application/dicom"'))
    syntaxes = {header["content-type"].rpartition("=")[2] for header, _ in found}
    assert (len(found), syntaxes) == (6, {JPEG + "201", EXPLICIT_LE})


# ---- byte ranges ----


@pytest.mark.parametrize(
    ("suffix", "accept"),
    [
        ("", "application/dicom"),
        ("", f"application/dicom; transfer-syntax={JPEG}80"),
        ("/frames/1", "application/octet-stream"),
        ("/frames/1", "image/jls"),
        ("/bulkdata/7FE00010", "application/octet-stream"),
    ],
)
def test_w27_rfc9110_14_ranges_put_together_are_the_whole(web: Web, suffix: str, accept: str) -> None:
    path = f"{CT}/instances/{SERIES}.2{suffix}"
    whole = web.get(path, accept)
    tag, size = whole.headers["etag"], len(whole.content)
    assert not tag.startswith("W/")
    assert whole.headers["accept-ranges"] == "bytes"
    cuts = [0, 1, size // 3, size - 2, size]
    pieces = [web.get(path, accept, range=f"bytes={a}-{b - 1}", if_range=tag) for a, b in pairwise(cuts)]
    assert {piece.status_code for piece in pieces} == {206}
    assert b"".join(piece.content for piece in pieces) == whole.content
    assert pieces[1].headers["content-range"] == f"bytes 1-{size // 3 - 1}/{size}"
    assert web.get(path, accept, range=f"bytes={size}-").status_code == 416
    assert web.get(path, accept, range="bytes=0-1", if_range='"another"').content == whole.content
    assert web.get(path, accept, range="bytes=0-1,4-5").status_code == 200


def test_w27_messages_of_parts_have_no_ranges(web: Web) -> None:
    response = web.get(f"{CT}/instances/{SERIES}.2", DICOM_MULTIPART.format("*"), range="bytes=0-9")
    assert response.status_code == 200
    assert "accept-ranges" not in response.headers


def test_w27_a_range_of_bulk_data_in_a_message_is_a_range_of_the_value(web: Web) -> None:
    path = f"{CT}/instances/{SERIES}.2/bulkdata/7FE00010"
    response = web.get(path, OCTETS_MULTIPART, range="bytes=4-9")
    assert (response.status_code, response.headers["content-range"]) == (206, "bytes 4-9/32")
    ((header, body),) = parts(response)
    assert (header["content-length"], body) == ("6", pixels(2)[4:10])
    assert web.get(path, OCTETS_MULTIPART, range="bytes=32-").status_code == 416
    assert parts(web.get(path, OCTETS_MULTIPART, range="bytes=4-9", if_range='"another"'))[0][1] == pixels(2)


# ---- bulk data and pixel data of many ----


def links(item: object) -> Iterator[str]:
    """Every BulkDataURI in metadata."""
    if isinstance(item, dict):
        if "BulkDataURI" in item:
            yield item["BulkDataURI"]
        for value in item.values():
            yield from links(value)
    elif isinstance(item, list):
        for value in item:
            yield from links(value)


@pytest.mark.parametrize("level", ["/studies/1.2.99", "/studies/1.2.99/series/1.2.99.1"])
def test_10_4_3_3_5_the_bulk_data_of_a_resource_are_what_its_metadata_link_to(mixed: Web, level: str) -> None:
    wanted = set(links(mixed.json(f"{level}/metadata")))
    found = parts(mixed.get(f"{level}/bulkdata"))
    assert {header["content-location"] for header, _ in found} == wanted
    for header, body in found:
        alone = mixed.client.get(header["content-location"], headers={"accept": "application/octet-stream"})
        assert body == alone.content


def test_10_4_3_3_5_an_instances_bulk_data_and_where_there_are_none(mixed: Web) -> None:
    path = "/studies/1.2.99/series/1.2.99.1/instances/1.2.99.3.6"
    found = parts(mixed.get(f"{path}/bulkdata", OCTETS_MULTIPART))
    locations = [header["content-location"] for header, _ in found]
    assert locations == [f"{BASE}{path}/bulkdata/54000100/{item}/54001010" for item in (1, 2)]
    assert mixed.get(f"{path}/pixeldata").status_code == 404
    assert mixed.get("/studies/1.2.99/series/1.2.99.2/instances/1.2.99.3.5/bulkdata").status_code == 404
    assert mixed.get("/studies/1.2.98/bulkdata").status_code == 404


@pytest.mark.parametrize("level", [f"/studies/{STUDY}", CT, f"{CT}/instances/{SERIES}.2"])
def test_10_4_3_3_6_pixel_data_at_every_level(web: Web, level: str) -> None:
    found = parts(web.get(f"{level}/pixeldata"))
    assert len(found) == {f"/studies/{STUDY}": 4, CT: 3}.get(level, 1)
    for header, body in found:
        number = int(re.findall(r"instances/[0-9.]*\.([0-9]+)/bulkdata/7FE00010$", header["content-location"])[0])
        assert header["content-type"] == "application/octet-stream"
        assert body == pixels(number)


def test_10_4_3_3_6_compressed_pixel_data_are_a_part_per_frame(mixed: Web) -> None:
    found = parts(mixed.get("/studies/1.2.99/pixeldata", f"{OCTETS_MULTIPART}; transfer-syntax=*"))
    types = [header["content-type"] for header, _ in found]
    assert f"image/jls; transfer-syntax={JPEG}80" in types
    assert f"image/dicom-rle; transfer-syntax={RLE}" in types
    only = parts(mixed.get("/studies/1.2.99/pixeldata", 'multipart/related; type="image/jls"'))
    assert {header["content-type"] for header, _ in only} == {f"image/jls; transfer-syntax={JPEG}80"}
    assert mixed.get("/studies/1.2.99/pixeldata", 'multipart/related; type="image/jpx"').status_code == 406
    assert mixed.get("/studies/1.2.99/bulkdata", "application/octet-stream").status_code == 406


def test_10_4_4_octets_of_an_instance_resource_are_its_bulk_data(web: Web) -> None:
    found = parts(web.get(CT, OCTETS_MULTIPART))
    assert [body for _, body in found] == [pixels(number) for number in (1, 2, 3)]


# ---- ZIP ----


@pytest.mark.parametrize(("path", "count"), [(f"/studies/{STUDY}", 4), (CT, 3), (f"{CT}/instances/{SERIES}.2", 1)])
def test_w25_sup211_every_level_is_sent_as_a_zip(web: Web, path: str, count: int) -> None:
    response = web.get(path, "application/zip")
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"].endswith('.zip"')
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == count
        for name in archive.namelist():
            item = read_part10(archive.read(name))
            assert name == f"{item.StudyInstanceUID}/{item.SeriesInstanceUID}/{item.SOPInstanceUID}.dcm"
            assert item.file_meta.TransferSyntaxUID == EXPLICIT_LE
    assert "Zhang" not in response.content.decode("latin-1").split("PK\x01\x02", 1)[1]


@pytest.mark.parametrize("uid", ["*", JPEG + "201", DEFLATED])
def test_w25_transfer_syntaxes_hold_for_a_zip_too(web: Web, uid: str) -> None:
    response = web.get(CT, f"application/zip; transfer-syntax={uid}")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        syntaxes = {read_part10(archive.read(name)).file_meta.TransferSyntaxUID for name in archive.namelist()}
    assert syntaxes == {EXPLICIT_LE if uid == "*" else uid}


def test_w25_what_is_not_possible_is_406_and_what_is_not_there_404(web: Web) -> None:
    assert web.get(CT, "application/zip; transfer-syntax=1.2.840.10008.1.2").status_code == 406
    assert web.get("/studies/1.2.3.4", "application/zip").status_code == 404
    assert web.get(f"/studies/{STUDY}/series/{MR_SERIES}/instances/{SERIES}.1", "application/zip").status_code == 404


def test_w25_a_browser_gets_a_zip_by_a_link(web: Web) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    response = web.get(f"{CT}?accept=application/zip", browser)
    assert zipfile.is_zipfile(io.BytesIO(response.content))


@pytest.mark.parametrize("uid", ["*", JPEG + "201", JPEG + "91"])
def test_w25_a_zip_with_a_dicomdir_is_a_file_set(web: Web, tmp_path: Path, dcmtk: Dcmtk, uid: str) -> None:
    """PS3.10 §8: File IDs of at most eight characters a component, every file referred to."""
    response = web.get(f"/studies/{STUDY}?dicomdir=true", f"application/zip; transfer-syntax={uid}")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        archive.extractall(tmp_path)
        names = archive.namelist()
    assert names[-1] == "DICOMDIR"
    assert all(re.fullmatch("DICOM/[A-Z0-9]{1,8}/[A-Z0-9]{1,8}", name) for name in names[:-1])
    records = pydicom.dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence
    images = [record for record in records if record.DirectoryRecordType == "IMAGE"]
    assert ["/".join(record.ReferencedFileID) for record in images] == names[:-1]
    for record, name in zip(images, names, strict=False):
        item = pydicom.dcmread(tmp_path / name)
        assert item.SOPInstanceUID == record.ReferencedSOPInstanceUIDInFile
        assert item.file_meta.TransferSyntaxUID == record.ReferencedTransferSyntaxUIDInFile
    assert dcmtk.run("dcmdump", tmp_path / "DICOMDIR").returncode == 0


def test_w25_the_size_of_an_archive_of_stored_files_is_announced(web: Web) -> None:
    response = web.get(CT, "application/zip; transfer-syntax=*")
    assert int(response.headers["content-length"]) == len(response.content)
    assert web.get(f"{CT}?dicomdir=perhaps", "application/zip").status_code == 400
