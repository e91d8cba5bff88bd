"""Reading answers for their correctness before anything is counted: multipart parts, data sets, UIDs of a search."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bench.client import fetch
from bench.target import Target

DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
JSON = "application/dicom+json"
IMAGE_BYTES = 512 * 512 * 2  # of a CT


class WrongAnswer(Exception):
    """A server answered something else than what was sent to it."""


def parts(content_type: str, body: bytes) -> list[bytes]:
    """The bodies of a multipart/related answer."""
    boundary = content_type.split("boundary=", 1)[1].split(";")[0].strip().strip('"').encode()
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise WrongAnswer("a multipart answer without its last boundary")
    return [piece.split(b"\r\n\r\n", 1)[1] for piece in pieces[1:-1]]


def data_set(part10: bytes | bytearray) -> bytes:
    """The bytes behind the file meta information (PS3.10 §7.1): the group length stands first, at 132."""
    return bytes(part10[144 + int.from_bytes(part10[140:144], "little") :])


def data_set_syntax(part10: bytes | bytearray) -> str:
    """The transfer syntax that the file meta information names (PS3.10 §7.1)."""
    meta = part10[: 144 + int.from_bytes(part10[140:144], "little")]
    at = meta.index(b"\x02\x00\x10\x00UI") + 6
    return meta[at + 2 : at + 2 + int.from_bytes(meta[at : at + 2], "little")].rstrip(b"\0").decode("ascii")


def digest(part10: bytes | bytearray) -> str:
    """SHA-256 of the data set: senders and servers differ in file meta information."""
    return hashlib.sha256(data_set(part10)).hexdigest()


def image_digest(part10: bytes | bytearray) -> str:
    """SHA-256 of a CT's pixel data, the last element: alike in whatever way elements are written."""
    return hashlib.sha256(part10[-IMAGE_BYTES:]).hexdigest()


def search(target: Target, path: str) -> list[dict[str, Any]]:
    """A search's answers; raises WrongAnswer on any status but 200 and 204."""
    answer = fetch(target.http_address, target.root + path, JSON)
    if answer.status not in (200, 204):
        raise WrongAnswer(f"{target.name} answered {answer.status} to {path}")
    return list(json.loads(answer.body)) if answer.body else []


def value(item: dict[str, Any], tag: str) -> Any:
    """The first value of an attribute, None without one."""
    return (item.get(tag, {}).get("Value") or [None])[0]


def instances_at(target: Target, path: str) -> list[bytes]:
    """The Part 10 files of a retrieve of DICOM instances; raises WrongAnswer."""
    answer = fetch(target.http_address, target.root + path, DICOM)
    if answer.status != 200:
        raise WrongAnswer(f"{target.name} answered {answer.status} to {path}")
    return parts(answer.headers["content-type"], answer.body)
