"""The metadata of every real file at hand, held against pydicom's reading of it."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pydicom.datadict
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from bridge.describe import describe
from bridge.dicomjson import swap_words
from bridge.errors import InvalidInstance
from bridge.frames import frame_range, unpack
from bridge.syntaxes import lookup
from tests.bridge.corpus import differences, files, read, scanned
from tests.bridge.elements import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, deflate

FILES = files()
# Files made to be broken: what is refused, and why.
REFUSED = {
    "MR_truncated.dcm": "pixel data end too early",
    "rtplan_truncated.dcm": "a sequence ends too early",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "a fragment ends too early",
    "SC_rgb_jpeg.dcm": "implicit VR under an explicit transfer syntax",
    "DICOMDIR-nooffset": "an item is longer than its sequence",
}
# Elements pydicom's JSON leaves out or reads otherwise, and why.
TOLERATED = {
    "00280008 only ours": "badVR.dcm: IS '1A' is a string with us, dropped by pydicom",
}


@pytest.fixture(autouse=True)
def _no_private_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Private elements in implicit VR are UN with us (PS3.18 Annex F); pydicom knows the VRs of some vendors."""
    monkeypatch.setattr(pydicom.datadict, "private_dictionaries", {})


def by_pydicom(data_set: Dataset, *, big_endian: bool) -> dict[str, Any]:
    """pydicom's JSON without group lengths, its words in little endian, invalid elements left out."""
    parsed: dict[str, Any] = {}
    for key in sorted(data_set.keys()):
        tag = f"{int(key):08X}"
        if tag.endswith("0000") or tag.startswith(("0002", "0000")):
            continue
        try:
            parsed[tag] = one_by_pydicom(data_set[key], big_endian=big_endian)
        except ValueError:
            continue  # a number that is none
    return parsed


def one_by_pydicom(element: DataElement, *, big_endian: bool) -> dict[str, Any]:
    if element.VR == "SQ":
        items = [by_pydicom(item, big_endian=big_endian) for item in element.value]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    value: dict[str, Any] = element.to_json_dict(lambda _: "", 1 << 40)
    if big_endian and "InlineBinary" in value:
        raw = base64.b64decode(value["InlineBinary"])
        value["InlineBinary"] = base64.b64encode(swap_words(raw, value["vr"])).decode()
    return value


@pytest.mark.parametrize("name", sorted(name for name, path in FILES.items() if read(path) is not None))
def test_metadata_are_those_pydicom_reads(name: str) -> None:
    known = read(FILES[name])
    assert known is not None
    meta, data_set = known
    if Path(name).name in REFUSED:
        with pytest.raises(InvalidInstance):
            scanned(data_set, meta.transfer_syntax_uid)
        return
    ours = scanned(data_set, meta.transfer_syntax_uid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = by_pydicom(pydicom.dcmread(FILES[name]), big_endian=meta.transfer_syntax_uid == EXPLICIT_BIG)
    assert [line for line in differences(ours, theirs) if line not in TOLERATED] == []


def encoded(data_set: Dataset, transfer_syntax_uid: str) -> bytes:
    """The bytes of a data set in an uncompressed transfer syntax."""
    uid = UID(transfer_syntax_uid)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = uid.is_implicit_VR, uid.is_little_endian
    write_dataset(buffer, data_set)
    value = buffer.getvalue()
    return deflate(value) if transfer_syntax_uid == DEFLATED else value


@pytest.mark.parametrize("transfer_syntax_uid", [IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED])
@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "test-SR.dcm", "MR_small.dcm"])
def test_every_uncompressed_syntax_gives_equal_metadata(name: str, transfer_syntax_uid: str) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    data_set = pydicom.dcmread(path)
    data_set.remove_private_tags()  # their VR is lost in implicit VR, their words are not swapped in UN
    plain = describe(encoded(data_set, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    other = describe(encoded(data_set, transfer_syntax_uid), transfer_syntax_uid)
    assert other.metadata_json == plain.metadata_json
    assert other.attributes == plain.attributes


def _is_encapsulated(path: Path) -> bool:
    known = read(path)
    row = lookup(known[0].transfer_syntax_uid) if known else None
    return row is not None and row.encapsulated and path.name not in REFUSED


@pytest.mark.parametrize("name", sorted(name for name, path in FILES.items() if _is_encapsulated(path)))
def test_encapsulated_frames_are_those_pydicom_finds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.describe.is_uid", lambda uid: True)  # some of these files have no usable identity
    known = read(FILES[name])
    assert known is not None
    meta, data_set = known
    packed = describe(data_set, meta.transfer_syntax_uid).frame_table
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = pydicom.dcmread(FILES[name]).get("PixelData")
        assert (value is None) == (packed is None)
        if packed is None:
            return
        table = unpack(packed)
        theirs = list(pydicom.encaps.generate_frames(value, number_of_frames=table.description.number_of_frames))
    for number, frame in enumerate(theirs, 1):
        ours = b"".join(data_set[at : at + size] for at, size in frame_range(table, number))
        assert ours == frame
