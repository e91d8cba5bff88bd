"""One pass over a data set: what it finds, what it forgives, what it refuses."""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path
from typing import Any

import orjson
import pytest

from bridge import source as source_module
from bridge.describe import FRAMES_WARNING, SHORT_PIXELS_WARNING, Description, describe
from bridge.errors import InvalidInstance
from bridge.frames import BulkElement, frame_range, unpack, unpack_bulk
from bridge.scan import DEPTH_WARNING, GUESS_WARNING, LIMIT_WARNING, STRAY_WARNING, TRAILING_WARNING, WINDOW_BYTES
from tests.bridge.elements import (
    BULK,
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IDENTITY,
    IMPLICIT_LITTLE,
    INSTANCE,
    ITEM_END,
    JPEG_BASELINE,
    SEQUENCE_END,
    SERIES,
    STUDY,
    UNDEFINED,
    big,
    data_set,
    deflate,
    element,
    encapsulated,
    image,
    implicit,
    item,
    nested,
    sequence,
    whole,
)


def metadata(description: Description) -> dict[str, Any]:
    """The parsed metadata, base of bulk data URIs as `BASE`."""
    parsed: dict[str, Any] = orjson.loads(description.metadata_json.replace(b"\0", b"BASE"))
    return parsed


def bulk_uri(path: str) -> str:
    return "BASE" + BULK[1:] + path


def explicit(*elements: bytes, **options: Any) -> Description:
    return describe(data_set(*elements), EXPLICIT_LITTLE, **options)


# What is found


def test_the_identity_is_found() -> None:
    found = explicit()
    assert (found.study_instance_uid, found.series_instance_uid, found.sop_instance_uid) == (STUDY, SERIES, INSTANCE)
    assert found.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert (found.frame_table, found.bulk_table, found.warnings) == (None, None, ())


def test_indexed_attributes_are_decoded_stripped_and_joined() -> None:
    found = explicit(
        element(0x00080005, "CS", b"GB18030 "),
        element(0x00080060, "CS", b"CT"),
        element(0x00080090, "PN", b""),
        element(0x00100010, "PN", "Zhang^San=张^三".encode("gb18030") + b" "),
        element(0x00100020, "LO", b" 0042 "),
        element(0x00200013, "IS", b"7 "),
        element(0x00280010, "US", struct.pack("<H", 512)),
        element(0x00081030, "LO", b"one \\two "),
    )
    attributes = {key: value for key, value in found.attributes.items() if not key.endswith("UID")}
    assert attributes == {
        "Modality": "CT", "PatientName": "Zhang^San=张^三", "PatientID": "0042", "InstanceNumber": "7", "Rows": "512",
        "StudyDescription": "one\\two",
    }  # fmt: skip


def test_attributes_inside_the_items_of_a_sequence_are_found() -> None:
    found = explicit(
        sequence(
            0x00400275,
            item(element(0x00400009, "SH", b"SPS1") + element(0x00401001, "SH", b"RP1 ")),
            item(element(0x00400009, "SH", b"SPS2")),
        )
    )
    assert found.attributes["RequestAttributesSequence.ScheduledProcedureStepID"] == "SPS1\\SPS2"
    assert found.attributes["RequestAttributesSequence.RequestedProcedureID"] == "RP1"


def test_absurdly_long_attributes_do_not_reach_the_index() -> None:
    found = explicit(element(0x00081030, "LO", b"x" * 5000), element(0x00100020, "LO", b"y" * 1000))
    assert "StudyDescription" not in found.attributes
    assert found.attributes["PatientID"] == "y" * 512
    assert metadata(found)["00081030"]["Value"] == ["x" * 5000]


def test_the_same_tag_deeper_down_is_not_indexed() -> None:
    found = explicit(sequence(0x00081115, item(element(0x00100020, "LO", b"OTHER "))), element(0x00100020, "LO", b"ME"))
    assert found.attributes["PatientID"] == "ME"


def test_the_last_of_a_repeated_element_counts_in_index_and_metadata_alike() -> None:
    found = explicit(element(0x00100020, "LO", b"first "), element(0x00100020, "LO", b"last"))
    assert found.attributes["PatientID"] == "last"
    assert metadata(found)["00100020"]["Value"] == ["last"]
    emptied = explicit(element(0x00100020, "LO", b"first "), element(0x00100020, "LO", b""))
    assert "PatientID" not in emptied.attributes
    assert metadata(emptied)["00100020"] == {"vr": "LO"}


