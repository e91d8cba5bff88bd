"""Small data sets there and back; pydicom reads what is written."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pydicom.filereader import read_dataset

from bridge import identifiers
from bridge.errors import InvalidInstance

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
DOCUMENT: dict[str, Any] = {
    "00080018": {"vr": "UI", "Value": ["1.2.3"]},
    "00080020": {"vr": "DA", "Value": ["20260101-20261231"]},
    "00080061": {"vr": "CS", "Value": ["CT", "MR"]},
    "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.4"]}}, {}]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Zhang^San", "Ideographic": "张^三"}]},
    "00100020": {"vr": "LO"},
    "00101030": {"vr": "DS", "Value": [72.5]},
    "00280010": {"vr": "US", "Value": [512]},
    "00280009": {"vr": "AT", "Value": ["00181063"]},
    "00189087": {"vr": "FD", "Value": [1.5]},
}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_what_is_written_is_read_back(syntax: str) -> None:
    data = identifiers.write(DOCUMENT, explicit=syntax == EXPLICIT, charsets=["GB18030"])
    again = identifiers.read(data, syntax)
    assert identifiers.charsets_of(again) == ("GB18030",)
    assert {tag: element for tag, element in again.items() if tag != "00080005"} == DOCUMENT


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_pydicom_reads_the_same(syntax: str) -> None:
    data = identifiers.write(DOCUMENT, explicit=syntax == EXPLICIT)
    read = read_dataset(io.BytesIO(data), syntax == IMPLICIT, True)
    assert (read.SpecificCharacterSet, read.PatientName.ideographic, read.PatientID) == ("ISO_IR 192", "张^三", "")
    assert (read.Rows, float(read.PatientWeight), list(read.ModalitiesInStudy)) == (512, 72.5, ["CT", "MR"])
    assert [len(item) for item in read.ReferencedImageSequence] == [1, 0]
    assert all(element.tag <= following.tag for element, following in zip(read, list(read)[1:], strict=False))


def test_the_character_set_of_a_set_that_needs_none_is_left_out() -> None:
    data = identifiers.write({"00100020": {"vr": "LO", "Value": ["P1"]}}, explicit=True, charsets=["GBK"])
    assert data == b"\x10\0\x20\0LO\2\0P1"


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("charsets", [(), ("GBK",), ("ISO_IR 100",)])
@pytest.mark.parametrize("name", ["Zhang^San=张^三", "Müller", "plain", ""])
def test_a_form_says_the_same_bytes(explicit: bool, charsets: tuple[str, ...], name: str) -> None:
    elements = [(0x00080020, "DA"), (0x00100010, "PN"), (0x0020000D, "UI"), (0x00200011, "IS"), (0x0040A160, "UT")]
    texts = ["20260305", name, "1.2.3", "", "text"]
    document = {
        f"{tag:08X}": {"vr": vr, "Value": [text]} if text else {"vr": vr}
        for (tag, vr), text in zip(elements, texts, strict=True)
    }
    form = identifiers.Form(elements, explicit=explicit, charsets=charsets)
    again = [*texts[:-1], "another"]
    written = identifiers.write(document, explicit=explicit, charsets=charsets)
    document["0040A160"]["Value"] = ["another"]
    rewritten = identifiers.write(document, explicit=explicit, charsets=charsets)
    assert [form.fill(one) for one in (texts, again, texts)] == [written, rewritten, written]


def test_undeclared_text_is_read_by_the_fallback() -> None:
    data = b"\x10\0\x10\0PN\4\0" + "张三".encode("gbk")
    assert identifiers.read(data, EXPLICIT, fallback_charset="GBK")["00100010"]["Value"] == [{"Alphabetic": "张三"}]


@pytest.mark.parametrize("data", [b"\xff" * 40, b"\x10\0\x20\0LO\4\0P1", b"\x10\0"])
def test_what_is_no_data_set_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInstance):
        identifiers.read(data, EXPLICIT)
