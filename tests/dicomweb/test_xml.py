"""DICOM JSON becomes the Native DICOM Model (PS3.18 §F.3, PS3.19 §A.1)."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.xml import native_model


def parsed(document: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(native_model(document))


def test_values_are_numbered_and_empty_ones_left_out() -> None:
    (attribute,) = parsed({"00080060": {"vr": "CS", "Value": ["CT", None, "MR"]}})
    assert attribute.attrib == {"tag": "00080060", "vr": "CS", "keyword": "Modality"}
    assert [(value.get("number"), value.text) for value in attribute] == [("1", "CT"), ("3", "MR")]


def test_an_empty_attribute_has_no_content() -> None:
    (attribute,) = parsed({"00080050": {"vr": "SH"}})
    assert list(attribute) == []


def test_person_names_have_groups_and_components() -> None:
    name = {"Alphabetic": "Zhang^San^^Dr", "Ideographic": "张^三"}
    (attribute,) = parsed({"00100010": {"vr": "PN", "Value": [name]}})
    (person,) = attribute
    assert person.tag == "PersonName"
    alphabetic, ideographic = person
    assert [(part.tag, part.text) for part in alphabetic] == [
        ("FamilyName", "Zhang"), ("GivenName", "San"), ("NamePrefix", "Dr"),
    ]  # fmt: skip
    assert [part.text for part in ideographic] == ["张", "三"]


def test_sequences_hold_numbered_items() -> None:
    item = {"00100020": {"vr": "LO", "Value": ["A"]}}
    (attribute,) = parsed({"00101002": {"vr": "SQ", "Value": [item, {}]}})
    assert [(child.tag, child.get("number"), len(child)) for child in attribute] == [("Item", "1", 1), ("Item", "2", 0)]


def test_private_attributes_name_their_creator() -> None:
    document = {"00090010": {"vr": "LO", "Value": ["MAKER"]}, "00091001": {"vr": "LO", "Value": ["x"]}}
    creator, private = parsed(document)
    assert "privateCreator" not in creator.attrib
    assert private.get("privateCreator") == "MAKER"


def test_bulk_and_inline_data() -> None:
    first, second = parsed(
        {"00420011": {"vr": "OB", "InlineBinary": "AQI="}, "7FE00010": {"vr": "OW", "BulkDataURI": "http://a/b?c&d"}}
    )
    assert first[0].text == "AQI="
    assert second[0].get("uri") == "http://a/b?c&d"


def test_white_space_is_to_be_kept() -> None:
    root = parsed({"0040A160": {"vr": "UT", "Value": ["  two\n lines "]}})
    assert root.attrib["{http://www.w3.org/XML/1998/namespace}space"] == "preserve"
    assert root[0][0].text == "  two\n lines "


@given(st.text(max_size=30))
def test_any_text_gives_xml_that_parses(text: str) -> None:
    name = {"Alphabetic": text}
    parsed({"00100010": {"vr": "PN", "Value": [name]}, "00100020": {"vr": "LO", "Value": [text]}})


@pytest.mark.parametrize("text", ["\x00", "\x1b", "\ufffe", "\ud800"])
def test_characters_that_xml_cannot_hold_are_replaced(text: str) -> None:
    assert parsed({"00100020": {"vr": "LO", "Value": [f"a{text}b"]}})[0][0].text == "a\ufffdb"