def test_keys_ascend_even_when_tags_do_not() -> None:
    shuffled = element(0x00400254, "LO", b"late") + data_set(element(0x00100020, "LO", b"ME"))
    keys = list(metadata(describe(shuffled, EXPLICIT_LITTLE)))
    assert keys == sorted(keys)
    assert len(keys) == 6


def test_group_lengths_and_groups_0000_and_0002_are_left_out() -> None:
    found = explicit(
        element(0x00000100, "US", b"\1\0"),
        element(0x00020010, "UI", b"1.2\0"),
        element(0x00080000, "UL", bytes(4)),
        element(0x00090000, "UL", b""),
    )
    assert len(metadata(found)) == len(IDENTITY)


def test_character_set_is_said_to_be_utf_8_and_inherited_by_items() -> None:
    found = explicit(
        element(0x00080005, "CS", b"ISO_IR 144"),
        element(0x00100020, "LO", "Ж".encode("iso8859_5") + b" "),
        sequence(0x00081140, item(element(0x00081155, "LO", "Ж".encode("iso8859_5")))),
        sequence(0x00400275, item(element(0x00080005, "CS", b"ISO_IR 192") + element(0x00400009, "SH", "é".encode()))),
    )
    parsed = metadata(found)
    assert parsed["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert parsed["00100020"]["Value"] == ["Ж"]
    assert parsed["00081140"]["Value"][0]["00081155"]["Value"] == ["Ж"]
    assert parsed["00400275"]["Value"][0]["00080005"]["Value"] == ["ISO_IR 192"]
    assert found.attributes["RequestAttributesSequence.ScheduledProcedureStepID"] == "é"


def test_a_value_seen_under_another_character_set_is_decoded_anew() -> None:
    raw = element(0x00100020, "LO", b"\xd6\xd0")
    first = explicit(element(0x00080005, "CS", b"ISO_IR 144"), raw)
    second = explicit(element(0x00080005, "CS", b"GB18030 "), raw)
    assert metadata(first)["00100020"] != metadata(second)["00100020"]
    assert metadata(second)["00100020"]["Value"] == ["中"]


def test_guessing_a_character_set_is_a_warning() -> None:
    found = explicit(element(0x00100010, "PN", "张^三 ".encode("gbk")))
    assert found.attributes["PatientName"] == "张^三"
    assert found.warnings == (GUESS_WARNING,)


def test_the_fallback_character_set_is_used() -> None:
    found = explicit(element(0x00100010, "PN", "Łódź".encode("iso8859_2")), fallback_charset="ISO_IR 101")
    assert found.attributes["PatientName"] == "Łódź"


# Header syntaxes


def test_implicit_vr_takes_vrs_from_the_dictionary() -> None:
    tags = {
        **{tag: value for tag, (_, value) in IDENTITY.items()},
        0x00091001: b"private ",
        0x00090010: b"CREATOR ",
        0x00280103: b"\1\0",
        0x00280106: b"\xff\xff",
        0x60003000: b"\1\2",
        0x00281052: b"-1024 ",
    }
    parsed = metadata(describe(b"".join(implicit(tag, tags[tag]) for tag in sorted(tags)), IMPLICIT_LITTLE))
    assert parsed["00090010"] == {"vr": "LO", "Value": ["CREATOR"]}
    assert parsed["00091001"]["vr"] == "UN"
    assert parsed["00280106"] == {"vr": "SS", "Value": [-1]}
    assert parsed["60003000"] == {"vr": "OW", "InlineBinary": "AQI="}
    assert parsed["00281052"] == {"vr": "DS", "Value": [-1024]}


@pytest.mark.parametrize(("representation", "expected"), [(b"\0\0", ("US", 65535)), (b"\1\0", ("SS", -1))])
def test_ambiguous_vrs_follow_the_pixel_representation_of_the_enclosing_data_set(
    representation: bytes, expected: tuple[str, int]
) -> None:
    nested = implicit(0x00289110, item(implicit(0x00280120, b"\xff\xff")), length=None)
    body = [implicit(tag, value) for tag, (_, value) in IDENTITY.items()]
    parsed = metadata(describe(b"".join([*body, implicit(0x00280103, representation), nested]), IMPLICIT_LITTLE))
    inner = parsed["00289110"]["Value"][0]["00280120"]
    assert (inner["vr"], inner["Value"][0]) == expected


def test_lut_data_of_one_entry_is_a_number_and_a_table_is_words() -> None:
    body = b"".join(implicit(tag, value) for tag, (_, value) in IDENTITY.items())
    one, table = struct.pack("<3H", 1, 0, 16), struct.pack("<3H", 2, 0, 16)
    for descriptor, vr in ((one, "US"), (table, "OW")):
        inner = implicit(0x00283002, descriptor) + implicit(0x00283006, b"\1\0\2\0"[: 2 * descriptor[0]])
        parsed = metadata(describe(body + implicit(0x00283000, item(inner)), IMPLICIT_LITTLE))
        assert parsed["00283000"]["Value"][0]["00283006"]["vr"] == vr


def test_big_endian_numbers_and_words_come_out_little() -> None:
    elements = [big(tag, vr, value) for tag, (vr, value) in IDENTITY.items()]
    elements += [big(0x00280010, "US", b"\2\0"), big(0x00281201, "OW", b"\1\2\3\4"), big(0x00289503, "SQ", b"")]
    found = describe(b"".join(elements), EXPLICIT_BIG)
    assert found.attributes["Rows"] == "512"
    assert metadata(found)["00281201"] == {"vr": "OW", "InlineBinary": "AgEEAw=="}


def test_big_endian_bulk_says_so() -> None:
    elements = [big(tag, vr, value) for tag, (vr, value) in IDENTITY.items()]
    found = describe(b"".join([*elements, big(0x00281201, "OW", bytes(6000))]), EXPLICIT_BIG)
    assert found.bulk_table is not None
    assert [one.big_endian for one in unpack_bulk(found.bulk_table)] == [True]


def test_deflated_is_the_same_as_explicit_and_offsets_are_those_of_the_inflated_data_set() -> None:
    plain = data_set(image(4, 4), element(0x7FE00010, "OB", bytes(range(16))))
    assert describe(deflate(plain), DEFLATED) == describe(plain, EXPLICIT_LITTLE)


def test_a_deflated_data_set_too_large_to_keep_is_read_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "KEPT_INFLATED_BYTES", 1000)
    plain = data_set(
        image(4, 4), element(0x00091001, "OB", bytes(300_000)), element(0x7FE00010, "OW", bytes(1 << 20)),
        element(0x7FE1_1001, "LO", b"after pixels"),
    )  # fmt: skip
    assert describe(deflate(plain), DEFLATED) == describe(plain, EXPLICIT_LITTLE)


