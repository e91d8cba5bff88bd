"""Instances' DICOM JSON as Python values, for the searches that need more than the index holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from bridge.archive import Archive
from bridge.bundle import Bundle
from bridge.errors import Unavailable
from bridge.metadata import unpacked
from storage.errors import StorageError
from storage.records import Level, ResourceRef

Document = dict[str, Any]  # one PS3.18 Annex F object: "00100010" -> {"vr": ..., "Value": [...]}

_BASE = b"\0"  # the service's URL in stored metadata; a raw NUL cannot occur in JSON text
_BASE_ESCAPED = rb"\u0000"


def documents(archive: Archive, ref: ResourceRef) -> Iterator[tuple[ResourceRef, Document]]:
    """The metadata of every instance at or below `ref`; URLs inside begin with U+0000 for the service's own."""
    bundles: dict[ResourceRef, Bundle] = {}
    for row in archive.index.metadata(ref):
        if row.metadata_json is not None:
            yield row.ref, _loads(unpacked(row.metadata_json))
            continue
        series = ResourceRef(row.ref.site, row.ref.study_instance_uid, row.ref.series_instance_uid)
        if series not in bundles:
            bundles[series] = _bundle(archive, series)
        yield row.ref, _loads(bundles[series].metadata_json(row.ref.sop_instance_uid or ""))


def representative(archive: Archive, ref: ResourceRef) -> Document:
    """The metadata of one instance at or below `ref`, always the same one while it is there; empty if there is none."""
    if ref.level is not Level.INSTANCE:
        first = archive.index.instances(ref, limit=1)
        if not first:
            return {}
        ref = first[0].ref
    return next((document for _, document in documents(archive, ref)), {})


def values(document: Document, path: Sequence[int]) -> list[str]:
    """The values at a path as text, through all items of sequences; numbers as JSON writes them, PN as `A=I=P`."""
    element = document.get(f"{path[0]:08X}")
    if not isinstance(element, dict):
        return []
    found = element.get("Value", [])
    if len(path) > 1:
        return [text for item in found if isinstance(item, dict) for text in values(item, path[1:])]
    return [_text(value) for value in found]


def _bundle(archive: Archive, series: ResourceRef) -> Bundle:
    """The opened bundle of a series whose rows have none of their own metadata."""
    row = archive.index.bundle(series)
    if row is None:
        raise Unavailable("the metadata of this series was being moved; try again")
    store, location = archive.store(row.location), row.location
    try:
        return Bundle(b"".join(store.read(location.key, version_id=location.version_id)))
    except StorageError as error:
        raise Unavailable(f"the metadata of this series cannot be read now: {error}") from error


def _text(value: object) -> str:
    if isinstance(value, dict):
        groups = [str(value.get(name, "")) for name in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    return "" if value is None else str(value)


def dump(element: object) -> bytes:
    """Back to JSON text, with the placeholder of the service's URL as it is stored."""
    return orjson.dumps(element).replace(_BASE_ESCAPED, _BASE)


def _loads(text: bytes) -> Document:
    document: Document = orjson.loads(text.replace(_BASE, _BASE_ESCAPED))
    return document
