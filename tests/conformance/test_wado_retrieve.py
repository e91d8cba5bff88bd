"""WADO-RS, requirement by requirement; the id in front of each sentence is the row and the clause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from storage.records import Origin, ResourceRef
from tests.dicomweb.web import (
    CT,
    MR_SERIES,
    OTHER_STUDY,
    ROOT,
    SERIES,
    STUDY,
    Web,
    ct,
    fill,
    open_web,
    parts,
    pixels,
    read_part10,
    uids,
)

EXPLICIT_LE = "1.2.840.10008.1.2.1"
OCTETS_AS_STORED = "multipart/related; type=application/octet-stream; transfer-syntax=*"
DICOM_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
BASE = f"http://pacs.test:8042{ROOT}"
FILES = {
    "raw": "pydicom-pydicom__test_files__MR_small.dcm",
    "implicit": "pydicom-pydicom__test_files__rtdose.dcm",
    "big endian": "pydicom-pydicom__test_files__MR_small_bigendian.dcm",
    "deflated": "pydicom-pydicom__test_files__image_dfl.dcm",
    "jpeg-ls": "pydicom-pydicom__test_files__MR_small_jpeg_ls_lossless.dcm",
    "jpeg": "pydicom-pydicom__test_files__examples_ybr_color.dcm",
    "jpeg 2000": "pydicom-pydicom__test_files__JPEG2000.dcm",
    "rle": "pydicom-pydicom__test_files__MR_small_RLE.dcm",
    "rle of two frames": "pydicom-pydicom__test_files__SC_rgb_rle_2frame.dcm",
    "segmentation": "ImagingDataCommons-highdicom__seg_image_ct_binary.dcm",
    "report": "pydicom-pydicom__test_files__test-SR.dcm",
    "waveform": "pydicom-pydicom__test_files__waveform_ecg.dcm",
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web")) as opened:
        fill(opened)
        yield opened


@dataclass(frozen=True)
class Stored:
    """Real files in an archive: a client, each file's path below the service root, and where the file is."""

    web: Web
    paths: dict[str, str]
    files: dict[str, Path]

    def original(self, name: str) -> pydicom.FileDataset:
        return pydicom.dcmread(self.files[name])

    def pixels(self, name: str) -> Any:
        """What the pixels are, decoded by someone else."""
        return self.original("raw" if name == "jpeg-ls" else name).pixel_array  # the same image, compressed lossless


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Stored]:
    directory = tmp_path_factory.mktemp("real")
    with open_web(directory) as opened:
        paths, files = {}, {}
        for number, (name, file) in enumerate(FILES.items(), 1):
            item = pydicom.dcmread(shared_data / "variety" / file)
            item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"  # some are namesakes
            files[name] = directory / f"{number}.dcm"
            item.save_as(files[name])
            paths[name] = path_of(opened.add_file(files[name]))
        yield Stored(opened, paths, files)


def path_of(ref: ResourceRef) -> str:
    return f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}/instances/{ref.sop_instance_uid}"