def test_a_truncated_or_broken_deflate_stream_is_refused() -> None:
    packed = deflate(data_set(element(0x7FE00010, "OW", bytes(range(256)) * 40)))
    for broken in (packed[:-3], b"\xff\xff" + packed, b""):
        with pytest.raises(InvalidInstance):
            describe(broken, DEFLATED)


def test_a_deflate_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "RATIO_FLOOR_BYTES", 100_000)
    packed = deflate(data_set(element(0x7FE00010, "OW", bytes(4_000_000))))
    with pytest.raises(InvalidInstance, match="ratio"):
        describe(packed, DEFLATED)
    assert describe(packed, DEFLATED, inflate_ratio_limit=2000).frame_table


# Structure


@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_of_either_length_are_read(undefined: bool) -> None:
    inner = sequence(0x00081199, item(element(0x00081150, "UI", b"1.2\0"), undefined=undefined), undefined=undefined)
    found = explicit(
        sequence(0x00081115, item(inner, undefined=undefined), item(b"", undefined=undefined), undefined=undefined),
        sequence(0x00081140, undefined=undefined),
    )
    parsed = metadata(found)
    assert parsed["00081115"] == {
        "vr": "SQ",
        "Value": [{"00081199": {"vr": "SQ", "Value": [{"00081150": {"vr": "UI", "Value": ["1.2"]}}]}}, {}],
    }
    assert parsed["00081140"] == {"vr": "SQ"}


UN_SEQUENCE = {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["CODE"]}}]}


