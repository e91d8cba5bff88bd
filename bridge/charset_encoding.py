"""Text -> bytes in a Specific Character Set, for answers in the asker's own (PS3.3 §C.12.1.1.2, PS3.5 §6.1.2.5). Pure.

What a set cannot say is not said with question marks: the caller then answers in ISO_IR 192. ISO 2022 IR 58 and IR 165
are never written, too few readers strip their escape sequences (LIFECYCLE 5.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bridge.charset import ESCAPES, SINGLE_BYTE, decode_text, repertoires

UTF_8 = "ISO_IR 192"

_WRITTEN = frozenset({87, 149, 159, *SINGLE_BYTE})  # ISO-IR numbers that answers may be written in
_ESCAPE_OF = {  # (code element, codec) -> escape sequence; the later form of two is the usual one
    slot: b"\x1b" + tail for tail, slot in reversed(ESCAPES.items()) if tail not in (b"$@", b"(J", b"$)E")
}
_TEXT_VRS = frozenset({"LT", "ST", "UT"})
_BREAKS = {"PN": re.compile(r"([\\^=\r\n\f\t])"), "": re.compile(r"([\\\r\n\f\t])")}
_TEXT_BREAK = re.compile(r"([\r\n\f\t])")
_ASCII = (0, "ascii")


def encode_text(text: str, vr: str, charsets: Sequence[str]) -> bytes | None:
    """`text` as a value field in these character sets, None where they cannot say all of it."""
    if text.isascii():
        return text.encode("ascii")
    codec, numbers, has_extensions = repertoires(tuple(charsets))
    if codec:
        return _whole(text, codec)
    if any(number not in _WRITTEN for number in numbers):
        return None
    if not has_extensions:
        encoded = _runs(text, numbers[:1])
    else:
        breaks = _TEXT_BREAK if vr in _TEXT_VRS else _BREAKS.get(vr, _BREAKS[""])
        pieces = [_runs(piece, numbers) for piece in breaks.split(text)]
        encoded = None if None in pieces else b"".join(piece or b"" for piece in pieces)
    if encoded is None or decode_text(encoded, vr, charsets) != text:
        return None
    return encoded


def _whole(text: str, codec: str) -> bytes | None:
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return None


def _runs(piece: str, numbers: Sequence[int]) -> bytes | None:
    """Text without delimiters; code elements are as at the start of a value, and are left so."""
    initial = (1, SINGLE_BYTE.get(numbers[0], "ascii")) if numbers else _ASCII
    active = {0: "ascii", 1: initial[1]}
    out = bytearray()
    for character in piece:
        found = _in_one_of(character, numbers)
        if found is None:
            return None
        slot, codec, encoded = found
        if active[slot] != codec:
            out += _ESCAPE_OF[slot, codec]
            active[slot] = codec
        out += encoded
    if active[0] != "ascii":
        out += _ESCAPE_OF[_ASCII]
    return bytes(out)


def _in_one_of(character: str, numbers: Sequence[int]) -> tuple[int, str, bytes] | None:
    """(code element, codec, bytes) of the first repertoire that has the character."""
    if character < "\x80":
        return (*_ASCII, character.encode("ascii"))
    for number in numbers:
        slot, codec, encode = _REPERTOIRES[number]
        encoded = encode(character)
        if encoded:
            return slot, codec, encoded
    return None


def _single(codec: str) -> Callable[[str], bytes]:
    def encode(character: str) -> bytes:
        encoded = _whole(character, codec) or b""
        return encoded if len(encoded) == 1 and encoded >= b"\xa0" else b""

    return encode


def _korean(character: str) -> bytes:
    encoded = _whole(character, "euc_kr") or b""
    return encoded if len(encoded) == 2 else b""


def _japanese(character: str) -> bytes:
    """JIS X 0208 as 7-bit pairs."""
    encoded = _whole(character, "euc_jp") or b""
    return bytes(byte & 0x7F for byte in encoded) if len(encoded) == 2 and encoded[0] != 0x8E else b""


def _supplementary(character: str) -> bytes:
    """JIS X 0212 as 7-bit pairs."""
    encoded = _whole(character, "euc_jp") or b""
    return bytes(byte & 0x7F for byte in encoded[1:]) if len(encoded) == 3 else b""


_REPERTOIRES: dict[int, tuple[int, str, Callable[[str], bytes]]] = {
    **{number: (1, codec, _single(codec)) for number, codec in SINGLE_BYTE.items() if number != 6},
    6: (*_ASCII, lambda _: b""),
    87: (0, "jisx0208", _japanese),
    149: (1, "euc_kr", _korean),
    159: (0, "jisx0212", _supplementary),
}
