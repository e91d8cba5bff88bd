"""Pulling from a DICOMweb server that answers as it is told (PS3.18 §10.4, §10.6)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from bridge.archive import Archive
from bridge.errors import NotFound
from bridge.pulling.remote import Barred, Refused, RemoteInstance, RemoteSeries, RemoteStudy, TooMany, Unreachable
from bridge.pulling.running import Options
from bridge.pulling.selection import Selection
from bridge.settings import Http, Pull, Settings, WebDestination
from dicomweb.pull import opened
from dicomweb.remote_archive import RemoteArchive
from storage.records import ResourceRef
from tests.bridge.archives import SERIES, STUDY, open_test_archive, part10
from tests.bridge.pulling.heard import Heard

JSON, MULTIPART = "application/dicom+json", 'multipart/related; type="application/dicom"; boundary=cut'
SERIES_PATH = f"/dicom-web/studies/{STUDY}/series/{SERIES}"


@dataclass
class Server:
    """Answers by path: (status, media type, body)."""

    port: int
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], str, str]] = field(default_factory=list)  # path, query, Accept, key

    def tell(self, path: str, *matches: dict[str, str]) -> None:
        """DICOM JSON of these matches on the first page, nothing on the next."""
        document = [{tag: {"vr": "UI", "Value": [value]} for tag, value in one.items()} for one in matches]
        self.answers[path] = (200, JSON, json.dumps(document).encode())


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            authorization = self.headers.get("Authorization", "")
            answering.asked.append((url.path, query, self.headers["Accept"], authorization))
            status, kind, body = answering.answers.get(url.path, (404, "text/plain", b""))
            if query.get("offset", "0") != "0":
                status, body = 204, b""
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answering = Server(listening.server_address[1])
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield answering
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    settings = Settings(http=Http(document_limit_bytes=4096), pull=Pull(timeout_s=5.0, page_results=2))
    ours = open_test_archive(tmp_path, settings)
    yield ours
    ours.close()


def remote(archive: Archive, server: Server, key_file: str = "") -> RemoteArchive:
    """The server as a source."""
    url = f"http://127.0.0.1:{server.port}/dicom-web/"
    return RemoteArchive(archive, WebDestination(name="web", url=url, key_file=key_file), site="default")


def series(count: int, *, is_whole: bool = True) -> RemoteSeries:
    """A series or a part of one."""
    instances = tuple(RemoteInstance(sop_instance_uid=f"{SERIES}.{number + 1}") for number in range(count))
    return RemoteSeries(study_instance_uid=STUDY, series_instance_uid=SERIES, instances=instances, is_whole=is_whole)


def multipart(*files: bytes) -> tuple[int, str, bytes]:
    """An answer of WADO-RS."""
    parts = b"".join(b"\r\n--cut\r\nContent-Type: application/dicom\r\n\r\n" + file for file in files)
    return 200, MULTIPART, parts + b"\r\n--cut--"


def test_studies_series_and_instances_are_found(archive: Archive, server: Server, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret\n")
    server.tell("/dicom-web/studies", {"0020000D": STUDY, "00201208": "2", "00080061": "CT"}, {"0020000D": "none"})
    server.tell(f"/dicom-web/studies/{STUDY}/series", {"0020000E": SERIES, "00080060": "CT"})
    server.tell(f"{SERIES_PATH}/instances", {"00080018": f"{SERIES}.1", "00080016": "1.2"}, {"00080018": f"{SERIES}.2"})
    source = remote(archive, server, str(key))
    (study,) = source.studies(Selection(patient="P1", modalities=("CT",)), None)
    (found,) = source.series(study)
    assert study == RemoteStudy(study_instance_uid=STUDY, modalities=("CT",), instances=2)
    assert [one.sop_instance_uid for one in found.instances] == [f"{SERIES}.1", f"{SERIES}.2"]
    _, query, accept, authorization = server.asked[0]
    assert (query["00100020"], query["00080061"], query["limit"]) == ("P1", "CT", "2")
    assert (accept, authorization) == (JSON, "Bearer secret")


def test_a_whole_series_comes_in_one_answer_bit_by_bit(archive: Archive, server: Server) -> None:
    server.answers[SERIES_PATH] = multipart(part10(1), part10(2))
    heard = Heard()
    remote(archive, server).fetch(series(2), heard, singly=False)
    records = archive.index.instances(ResourceRef("default", STUDY))
    assert [b"".join(archive.read(one)) for one in records] == [part10(1), part10(2)]
    assert (heard.here, {one.origin_name for one in records}) == (2, {"web"})
    assert server.asked[0][2] == 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.mark.parametrize(("is_whole", "singly"), [(False, False), (True, True)])
def test_a_part_comes_instance_by_instance(archive: Archive, server: Server, is_whole: bool, singly: bool) -> None:
    server.answers[f"{SERIES_PATH}/instances/{SERIES}.1"] = (200, "application/dicom", part10(1))
    server.answers[f"{SERIES_PATH}/instances/{SERIES}.3"] = multipart(part10(3))
    heard = Heard()
    with pytest.raises(Refused, match="404"):  # of the second; the third comes all the same
        remote(archive, server).fetch(series(3, is_whole=is_whole), heard, singly=singly)
    assert heard.here == 2


def test_an_answer_that_breaks_off_is_asked_for_again(archive: Archive, server: Server) -> None:
    status, kind, body = multipart(part10(1), part10(2))
    server.answers[SERIES_PATH] = (status, kind, body[:-400])
    heard = Heard()
    with pytest.raises(Unreachable, match="broke off"):
        remote(archive, server).fetch(series(2), heard, singly=False)
    assert (heard.here, archive.index.tally().instances) == (1, 1)


def test_what_cannot_be_kept_is_named(archive: Archive, server: Server) -> None:
    server.answers[SERIES_PATH] = multipart(part10(1, study="1.2.3"), part10(2))
    heard = Heard()
    remote(archive, server).fetch(series(2), heard, singly=False)
    assert (heard.here, list(heard.reasons)) == (1, [f"{SERIES}.1"])


def test_our_own_store_that_is_away_is_tried_again(archive: Archive, server: Server) -> None:
    archive.stores["hot"].mood = "away"  # type: ignore[attr-defined]
    server.answers[SERIES_PATH] = multipart(part10(1))
    with pytest.raises(Unreachable, match="our own archive cannot take it"):
        remote(archive, server).fetch(series(1), Heard(), singly=False)


def test_something_else_than_instances_is_refused(archive: Archive, server: Server) -> None:
    server.answers[SERIES_PATH] = (200, "text/html", b"<p>log in</p>")
    with pytest.raises(Refused, match="sends text/html"):
        remote(archive, server).fetch(series(1), Heard(), singly=False)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Refused),
        (401, Barred),
        (403, Barred),
        (404, Refused),
        (413, TooMany),
        (429, Unreachable),
        (500, Unreachable),
        (501, Refused),
        (503, Unreachable),
    ],
)
def test_statuses(archive: Archive, server: Server, status: int, error: type[Exception]) -> None:
    server.answers["/dicom-web/studies"] = (status, "text/plain", b"no")
    with pytest.raises(error, match=f"HTTP status {status}"):
        remote(archive, server).studies(Selection(study=STUDY), None)


def test_answers_that_are_no_matches(archive: Archive, server: Server) -> None:
    source = remote(archive, server)
    server.answers["/dicom-web/studies"] = (200, JSON, b"<html>")
    with pytest.raises(Refused, match="no JSON"):
        source.studies(Selection(study=STUDY), None)
    server.answers["/dicom-web/studies"] = (200, JSON, b"[" + b" " * 5000 + b"]")
    with pytest.raises(TooMany, match="document_limit_bytes"):
        source.studies(Selection(study=STUDY), None)
    server.answers["/dicom-web/studies"] = (200, JSON, b'[7, {}, {"0020000D": 3}, {"0020000D": {"Value": {}}}]')
    assert source.studies(Selection(study=STUDY), None) == []


def test_nobody_answers_and_no_key(archive: Archive) -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        remote(archive, Server(1)).studies(Selection(study=STUDY), None)
    with pytest.raises(Barred, match="key file cannot be read"):
        remote(archive, Server(1), "/nowhere/key").studies(Selection(study=STUDY), None)


def test_a_name_that_nobody_has(archive: Archive) -> None:
    typed = Options(
        name="x", site="", by="auto", destination="", is_dry=False, is_thorough=False, parallel=1, config=None
    )
    with pytest.raises(NotFound, match="named 'x'"):
        opened(archive, typed)
