"""DICOM files: reading the preamble and file meta, writing a new one (PS3.10 §7)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

from bridge.dictionary import LONG_HEADER
from bridge.errors import InvalidInstance
from bridge.source import Buffer
from storage.keys import is_uid

IMPLEMENTATION_CLASS_UID = "2.25.305828488182831875890203105390285383139"
IMPLEMENTATION_VERSION_NAME = "DICOMBRIDGE_010"

PREAMBLE_BYTES = 128
PREFIX = b"DICM"
META_LIMIT_BYTES = 1 << 20  # a file meta group beyond this is no file meta group

_HEAD = struct.Struct("<HH2sH")
_LONG = struct.Struct("<I")
_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX = 0x0002, 0x0003, 0x0010


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the file meta group says about the data set that follows; "" where it says nothing."""

    transfer_syntax_uid: str
    media_storage_sop_class_uid: str
    media_storage_sop_instance_uid: str
    data_set_offset: int


def read_preamble(data: Buffer) -> FileMeta:
    """The file meta of a DICOM file, also one without preamble. Raises InvalidInstance for anything else.

    Group 0002 is read to its last element, whatever its group length says. `data` may be just the beginning of the
    file, as long as the whole group is in it.
    """
    with memoryview(data) as view:
        start = _start_of_meta(view)
        values: dict[int, bytes] = {}
        offset = start
        while (element := _meta_element(view, offset)) is not None:
            number, value, offset = element
            values[number] = value
            if offset - start > META_LIMIT_BYTES:
                raise InvalidInstance("the file meta information is too long")
        if offset > view.nbytes:
            raise InvalidInstance("the file meta information is truncated", offending_tag=0x00020000)
    uid = {number: values.get(number, b"").decode("latin-1").strip("\0 ") for number in _WANTED}
    if not is_uid(uid[_TRANSFER_SYNTAX]):
        raise InvalidInstance("the file meta information names no transfer syntax", offending_tag=0x00020010)
    return FileMeta(uid[_TRANSFER_SYNTAX], uid[_SOP_CLASS], uid[_SOP_INSTANCE], offset)


_WANTED = (_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX)


def _start_of_meta(view: memoryview) -> int:
    """Where group 0002 starts: after preamble and prefix, after the prefix alone, or at the first byte."""
    for start in (PREAMBLE_BYTES, 0):
        if bytes(view[start : start + 4]) == PREFIX:
            return start + 4
    if bytes(view[:2]) == b"\x02\0" and bytes(view[4:6]).isalpha():
        return 0
    raise InvalidInstance("this is no DICOM file: there is no DICM prefix")


def _meta_element(view: memoryview, offset: int) -> tuple[int, bytes, int] | None:
    """(element number, value, next offset) of the group 0002 element at `offset`; None when there is none."""
    if offset + 8 > view.nbytes:
        return None
    group, number, vr, length = _HEAD.unpack_from(view, offset)
    if group != 0x0002:
        return None
    start = offset + 8
    if vr.decode("latin-1") in LONG_HEADER:
        if offset + 12 > view.nbytes:
            raise InvalidInstance("the file meta information is truncated", offending_tag=0x00020000 | number)
        length, start = _LONG.unpack_from(view, offset + 8)[0], offset + 12
    if start + length > view.nbytes:
        raise InvalidInstance("the file meta information is truncated", offending_tag=0x00020000 | number)
    return number, bytes(view[start : start + length]), start + length


def build_header(
    *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae_title: str = ""
) -> bytes:
    """Preamble of zeros, prefix and file meta group: what stands before a data set in a file (PS3.10 §7.1)."""
    elements = [
        _LONG_ELEMENT.pack(0x0002, 0x0001, b"OB", 0, 2) + b"\0\1",  # File Meta Information Version
        _element(_SOP_CLASS, b"UI", sop_class_uid),
        _element(_SOP_INSTANCE, b"UI", sop_instance_uid),
        _element(_TRANSFER_SYNTAX, b"UI", transfer_syntax_uid),
        _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ]
    if source_ae_title:
        elements.append(_element(0x0016, b"AE", source_ae_title))
    group = b"".join(elements)
    return bytes(PREAMBLE_BYTES) + PREFIX + _HEAD.pack(0x0002, 0x0000, b"UL", 4) + _LONG.pack(len(group)) + group


_REMEMBERED = 256  # elements: all but the instance's UID are those of the instance before
_LONG_ELEMENT = struct.Struct("<HH2sHI")


@lru_cache(maxsize=_REMEMBERED)
def _element(number: int, vr: bytes, text: str) -> bytes:
    """One group 0002 element, padded to an even length (PS3.5 §6.2)."""
    value = text.encode("ascii", "replace")
    if len(value) & 1:
        value += b"\0" if vr == b"UI" else b" "
    return _HEAD.pack(0x0002, number, vr, len(value)) + value