def test_un_of_undefined_length_is_a_sequence_in_implicit_vr() -> None:
    content = item(implicit(0x00080100, b"CODE"), undefined=True) + implicit(SEQUENCE_END, b"")
    found = explicit(element(0x00091002, "UN", content, length=UNDEFINED))
    assert metadata(found)["00091002"] == UN_SEQUENCE


def test_un_of_undefined_length_with_explicit_items_is_read_too() -> None:
    content = item(element(0x00080100, "SH", b"CODE")) + implicit(SEQUENCE_END, b"")
    found = explicit(element(0x00091002, "UN", content, length=UNDEFINED))
    assert metadata(found)["00091002"] == UN_SEQUENCE


def test_a_public_sequence_passed_on_as_un_is_read() -> None:
    found = explicit(element(0x00081032, "UN", item(implicit(0x00080100, b"CODE"))))
    assert metadata(found)["00081032"] == UN_SEQUENCE


def test_a_public_sequence_passed_on_as_un_that_is_no_sequence_stays_binary() -> None:
    found = explicit(element(0x00081032, "UN", b"no items here "))
    assert set(metadata(found)["00081032"]) == {"vr", "InlineBinary"}


def test_a_public_attribute_passed_on_as_un_is_read_and_indexed() -> None:
    found = explicit(element(0x00100020, "UN", b"ME"), element(0x00090010, "UN", b"CREATOR "))
    assert found.attributes["PatientID"] == "ME"
    assert metadata(found)["00100020"] == {"vr": "LO", "Value": ["ME"]}
    assert metadata(found)["00090010"] == {"vr": "LO", "Value": ["CREATOR"]}


@pytest.mark.parametrize("vr", ["ZZ", "??", "\0\0", "  "])
def test_an_unknown_vr_is_passed_on_as_un(vr: str) -> None:
    short = element(0x00091001, vr, b"1234") + element(0x00091002, "LO", b"next")
    long = struct.pack("<HH2sHI", 9, 0x1001, vr.encode("latin-1"), 0, 4) + b"1234" + element(0x00091002, "LO", b"next")
    for form in (short, long):
        parsed = metadata(explicit(form))
        assert parsed["00091001"] == {"vr": "UN", "InlineBinary": "MTIzNA=="}
        assert parsed["00091002"]["Value"] == ["next"]


def test_odd_lengths_are_forgiven() -> None:
    assert metadata(explicit(element(0x00100020, "LO", b"odd")))["00100020"]["Value"] == ["odd"]


@pytest.mark.parametrize("undefined", [False, True])
def test_metadata_deeper_than_the_limit_are_cut_with_a_warning(undefined: bool) -> None:
    tail = element(0x00100020, "LO", b"after ")
    found = explicit(nested(10, undefined=undefined), tail, depth_limit=3)
    assert found.warnings == (DEPTH_WARNING,)
    inner = metadata(found)
    for _ in range(3):
        inner = inner["00081115"]["Value"][0]
    assert inner == {"00081115": {"vr": "SQ"}}
    assert found.attributes["PatientID"] == "after"
    assert explicit(nested(3, undefined=undefined), depth_limit=3).warnings == ()


def test_nesting_does_not_use_the_interpreter_s_stack() -> None:
    brackets = element(0x00081115, "SQ", b"", length=UNDEFINED) + implicit(0xFFFEE000, b"", length=UNDEFINED)
    with pytest.raises(InvalidInstance):
        explicit(brackets * 200_000)
    assert explicit(nested(500, undefined=True), depth_limit=1000).warnings == ()


def test_metadata_beyond_the_limit_are_cut_with_a_warning_and_the_identity_stays() -> None:
    items = [item(element(0x00081155, "UI", b"1.2.3.4\0")) for _ in range(2000)]
    found = explicit(sequence(0x00081140, *items), element(0x0040A730, "SQ", b""), metadata_limit_bytes=5000)
    assert LIMIT_WARNING in found.warnings
    assert len(found.metadata_json) < 10_000
    assert metadata(found)["00080018"]["Value"] == [INSTANCE]
    assert found.series_instance_uid == SERIES


# Bulk data