# ---- instances ----


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/studies/{STUDY}", 4),
        (CT, 3),
        (f"{CT}/instances/{SERIES}.2", 1),
    ],
)
def test_w1_10_4_1_1_1_every_level_is_sent_as_multipart(web: Web, path: str, expected: int) -> None:
    response = web.get(path, 'multipart/related; type="application/dicom"')
    assert response.status_code == 200
    found = parts(response)
    assert len(found) == expected
    for header, body in found:
        item = read_part10(body)
        assert header["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT_LE}"
        assert int(header["content-length"]) == len(body)
        assert header["content-location"].endswith(f"/instances/{item.SOPInstanceUID}")
        assert item.file_meta.TransferSyntaxUID == EXPLICIT_LE


def test_w1_a_single_instance_is_sent_alone_too(web: Web) -> None:
    response = web.get(f"{CT}/instances/{SERIES}.2", "application/dicom")
    assert response.headers["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT_LE}"
    assert response.headers["content-location"] == f"{BASE}{CT}/instances/{SERIES}.2"
    assert read_part10(response.content).PixelData == pixels(2)


def test_g14_10_4_4_a_single_part_type_is_not_acceptable_above_the_instance(web: Web) -> None:
    assert web.get(f"/studies/{OTHER_STUDY}", "application/dicom").status_code == 406
    assert web.get(CT, "application/dicom").status_code == 406


@pytest.mark.parametrize("accept", [None, "*/*", "", "image/png, */*;q=0.1", "nonsense;;, multipart/related"])
def test_g5_g6_g7_8_7_any_or_no_accept_gets_the_default(web: Web, accept: str | None) -> None:
    response = web.get(f"{CT}/instances/{SERIES}.1", accept)
    assert response.headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')


def test_g5_8_7_5_a_missing_accept_is_406_when_the_setting_is_strict(tmp_path: Path) -> None:
    with open_web(tmp_path, strict_accept=True) as strict:
        strict.add(ct(1))
        assert strict.get(f"/studies/{STUDY}").status_code == 406
        assert strict.get(f"/studies/{STUDY}", "*/*").status_code == 200


@pytest.mark.parametrize("name", ["implicit", "big endian", "deflated"])
@pytest.mark.parametrize("accept", ["application/dicom", "application/dicom; transfer-syntax=*", "*/*"])
def test_g1_8_7_3_implicit_big_endian_and_deflated_go_out_as_explicit_little_endian(
    stored: Stored, name: str, accept: str
) -> None:
    web, paths = stored.web, stored.paths
    response = web.get(paths[name], accept)
    body = response.content if accept != "*/*" else parts(response)[0][1]
    item = read_part10(body)
    assert item.file_meta.TransferSyntaxUID == EXPLICIT_LE
    assert np.array_equal(item.pixel_array, stored.pixels(name))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
def test_g1_implicit_and_big_endian_are_never_sent_even_by_name(stored: Stored, syntax: str) -> None:
    web, paths = stored.web, stored.paths
    for name in ("implicit", "big endian"):
        assert web.get(paths[name], f"application/dicom; transfer-syntax={syntax}").status_code == 406


def test_g1_deflated_goes_out_as_stored_when_named(stored: Stored) -> None:
    web, paths = stored.web, stored.paths
    response = web.get(paths["deflated"], "application/dicom; transfer-syntax=1.2.840.10008.1.2.1.99")
    assert response.content == stored.files["deflated"].read_bytes()


@pytest.mark.parametrize("name", ["jpeg-ls", "rle", "jpeg 2000"])
def test_g2_8_7_3_4_lossless_data_are_decompressed_unless_asked_otherwise(stored: Stored, name: str) -> None:
    web, paths = stored.web, stored.paths
    item = read_part10(web.get(paths[name], "application/dicom; transfer-syntax=1.2.840.10008.1.2.1").content)
    assert item.file_meta.TransferSyntaxUID == EXPLICIT_LE
    assert np.array_equal(item.pixel_array, stored.pixels(name))


@pytest.mark.parametrize("name", ["jpeg-ls", "rle", "jpeg", "jpeg 2000", "report"])
def test_g3_8_7_3_5_2_a_star_gets_the_very_bytes_that_came_in(stored: Stored, name: str) -> None:
    web, paths = stored.web, stored.paths
    response = web.get(paths[name], DICOM_AS_STORED)
    ((_, body),) = parts(response)
    assert body == stored.files[name].read_bytes()


def test_w15_an_impossible_conversion_is_406_and_never_the_stored_syntax(
    stored: Stored,
) -> None:
    web, paths = stored.web, stored.paths
    for name, wanted in (("jpeg-ls", "50"), ("report", "90"), ("segmentation", "90"), ("rle", "92")):
        response = web.get(paths[name], f"application/dicom; transfer-syntax=1.2.840.10008.1.2.4.{wanted}")
        assert response.status_code == 406
        assert "possible here" in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies/1.2.3.4", 404),
        (f"/studies/{OTHER_STUDY}/series/{SERIES}", 404),
        (f"/studies/{STUDY}/series/{MR_SERIES}/instances/{SERIES}.1", 404),
        (f"/studies/{OTHER_STUDY}/series/{SERIES}/instances/{SERIES}.1", 404),
        (f"{CT}/instances/{SERIES}.99", 404),
        (f"/studies/{OTHER_STUDY}/series/{SERIES}/metadata", 404),
        (f"/studies/{STUDY}/series/{MR_SERIES}/instances/{SERIES}.1/metadata", 404),
        (f"/studies/{STUDY}/series/{MR_SERIES}/instances/{SERIES}.1/frames/1", 404),
        (f"/studies/{STUDY}/series/{MR_SERIES}/instances/{SERIES}.1/bulkdata/7FE00010", 404),
        ("/studies/1..2", 400),
        ("/studies/abc", 400),
        ("/studies/1.2/series/x", 400),
        (f"/studies/{'1' * 65}", 400),
        ("/studies/..%2f..", 404),
    ],
)
def test_w26_a_wrong_parent_is_404_and_what_is_no_uid_is_400(web: Web, path: str, status: int) -> None:
    response = web.get(path)
    assert response.status_code == status
    assert response.json()["status"] == status


