"""What is remembered about headers and values, and how much of it."""

from __future__ import annotations

import struct

import pytest

from bridge import header_syntax
from bridge.describe import describe
from bridge.dictionary import vr_of
from bridge.header_syntax import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Syntax, is_deflated, syntax_of
from tests.bridge.elements import EXPLICIT_LITTLE as EXPLICIT_LITTLE_UID
from tests.bridge.elements import data_set, element


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00100010, "PN"), (0x00280106, "US or SS"), (0x60003000, "OB or OW"), (0x60223000, "OB or OW"),
        (0x50003000, "OW or OB"), (0x002031AB, "CS"), (0x00080000, "UL"), (0x00090000, "UL"), (0x00090010, "LO"),
        (0x000900FF, "LO"), (0x00091000, "UN"), (0x00090009, "UN"), (0x00081234, "UN"), (0x7FE00010, "OB or OW"),
    ],
)  # fmt: skip
def test_the_dictionary_knows_standard_repeating_and_private_tags(tag: int, vr: str) -> None:
    assert set(vr_of(tag).split(" or ")) == set(vr.split(" or "))


@pytest.mark.parametrize(
    ("uid", "syntax"),
    [
        ("1.2.840.10008.1.2", IMPLICIT_LITTLE), ("1.2.840.113619.5.2", IMPLICIT_LITTLE),
        ("1.2.840.10008.1.2.2", EXPLICIT_BIG), ("1.2.840.10008.1.2.1", EXPLICIT_LITTLE),
        ("1.2.840.10008.1.2.4.90", EXPLICIT_LITTLE), ("1.2.3.4", EXPLICIT_LITTLE),
    ],
)  # fmt: skip
def test_transfer_syntaxes_say_how_headers_are_written(uid: str, syntax: Syntax) -> None:
    assert syntax_of(uid) is syntax
    assert not is_deflated(uid)
    assert is_deflated("1.2.840.10008.1.2.1.99")


def test_what_is_remembered_of_strangers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_syntax, "_CACHE_LIMIT", 500)
    for number in range(2000):
        tag = 0x00091000 + number
        values = element(tag, "LO", b"%06d" % number) + element(0x00100020, "LO", b"%06d" % number)
        found = describe(data_set(values), EXPLICIT_LITTLE_UID)
        assert found.attributes["PatientID"] == f"{number:06d}"
        assert len(EXPLICIT_LITTLE.entries) <= 502
        assert sum(len(entry.seen) for entry in EXPLICIT_LITTLE.entries.values()) <= 502


def test_values_remembered_per_tag_are_bounded() -> None:
    for number in range(300):
        describe(data_set(element(0x00100020, "LO", b"%06d" % number)), EXPLICIT_LITTLE_UID)
    head = struct.pack("<HH2s", 0x0010, 0x0020, b"LO")
    assert 0 < len(EXPLICIT_LITTLE.entries[head].seen) <= 64


def test_of_longer_values_two_are_remembered_per_tag() -> None:
    for number in range(5):
        describe(data_set(element(0x00091020, "OB", b"%200d" % number)), EXPLICIT_LITTLE_UID)
    head = struct.pack("<HH2s", 0x0009, 0x1020, b"OB")
    assert 0 < len(EXPLICIT_LITTLE.entries[head].seen) <= 2


def test_long_and_undecided_values_are_not_remembered() -> None:
    values = element(0x00102160, "SH", b"\xd6\xd0"), element(0x00102110, "LO", b"x" * 2000)
    describe(data_set(*values), EXPLICIT_LITTLE_UID)
    heads = struct.pack("<HH2s", 0x0010, 0x2160, b"SH"), struct.pack("<HH2s", 0x0010, 0x2110, b"LO")
    assert [len(EXPLICIT_LITTLE.entries[head].seen) for head in heads] == [0, 0]