def test_binary_beyond_the_limit_goes_by_reference_and_up_to_it_inline() -> None:
    small, large = bytes(100), bytes(101)
    found = explicit(
        element(0x00091001, "OB", small), element(0x00091002, "OB", large),
        sequence(0x54000100, item(b""), item(element(0x54001010, "OW", large))),
        element(0x00280106, "US", large[:100]), element(0x00289501, "FD", bytes(104)),
        element(0x00091003, "LT", b"x" * 5000),
        inline_binary_bytes=100,
    )  # fmt: skip
    parsed = metadata(found)
    assert "InlineBinary" in parsed["00091001"]
    assert parsed["00091002"] == {"vr": "OB", "BulkDataURI": bulk_uri("00091002")}
    assert parsed["54000100"]["Value"][1]["54001010"]["BulkDataURI"] == bulk_uri("54000100/2/54001010")
    assert len(parsed["00280106"]["Value"]) == 50
    assert parsed["00289501"]["BulkDataURI"] == bulk_uri("00289501")
    assert parsed["00091003"]["Value"] == ["x" * 5000]
    assert found.bulk_table is not None
    assert [one.path for one in unpack_bulk(found.bulk_table)] == ["00091002", "00289501", "54000100/2/54001010"]


def test_bulk_ranges_hold_the_value() -> None:
    value = bytes(range(256)) * 40
    data = data_set(element(0x00091001, "OB", value))
    table = describe(data, EXPLICIT_LITTLE).bulk_table
    assert table is not None
    [bulk] = unpack_bulk(table)
    assert data[bulk.offset : bulk.offset + bulk.length] == value


def test_numbers_that_json_does_not_have_go_by_reference() -> None:
    found = explicit(element(0x00189073, "FD", struct.pack("<d", math.nan)), element(0x00280106, "US", b"abc"))
    assert metadata(found)["00189073"] == {"vr": "FD", "BulkDataURI": bulk_uri("00189073")}
    assert metadata(found)["00280106"] == {"vr": "US", "BulkDataURI": bulk_uri("00280106")}


def test_text_and_decimals_of_more_than_a_mebibyte_go_by_reference() -> None:
    found = explicit(element(0x00091001, "UT", b"x" * (1 << 20)), element(0x00091002, "UT", b"x" * ((1 << 20) + 2)))
    assert len(metadata(found)["00091001"]["Value"][0]) == 1 << 20
    assert "BulkDataURI" in metadata(found)["00091002"]


def test_an_encapsulated_document_has_its_media_type_and_true_length() -> None:
    found = explicit(
        element(0x00420011, "OB", b"%PDF-1.4 \0"),
        element(0x00420012, "LO", b"application/pdf "),
        element(0x00420015, "UL", struct.pack("<I", 9)),
    )
    assert metadata(found)["00420011"] == {"vr": "OB", "BulkDataURI": bulk_uri("00420011")}
    assert found.bulk_table is not None
    [document] = unpack_bulk(found.bulk_table)
    assert (document.media_type, document.length) == ("application/pdf", 9)


def test_a_raw_nul_in_text_cannot_become_a_reference() -> None:
    found = explicit(element(0x00100020, "LO", b"a\0b "), element(0x00091001, "OB", bytes(5000)))
    assert found.metadata_json.count(b"\0") == 1
    assert metadata(found)["00100020"]["Value"] == ["a\0b"]


# Pixel data


@pytest.mark.parametrize(("tag", "vr"), [(0x7FE00010, "OW"), (0x7FE00008, "OF"), (0x7FE00009, "OD")])
def test_pixel_data_always_go_by_reference(tag: int, vr: str) -> None:
    data = data_set(image(1, 2, bits=8), element(tag, vr, b"12345678"))
    found = describe(data, EXPLICIT_LITTLE)
    assert metadata(found)[f"{tag:08X}"] == {"vr": vr, "BulkDataURI": bulk_uri(f"{tag:08X}")}
    assert found.bulk_table is None
    assert found.frame_table is not None
    table = unpack(found.frame_table)
    assert (table.description.tag, table.description.vr, table.encapsulated) == (tag, vr, False)
    [(offset, length)] = frame_range(table, 1)
    assert data[offset : offset + length] == b"12"


def test_elements_after_pixel_data_count() -> None:
    found = explicit(image(2, 2), element(0x7FE00010, "OW", bytes(4)), element(0x7FE11001, "LO", b"late"))
    assert metadata(found)["7FE11001"]["Value"] == ["late"]


