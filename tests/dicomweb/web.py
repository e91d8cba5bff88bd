"""Builders for tests of the HTTP door: an archive with known content, asked in process or through a real server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import httpx
import pydicom
import uvicorn
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from starlette.types import ASGIApp

from bridge.archive import Archive
from bridge.arrival import ingest_file
from bridge.settings import Http, Settings
from dicomweb.__main__ import uvicorn_config
from dicomweb.app import create_app
from dicomweb.deps import Door, open_door
from storage.records import Origin, ResourceRef
from tests.bridge.archives import open_test_archive

ROOT = "/dicom-web"
STUDY, OTHER_STUDY = "1.2.826.0.1.3680043.10.77.1", "1.2.826.0.1.3680043.10.77.2"
SERIES, MR_SERIES, OTHER_SERIES = f"{STUDY}.1", f"{STUDY}.2", f"{OTHER_STUDY}.1"
CT = f"/studies/{STUDY}/series/{SERIES}"
ORIGIN = Origin(door="CLI", name="test", address="127.0.0.1")


class Client:
    """Asks an ASGI application in process, as a caller from `address` who knows it as http://pacs.test:8042."""

    def __init__(self, app: ASGIApp, address: str = "127.0.0.1") -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        transport = httpx.ASGITransport(app, client=(address, 50000))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://pacs.test:8042", timeout=60)
        self._client.headers.clear()

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """One request, its body read to the end."""
        return asyncio.run_coroutine_threadsafe(self._client.request(method, url, **options), self._loop).result(60)

    def get(self, url: str, **options: Any) -> httpx.Response:
        """One GET."""
        return self.request("GET", url, **options)

    def close(self) -> None:
        """End the loop."""
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@dataclass(frozen=True)
class Web:
    """A client of the door on an archive; paths are below the service root."""

    client: Client
    archive: Archive
    directory: Path
    door: Door

    def get(self, path: str, accept: str | None = None, **headers: str) -> Any:
        """The response of a GET; header names are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if accept is not None:
            sent["accept"] = accept
        return self.client.get(ROOT + path, headers=sent)

    def json(self, path: str, accept: str = "application/dicom+json") -> Any:
        """The body of a GET that succeeds."""
        response = self.get(path, accept)
        assert response.status_code == 200, response.text
        return response.json()

    def add(self, item: Dataset, syntax: str = ExplicitVRLittleEndian, site: str = "default") -> ResourceRef:
        """Store a data set as a Part 10 file of this transfer syntax."""
        return self.add_file(save(item, self.directory / "incoming.dcm", syntax), site)

    def add_file(self, path: Path, site: str = "default") -> ResourceRef:
        """Store a Part 10 file as it is."""
        return ingest_file(self.archive, path, site=site, origin=ORIGIN).ref


@contextlib.contextmanager
def open_web(directory: Path, settings: Settings | None = None, **http: Any) -> Iterator[Web]:
    """An empty archive and a client in process, which looks like a caller from loopback."""
    settings = replace(settings or Settings(), http=replace(Http(), **http))
    archive = open_test_archive(directory, settings)
    door = open_door(archive, archive.settings)
    client = Client(create_app(door))
    try:
        yield Web(client, archive, directory, door)
    finally:
        client.close()
        door.close()
        archive.close()


@contextlib.contextmanager
def serving(archive: Archive) -> Iterator[str]:
    """A real server on a free port; gives the URL of the service root."""
    listening = socket.create_server(("127.0.0.1", 0))
    door = open_door(archive, archive.settings)
    server = uvicorn.Server(uvicorn_config(create_app(door), archive.settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}{ROOT}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
        door.close()


def ct(number: int = 1, *, study: str = STUDY, series: str = SERIES, **attributes: object) -> Dataset:
    """A CT image of 4 x 4 pixels; `attributes` replace or add, None takes away."""
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.SOPClassUID, item.SOPInstanceUID = CTImageStorage, f"{series}.{number}"
    item.StudyInstanceUID, item.SeriesInstanceUID = study, series
    item.StudyDate, item.StudyTime, item.StudyID = "20260305", "101500", "S1"
    item.AccessionNumber, item.ReferringPhysicianName = "A1", "Wang^Wu"
    item.PatientName, item.PatientID = "Zhang^San=张^三", "P1"
    item.PatientBirthDate, item.PatientSex = "19800102", "M"
    item.StudyDescription, item.SeriesDescription = "CT HEAD", "AXIAL"
    item.Modality, item.SeriesNumber, item.InstanceNumber = "CT", 1, number
    item.KVP = "120"
    item.Rows = item.Columns = 4
    item.BitsAllocated = item.BitsStored = 16
    item.HighBit, item.PixelRepresentation, item.SamplesPerPixel = 15, 0, 1
    item.PhotometricInterpretation = "MONOCHROME2"
    item.add_new(0x7FE00010, "OW", pixels(number))
    for keyword, value in attributes.items():
        if value is None:
            delattr(item, keyword)
        else:
            setattr(item, keyword, value)
    return item


def pixels(number: int) -> bytes:
    """The 32 bytes of pixel data of `ct(number)`."""
    return bytes((number * 7 + position) % 256 for position in range(32))


def save(item: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set as a Part 10 file; gives the path back."""
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = UID(syntax)
    item.file_meta.MediaStorageSOPClassUID = item.SOPClassUID
    item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID
    pydicom.dcmwrite(path, item, enforce_file_format=True)
    return path


def fill(web: Web) -> None:
    """Two studies: CT of three instances and MR of one; a later CR study of another patient."""
    for number in (3, 1, 2):
        web.add(ct(number))
    web.add(ct(1, series=MR_SERIES, Modality="MR", SeriesNumber=2, SeriesDescription="T1", KVP=None))
    web.add(
        ct(
            1, study=OTHER_STUDY, series=OTHER_SERIES, Modality="CR", PatientName="Müller^Jörg", PatientID="P2",
            StudyDate="20260401", StudyTime="083000.5", AccessionNumber="", StudyDescription=None, StudyID="",
            PatientBirthDate="", KVP="80", ReferringPhysicianName="",
        )
    )  # fmt: skip


def parts(response: Any) -> list[tuple[dict[str, str], bytes]]:
    """Headers, in lower case, and bodies of a multipart answer, cut by its boundary."""
    kind = response.headers["content-type"]
    assert kind.startswith("multipart/related; type="), kind
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode())
    delimiter = b"--" + str(message.get_boundary()).encode()
    head, *pieces, tail = (b"\r\n" + response.content).split(b"\r\n" + delimiter)
    assert head == b""
    assert tail == b"--\r\n"
    found = []
    for piece in pieces:
        header, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = (line.split(": ", 1) for line in header.decode("latin-1").split("\r\n"))
        found.append(({name.lower(): value for name, value in lines}, body))
    return found


def read_part10(data: bytes) -> pydicom.FileDataset:
    """A Part 10 file's data set."""
    return pydicom.dcmread(io.BytesIO(data))


def uids(found: Sequence[dict[str, Any]], tag: str = "00080018") -> list[str]:
    """The values of one UI attribute of search results or metadata."""
    return [item[tag]["Value"][0] for item in found]
