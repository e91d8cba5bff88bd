"""Attribute names -> tag paths (PS3.18 §8.3.4.1; DICOM.md Q1, Q21). Pure."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache

from bridge import dictionary
from bridge.errors import InvalidRequest
from storage.attributes import BY_KEYWORD, BY_PATH, COMPUTED, MATCHABLE_COMPUTED

DEPTH_LIMIT = 8  # sequences in one path

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_KEYWORD = re.compile(r"[A-Z][A-Za-z0-9]{0,127}")
_COMPUTED_TAGS = {tag: vr for tag, vr, _ in COMPUTED.values()}
_SEVERAL = frozenset(COMPUTED[keyword][0] for keyword in MATCHABLE_COMPUTED)


@lru_cache(maxsize=4096)
def parse_path(name: str) -> tuple[int, ...]:
    """`PatientID`, `00100020`, or several joined by dots -> tags from the outside in. Raises InvalidRequest."""
    pieces = name.split(".")
    if len(pieces) > DEPTH_LIMIT:
        raise InvalidRequest(f"an attribute path may go through at most {DEPTH_LIMIT} levels")
    path = tuple(_tag(piece, name) for piece in pieces)
    for outer in path[:-1]:
        if not is_private(outer) and vr_of((outer,)) != "SQ":
            raise InvalidRequest(f"{shown(name)} goes through {outer:08X}, which is not a sequence")
    return path


def vr_of(path: tuple[int, ...]) -> str:
    """The VR of a path's innermost attribute; `UN` where the dictionary cannot tell (private, unknown)."""
    if path in BY_PATH:
        return BY_PATH[path].vr
    if path[-1] in _COMPUTED_TAGS:
        return _COMPUTED_TAGS[path[-1]]
    return dictionary.vr_of(path[-1]).partition(" ")[0]  # "US or SS" is matched as a number either way


def is_multi_valued(tag: int) -> bool:
    """Whether an attribute may have several values (PS3.6)."""
    return tag in _SEVERAL or dictionary.is_multi_valued(tag)


def is_private(tag: int) -> bool:
    """True for tags of odd groups (PS3.5 §7.8)."""
    return bool(tag >> 16 & 1)


def creator_of(tag: int) -> int | None:
    """The private creator element's tag of a private attribute; None for standard tags and for creators themselves."""
    block = tag >> 8 & 0xFF
    return (tag & 0xFFFF0000) | block if is_private(tag) and block >= 0x10 else None


def shown(name: str) -> str:
    """A name from the wire, short and printable."""
    return "".join(char for char in name[:64] if char.isprintable()) or "(empty)"


def _tag(piece: str, whole: str) -> int:
    if _TAG.fullmatch(piece):
        tag = int(piece, 16)
        if tag >> 16 <= 2:
            raise InvalidRequest(f"{shown(whole)} is in a group that no data set holds")
        return tag
    found = _tag_of_keyword(piece) if _KEYWORD.fullmatch(piece) else None
    if found is None or found >> 16 <= 2:
        raise InvalidRequest(f"{shown(whole)} is neither a DICOM keyword nor a tag of 8 hex digits{_nearest(piece)}")
    return found


def _tag_of_keyword(keyword: str) -> int | None:
    if keyword in BY_KEYWORD:
        return BY_KEYWORD[keyword].tag
    if keyword in COMPUTED:
        return COMPUTED[keyword][0]
    from pydicom.datadict import tag_for_keyword  # only here: what viewers send never needs the whole dictionary

    tag = tag_for_keyword(keyword)
    return None if tag is None else int(tag)


def _nearest(piece: str) -> str:
    lowered = {keyword.lower(): keyword for keyword in (*BY_KEYWORD, *COMPUTED) if "." not in keyword}
    close = difflib.get_close_matches(piece[:64].lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]}?" if close else ""
