"""Specific Character Set decoding and repair (PS3.3 §C.12.1.1.2, PS3.5 §6.1). Pure; the stored bytes stay untouched.

`decode_text` never raises: bytes that no declared repertoire explains become U+FFFD. Text is decoded before it is split
into values or name components, because trail bytes of GBK and GB 18030 may equal the delimiters 0x5C and 0x5E.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

ESCAPE = b"\x1b"

# ISO-IR number -> Python codec that reads ASCII and this repertoire's upper half (PS3.3 Table C.12-2, C.12-3, C.12-4).
SINGLE_BYTE = {
    6: "ascii", 13: "shift_jis", 100: "latin_1", 101: "iso8859_2", 109: "iso8859_3", 110: "iso8859_4",
    126: "iso8859_7", 127: "iso8859_6", 138: "iso8859_8", 144: "iso8859_5", 148: "iso8859_9",
    166: "iso8859_11", 203: "iso8859_15",
}  # fmt: skip
MULTI_BYTE = {58: "gb2312", 87: "jisx0208", 149: "euc_kr", 159: "jisx0212", 165: "gb2312"}
STAND_ALONE = {"ISOIR192": "utf_8", "UTF8": "utf_8", "GB18030": "gb18030", "GBK": "gbk", "GB2312": "gb18030"}

# Terms seen in the wild for repertoires that have another defined term.
ALIASES = {
    "ISO88591": 100, "LATIN1": 100, "ISO88592": 101, "ISO88593": 109, "ISO88594": 110, "ISO88595": 144,
    "ISO88596": 127, "ISO88597": 126, "ISO88598": 138, "ISO88599": 148, "ISO885915": 203, "TIS620": 166,
    "EUCKR": 149, "KSX1001": 149, "SHIFTJIS": 13, "USASCII": 6, "ASCII": 6,
}  # fmt: skip

# Bytes after ESC -> (code element, codec) (PS3.3 Table C.12-3, C.12-4); G0 codecs but ASCII read pairs of 7-bit bytes.
ESCAPES = {
    b"(B": (0, "ascii"), b"(J": (0, "ascii"), b"$B": (0, "jisx0208"), b"$@": (0, "jisx0208"), b"$(D": (0, "jisx0212"),
    b")I": (1, "shift_jis"), b"-A": (1, "latin_1"), b"-B": (1, "iso8859_2"), b"-C": (1, "iso8859_3"),
    b"-D": (1, "iso8859_4"), b"-F": (1, "iso8859_7"), b"-G": (1, "iso8859_6"), b"-H": (1, "iso8859_8"),
    b"-L": (1, "iso8859_5"), b"-M": (1, "iso8859_9"), b"-T": (1, "iso8859_11"), b"-b": (1, "iso8859_15"),
    b"$)C": (1, "euc_kr"), b"$)A": (1, "gb2312"), b"$)E": (1, "gb2312"),
}  # fmt: skip
_ESCAPE_SEQUENCE = re.compile(rb"(\x1b[ -/]+[0-~])")
_WIDER = {"gb2312": "gbk", "euc_kr": "cp949"}  # supersets that vendors write under the narrower name

# Delimiters that put G0 and G1 back to the initial state, by VR (PS3.5 §6.1.2.5.3).
_NAME_DELIMITER = re.compile(rb"([\\^=\r\n\f\t]+)")
_VALUE_DELIMITER = re.compile(rb"([\\\r\n\f\t]+)")
_TEXT_DELIMITER = re.compile(rb"([\r\n\f\t]+)")
_DELIMITERS = {"PN": _NAME_DELIMITER, "LT": _TEXT_DELIMITER, "ST": _TEXT_DELIMITER, "UT": _TEXT_DELIMITER}

_HIGH_RUN = re.compile(rb"[\x80-\xff]")
_HAN_BESIDE_LOWER_CASE = re.compile("[a-z][\u3400-\u9fff]|[\u3400-\u9fff][a-z]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")


def decode_text(raw: bytes, vr: str, charsets: Sequence[str], fallback_charset: str = "") -> str:
    """`raw` as text. `charsets` are the values of (0008,0005); an empty sequence when the data set has none."""
    return TextDecoder(charsets, fallback_charset).decode(raw, vr)


class TextDecoder:
    """Decodes the text of one data set or item. `guessed` tells whether a value was read against its declaration."""

    __slots__ = ("_codec", "_fallback", "_initial", "_repairable", "guessed")

    def __init__(self, charsets: Sequence[str], fallback_charset: str = "") -> None:
        self._codec, self._initial, self._repairable = _plan(tuple(charsets))
        codec, initial, _ = _plan((fallback_charset,))
        self._fallback = (codec or initial) if fallback_charset and self._initial == "ascii" else ""
        self.guessed = False

    def decode(self, raw: bytes, vr: str) -> str:
        """The text of one value field, values not yet split, padding kept."""
        if raw.isascii() and ESCAPE not in raw:
            return str(raw, "ascii")
        if self._codec:
            return raw.decode(self._codec, "replace")
        if ESCAPE not in raw and self._repairable and (repaired := self._repair(raw)) is not None:
            return repaired
        return _decode_extended(raw, "latin_1" if self._initial == "ascii" else self._initial, vr)

    def _repair(self, raw: bytes) -> str | None:
        """Text of a value whose declaration says ASCII or Latin 1, if it plainly is something else."""
        if self._fallback:
            try:
                text = raw.decode(self._fallback)
            except UnicodeDecodeError:
                pass
            else:
                self.guessed = True
                return text
        guess = guess_text(raw)
        self.guessed = self.guessed or guess is not None or self._initial == "ascii"
        return guess


def guess_text(raw: bytes) -> str | None:
    """UTF-8 or Chinese text that was declared as ASCII or Latin 1, or None when it does not look like either.

    Latin 1 words read as GB 18030 give rare Han characters beside lower-case letters; real Chinese text is mostly
    GB 2312 level 1 (lead byte B0-D7, trail byte A1-FE).
    """
    try:
        return raw.decode("utf_8")
    except UnicodeDecodeError:
        pass
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return None
    high = [character for character in text if character > "\x7f"]
    han = sum(1 for character in high if _HAN.match(character))
    common = sum(1 for character in high if _is_common_han(character))
    if 2 * common < len(high) or 5 * han < 3 * len(high) or _HAN_BESIDE_LOWER_CASE.search(text):
        return None
    return text


def _is_common_han(character: str) -> bool:
    encoded = character.encode("gb18030")
    return len(encoded) == 2 and 0xB0 <= encoded[0] <= 0xD7 and encoded[1] >= 0xA1


@functools.lru_cache(maxsize=256)
def repertoires(charsets: tuple[str, ...]) -> tuple[str, tuple[int, ...], bool]:
    """(codec for everything or "", ISO-IR numbers in order, whether code extensions switch between them)."""
    terms = [re.sub(r"[\s_\-.]", "", term.strip("\0 ").upper()) for term in charsets]
    for term in terms:
        if term in STAND_ALONE:  # these allow no code extensions; beside others they still mean what they say
            return STAND_ALONE[term], (), False
    numbers = tuple(_number(term) for term in terms)
    return "", numbers, len(numbers) > 1 or any(number in MULTI_BYTE for number in numbers)


@functools.lru_cache(maxsize=256)
def _plan(charsets: tuple[str, ...]) -> tuple[str, str, bool]:
    """(codec for everything or "", codec of the initial G1 for code extensions, may the declaration be doubted)."""
    codec, numbers, _ = repertoires(charsets)
    if codec:
        return codec, "ascii", False
    first = numbers[0] if numbers else 6
    extensions = [number for number in numbers if number in MULTI_BYTE]
    if len(numbers) <= 1 and not extensions:
        if first in (6, 100):
            return "", SINGLE_BYTE[first], True
        return (SINGLE_BYTE[first] if first == 13 else ""), SINGLE_BYTE[first], False
    initial = SINGLE_BYTE.get(first, "ascii")
    if initial == "ascii":  # senders that forget the escape sequence after a delimiter mean the one set they declare
        upper = [MULTI_BYTE[n] for n in extensions if n in (58, 149, 165)] or [
            SINGLE_BYTE[n] for n in numbers[1:] if SINGLE_BYTE.get(n, "ascii") != "ascii"
        ]
        initial = upper[0] if upper else "ascii"
    return "", initial, False


def _number(term: str) -> int:
    """The ISO-IR number a normalised term names; 6 for none and for unknown ones."""
    if term in ALIASES:
        return ALIASES[term]
    match = re.fullmatch(r"ISO(?:2022)?IR(\d{1,3})", term)
    number = int(match[1]) if match else 6
    return number if number in SINGLE_BYTE or number in MULTI_BYTE else 6


def _decode_extended(raw: bytes, initial: str, vr: str) -> str:
    """Text with ISO 2022 escape sequences; without any, simply text in the initial repertoire (PS3.5 §6.1.2.5)."""
    delimiter = _DELIMITERS.get(vr, _VALUE_DELIMITER)
    lower, upper = "ascii", initial
    text: list[str] = []
    for token in _ESCAPE_SEQUENCE.split(raw):
        if token[:1] == ESCAPE:
            slot, codec = ESCAPES.get(token[1:], (-1, ""))
            lower = codec if slot == 0 else lower
            upper = codec if slot == 1 else upper
        elif lower != "ascii":
            line = re.search(rb"[\x00-\x1f]", token)
            cut = line.start() if line else len(token)
            text.append(_decode_pairs(token[:cut], lower))
            if line:
                lower, upper = "ascii", initial
                text.append(_decode(token[cut:], upper))
        else:
            for number, piece in enumerate(delimiter.split(token)):
                upper = initial if number & 1 else upper
                text.append(_decode(piece, upper))
    return "".join(text)


def _decode(piece: bytes, codec: str) -> str:
    try:
        return piece.decode(codec)
    except UnicodeDecodeError:
        return piece.decode(_WIDER.get(codec, codec), "replace")


def _decode_pairs(token: bytes, codec: str) -> str:
    """JIS X 0208 or JIS X 0212 in G0: pairs of 7-bit bytes, read through EUC-JP."""
    if _HIGH_RUN.search(token):
        return token.decode("shift_jis", "replace")
    high = bytes(byte | 0x80 for byte in token)
    if codec == "jisx0212":
        high = b"".join(b"\x8f" + high[at : at + 2] for at in range(0, len(high), 2))
    return high.decode("euc_jp", "replace")
