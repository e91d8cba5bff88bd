"""The DICOM JSON model of PS3.18 Annex F as metadata give it; the id in front of each sentence is the row."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.part10 import build_header
from tests.bridge.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    INSTANCE,
    SERIES,
    STUDY,
    UNDEFINED,
    big,
    data_set,
    element,
    image,
    implicit,
    item,
    sequence,
)
from tests.dicomweb.web import Web, open_web, parts

CT = "1.2.840.10008.5.1.4.1.1.2"
PATH = f"/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/metadata"


def text(tag: int, vr: str, value: str, codec: str = "utf-8") -> bytes:
    raw = value.encode(codec)
    return element(tag, vr, raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2))


def shown(directory: Path, body: bytes, syntax: str = EXPLICIT_LITTLE) -> dict[str, Any]:
    """The metadata of a data set that was stored in this transfer syntax."""
    with open_web(directory) as web:
        store(web, body, syntax)
        (found,) = web.json(PATH)
        return dict(found)


def store(web: Web, body: bytes, syntax: str = EXPLICIT_LITTLE) -> None:
    header = build_header(sop_class_uid=CT, sop_instance_uid=INSTANCE, transfer_syntax_uid=syntax)
    path = web.directory / "made.dcm"
    path.write_bytes(header + body)
    web.add_file(path)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One instance with an element for each rule."""
    with open_web(tmp_path_factory.mktemp("json")) as opened:
        store(
            opened,
            data_set(
                element(0x00080000, "UL", struct.pack("<I", 4)),
                text(0x00080005, "CS", "GB18030"),
                text(0x00080008, "CS", "ORIGINAL\\\\AXIAL"),
                text(0x00080050, "SH", ""),
                sequence(0x00081110),
                sequence(0x00081115, item(b""), item(text(0x00100020, "LO", "INNER"))),
                text(0x00090010, "LO", "SOMEONE"),
                element(0x00091001, "UN", b"\1\2\3\4"),
                text(0x00100010, "PN", "Wang^X=王^乗=", "gb18030"),
                text(0x00100020, "LO", " P1 "),
                text(0x00101001, "PN", "^^^^"),
                text(0x00104000, "LT", "  two\r\nlines\f  "),
                text(0x00180050, "DS", "1.10"),
                element(0x00181271, "FL", struct.pack("<ff", 1.1, 1e-45)),
                element(0x00182042, "UT", b"\xff\xfe no text "),
                image(2, 2, bits=16),
                element(0x00280009, "AT", struct.pack("<HH", 0x0018, 0x1063)),
                element(0x00281201, "OW", struct.pack("<4H", 1, 2, 3, 0x0102)),
                element(0x7FE00010, "OW", bytes(8)),
            ),
        )  # fmt: skip
        yield opened


@pytest.fixture(scope="module")
def found(web: Web) -> dict[str, Any]:
    (one,) = web.json(PATH)
    return dict(one)


def test_j1_keys_are_upper_case_hex_in_ascending_order_without_group_lengths_or_group_2(found: dict[str, Any]) -> None:
    assert list(found) == sorted(found)
    assert all(len(key) == 8 and key == key.upper() and int(key, 16) >= 0 for key in found)
    assert not [key for key in found if key.endswith("0000") or key.startswith("0002")]