def test_g15_8_5_what_was_deleted_is_410(tmp_path: Path) -> None:
    with open_web(tmp_path) as short:
        ref = short.add(ct(1))
        short.archive.index.remove(ref, Origin(door="CLI", name="test", address=""))
        assert short.get(path_of(ref)).status_code == 410
        assert short.get(f"/studies/{STUDY}/metadata").status_code == 410


def test_another_site_is_not_found(tmp_path: Path) -> None:
    with open_web(tmp_path) as shared:
        ref = shared.add(ct(1), site="elsewhere")
        assert shared.get(path_of(ref)).status_code == 404
        assert shared.get(f"{path_of(ref)}/metadata").status_code == 404


# ---- metadata ----


@pytest.mark.parametrize(("path", "expected"), [(f"/studies/{STUDY}", 4), (CT, 3), (f"{CT}/instances/{SERIES}.2", 1)])
def test_w2_10_4_1_1_2_metadata_is_one_flat_array_at_every_level(web: Web, path: str, expected: int) -> None:
    found = web.json(f"{path}/metadata")
    assert len(found) == expected
    assert all(isinstance(item, dict) for item in found)


def test_w2_f_2_metadata_are_json_unless_xml_is_asked_for(web: Web) -> None:
    path = f"{CT}/metadata"
    assert web.get(path).headers["content-type"] == "application/dicom+json"
    assert web.get(path, "application/json").headers["content-type"] == "application/json"
    found = parts(web.get(path, 'multipart/related; type="application/dicom+xml"'))
    assert len(found) == 3
    assert b'<DicomAttribute tag="7FE00010" vr="OW" keyword="PixelData"><BulkData uri="http://pacs.test' in found[0][1]
    assert b"<Alphabetic><FamilyName>Zhang</FamilyName><GivenName>San</GivenName></Alphabetic>" in found[0][1]
    assert web.get(path, "image/png").status_code == 406


def test_w3_metadata_have_no_group_2_and_describe_what_is_stored(stored: Stored) -> None:
    web, paths = stored.web, stored.paths
    (item,) = web.json(f"{paths['jpeg']}/metadata")
    assert not any(tag.startswith("0002") or tag.endswith("0000") for tag in item)
    assert item["00280004"]["Value"] == [stored.original("jpeg").PhotometricInterpretation]


def test_w5_w6_pixel_data_are_a_link_that_can_be_followed(web: Web) -> None:
    (item,) = web.json(f"{CT}/instances/{SERIES}.2/metadata")
    link = item["7FE00010"]
    assert link["vr"] == "OW"
    assert link["BulkDataURI"].startswith(f"{BASE}{CT}")
    response = web.client.get(link["BulkDataURI"])
    assert parts(response)[0][1] == pixels(2)


