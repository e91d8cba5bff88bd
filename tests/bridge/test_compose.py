"""DICOM JSON -> data set: what dicomjson writes comes back; strangers' JSON is understood or refused, never guessed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from bridge.bulk_parts import BulkParts
from bridge.compose import bulk_value, compose, normalised
from bridge.describe import describe
from bridge.errors import InvalidInstance
from tests.bridge.archives import data_set

EXPLICIT = "1.2.840.10008.1.2.1"


def no_bulk(_tag: int, _vr: str, _location: str) -> Iterator[bytes]:
    raise InvalidInstance("there are no parts")


def composed(document: Any, bulk: Any = no_bulk) -> bytes:
    return b"".join(compose(normalised(document), bulk, depth_limit=8))


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data), force=True)


def one(tag: str, vr: str | None, *values: Any, **form: Any) -> dict[str, Any]:
    """A document of one attribute."""
    return {tag: {**({"vr": vr} if vr else {}), **({"Value": list(values)} if values else {}), **form}}


def value_of(document: dict[str, Any]) -> Any:
    (tag,) = document
    return read(composed(document))[int(tag, 16)].value


def test_what_the_archive_says_of_a_data_set_makes_the_same_data_set() -> None:
    sent = data_set(
        1, PatientComments="Grüße, 你好", WindowCenter=["40", "400.5"], ImagePositionPatient=["1", "-2.5", "0"]
    )
    described = describe(sent, EXPLICIT, inline_binary_bytes=1 << 20)
    document = orjson.loads(described.metadata_json.replace(b"\0", b"x"))
    document["7FE00010"] = {"vr": "OW", "InlineBinary": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    assert composed(document) == sent


@pytest.mark.parametrize(
    ("vr", "tag", "sent", "expected"),
    [
        ("US", "00280010", 512, 512),
        ("US", "00280010", "512", 512),
        ("US", "00280010", 512.0, 512),
        ("IS", "00200013", 7, 7),
        ("IS", "00200013", "7", 7),
        ("DS", "00281050", 40.5, 40.5),
        ("DS", "00281050", "40.50", 40.5),
        ("DS", "00281050", 0.1 + 0.2, 0.3),
        ("DS", "00281050", -1.234567890123456e-100, -1.23456789e-100),
        ("FD", "00189073", "1.5", 1.5),
        ("FL", "00720070", 1.5, 1.5),
        ("SL", "00186020", -4, -4),
        ("AT", "00280009", "00181063", 0x00181063),
        ("LO", "00100020", 4711, "4711"),
        ("LO", "00100020", "病", "病"),
        ("PN", "00100010", {"Alphabetic": "A^B", "Phonetic": "c"}, "A^B==c"),
        ("PN", "00100010", "A^B=张^三", "A^B=张^三"),
        ("UI", "0020000D", "1.2.3", "1.2.3"),
        ("UT", "0040A160", "a\\b", "a\\b"),
        ("SV", "00720082", -5, -5),
        ("UV", "00720083", "18446744073709551615", 2**64 - 1),
    ],
)  # fmt: skip
def test_j13_values_are_taken_as_numbers_and_as_strings(vr: str, tag: str, sent: Any, expected: Any) -> None:
    assert value_of(one(tag, vr, sent)) == expected


def test_j13_lower_case_keys_and_known_tags_without_a_vr_are_understood() -> None:
    assert value_of(one("0020000d", "UI", "1.2.3")) == "1.2.3"
    assert value_of(one("0020000D", None, "1.2.3")) == "1.2.3"
    document = {"00280103": {"Value": [1]}, "00280106": {"Value": [-5]}}
    assert read(composed(document)).SmallestImagePixelValue == -5


def test_empty_values_empty_items_and_values_left_out() -> None:
    data = read(composed({**one("00080060", "CS"), **one("00081110", "SQ"), **one("00081140", "SQ", {}, None)}))
    assert data.Modality in ("", None)
    assert len(data.ReferencedStudySequence) == 0
    assert len(data.ReferencedImageSequence) == 2
    assert list(value_of(one("00080008", "CS", "A", None, "B"))) == ["A", "", "B"]


def test_the_text_is_utf_8_and_says_so_once() -> None:
    item = {**one("00080005", "CS", "ISO_IR 100"), **one("00080104", "LO", "肺")}
    data = read(composed({**one("00080005", "CS", "GB18030"), **one("00081032", "SQ", item)}))
    assert data.SpecificCharacterSet == "ISO_IR 192"
    assert data.ProcedureCodeSequence[0].CodeMeaning == "肺"
    assert "SpecificCharacterSet" not in data.ProcedureCodeSequence[0]


def test_group_lengths_and_file_meta_are_left_out() -> None:
    document = {**one("00080000", "UL", 4), **one("00020010", "UI", "1.2"), **one("00080060", "CS", "CT")}
    assert [element.tag for element in read(composed(document))] == [0x00080005, 0x00080060]


def test_a_value_too_long_for_its_vr_becomes_un() -> None:
    assert composed(one("00081030", "LO", "x" * 70_000))[-70_000 - 12 :][4:6] == b"UN"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "no JSON object"),
        ({"PatientName": {"vr": "PN"}}, "eight hexadecimal"),
        ({"00100010": "A^B"}, r"\(0010,0010\)"),
        ({"FFFEE000": {"vr": "UN"}}, "no attribute"),
        ({"0020000D": {"vr": "UI"}, "0020000d": {"vr": "UI"}}, "twice"),
        (one("00100010", "XX", "A"), "the vr is none"),
        (one("00100010", ["PN"], "A"), "the vr is none"),
        (one("00091001", None, "A"), None),
        ({"00100010": {"vr": "PN", "Value": "A"}}, "no array"),
        (one("00280010", "US", -1), "no US"),
        (one("00280010", "US", 1.5), "no US"),
        (one("00280010", "US", "x"), "no US"),
        (one("00280010", "US", None), "no US"),
        (one("00280009", "AT", 5), "no AT"),
        (one("00100010", "PN", {"Alphabetic": 5}), "no PN"),
        (one("00100020", "LO", ["x"]), "no LO"),
        (one("00100020", "LO", True), "no LO"),
        (one("0040A160", "UT", "a", "b"), "one value"),
        (one("00420011", "OB", InlineBinary="***"), "base64"),
        (one("00420011", "OB", InlineBinary=5), "base64"),
        (one("00420011", "OB", InlineBinary="AAAA", BulkDataURI="x"), "more than one"),
        (one("00420011", "OB", BulkDataURI=5), "BulkDataURI"),
        (one("00081140", "SQ", "x"), "no JSON object"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_tag(document: Any, reason: str | None) -> None:
    if reason is None:
        composed({"00091001": {"vr": "LO", "Value": ["A"]}})
        return
    with pytest.raises(InvalidInstance, match=reason):
        composed(document)


def test_sequences_nested_too_deep_are_refused() -> None:
    document: dict[str, Any] = {}
    for _ in range(10):
        document = one("00081140", "SQ", document)
    with pytest.raises(InvalidInstance, match="depth_limit"):
        composed(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["vr", "Value", "InlineBinary", "BulkDataURI", "Alphabetic", "00081140", "00280010", "7fe00010"]
            ),
            inner | st.sampled_from(["SQ", "US", "PN", "LO", "OB", "DS", "AT", "IS", "FL"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["00081140", "00280010", "00280103", "00100010", "0028,0010", ""]), JSON))
def test_any_json_makes_a_data_set_that_reads_or_is_refused(document: dict[str, Any]) -> None:
    try:
        data = composed(document)
    except InvalidInstance:
        return
    read(data)


# ---- bulk values ----


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[BulkParts]:
    with BulkParts(tmp_path) as opened:
        yield opened


def add(parts: BulkParts, location: str, *chunks: bytes, kind: str = "application/octet-stream") -> None:
    start = parts.size
    for chunk in chunks:
        parts.write(chunk)
    parts.end(start, location, kind, "")


def test_bulk_values_are_found_by_their_location(parts: BulkParts) -> None:
    waveform = np.arange(1000, dtype="<i2").tobytes()
    add(parts, "a", b"one", b"two")
    add(parts, "b", waveform)
    document = {**one("54001010", "OW", BulkDataURI="b"), **one("00420011", "OB", BulkDataURI="a")}
    data = read(composed(document, bulk_value(parts)))
    assert data.WaveformData == waveform
    assert data.EncapsulatedDocument == b"onetwo"


def test_an_odd_value_is_padded(parts: BulkParts) -> None:
    add(parts, "a", b"odd")
    assert read(composed(one("00420011", "OB", BulkDataURI="a"), bulk_value(parts))).EncapsulatedDocument == b"odd\0"


def test_nothing_of_the_parts_is_ever_a_file_with_a_name(parts: BulkParts, tmp_path: Path) -> None:
    add(parts, "a", bytes(100))
    assert list(tmp_path.iterdir()) == []


def test_a_bulk_value_that_is_missing_double_or_of_another_type_is_refused(parts: BulkParts) -> None:
    add(parts, "twice", b"a")
    add(parts, "twice", b"b")
    add(parts, "picture", b"x", kind="image/png")
    for location, reason in (("none", "not among"), ("twice", "twice"), ("picture", "no place there")):
        with pytest.raises(InvalidInstance, match=reason):
            composed(one("54001010", "OW", BulkDataURI=location), bulk_value(parts))