def test_empty_pixel_data_are_no_pixel_data() -> None:
    found = explicit(image(2, 2), element(0x7FE00010, "OW", b""))
    assert metadata(found)["7FE00010"] == {"vr": "OW"}
    assert found.frame_table is None


def test_pixel_data_in_an_item_are_plain_bulk() -> None:
    icon = element(0x7FE00010, "OB", bytes(5000))
    found = explicit(sequence(0x00880200, item(icon)))
    assert found.frame_table is None
    assert metadata(found)["00880200"]["Value"][0]["7FE00010"]["BulkDataURI"] == bulk_uri("00880200/1/7FE00010")


def test_encapsulated_frames_are_located() -> None:
    payloads = [b"\xff\xd8\xff" + bytes([number]) * 7 for number in range(3)]
    data = data_set(image(2, 2, frames=3), encapsulated(*payloads), element(0xFFFCFFFC, "OB", b"\0\0"))
    found = describe(data, JPEG_BASELINE)
    assert found.frame_table is not None
    table = unpack(found.frame_table)
    for number, payload in enumerate(payloads, 1):
        assert b"".join(data[at : at + size] for at, size in frame_range(table, number)) == payload
    value = data[table.offset : table.offset + table.length]
    assert value.startswith(b"\xfe\xff\x00\xe0")
    assert value.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")


def test_the_extended_offset_table_is_used() -> None:
    offsets, lengths = struct.pack("<2Q", 0, 14), struct.pack("<2Q", 5, 4)
    data = data_set(
        image(2, 2, frames=2), element(0x7FE00001, "OV", offsets), element(0x7FE00002, "OV", lengths),
        encapsulated(b"12345\0", b"6789"),
    )  # fmt: skip
    table = describe(data, JPEG_BASELINE).frame_table
    assert table is not None
    assert [size for _, size in (frame_range(unpack(table), n)[0] for n in (1, 2))] == [5, 4]


def test_encapsulated_pixel_data_in_an_item_are_bulk_of_fragments() -> None:
    found = explicit(sequence(0x00880200, item(encapsulated(b"abcd"), undefined=True)))
    assert found.bulk_table is not None
    assert [(one.path, one.encapsulated) for one in unpack_bulk(found.bulk_table)] == [("00880200/1/7FE00010", True)]


def test_uncertain_frame_limits_are_a_warning() -> None:
    assert describe(data_set(image(2, 2, frames=2), encapsulated(b"x", b"y", b"z")), JPEG_BASELINE).warnings == (
        FRAMES_WARNING,
    )


def test_pixel_data_shorter_than_described_are_a_warning() -> None:
    assert explicit(image(4, 4), element(0x7FE00010, "OW", bytes(8))).warnings == (SHORT_PIXELS_WARNING,)


@pytest.mark.parametrize("frames", [b"0 ", b"-3", b"many", b"99999999999999", b"", b"0" * 11 + b"1" + b"0" * 5000])
def test_an_unusable_number_of_frames_is_one(frames: bytes) -> None:
    found = explicit(image(1, 2), element(0x00280008, "IS", frames), element(0x7FE00010, "OB", b"12"))
    assert found.frame_table is not None
    assert unpack(found.frame_table).description.number_of_frames == 1


# What is forgiven at the end, and what is refused


def test_zeros_after_the_end_are_a_warning() -> None:
    for zeros in (1, 6, 8, 4000):
        found = describe(data_set() + bytes(zeros), EXPLICIT_LITTLE)
        assert found.warnings == (TRAILING_WARNING,)
        assert len(metadata(found)) == len(IDENTITY)


def test_stray_delimiters_are_a_warning() -> None:
    for tag in (ITEM_END, SEQUENCE_END):
        assert describe(data_set() + implicit(tag, b""), EXPLICIT_LITTLE).warnings == (STRAY_WARNING,)


@pytest.mark.parametrize("tag", sorted(IDENTITY))
@pytest.mark.parametrize("value", [None, b"", b"..\0", b"1..2", b"1.2/../3", b"1." + b"2" * 64])
def test_a_missing_or_unusable_uid_is_refused_by_tag(tag: int, value: bytes | None) -> None:
    elements = [element(t, vr, v) for t, (vr, v) in IDENTITY.items() if t != tag]
    if value is not None:
        elements.append(element(tag, "UI", value))
    with pytest.raises(InvalidInstance) as refusal:
        describe(b"".join(sorted(elements)), EXPLICIT_LITTLE)
    assert refusal.value.offending_tag == tag


