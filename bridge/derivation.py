"""What an image compressed with loss says about where it comes from (PS3.3 §C.7.6.1.1.5, §C.12.4.1).

A lossy version of a DICOM image is another image: its own SOP Instance UID, DERIVED, with a reference to its source.
The UID is a function of the source and of the target, so that asking twice gives the same instance.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.rewrite import explicit_header

SOP_INSTANCE_UID, IMAGE_TYPE, FRAME_TYPE = 0x00080018, 0x00080008, 0x00089007
DERIVATION_DESCRIPTION, DERIVATION_CODES, SOURCE_IMAGES = 0x00082111, 0x00089215, 0x00082112
LOSSY, LOSSY_RATIO, LOSSY_METHOD = 0x00282110, 0x00282112, 0x00282114
CHANGED = frozenset(
    {SOP_INSTANCE_UID, IMAGE_TYPE, FRAME_TYPE, DERIVATION_DESCRIPTION, LOSSY, LOSSY_RATIO, LOSSY_METHOD}
)

_DESCRIPTION_BYTES = 1024  # of an ST (PS3.5 §6.2)
_NAMESPACE = uuid.UUID("2f6d7a52-7f0e-4d53-9d52-5b3a3d4c8a11")
# PS3.16 CID 7203 and CID 7202
_LOSSY_COMPRESSION = ("113040", "Lossy Compression")
_UNCOMPRESSED_PREDECESSOR = ("121320", "Uncompressed predecessor")
_PROCESSING_SOURCE = ("121322", "Source image for image processing operation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """The image that a lossy one is made from. `is_lossy`: it has lost something before."""

    sop_class_uid: str
    sop_instance_uid: str
    data_set_sha256: str
    target_uid: str
    is_lossy: bool

    @property
    def derived_uid(self) -> str:
        """The SOP Instance UID of what is made (PS3.5 §B.2)."""
        name = f"{self.sop_instance_uid} {self.data_set_sha256} {self.target_uid}"
        return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"

    def inserted(self, ratio: float, method: str) -> Mapping[int, tuple[str, bytes]]:
        """What the data set must have; items join those that its sequences have already."""
        purpose = _PROCESSING_SOURCE if self.is_lossy else _UNCOMPRESSED_PREDECESSOR
        source = [
            _element(0x00081150, "UI", self.sop_class_uid),
            _element(0x00081155, "UI", self.sop_instance_uid),
            _sequence(0x0040A170, _code(*purpose)),
        ]
        return {
            IMAGE_TYPE: ("CS", b"DERIVED\\PRIMARY "),
            DERIVATION_DESCRIPTION: ("ST", _padded(_sentence(ratio, method))),
            SOURCE_IMAGES: ("SQ", _item(b"".join(source))),
            DERIVATION_CODES: ("SQ", _item(_code(*_LOSSY_COMPRESSION))),
            LOSSY: ("CS", b"01"),
            LOSSY_RATIO: ("DS", _padded(_ratio(ratio))),
            LOSSY_METHOD: ("CS", _padded(method)),
        }

    def changed(self, tag: int, value: bytes, ratio: float, method: str) -> bytes:
        """The new value of one of CHANGED; what happened before stays in front of what happens now."""
        old = value.rstrip(b" \0")
        if tag == SOP_INSTANCE_UID:
            return _padded(self.derived_uid, "\0")
        if tag in (IMAGE_TYPE, FRAME_TYPE):
            return _even(b"\\".join([b"DERIVED", *old.split(b"\\")[1:]]))
        if tag == LOSSY:
            return b"01"
        if tag == DERIVATION_DESCRIPTION:
            joined = b"; ".join(filter(None, [old, _sentence(ratio, method).encode("ascii")]))
            return _even(joined) if len(joined) <= _DESCRIPTION_BYTES else value
        added = _ratio(ratio) if tag == LOSSY_RATIO else method
        return _even(b"\\".join(filter(None, [old, added.encode("ascii")])))


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}"


def _sentence(ratio: float, method: str) -> str:
    return f"lossy compression {method}, ratio {_ratio(ratio)}:1"


def _code(value: str, meaning: str) -> bytes:
    """A code sequence's attributes (PS3.3 §8.8), of the DICOM Controlled Terminology."""
    return b"".join(
        [_element(0x00080100, "SH", value), _element(0x00080102, "SH", "DCM"), _element(0x00080104, "LO", meaning)]
    )


def _sequence(tag: int, content: bytes) -> bytes:
    item = _item(content)
    return explicit_header(tag, "SQ", len(item)) + item


def _item(content: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content


def _element(tag: int, vr: str, text: str) -> bytes:
    value = _padded(text, "\0" if vr == "UI" else " ")
    return explicit_header(tag, vr, len(value)) + value


def _padded(text: str, pad: str = " ") -> bytes:
    return _even(text.encode("ascii"), pad.encode("ascii"))


def _even(value: bytes, pad: bytes = b" ") -> bytes:
    return value + pad if len(value) % 2 else value