def test_metadata_are_in_the_order_of_their_numbers(web: Web) -> None:
    expected = [f"{SERIES}.1", f"{SERIES}.2", f"{SERIES}.3", f"{MR_SERIES}.1"]
    assert uids(web.json(f"/studies/{STUDY}/metadata")) == expected


def test_the_accept_that_ohif_sends_gets_json(web: Web) -> None:
    accept = "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*"
    assert len(web.json(f"{CT}/metadata", accept)) == 3


@pytest.mark.parametrize("coding", ["gzip", "zstd", "gzip, deflate, br, zstd"])
def test_metadata_are_compressed_when_the_client_asks(web: Web, coding: str) -> None:
    plain = web.get(f"{CT}/metadata")
    packed = web.get(f"{CT}/metadata", accept_encoding=coding)
    assert packed.headers["content-encoding"] in coding
    assert packed.json() == plain.json()
    assert packed.headers["etag"] != plain.headers["etag"]
    assert web.get(f"{CT}/metadata", accept_encoding=coding).content == packed.content


# ---- frames ----


@pytest.mark.parametrize(
    ("frames", "expected"), [("1", [1]), ("1,2", [1, 2]), ("2,1", [2, 1]), ("2,2,1", [2, 2, 1]), ("1%2C2", [1, 2])]
)
def test_w9_frames_come_in_the_order_asked_with_duplicates(stored: Stored, frames: str, expected: list[int]) -> None:
    web, paths = stored.web, stored.paths
    array = stored.pixels("rle of two frames")
    found = parts(web.get(f"{paths['rle of two frames']}/frames/{frames}"))
    assert [body for _, body in found] == [array[number - 1].tobytes() for number in expected]
    locations = [header["content-location"].rpartition("/")[2] for header, _ in found]
    assert locations == [str(number) for number in expected]


@pytest.mark.parametrize("frames", ["0", "-1", "x", "1,,2", "1,", "1.5", "%20", "1,0"])
def test_w9_a_bad_frame_list_is_400(web: Web, frames: str) -> None:
    assert web.get(f"{CT}/instances/{SERIES}.1/frames/{frames}").status_code == 400


def test_w9_a_frame_beyond_the_last_is_404(web: Web) -> None:
    response = web.get(f"{CT}/instances/{SERIES}.1/frames/2")
    assert response.status_code == 404
    assert "there is no frame 2; the instance has 1" in response.json()["detail"]


