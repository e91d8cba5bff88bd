"""Text in the asker's character set (PS3.3 §C.12.1.1.2, PS3.5 §6.1.2.5, Annexes H to K)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.charset import decode_text
from bridge.charset_encoding import encode_text

JAPANESE, KANA, KOREAN = ["", "ISO 2022 IR 87"], ["ISO 2022 IR 13", "ISO 2022 IR 87"], ["", "ISO 2022 IR 149"]


@pytest.mark.parametrize(
    ("text", "charsets", "encoded"),
    [
        pytest.param(
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            JAPANESE,
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            id="PS3.5-H.3-1",
        ),
        pytest.param(
            "Hong^Gildong=洪^吉洞=홍^길동",
            KOREAN,
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            id="PS3.5-I.2",
        ),
        pytest.param("Wang^XiaoDong=王^小东", ["GB18030"], "Wang^XiaoDong=王^小东".encode("gb18030"), id="PS3.5-J.3"),
        pytest.param("Wang^XiaoDong=王^小东", ["GBK"], "Wang^XiaoDong=王^小东".encode("gbk"), id="PS3.5-J.4"),
        pytest.param("Buc^Jérôme", ["ISO_IR 100"], b"Buc^J\xe9r\xf4me", id="one-set"),
        pytest.param("Люé", ["ISO 2022 IR 144", "ISO 2022 IR 100"], b"\xbb\xee\x1b-A\xe9", id="two-single-byte-sets"),
        pytest.param("丂", ["", "ISO 2022 IR 87", "ISO 2022 IR 159"], b"\x1b$(D0!\x1b(B", id="supplementary-kanji"),
        pytest.param("Yamada^Tarou", JAPANESE, b"Yamada^Tarou", id="plain"),
    ],
)
def test_the_examples_of_the_standard(text: str, charsets: Sequence[str], encoded: bytes) -> None:
    assert encode_text(text, "PN", charsets) == encoded


@pytest.mark.parametrize(
    ("text", "charsets"),
    [
        pytest.param("张", [], id="none-declared"),
        pytest.param("张", ["ISO_IR 100"], id="not-in-the-set"),
        pytest.param("山", ["ISO_IR 13"], id="only-half-width-kana"),
        pytest.param("张", ["", "ISO 2022 IR 58"], id="escape-sequences-few-can-read"),
        pytest.param("张ü", KOREAN, id="one-character-is-missing"),
        pytest.param("张", ["NO SUCH SET"], id="unknown"),
    ],
)
def test_what_a_set_cannot_say_is_not_said(text: str, charsets: Sequence[str]) -> None:
    assert encode_text(text, "LO", charsets) is None


@given(
    st.text(max_size=30).filter(lambda text: "\x1b" not in text),
    st.sampled_from([JAPANESE, KANA, KOREAN, ["GBK"], ["GB18030"], ["ISO_IR 192"], ["ISO_IR 144"], ["ISO_IR 13"]]),
    st.sampled_from(["PN", "LO", "UT"]),
)
def test_what_is_said_is_read_back(text: str, charsets: list[str], vr: str) -> None:
    encoded = encode_text(text, vr, charsets)
    assert encoded is None or decode_text(encoded, vr, charsets) == text
