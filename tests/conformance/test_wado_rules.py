"""Rules of retrieving that need instances of their own; the id in front of each sentence is the row and the clause."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomweb.negotiate import JSON, XML
from storage.errors import StorageUnavailable
from tests.bridge.archives import moody
from tests.dicomweb.web import CT, ROOT, SERIES, STUDY, ct, fill, open_web, parts, read_part10, serving

INSTANCE = f"{CT}/instances/{SERIES}.1"


def test_g4_8_7_3_4_a_value_too_long_for_its_explicit_vr_becomes_un(tmp_path: Path) -> None:
    numbers = struct.pack("<40000H", *range(40000))
    with open_web(tmp_path) as web:
        item = ct(1)
        item.add_new(0x00283006, "OW", numbers)  # LUT Data, US or OW
        item.add_new(0x00189810, "DS", "1.5\\" * 20000 + "1")
        web.add(item, ImplicitVRLittleEndian)
        ((_, body),) = parts(web.get(INSTANCE, 'multipart/related; type="application/dicom"'))
    found = read_part10(body)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert b"\x18\x00\x10\x98UN\0\0" in body
    assert found.PixelData == item.PixelData


@pytest.mark.parametrize(
    "accept",
    [
        'Multipart/Related; TYPE="application/dicom"; Transfer-Syntax=*',
        "MULTIPART/RELATED;type=APPLICATION/DICOM",
        'multipart/related; type="application/dicom"; transfer-syntax=*; transfer-syntax=1.2.840.10008.1.2.1',
    ],
)
def test_g11_8_7_types_and_parameter_names_are_case_insensitive(tmp_path: Path, accept: str) -> None:
    with open_web(tmp_path) as web:
        web.add(ct(1))
        response = web.get(INSTANCE, accept)
        assert response.status_code == 200
        assert len(parts(response)) == 1


def test_g16_8_5_206_is_only_for_ranges(tmp_path: Path) -> None:
    with open_web(tmp_path) as web:
        fill(web)
        bulk = f"{INSTANCE}/bulkdata/7FE00010"
        assert web.get(bulk, "application/octet-stream").status_code == 200
        part = web.get(bulk, "application/octet-stream", range="bytes=0-3")
        assert (part.status_code, len(part.content)) == (206, 4)
        for path in (f"/studies/{STUDY}", CT, f"/studies/{STUDY}/metadata", f"/studies/{STUDY}/rendered"):
            assert web.get(path, range="bytes=0-3").status_code == 200


INLINE_ONLY = ("PN", "LO", "SH", "CS", "UI", "DA", "TM", "DT", "AE", "AS", "AT", "UR", "SQ")


def test_w4_f_2_2_only_vrs_that_may_go_by_reference_do(tmp_path: Path) -> None:
    with open_web(tmp_path) as web:
        item = ct(1, PatientComments="x" * 3000, TextValue="y" * 2_000_000)
        item.add_new(0x00091001, "OB", bytes(100_000))
        item.add_new(0x00090010, "LO", "SOMEONE")
        item.add_new(0x00081140, "SQ", [ct(2)])
        item.add_new(0x00281101, "US", [256, 0, 16])
        item.add_new(0x00281201, "OW", bytes(512))
        web.add(item)
        (found,) = web.json(f"{INSTANCE}/metadata")
        by_reference = {key: one for key, one in found.items() if "BulkDataURI" in one}
        assert {"7FE00010", "00091001", "0040A160"} == set(by_reference)
        assert "InlineBinary" in found["00281201"]
        assert not [key for key, one in by_reference.items() if one["vr"] in INLINE_ONLY]
        for one in by_reference.values():
            path = one["BulkDataURI"].removeprefix(f"http://pacs.test:8042{ROOT}")
            assert web.get(path, "application/octet-stream").status_code == 200


def video() -> Dataset:
    item = ct(1, NumberOfFrames="3")
    item.SamplesPerPixel, item.PhotometricInterpretation, item.PlanarConfiguration = 3, "YBR_PARTIAL_420", 0
    item.BitsAllocated, item.BitsStored, item.HighBit = 8, 8, 7
    item["PixelData"].value = encapsulate([bytes(range(256)) * 4], has_bot=False)
    item["PixelData"].VR = "OB"
    return item


def test_w14_8_7_3_3_video_is_one_part_and_has_no_frames(tmp_path: Path) -> None:
    with open_web(tmp_path) as web:
        web.add(video(), MPEG4HP41)
        assert web.get(f"{INSTANCE}/frames/2", "*/*").status_code in (404, 406)
        ((header, body),) = parts(web.get(f"{INSTANCE}/pixeldata", 'multipart/related; type="video/mp4"'))
        assert header["content-type"].startswith("video/mp4")
        assert body == bytes(range(256)) * 4


def test_w28_existence_is_checked_before_the_first_byte(tmp_path: Path) -> None:
    with open_web(tmp_path) as web:
        fill(web)
        for path in ("/studies/1.2.3", f"/studies/{STUDY}/series/1.2.3", f"{CT}/instances/1.2.3"):
            assert web.get(path).status_code == 404


def test_w28_an_error_after_the_first_byte_cuts_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_web(tmp_path) as web:
        for number in (1, 2, 3):
            web.add(ct(number, TextValue="x" * 2_000_000))
        store, reads = moody(web.archive), iter(range(100))
        read = type(store).read

        def fails_later(self: Any, key: str, **options: Any) -> Any:
            if next(reads) > 0:
                raise StorageUnavailable("away")
            return read(self, key, **options)

        monkeypatch.setattr(type(store), "read", fails_later)
        with serving(web.archive) as base, pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{base}{CT}", headers={"accept": 'multipart/related; type="application/dicom"'}, timeout=30)


def test_w2_10_4_4_json_and_xml_are_what_metadata_come_as(tmp_path: Path) -> None:
    with open_web(tmp_path) as web:
        web.add(ct(1))
        assert web.get(f"{INSTANCE}/metadata").headers["content-type"] == JSON
        assert parts(web.get(f"{INSTANCE}/metadata", f'multipart/related; type="{XML}"'))[0][0]["content-type"] == XML
