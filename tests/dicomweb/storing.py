"""Builders of store requests: multipart messages as clients write them, and the answers taken apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.dicomweb.web import ROOT, Web, save

BOUNDARY = "a-boundary"
RELATED = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
DICOM = "application/dicom"
REFERENCED, FAILED, OTHER = "00081199", "00081198", "0008119A"

Part = tuple[str, bytes]


def message(parts: Iterable[bytes | Part], *, closing: bool = True) -> bytes:
    """A multipart body; a part without headers of its own is said to be application/dicom."""
    pieces = []
    for part in parts:
        header, body = part if isinstance(part, tuple) else (f"Content-Type: {DICOM}\r\n", part)
        pieces.append(f"--{BOUNDARY}\r\n{header}\r\n".encode() + body + b"\r\n")
    return b"".join(pieces) + (f"--{BOUNDARY}--\r\n".encode() if closing else b"")


def file(web: Web, item: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A data set as the bytes of a Part 10 file."""
    return save(item, web.directory / "sent.dcm", syntax).read_bytes()


def post(web: Web, content: Any, *, path: str = "/studies", kind: str = RELATED, **headers: str) -> httpx.Response:
    """The response of a POST; header names are written with underscores."""
    sent = {"content-type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}
    return web.client.request("POST", ROOT + path, content=content, headers=sent)


def store(web: Web, *files: bytes, path: str = "/studies", **headers: str) -> httpx.Response:
    """The response of a POST of DICOM files."""
    return post(web, message(files), path=path, **headers)


def items(answer: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    """The items of a sequence of a response data set; empty when it is not there."""
    return answer.get(tag, {}).get("Value", [])


def values(answer: dict[str, Any], sequence: str, tag: str) -> list[Any]:
    """The first value of one attribute in every item."""
    return [item[tag]["Value"][0] for item in items(answer, sequence)]


def spooled(web: Web) -> list[Path]:
    """What lies in the spool: nothing, once a request is over."""
    return list(web.archive.spool_directory.iterdir())
