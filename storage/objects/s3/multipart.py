"""Uploads in parts: begun, filled, completed; aborted when anything fails, and swept when the process died between.

Each part is read twice from the payload, once to hash it and once to send it, in pieces: memory stays constant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from xml.etree import ElementTree

import urllib3

from storage.errors import ObjectExists, ObjectNotFound, StorageError, StorageUnavailable
from storage.objects.payload import Payload
from storage.objects.s3.wire import SEND_BYTES, Wire, storage_error, text, xml

_SMALLEST_PART = 5 << 20  # S3 takes no smaller one but the last
_PARTS = 10_000  # S3's limit


def upload(
    wire: Wire,
    threads: ThreadPoolExecutor,
    key: str,
    payload: Payload,
    headers: Mapping[str, str],
    part_bytes: int,
) -> urllib3.BaseHTTPResponse:
    """Put `payload` in parts of `part_bytes`, two at a time; the answer to the completion. Raises as `request` does."""
    with suppress(ObjectNotFound):
        wire.request("HEAD", key)
        raise ObjectExists(key)
    part_bytes = max(part_bytes, _SMALLEST_PART, -(-payload.size_bytes // _PARTS))
    upload_id = text(xml(wire.request("POST", key, query={"uploads": ""}, headers=headers)), "UploadId")
    try:
        starts = range(0, payload.size_bytes, part_bytes)
        etags = []
        for first in range(0, len(starts), 2):
            pair = [
                threads.submit(_send_part, wire, key, payload, upload_id, number + 1, starts[number], part_bytes)
                for number in range(first, min(first + 2, len(starts)))
            ]
            etags += [part.result() for part in pair]
        return _complete(wire, key, upload_id, etags)
    except BaseException:
        with suppress(StorageError):
            wire.request("DELETE", key, query={"uploadId": upload_id})
        raise


def sweep(wire: Wire, before: datetime) -> int:
    """Abort the uploads begun before that time. Returns how many."""
    swept = 0
    markers: dict[str, str] = {}
    while True:
        page = xml(wire.request("GET", query={"uploads": "", **markers}))
        for found in page.iterfind("{*}Upload"):
            if datetime.fromisoformat(text(found, "Initiated").replace("Z", "+00:00")) < before:
                with suppress(ObjectNotFound):
                    wire.request("DELETE", text(found, "Key"), query={"uploadId": text(found, "UploadId")})
                    swept += 1
        if text(page, "IsTruncated") != "true":
            return swept
        markers = {"key-marker": text(page, "NextKeyMarker"), "upload-id-marker": text(page, "NextUploadIdMarker")}


def _send_part(wire: Wire, key: str, payload: Payload, upload_id: str, number: int, start: int, part_bytes: int) -> str:
    length = min(part_bytes, payload.size_bytes - start)
    body = partial(payload.chunks, SEND_BYTES, start, length)
    digest = hashlib.sha256()
    for chunk in body():
        digest.update(chunk)
    response = wire.request(
        "PUT",
        key,
        query={"partNumber": str(number), "uploadId": upload_id},
        body=body,
        size_bytes=length,
        sha256=digest.hexdigest(),
    )
    return response.headers["ETag"]


def _complete(wire: Wire, key: str, upload_id: str, etags: list[str]) -> urllib3.BaseHTTPResponse:
    root = ElementTree.Element("CompleteMultipartUpload")
    for number, etag in enumerate(etags, start=1):
        part = ElementTree.SubElement(root, "Part")
        ElementTree.SubElement(part, "PartNumber").text = str(number)
        ElementTree.SubElement(part, "ETag").text = etag
    document = ElementTree.tostring(root)
    response = wire.request(
        "POST",
        key,
        query={"uploadId": upload_id},
        headers={"If-None-Match": "*", "Content-Type": "application/xml"},
        body=lambda: [document],
        size_bytes=len(document),
        sha256=hashlib.sha256(document).hexdigest(),
    )
    answer = xml(response)
    if answer.tag.rpartition("}")[2] == "Error":  # S3 may fail after it has sent 200
        raise storage_error(text(answer, "Code"), 500)
    if not text(answer, "ETag"):
        raise StorageUnavailable("the object store completed an upload without an ETag")
    return response
