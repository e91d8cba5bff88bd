"""Character sets: declared, extended by escape sequences, mislabelled (PS3.3 §C.12.1.1.2, PS3.5 §6.1)."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_charset_files

from bridge.charset import ESCAPES, SINGLE_BYTE, TextDecoder, decode_text
from bridge.describe import describe
from bridge.part10 import read_preamble

LATIN_1 = ["ISO_IR 100"]
NONE: list[str] = []


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("ISO_IR 100", "Äneas^Rüdiger"),
        ("ISO_IR 101", "Wałęsa"),
        ("ISO_IR 109", "Ĝemo"),
        ("ISO_IR 110", "Ķēniņš"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 127", "قباني^لنزار"),
        ("ISO_IR 126", "Διονυσιος"),
        ("ISO_IR 138", "שרון^דבורה"),
        ("ISO_IR 148", "Çavuşoğlu"),
        ("ISO_IR 203", "Œuvre€"),
        ("ISO_IR 166", "ประเทศไทย"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("ISO_IR 192", "王^小东=ﾔﾏﾀﾞ=é"),
        ("GB18030", "王^小东"),
        ("GBK", "王^小东"),
    ],
)
def test_each_single_repertoire_is_read(term: str, text: str) -> None:
    codecs = {"ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}
    raw = text.encode(codecs.get(term) or SINGLE_BYTE[int(term.split()[1])])
    assert decode_text(raw, "PN", [term]) == text


@pytest.mark.parametrize("character", ["䶮", "㛃", "𬭳", "㼆"])
@pytest.mark.parametrize("declared", [["GB18030"], ["gb18030"], ["GB2312"], NONE])
def test_rare_names_of_gb18030_are_read(character: str, declared: list[str]) -> None:
    name = f"王^{character}"
    assert decode_text(name.encode("gb18030"), "PN", declared) == name


@pytest.mark.parametrize("name", ["王^乗", "甲瞈乙", "王^哵"])
@pytest.mark.parametrize("term", ["GB18030", "GBK"])
def test_a_trail_byte_that_equals_a_delimiter_does_not_split(name: str, term: str) -> None:
    raw = name.encode("gbk")
    assert b"\\" in raw.replace(b"^", b"", 1) or raw.count(b"^") > name.count("^")
    text = decode_text(raw, "PN", [term])
    assert text == name
    assert text.split("\\") == [name]


@pytest.mark.parametrize(
    "declared", [["ISO_IR 192", "GB18030"], ["iso_ir 192"], ["ISO-IR 192"], ["ISO_IR_192"], ["UTF-8"], [" ISO_IR 192 "]]
)
def test_misspelt_and_doubled_utf_8_is_still_utf_8(declared: list[str]) -> None:
    assert decode_text("张^三".encode(), "PN", declared) == "张^三"


@pytest.mark.parametrize("term", ["GB2312", "gb18030", "Gbk", "GB 18030", "ISO_IR 58", "ISO 2022 IR 58"])
def test_terms_for_chinese_are_normalised(term: str) -> None:
    assert decode_text("张^三".encode("gb2312"), "PN", [term]) == "张^三"


def test_escapes_of_gb_2312_are_taken_out_and_g1_ends_at_delimiters() -> None:
    escape = b"\x1b$)A"
    han = "王".encode("gb2312"), "小东".encode("gb2312")
    raw = b"Wang^XiaoDong=" + escape + han[0] + b"^" + escape + han[1] + b"="
    assert decode_text(raw, "PN", ["", "ISO 2022 IR 58"]) == "Wang^XiaoDong=王^小东="
    forgotten = b"Wang^XiaoDong=" + escape + han[0] + b"^" + han[1]  # no second escape sequence
    assert decode_text(forgotten, "PN", ["", "ISO 2022 IR 58"]) == "Wang^XiaoDong=王^小东"


def test_the_korean_example_of_the_standard_is_read() -> None:
    raw = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
    assert decode_text(raw, "PN", ["", "ISO 2022 IR 149"]) == "Hong^Gildong=洪^吉洞=홍^길동"


def test_the_japanese_examples_of_the_standard_are_read() -> None:
    kanji = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
    assert decode_text(kanji, "PN", ["", "ISO 2022 IR 87"]) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    katakana = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
    assert decode_text(katakana, "PN", ["ISO 2022 IR 13", "ISO 2022 IR 87"]) == "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"


def test_jis_x_0212_is_read() -> None:
    assert decode_text(b'\x1b$(D0!0"\x1b(B', "LO", ["", "ISO 2022 IR 159"]) == "丂丄"


def test_escapes_work_without_being_declared() -> None:
    assert decode_text(b"\x1b$B;3ED\x1b(B", "LO", NONE) == "山田"


def test_g1_falls_back_to_the_first_repertoire_at_a_delimiter() -> None:
    raw = b"\x1b-F" + "Διονυσιος".encode("iso8859_7") + b"\\" + "Äneas".encode("latin_1")
    assert decode_text(raw, "LO", ["ISO 2022 IR 100", "ISO 2022 IR 126"]) == "Διονυσιος\\Äneas"


def test_backslash_is_no_delimiter_in_long_text() -> None:
    raw = b"\x1b-F" + "Δ\\Δ".encode("iso8859_7") + b"\r\n" + "Ä".encode("latin_1")
    assert decode_text(raw, "LT", ["ISO 2022 IR 100", "ISO 2022 IR 126"]) == "Δ\\Δ\r\nÄ"


@pytest.mark.parametrize("declared", [NONE, [""], ["ISO_IR 6"], LATIN_1, ["ISO 2022 IR 6"], ["NONSENSE"]])
@pytest.mark.parametrize("name", ["张^三", "欧阳^娜娜", "CT平扫+增强", "王^乗"])
def test_chinese_under_a_wrong_label_is_recognised(declared: list[str], name: str) -> None:
    decoder = TextDecoder(declared)
    assert decoder.decode(name.encode("gbk"), "PN") == name
    assert decoder.guessed


@pytest.mark.parametrize("declared", [NONE, LATIN_1])
def test_utf_8_under_a_wrong_label_is_recognised(declared: list[str]) -> None:
    assert decode_text("Müller^张三".encode(), "PN", declared) == "Müller^张三"


@pytest.mark.parametrize(
    "text",
    ["Müller^Jürgen", "créée", "Ångström", "ÉCOLE", "Sørensen^Åse", "Núñez^Íñigo", "Weiß", "à la carte", "µm", "45°"],
)
def test_western_names_stay_what_they_are(text: str) -> None:
    decoder = TextDecoder(LATIN_1)
    assert decoder.decode(text.encode("latin_1"), "PN") == text
    assert not decoder.guessed
    assert decode_text(text.encode("latin_1"), "PN", NONE) == text


def test_a_peer_s_fallback_is_used_only_where_nothing_is_declared() -> None:
    raw = "홍길동".encode("euc_kr")
    assert decode_text(raw, "PN", NONE, "ISO 2022 IR 149") != decode_text(raw, "PN", ["ISO_IR 192"], "ISO 2022 IR 149")
    assert decode_text("Łódź".encode("iso8859_2"), "LO", NONE, "ISO_IR 101") == "Łódź"
    assert decode_text("é".encode("latin_1"), "LO", LATIN_1, "ISO_IR 101") == "é"
    assert decode_text(raw, "PN", NONE, "ISO 2022 IR 149") == "홍길동"


TERMS = ["", "ISO_IR 100", "ISO_IR 192", "GB18030", "ISO_IR 13", "ISO 2022 IR 87", "ISO 2022 IR 149", "x"]


@given(st.binary(max_size=60), st.lists(st.sampled_from(TERMS), max_size=3), st.sampled_from(["PN", "LO", "LT"]))
def test_no_bytes_ever_raise_or_give_invalid_utf_8(raw: bytes, declared: list[str], vr: str) -> None:
    decode_text(raw, vr, declared).encode("utf_8")


@given(st.lists(st.sampled_from([b"\x1b" + escape for escape in ESCAPES] + [b"\\", b"^", b"=", b"\xb0\xa1", b"0!"])))
def test_any_order_of_escapes_gives_text_without_escapes(parts: list[bytes]) -> None:
    assert "\x1b" not in decode_text(b"".join(parts), "PN", ["", "ISO 2022 IR 87"])


@given(st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), max_size=40))
def test_declared_utf_8_round_trips(text: str) -> None:
    assert decode_text(text.encode(), "LO", ["ISO_IR 192"]) == text


CHARSET_FILES = {Path(path).name: Path(path) for path in get_charset_files("*.dcm") if path}
WITHOUT_IDENTITY = {"chrSQEncoding.dcm", "chrSQEncoding1.dcm"}


@pytest.mark.parametrize("name", sorted(set(CHARSET_FILES) - WITHOUT_IDENTITY))
def test_pydicom_reads_the_same_patient_names(name: str) -> None:
    data = CHARSET_FILES[name].read_bytes()
    meta = read_preamble(data)
    attributes = describe(data[meta.data_set_offset :], meta.transfer_syntax_uid).attributes
    theirs = str(pydicom.dcmread(CHARSET_FILES[name]).get("PatientName", ""))
    assert attributes.get("PatientName", "").rstrip("=") == theirs  # pydicom drops empty component groups