def test_w10_frames_default_to_raw_pixels_one_part_each(web: Web) -> None:
    response = web.get(f"{CT}/instances/{SERIES}.2/frames/1")
    assert response.headers["content-type"].startswith('multipart/related; type="application/octet-stream"')
    ((header, body),) = parts(response)
    assert header["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT_LE}"
    assert body == pixels(2)


@pytest.mark.parametrize(
    ("name", "media_type", "syntax"),
    [
        ("jpeg-ls", "image/jls", "1.2.840.10008.1.2.4.80"),
        ("jpeg", "image/jpeg", "1.2.840.10008.1.2.4.50"),
        ("jpeg 2000", "image/jp2", "1.2.840.10008.1.2.4.91"),
        ("rle", "image/dicom-rle", "1.2.840.10008.1.2.5"),
    ],
)
def test_w10_w11_w12_as_stored_the_part_says_what_it_is_and_holds_the_bare_codestream(
    stored: Stored, name: str, media_type: str, syntax: str
) -> None:
    from pydicom.encaps import get_frame

    web, paths = stored.web, stored.paths
    source = stored.original(name)
    assert source.file_meta.TransferSyntaxUID == syntax
    codestream = get_frame(source.PixelData, 0, number_of_frames=int(source.get("NumberOfFrames", 1)))
    for accept in (OCTETS_AS_STORED, f'multipart/related; type="{media_type}"', DICOM_FRAME.format(media_type, syntax)):
        ((header, body),) = parts(web.get(f"{paths[name]}/frames/1", accept))
        assert header["content-type"] == f"{media_type}; transfer-syntax={syntax}"
        assert body == codestream
    alone = web.get(f"{paths[name]}/frames/1", media_type)
    assert alone.headers["content-type"] == f"{media_type}; transfer-syntax={syntax}"
    assert alone.content == codestream


DICOM_FRAME = 'multipart/related; type="{}"; transfer-syntax={}'


@pytest.mark.parametrize("name", ["jpeg-ls", "rle", "big endian", "implicit"])
def test_w10_w13_raw_frames_are_little_endian_pixels(stored: Stored, name: str) -> None:
    web, paths = stored.web, stored.paths
    array = stored.pixels(name)
    first = array[0] if array.ndim == 3 and name == "implicit" else array
    alone = web.get(f"{paths[name]}/frames/1", "application/octet-stream")
    assert alone.content == first.astype(first.dtype.newbyteorder("<")).tobytes()


def test_w11_aliases_of_old_clients_are_understood(stored: Stored) -> None:
    web, paths = stored.web, stored.paths
    for name, alias in (("jpeg-ls", "image/x-jls"), ("rle", "image/x-dicom-rle"), ("jpeg", "image/jpg")):
        assert web.get(f"{paths[name]}/frames/1", f"multipart/related; type={alias}").status_code == 200


def test_w13_bits_are_packed_anew_for_each_frame(stored: Stored) -> None:
    web, paths = stored.web, stored.paths
    array = stored.pixels("segmentation")
    found = parts(web.get(f"{paths['segmentation']}/frames/1,2"))
    for number, (_, body) in enumerate(found):
        bits = np.unpackbits(np.frombuffer(body, np.uint8), bitorder="little")
        assert np.array_equal(bits[: array[number].size].reshape(array[number].shape), array[number])


def test_w15_frames_in_an_impossible_type_are_406(stored: Stored) -> None:
    web, paths = stored.web, stored.paths
    assert web.get(f"{paths['jpeg-ls']}/frames/1", 'multipart/related; type="image/jpx"').status_code == 406
    assert web.get(f"{paths['segmentation']}/frames/1", "image/jls").status_code == 406
    assert web.get(f"{paths['rle of two frames']}/frames/1,2", "application/octet-stream").status_code == 406


def test_frames_of_an_instance_without_pixels_are_404(stored: Stored) -> None:
    web, paths = stored.web, stored.paths
    assert web.get(f"{paths['report']}/frames/1").status_code == 404


# ---- bulk data, conditions and ranges ----


@pytest.mark.parametrize(
    "accept", [None, "*/*", 'multipart/related; type="application/octet-stream"', OCTETS_AS_STORED]
)
def test_w6_bulk_data_come_as_multipart_by_default(web: Web, accept: str | None) -> None:
    ((header, body),) = parts(web.get(f"{CT}/instances/{SERIES}.3/bulkdata/7FE00010", accept))
    assert header["content-type"] == "application/octet-stream"
    assert body == pixels(3)


def test_w6_bulk_data_come_alone_when_asked(web: Web) -> None:
    response = web.get(f"{CT}/instances/{SERIES}.3/bulkdata/7fe00010", "application/octet-stream")
    assert response.content == pixels(3)
    assert response.headers["accept-ranges"] == "bytes"


def test_w7_bulk_data_inside_sequences_have_a_path(stored: Stored) -> None:
    web, paths = stored.web, stored.paths
    (item,) = web.json(f"{paths['waveform']}/metadata")
    link = item["54000100"]["Value"][0]["54001010"]["BulkDataURI"]
    assert link.endswith("/bulkdata/54000100/1/54001010")
    expected = stored.original("waveform").WaveformSequence[0].WaveformData
    assert web.client.get(link, headers={"accept": "application/octet-stream"}).content == expected


def test_w8_an_encapsulated_document_has_its_own_type_and_loses_its_pad_byte(web: Web, tmp_path: Path) -> None:
    document = b"%PDF-1.4 odd length" + b"." * 5000
    item = ct(1, study="1.2.77", series="1.2.77.1")
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(item, keyword)
    item.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    item.MIMETypeOfEncapsulatedDocument = "application/pdf"
    item.EncapsulatedDocumentLength = len(document)
    item.EncapsulatedDocument = document + b"\0"
    assert len(document) % 2
    ref = web.add(item)
    path = f"{path_of(ref)}/bulkdata/00420011"
    alone = web.get(path, "application/pdf")
    assert (alone.headers["content-type"], alone.content) == ("application/pdf", document)
    assert web.get(path, "application/octet-stream").content == document
    web.archive.index.remove(ref, Origin(door="CLI", name="test", address=""))


@pytest.mark.parametrize("path", ["00100010", "nonsense", "7FE00010/1", "../secret", "99999999/1/7FE00010"])
def test_bulk_data_that_are_not_there_are_404(web: Web, path: str) -> None:
    assert web.get(f"{CT}/instances/{SERIES}.3/bulkdata/{path}").status_code in (400, 404)


@pytest.mark.parametrize(
    ("wanted", "status", "start", "end"),
    [
        ("bytes=0-9", 206, 0, 9),
        ("bytes=30-", 206, 30, 31),
        ("bytes=-4", 206, 28, 31),
        ("bytes=10-10", 206, 10, 10),
        ("bytes=0-999", 206, 0, 31),
        ("bytes=32-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=9-0", 200, 0, 31),
        ("bytes=0-1,3-4", 200, 0, 31),
        ("items=0-1", 200, 0, 31),
    ],
)
def test_w27_rfc9110_14_ranges_of_bulk_data(web: Web, wanted: str, status: int, start: int, end: int) -> None:
    path = f"{CT}/instances/{SERIES}.3/bulkdata/7FE00010"
    response = web.get(path, "application/octet-stream", range=wanted)
    assert response.status_code == status
    if status == 416:
        assert response.headers["content-range"] == "bytes */32"
        return
    assert response.content == pixels(3)[start : end + 1]
    if status == 206:
        assert response.headers["content-range"] == f"bytes {start}-{end}/32"


@pytest.mark.parametrize(
    "path",
    [
        f"/studies/{STUDY}/metadata",
        f"{CT}/metadata",
        f"{CT}/instances/{SERIES}.1/metadata",
        f"{CT}/instances/{SERIES}.1",
        f"{CT}/instances/{SERIES}.1/frames/1",
        f"{CT}/instances/{SERIES}.1/bulkdata/7FE00010",
    ],
)
def test_w27_an_unchanged_resource_is_304(web: Web, path: str) -> None:
    tag = web.get(path).headers["etag"]
    for condition in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        response = web.get(path, if_none_match=condition)
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
    assert web.get(path, if_none_match='"other"').status_code == 200


def test_w27_the_tag_changes_when_an_instance_comes_or_goes(tmp_path: Path) -> None:
    with open_web(tmp_path) as growing:
        path, tags = f"/studies/{STUDY}/metadata", []
        growing.add(ct(1))
        tags.append(growing.get(path).headers["etag"])
        ref = growing.add(ct(2))
        tags.append(growing.get(path).headers["etag"])
        growing.archive.index.remove(ref, Origin(door="CLI", name="test", address=""))
        tags.append(growing.get(path).headers["etag"])
        assert len(set(tags)) == 3
        assert growing.get(path, if_none_match=tags[1]).status_code == 200
        assert len(growing.json(path)) == 1


# ---- the accept parameter and mixtures ----


def accept_parameter(web: Web, parameter: str, header: str | None = None) -> Any:
    return web.get(f"{CT}/instances/{SERIES}.1?accept={parameter}", header)


@pytest.mark.parametrize("spelled", ["application/dicom", "application%2Fdicom", "application/dicom;transfer-syntax=*"])
def test_g9_8_3_3_1_the_accept_parameter_wins_over_the_header(web: Web, spelled: str) -> None:
    response = accept_parameter(web, spelled, "*/*")
    assert response.headers["content-type"].startswith("application/dicom;")


@pytest.mark.parametrize(
    ("parameter", "header", "status"),
    [
        ("application/dicom", "image/png", 406),
        ("*/*", "*/*", 400),
        ("application/dicom,image/png", None, 400),
        ("", None, 400),
    ],
)
def test_g9_8_3_3_1_a_bad_accept_parameter_is_refused(
    web: Web, parameter: str, header: str | None, status: int
) -> None:
    assert accept_parameter(web, parameter, header).status_code == status


def test_g10_8_7_5_dicom_and_rendered_types_do_not_mix(web: Web) -> None:
    assert web.get(f"{CT}/instances/{SERIES}.1", "application/dicom, image/png").status_code == 400


def test_g8_8_7_8_1_the_best_quality_wins_and_the_closest_range_rules(web: Web) -> None:
    path = f"{CT}/instances/{SERIES}.1"
    accept = "application/dicom;q=0.2, multipart/related;type=application/dicom;q=0.9"
    assert web.get(path, accept).headers["content-type"].startswith("multipart/related")
    assert web.get(path, "application/dicom;q=0").status_code == 406
    assert web.get(f"{CT}/metadata", "application/dicom+json;q=0, */*").headers["content-type"] == "application/json"


def test_g19_8_8_only_utf_8_is_spoken(web: Web) -> None:
    assert web.get(f"{CT}/metadata?charset=utf-8").status_code == 200
    assert web.get(f"{CT}/metadata?charset=latin1").status_code == 400
    assert web.get(f"{CT}/metadata", accept_charset="latin1").status_code == 200


def test_g18_unknown_parameters_of_a_retrieve_are_ignored(web: Web) -> None:
    assert web.get(f"{CT}/metadata?vendor=1").status_code == 200


@pytest.mark.parametrize(
    ("path", "others"),
    [
        ("/studies", {"POST"}), (f"{CT}/metadata", set()), (f"{CT}/instances/{SERIES}.1/frames/1", set()),
        (CT, {"DELETE"}),
    ],
)  # fmt: skip
def test_g17_8_5_head_and_options_work_on_every_resource(web: Web, path: str, others: set[str]) -> None:
    head, got = web.client.request("HEAD", ROOT + path), web.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers.get("content-length") == got.headers["content-length"]
    options = web.client.request("OPTIONS", ROOT + path)
    assert options.status_code == 204
    assert set(options.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"} | others


def test_g15_8_5_a_method_that_is_not_there_is_405_with_allow(web: Web) -> None:
    response = web.client.request("PUT", f"{ROOT}{CT}")
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "DELETE", "OPTIONS"}
    assert response.json()["status"] == 405


def test_g12_8_6_1_2_a_mixed_study_says_each_parts_syntax(tmp_path: Path, shared_data: Path) -> None:
    with open_web(tmp_path) as mixed:
        source = pydicom.dcmread(shared_data / "variety" / FILES["jpeg-ls"])
        source.StudyInstanceUID = STUDY
        mixed.add(source, source.file_meta.TransferSyntaxUID)
        mixed.add(ct(1))
        found = parts(mixed.get(f"/studies/{STUDY}", DICOM_AS_STORED))
        for header, body in found:
            syntax = read_part10(body).file_meta.TransferSyntaxUID
            assert header["content-type"] == f"application/dicom; transfer-syntax={syntax}"
        assert len({header["content-type"] for header, _ in found}) == 2
        decoded = parts(mixed.get(f"/studies/{STUDY}"))
        assert {read_part10(body).file_meta.TransferSyntaxUID for _, body in decoded} == {EXPLICIT_LE}
