"""DICOM JSON as written: every rule of PS3.18 Annex F that a client can notice."""

from __future__ import annotations

import base64
import math
import struct

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.charset import TextDecoder
from bridge.dicomjson import shortest_float32, swap_words, writers
from bridge.dictionary import BINARY, KNOWN

LITTLE, BIG = writers(big_endian=False), writers(big_endian=True)
UTF_8 = TextDecoder(["ISO_IR 192"])


def written(vr: str, value: bytes, text: TextDecoder = UTF_8, *, big_endian: bool = False) -> dict[str, object]:
    """What the writer of `vr` makes of a value field, parsed."""
    answer = (BIG if big_endian else LITTLE)[vr](value, text)
    assert answer is not None
    parsed: dict[str, object] = orjson.loads(b'{"vr":"' + vr.encode() + b'"' + answer)
    assert parsed.pop("vr") == vr
    return parsed


def test_every_vr_but_sq_has_a_writer() -> None:
    assert set(LITTLE) == set(BIG) == KNOWN - {"SQ"}


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("CS", b"ORIGINAL\\PRIMARY ", ["ORIGINAL", "PRIMARY"]),
        ("CS", b"A\\\\B", ["A", None, "B"]),
        ("CS", b" A \\ B", ["A", "B"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("UI", b"1.2.3\0\\1.2.4 ", ["1.2.3", "1.2.4"]),
        ("AE", b"  CT01  ", ["CT01"]),
        ("LO", b"  left kept  ", ["  left kept"]),
        ("LO", b'say "no"\\twice', ['say "no"', "twice"]),
        ("LO", b"tab\there", ["tab\there"]),
        ("LT", b"  a\\b\r\nc  ", ["  a\\b\r\nc"]),
        ("UT", "é\\é ".encode(), ["é\\é"]),
        ("UR", b"http://a/b?c=d  ", ["http://a/b?c=d"]),
        ("SH", "王\\三".encode(), ["王", "三"]),
        ("DS", b"1.50 ", [1.5]),
        ("DS", b"1\\-2.5\\3e2", [1, -2.5, 300.0]),
        ("DS", b"+1.\\.5\\007\\-0.0", [1, 0.5, 7, -0.0]),
        ("DS", b"1\\\\2", [1, None, 2]),
        ("DS", b"1\\none\\NaN\\1e999\\1,5", [1, "none", "NaN", "1e999", "1,5"]),
        ("DS", b"123456789012345678901e3", ["123456789012345678901e3"]),
        ("IS", b" 12\\-3 ", [12, -3]),
        ("IS", b"1A", ["1A"]),
        ("IS", b"-", ["-"]),
        ("US", struct.pack("<2H", 1, 65535), [1, 65535]),
        ("SS", struct.pack("<h", -1), [-1]),
        ("UL", struct.pack("<I", 2**32 - 1), [2**32 - 1]),
        ("SL", struct.pack("<2i", -1, 1), [-1, 1]),
        ("SV", struct.pack("<q", -(2**63)), [-(2**63)]),
        ("UV", struct.pack("<Q", 2**64 - 1), [2**64 - 1]),
        ("FD", struct.pack("<2d", 0.1, 5e-324), [0.1, 5e-324]),
        ("AT", struct.pack("<4H", 0x0028, 0x00FF, 0x7FE0, 0x0010), ["002800FF", "7FE00010"]),
    ],
)
def test_values_are_written(vr: str, value: bytes, expected: list[object]) -> None:
    assert written(vr, value) == {"Value": expected}


@pytest.mark.parametrize("vr", sorted(KNOWN - BINARY - {"SQ", "AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"}))
@pytest.mark.parametrize("value", [b"  ", b"\0\0", b" \0"])
def test_padding_alone_is_no_value(vr: str, value: bytes) -> None:
    assert written(vr, value) == {}


