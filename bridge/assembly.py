"""Instances that come as metadata with their bulk values beside them, put together into data sets (PS3.18 §10.5.1.4).

So a site without DICOM sends JSON or XML and a PNG, a JPEG, a PDF or a video. What is made is a plain data set in
Explicit VR Little Endian, or in the transfer syntax of its compressed pixels, and goes the ONE way in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.archive import Archive
from bridge.bulk_parts import BulkParts
from bridge.compose import Document, bulk_value, compose, normalised, only, whole_value
from bridge.element_writer import refusal
from bridge.errors import BridgeError, OutOfResources
from bridge.image_module import PIXEL_DATA
from bridge.ingest import Delivery, Receipt, begin, ingest, refuse
from bridge.part10 import build_header
from bridge.pixel_parts import PixelParts, pixel_parts
from bridge.pixels import PixelPool
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from storage.errors import StorageFull
from storage.records import Origin

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_NAMES = {
    _SOP_CLASS: "SOPClassUID", _SOP_INSTANCE: "SOPInstanceUID", _STUDY: "StudyInstanceUID",
    _SERIES: "SeriesInstanceUID",
}  # fmt: skip
_DOCUMENT, _DOCUMENT_TYPE, _DOCUMENT_BYTES = 0x00420011, 0x00420012, 0x00420015


class Assembly:
    """The instances of one message. `bulk` takes the parts; `store` may be called once they are all there."""

    def __init__(
        self, archive: Archive, pixels: PixelPool, *, site: str, origin: Origin, study: str | None = None
    ) -> None:
        """`study`: the only study that the instances may belong to. Raises OutOfResources."""
        try:
            self.bulk = BulkParts(archive.spool_directory)
        except StorageFull as error:
            raise OutOfResources(str(error)) from error
        self._archive = archive
        self._pixels = pixels
        self._site = site
        self._origin = origin
        self._study = study

    def store(self, document: object) -> Receipt:
        """Put one instance together and take it in. Raises InvalidInstance, and what `ingest` raises."""
        try:
            known = _with_document_type(normalised(document), self.bulk)
            uids = {tag: _uid(known, tag) for tag in _NAMES}
            pixels = self._pixel_parts(known)
            syntax = pixels.transfer_syntax_uid if pixels else EXPLICIT_VR_LITTLE_ENDIAN
            spool = begin(
                self._archive,
                build_header(
                    sop_class_uid=uids[_SOP_CLASS], sop_instance_uid=uids[_SOP_INSTANCE], transfer_syntax_uid=syntax
                ),
            )
            try:
                for piece in self._pieces(pixels.document if pixels else known, pixels):
                    spool.write(piece)
            except BaseException:
                spool.discard()
                raise
        except StorageFull as error:
            full = OutOfResources(str(error))
            refuse(self._archive, self._origin, full)
            raise full from error
        except BridgeError as error:
            refuse(self._archive, self._origin, error)
            raise
        delivery = Delivery(
            transfer_syntax_uid=syntax, site=self._site, origin=self._origin, expected_study_instance_uid=self._study
        )
        return ingest(self._archive, spool, delivery)

    def close(self) -> None:
        """Forget the bulk values."""
        self.bulk.close()

    def _pixel_parts(self, document: Document) -> PixelParts | None:
        location = document.get(PIXEL_DATA, {}).get("BulkDataURI")
        if not isinstance(location, str):
            return None
        return pixel_parts(document, self.bulk.at(location), self._pixels)

    def _pieces(self, document: Document, pixels: PixelParts | None) -> Iterator[bytes]:
        plain = bulk_value(self.bulk)

        def bulk(tag: int, vr: str, location: str) -> Iterator[bytes]:
            if tag == PIXEL_DATA and pixels is not None and location == document[PIXEL_DATA]["BulkDataURI"]:
                return pixels.element()
            if tag == _DOCUMENT:
                return whole_value(tag, "OB", only(tag, self.bulk, location))
            return plain(tag, vr, location)

        return compose(document, bulk, depth_limit=self._archive.settings.ingest.depth_limit)


def named(document: object) -> tuple[str, str]:
    """(SOP Class UID, SOP Instance UID) that metadata give, "" where they give none: to report a failure by."""
    found = []
    for tag in (_SOP_CLASS, _SOP_INSTANCE):
        item = document.get(f"{tag:08X}") if isinstance(document, dict) else None
        values = item.get("Value") if isinstance(item, dict) else None
        found.append(values[0] if isinstance(values, list) and values and isinstance(values[0], str) else "")
    return found[0], found[1]


def _uid(document: Document, tag: int) -> str:
    values = document.get(tag, {}).get("Value")
    if not values or not isinstance(values[0], str):
        raise refusal(tag, f"{_NAMES[tag]} is missing")
    return values[0]


def _with_document_type(document: Document, bulk: BulkParts) -> Document:
    """An encapsulated document says its type and its length (PS3.3 §C.24.2), by the part it came in."""
    location = document.get(_DOCUMENT, {}).get("BulkDataURI")
    if not isinstance(location, str):
        return document
    part = only(_DOCUMENT, bulk, location)
    said: dict[int, Mapping[str, Any]] = {
        _DOCUMENT_TYPE: {"vr": "LO", "Value": [part.media_type]},
        _DOCUMENT_BYTES: {"vr": "UL", "Value": [part.size]},
    }
    return {**said, **document}
