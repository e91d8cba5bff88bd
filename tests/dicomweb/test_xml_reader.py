"""Native DICOM Model documents: what our writer writes comes back; what is dangerous or senseless is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.describe import describe
from bridge.errors import InvalidInstance
from dicomweb.xml import native_model
from dicomweb.xml_reader import DEPTH_LIMIT, read_native_model
from tests.bridge.archives import data_set

HEAD = '<NativeDicomModel xml:space="preserve">'


def model(inside: str) -> bytes:
    return f"{HEAD}{inside}</NativeDicomModel>".encode()


def as_texts(document: Any) -> Any:
    """XML knows text only: numbers become their digits."""
    if isinstance(document, dict):
        return {key: as_texts(value) for key, value in document.items()}
    if isinstance(document, list):
        return [as_texts(value) for value in document]
    return document if document is None or isinstance(document, str) else str(document)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"PatientComments": "a < b & c\r\n  d", "ImageType": ["A", "", "B"]},
        {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"PatientName": "^^^Dr"},
    ],
)
def test_what_our_writer_writes_comes_back(attributes: dict[str, Any]) -> None:
    described = describe(data_set(1, **attributes), "1.2.840.10008.1.2.1")
    document = orjson.loads(described.metadata_json.replace(b"\0", b"http://x"))
    assert read_native_model(native_model(document)) == as_texts(document)


def test_sequences_binaries_and_bulk_data() -> None:
    found = read_native_model(
        model(
            '<DicomAttribute tag="00081140" vr="SQ" keyword="ReferencedImageSequence">'
            '<Item number="1"><DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2</Value></DicomAttribute>'
            "</Item>"
            '<Item number="2"/></DicomAttribute>'
            '<DicomAttribute tag="00420011" vr="OB"><InlineBinary>AA\n AA</InlineBinary></DicomAttribute>'
            '<DicomAttribute tag="7FE00010" vr="OW"><BulkData uri="a/b"/></DicomAttribute>'
            '<DicomAttribute tag="54001010"><BulkData uuid="1-2"/></DicomAttribute>'
        )
    )
    assert found == {
        "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}, {}]},
        "00420011": {"vr": "OB", "InlineBinary": "AAAA"},
        "7FE00010": {"vr": "OW", "BulkDataURI": "a/b"},
        "54001010": {"BulkDataURI": "1-2"},
    }


def test_numbers_left_out_are_empty_values_and_a_namespace_makes_no_difference() -> None:
    inside = '<DicomAttribute tag="00080008" vr="CS"><Value number="2">B</Value><Value>C</Value></DicomAttribute>'
    document = (
        f'<n:NativeDicomModel xmlns:n="urn:x">{inside.replace("<", "<n:").replace("<n:/", "</n:")}</n:NativeDicomModel>'
    )
    assert read_native_model(model(inside))["00080008"]["Value"] == [None, "B", "C"]
    assert read_native_model(document.encode()) == read_native_model(model(inside))


def test_what_is_unknown_is_passed_over() -> None:
    assert read_native_model(model('<New><DicomAttribute tag="00100010" vr="PN"/></New>text')) == {}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "well-formed"),
        (b"<a>", "no NativeDicomModel"),
        (b"{}", "well-formed"),
        (model("<Value>"), "well-formed"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + model("&a;"), "document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + model(""), "document type"),
        (model("&undefined;"), "well-formed"),
        (model('<DicomAttribute tag="00100010"/><DicomAttribute tag="00100010"/>'), "twice"),
        (model('<DicomAttribute tag="00080008"><Value number="2"/><Value number="1"/></DicomAttribute>'), "in order"),
        (model('<DicomAttribute tag="00080008"><Value number="999999999"/></DicomAttribute>'), "in order"),
        (model("<Item>" * DEPTH_LIMIT + "</Item>" * DEPTH_LIMIT), "too deep"),
    ],
)  # fmt: skip
def test_what_is_dangerous_or_senseless_is_refused(document: bytes, reason: str) -> None:
    with pytest.raises(InvalidInstance, match=reason):
        read_native_model(document)


NAMES = ("DicomAttribute", "Item", "Value", "PersonName", "Alphabetic", "FamilyName", "InlineBinary", "BulkData", "x")


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", "1", "2", "x"]), st.integers(0, 2)), max_size=12)
)
def test_any_tree_of_elements_is_read_or_refused(steps: list[tuple[str, str, int]]) -> None:
    text, opened = "", []
    for name, number, closing in steps:
        text += f'<{name} number="{number}" tag="0010{number}">t'
        opened.append(name)
        for _ in range(min(closing, len(opened))):
            text += f"</{opened.pop()}>"
    text += "".join(f"</{name}>" for name in reversed(opened))
    with contextlib.suppress(InvalidInstance):
        assert isinstance(read_native_model(model(text)), dict)