def test_empty_values_alone_are_no_value() -> None:
    assert written("LO", b"\\\\") == written("DS", b"\\ ") == written("PN", b"=\\==") == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Doe^John", [{"Alphabetic": "Doe^John"}]),
        ("Zhang^San=张^三".encode(), [{"Alphabetic": "Zhang^San", "Ideographic": "张^三"}]),
        ("=张^三".encode(), [{"Ideographic": "张^三"}]),
        ("Yamada==やまだ ".encode(), [{"Alphabetic": "Yamada", "Phonetic": "やまだ"}]),
        (b"^^^^", [{"Alphabetic": "^^^^"}]),
        (b"A\\\\B ", [{"Alphabetic": "A"}, None, {"Alphabetic": "B"}]),
        (b"A=B=C=D", [{"Alphabetic": "A", "Ideographic": "B", "Phonetic": "C"}]),
    ],
)
def test_person_names_have_only_the_groups_that_are_there(value: bytes, expected: list[object]) -> None:
    assert written("PN", value) == {"Value": expected}


def test_names_are_split_after_decoding() -> None:
    raw = "甲瞈乙=王^哵\\王^乗".encode("gbk")
    assert written("PN", raw, TextDecoder(["GBK"])) == {
        "Value": [{"Alphabetic": "甲瞈乙", "Ideographic": "王^哵"}, {"Alphabetic": "王^乗"}]
    }


@pytest.mark.parametrize(("vr", "width"), [("US", 2), ("SL", 4), ("FL", 4), ("FD", 8), ("AT", 4), ("UV", 8)])
def test_a_length_that_is_no_multiple_of_the_word_has_no_json(vr: str, width: int) -> None:
    assert LITTLE[vr](bytes(width + 1), UTF_8) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("vr", "code"), [("FL", "f"), ("FD", "d")])
def test_numbers_that_json_does_not_have_are_not_written(vr: str, code: str, number: float) -> None:
    assert LITTLE[vr](struct.pack(f"<2{code}", 1.0, number), UTF_8) is None


@pytest.mark.parametrize("vr", sorted(BINARY))
def test_binary_is_base64_of_little_endian_words(vr: str) -> None:
    value = bytes(range(16))
    assert written(vr, value) == {"InlineBinary": base64.b64encode(value).decode()}
    swapped = {"InlineBinary": base64.b64encode(swap_words(value, vr)).decode()}
    assert written(vr, value, big_endian=True) == swapped


@pytest.mark.parametrize(
    ("vr", "expected"),
    [("OB", b"01234567"), ("OW", b"10325476"), ("OF", b"32107654"), ("OD", b"76543210"), ("UN", b"01234567")],
)
def test_words_are_swapped_by_their_width(vr: str, expected: bytes) -> None:
    assert swap_words(b"01234567", vr) == expected
    assert swap_words(expected, vr) == b"01234567"


def test_a_partial_last_word_stays() -> None:
    assert swap_words(b"012", "OW") == b"102"


@pytest.mark.parametrize(
    ("number", "text"), [(1.1, "1.1"), (100.0, "100.0"), (1e10, "1e+10"), (1.4e-45, "1.40129846e-45")]
)
def test_float32_is_written_in_its_shortest_form(number: float, text: str) -> None:
    assert shortest_float32(struct.unpack("<f", struct.pack("<f", number))[0]) == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_reads_back_exactly(number: float) -> None:
    decimal = orjson.loads(shortest_float32(number))
    assert struct.pack("<f", decimal) == struct.pack("<f", number)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5), st.booleans())
def test_doubles_read_back_exactly(numbers: list[float], big_endian: bool) -> None:
    value = struct.pack(f"{'>' if big_endian else '<'}{len(numbers)}d", *numbers)
    assert written("FD", value, big_endian=big_endian) == {"Value": numbers}


@given(st.lists(st.decimals(min_value=-9999, max_value=9999, allow_nan=False, places=4), min_size=1))
def test_decimal_strings_keep_their_numbers(numbers: list[object]) -> None:
    value = "\\".join(str(number) for number in numbers).encode()
    assert written("DS", value) == {"Value": [pytest.approx(float(str(number)), rel=1e-15) for number in numbers]}


@given(st.sampled_from(sorted(LITTLE)), st.binary(min_size=1, max_size=40), st.booleans())
def test_any_bytes_give_valid_json_or_none(vr: str, value: bytes, big_endian: bool) -> None:
    answer = (BIG if big_endian else LITTLE)[vr](value, TextDecoder(()))
    assume(answer is not None)
    parsed = written(vr, value, TextDecoder(()), big_endian=big_endian)
    assert set(parsed) <= {"Value", "InlineBinary"}
    assert parsed.get("Value") not in ([], [None], [""])