def test_every_truncation_inside_pixel_data_is_refused() -> None:
    data = whole()
    refused = 0
    pixels = data.index(b"\xe0\x7f\x10\x00OB")
    for cut in range(pixels + 1, len(data)):
        with pytest.raises(InvalidInstance):
            describe(data[:cut], JPEG_BASELINE)
        refused += 1
    assert refused > 40


def test_every_truncation_ends_in_a_refusal_or_a_description() -> None:
    data = whole()
    for cut in range(len(data)):
        try:
            metadata(describe(data[:cut], JPEG_BASELINE))
        except InvalidInstance:
            continue


@pytest.mark.parametrize(
    ("broken", "tag"),
    [
        (element(0x00091001, "OB", b"12", length=5000), 0x00091001),
        (sequence(0x00081115, implicit(0x00100020, b"no item ")), 0x00081115),
        (element(0x00081115, "SQ", implicit(0xFFFEE000, b"1234", length=400)), 0x00081115),
        (element(0x00091001, "LO", b"", length=60000), 0x00091001),
    ],
)
def test_a_length_that_leads_outside_is_refused_by_tag(broken: bytes, tag: int) -> None:
    with pytest.raises(InvalidInstance) as refusal:
        explicit(broken)
    assert refusal.value.offending_tag == tag


def test_an_implicit_data_set_that_claims_to_be_explicit_is_refused() -> None:
    data = b"".join(implicit(tag, value) for tag, (_, value) in IDENTITY.items())
    with pytest.raises(InvalidInstance):
        describe(data, EXPLICIT_LITTLE)


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(InvalidInstance):
        describe(b"", EXPLICIT_LITTLE)


def test_refusals_name_no_patient() -> None:
    data = data_set(element(0x00100010, "PN", b"Secret^Name "), element(0x00100020, "LO", b"4711"))[:-3]
    with pytest.raises(InvalidInstance) as refusal:
        describe(data, EXPLICIT_LITTLE)
    assert "Secret" not in str(refusal.value)


# Bytes touched


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(b"xx" + data)[2:]])
def test_every_kind_of_buffer_gives_the_same(kind: Any) -> None:
    data = whole()
    assert describe(kind(data), JPEG_BASELINE) == describe(data, JPEG_BASELINE)


def test_a_huge_mapped_file_costs_a_few_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 600 << 20
    head = data_set(image(1000, 1000), element(0x7FE00010, "OW", b"", length=size))
    tail = element(0xFFFCFFFC, "OB", b"\0\0")
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)  # sparse
        file.seek(0, 2)
        file.write(tail)
    touched: list[int] = []
    read = source_module.BufferSource.read

    def counting(self: source_module.BufferSource, start: int, length: int) -> bytes:
        touched.append(length)
        return read(self, start, length)

    monkeypatch.setattr(source_module.BufferSource, "read", counting)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        found = describe(mapped, EXPLICIT_LITTLE)
    assert found.frame_table is not None
    assert unpack(found.frame_table).length == size
    assert sum(touched) < 4 * WINDOW_BYTES


@pytest.mark.parametrize("kind", [mmap.mmap, memoryview])
def test_a_mapped_file_can_be_closed_after_success_and_refusal(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "object"
    for content in (data_set(), data_set()[:-3]):
        path.write_bytes(content)
        refusal: InvalidInstance | None = None
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped) if kind is memoryview else mapped
            try:
                describe(view, EXPLICIT_LITTLE)
            except InvalidInstance as error:
                refusal = error  # keeps the traceback with all its frames
            if isinstance(view, memoryview):
                view.release()
            mapped.close()  # BufferError while anything else holds a view
        assert (refusal is None) == (content == data_set())


def test_values_that_straddle_the_window_are_whole() -> None:
    elements = [element(0x00091000 + n, "LO", bytes([97 + n % 26]) * 200) for n in range(900)]
    parsed = metadata(explicit(*elements))
    for n in range(900):
        assert parsed[f"{0x00091000 + n:08X}"]["Value"] == [chr(97 + n % 26) * 200]


def test_bulk_elements_default_to_octet_streams() -> None:
    assert BulkElement(path="x", vr="OB", offset=0, length=0).media_type == "application/octet-stream"