def elements_of(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for one in found.values():
        yield one
        for inner in one.get("Value", []) if one["vr"] == "SQ" else []:
            yield from elements_of(inner)


def test_j2_every_element_has_a_vr_and_at_most_one_form_of_value(found: dict[str, Any]) -> None:
    for one in elements_of(found):
        assert len(one["vr"]) == 2
        assert len({"Value", "BulkDataURI", "InlineBinary"} & set(one)) <= 1
        assert not any(isinstance(value, dict) and "BulkDataURI" in value for value in one.get("Value", []))


def test_j3_an_element_of_zero_length_has_only_its_vr(found: dict[str, Any]) -> None:
    assert found["00080050"] == {"vr": "SH"}
    assert found["00081110"] == {"vr": "SQ"}


def test_j4_an_empty_value_among_others_is_null_and_an_empty_item_an_empty_object(found: dict[str, Any]) -> None:
    assert found["00080008"]["Value"] == ["ORIGINAL", None, "AXIAL"]
    assert found["00081115"]["Value"] == [{}, {"00100020": {"vr": "LO", "Value": ["INNER"]}}]


def test_j5_names_have_their_non_empty_groups_split_after_decoding(found: dict[str, Any]) -> None:
    assert found["00100010"]["Value"] == [{"Alphabetic": "Wang^X", "Ideographic": "王^乗"}]
    assert found["00101001"].get("Value", [{}])[0].get("Alphabetic", "^^^^") == "^^^^"


def test_j6_at_is_hex_and_numbers_are_numbers(found: dict[str, Any]) -> None:
    assert found["00280009"]["Value"] == ["00181063"]
    assert found["00280010"]["Value"] == [2]
    assert float(found["00180050"]["Value"][0]) == 1.1


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_j6_what_json_has_no_number_for_goes_another_way(tmp_path: Path, number: float) -> None:
    with open_web(tmp_path) as own:
        store(own, data_set(element(0x00181271, "FL", struct.pack("<f", number))))
        body = own.get(PATH).text
    json.loads(body, parse_constant=pytest.fail)
    assert not {"Value"} & set(json.loads(body)[0]["00181271"])


def test_j6_a_decimal_that_is_none_stays_a_string(tmp_path: Path) -> None:
    assert shown(tmp_path, data_set(text(0x00180050, "DS", "1,5")))["00180050"]["Value"] == ["1,5"]


def test_j7_floats_are_the_shortest_that_read_back_and_denormals_stay(web: Web) -> None:
    body = web.get(PATH).text
    assert "1.10000002" not in body
    values = json.loads(body)[0]["00181271"]["Value"]
    assert values[0] == 1.1
    assert struct.pack("<f", values[1]) == struct.pack("<f", 1e-45)


def test_j8_binary_is_base64_of_little_endian_words_also_from_big_endian(found: dict[str, Any], tmp_path: Path) -> None:
    words = struct.pack("<4H", 1, 2, 3, 0x0102)
    assert base64.b64decode(found["00281201"]["InlineBinary"]) == words
    identity = ((0x00080016, CT), (0x00080018, INSTANCE), (0x0020000D, STUDY), (0x0020000E, SERIES))
    made = b"".join(big(tag, "UI", uid.encode() + b"\0" * (len(uid) % 2)) for tag, uid in identity)
    swapped = shown(tmp_path, made + big(0x00281201, "OW", struct.pack(">4H", 1, 2, 3, 0x0102)), EXPLICIT_BIG)
    assert base64.b64decode(swapped["00281201"]["InlineBinary"]) == words


def test_j9_the_character_set_is_said_to_be_utf_8(found: dict[str, Any]) -> None:
    assert found["00080005"]["Value"] == ["ISO_IR 192"]


def test_j10_padding_goes_leading_blanks_of_text_stay_and_all_is_utf_8(web: Web, found: dict[str, Any]) -> None:
    assert found["0020000D"]["Value"] == [STUDY]
    assert found["00100020"]["Value"][0].rstrip(" ").endswith("P1")
    assert found["00104000"]["Value"][0].startswith("  two\r\nlines\f")
    assert not found["00104000"]["Value"][0].endswith(" ")
    web.get(PATH).content.decode("utf-8", "strict")


def test_j11_private_creators_stay_and_unknown_private_vrs_are_un(found: dict[str, Any], tmp_path: Path) -> None:
    assert found["00090010"]["Value"] == ["SOMEONE"]
    assert found["00091001"] == {"vr": "UN", "InlineBinary": base64.b64encode(b"\1\2\3\4").decode()}
    inner = implicit(0x00100020, b"P1")
    nested = implicit(0xFFFEE000, inner) + implicit(0xFFFEE0DD, b"")
    hidden = shown(tmp_path, data_set(element(0x00091001, "UN", nested, length=UNDEFINED)))
    assert hidden["00091001"]["vr"] == "SQ"
    assert hidden["00091001"]["Value"][0]["00100020"]["Value"] == ["P1"]


def test_j11_a_private_element_of_implicit_vr_is_un(tmp_path: Path) -> None:
    uids = ((0x00080016, CT), (0x00080018, INSTANCE), (0x00090010, "SOMEONE "), (0x00091001, "ab"), (0x0020000D, STUDY))
    made = b"".join(implicit(tag, one.encode() + b"\0" * (len(one) % 2)) for tag, one in (*uids, (0x0020000E, SERIES)))
    assert shown(tmp_path, made, IMPLICIT_LITTLE)["00091001"]["vr"] == "UN"


@pytest.mark.parametrize(("representation", "vr", "value"), [(0, "US", 65535), (1, "SS", -1)])
def test_j12_ambiguous_vrs_follow_the_pixel_representation(
    tmp_path: Path, representation: int, vr: str, value: int
) -> None:
    uids = ((0x00080016, CT), (0x00080018, INSTANCE), (0x0020000D, STUDY), (0x0020000E, SERIES))
    made = b"".join(implicit(tag, one.encode() + b"\0" * (len(one) % 2)) for tag, one in uids)
    made += implicit(0x00280103, struct.pack("<H", representation)) + implicit(0x00280106, b"\xff\xff")
    assert shown(tmp_path, made, IMPLICIT_LITTLE)["00280106"] == {"vr": vr, "Value": [value]}


def test_j14_xml_is_the_native_model_one_part_an_instance(web: Web) -> None:
    ((header, body),) = parts(web.get(PATH, 'multipart/related; type="application/dicom+xml"'))
    assert header["content-type"] == "application/dicom+xml"
    assert b'xml:space="preserve"' in body
    assert b'keyword="PatientName"' in body
    assert b'privateCreator="SOMEONE"' in body
