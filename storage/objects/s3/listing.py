"""Listings of the bucket, page by page: what is there, or every version of it (ListObjectsV2, ListObjectVersions).

Read here and not by the SDK, which refuses the fractions of a second that versitygw gives a delete marker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from storage.objects.base import ObjectInfo
from storage.objects.s3.wire import Wire, text, version_of, xml


@dataclass(frozen=True, slots=True)
class Listed:
    """One line: an object, one version of it, or a delete marker."""

    info: ObjectInfo
    version_id: str  # as the store names it, "null" included
    is_delete_marker: bool


def objects(wire: Wire, prefix: str) -> Iterator[Listed]:
    """What is there now, in key order."""
    markers: dict[str, str] = {}
    while True:
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix, **markers}
        page = xml(wire.request("GET", query=query))
        for element in page.iterfind("{*}Contents"):
            yield _listed(element)
        if text(page, "IsTruncated") != "true":
            return
        markers = {"continuation-token": text(page, "NextContinuationToken")}


def versions(wire: Wire, prefix: str) -> Iterator[Listed]:
    """Every version and delete marker, in key order, newest first within a key."""
    markers: dict[str, str] = {}
    while True:
        query = {"versions": "", "encoding-type": "url", "prefix": prefix, **markers}
        page = xml(wire.request("GET", query=query))
        for element in page:
            if element.tag.rpartition("}")[2] in ("Version", "DeleteMarker"):
                yield _listed(element)
        if text(page, "IsTruncated") != "true":
            return
        markers = {
            "key-marker": unquote_plus(text(page, "NextKeyMarker")),
            "version-id-marker": text(page, "NextVersionIdMarker"),
        }


def _listed(element: ElementTree.Element) -> Listed:
    version_id = text(element, "VersionId")
    info = ObjectInfo(
        unquote_plus(text(element, "Key")),
        int(text(element, "Size") or 0),
        datetime.fromisoformat(text(element, "LastModified").replace("Z", "+00:00")),
        version_of(version_id),
    )
    return Listed(info, version_id, element.tag.rpartition("}")[2] == "DeleteMarker")
