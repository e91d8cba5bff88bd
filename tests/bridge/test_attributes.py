"""Reading the DICOM JSON model by keyword."""

from __future__ import annotations

import pytest

from bridge.attributes import Attributes, key_of


def test_values_are_read_by_keyword_or_by_tag() -> None:
    data_set = Attributes({"00100020": {"vr": "LO", "Value": ["P1"]}})
    assert data_set.text("PatientID") == data_set.text("00100020") == "P1"
    assert "PatientID" in data_set
    assert "PatientName" not in data_set
    assert data_set.keys() == ["00100020"]


def test_a_keyword_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="PatientNumber"):
        key_of("PatientNumber")


def test_names_keep_their_groups() -> None:
    name = {"Alphabetic": "Yamada^Tarou", "Phonetic": "やまだ^たろう"}
    data_set = Attributes({"00100010": {"vr": "PN", "Value": [name]}})
    assert data_set.text("PatientName") == "Yamada^Tarou==やまだ^たろう"


@pytest.mark.parametrize(
    ("value", "text"), [(12.5, "12.5"), (3.0, "3"), (7, "7"), (None, ""), ("x", "x"), ([1], ""), (1e300, "1e+300")]
)
def test_a_value_reads_as_text(value: object, text: str) -> None:
    assert Attributes({"0040A30A": {"vr": "DS", "Value": [value]}}).text("NumericValue") == text


def test_numbers_are_finite_or_not_there() -> None:
    def window(*values: object) -> Attributes:
        return Attributes({"00281050": {"vr": "DS", "Value": list(values)}})

    assert window(40, "400.5").numbers("WindowCenter") == [40.0, 400.5]
    assert window(40, "garbage").numbers("WindowCenter") == []
    assert window("inf").number("WindowCenter", 7) == 7
    assert window(True).number("WindowCenter", 7) == 7
    assert window().integer("WindowCenter") == 0


def test_items_of_a_sequence_are_data_sets() -> None:
    data_set = Attributes({"0040A730": {"vr": "SQ", "Value": [{"0040A160": {"vr": "UT", "Value": ["a"]}}, {}]}})
    assert [item.text("TextValue") for item in data_set.items("ContentSequence")] == ["a", ""]
    assert data_set.item("ContentSequence").text("TextValue") == "a"
    assert data_set.item("ConceptNameCodeSequence").text("CodeValue") == ""


def test_binary_values_come_from_where_they_are() -> None:
    data_set = Attributes(
        {
            "00283006": {"vr": "OW", "InlineBinary": "AQID"},
            "54001010": {"vr": "OW", "BulkDataURI": "http://x/studies/1/series/2/instances/3/bulkdata/54000100/1/54001010"},
            "60003000": {"vr": "OW", "InlineBinary": "é"},
        }
    )  # fmt: skip
    assert data_set.binary("LUTData") == b"\1\2\3"
    assert data_set.bulk_path("WaveformData") == "54000100/1/54001010"
    assert data_set.binary("WaveformData", fetch=lambda path: path.encode()) == b"54000100/1/54001010"
    assert data_set.binary("WaveformData") == b""
    assert data_set.binary("60003000") == b""
    assert data_set.binary("PixelData") == b""


@pytest.mark.parametrize("element", [None, "text", [], {"vr": "LO", "Value": "P1"}, {"vr": "LO", "Value": {"a": 1}}])
def test_a_garbled_element_reads_as_nothing(element: object) -> None:
    data_set = Attributes({"00100020": element})
    assert data_set.text("PatientID") == ""
    assert data_set.items("PatientID") == []
    assert data_set.binary("PatientID") == b""
    assert data_set.bulk_path("PatientID") == ""
