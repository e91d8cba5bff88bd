"""Sending to another DICOMweb server: what its answers mean."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.archive import Archive
from bridge.forwarding.delivery import NotWanted, Unreachable
from bridge.retrieve import Retrieve
from bridge.settings import ForwardRule, WebDestination
from dicomweb.stow_line import courier
from storage.records import InstanceRecord
from tests.bridge.archives import SERIES, STUDY, data_set, open_test_archive, receive

JPEG_LS = "1.2.840.10008.1.2.4.80"


@dataclass
class Far:
    """A server that answers as it is told, and remembers what it was sent."""

    status: int = 200
    reason: int | None = None
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    url: str = ""


@pytest.fixture
def far() -> Iterator[Far]:
    far = Far()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/dicom-web/studies"
            far.connections.add(self.client_address[1])
            far.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            far.headers.append({name.lower(): value for name, value in self.headers.items()})
            failed = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [far.reason]}}]}}
            body = json.dumps(failed if far.reason is not None else {}).encode()
            self.send_response(far.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    far.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web/"
    yield far
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = open_test_archive(tmp_path)
    yield made
    made.close()


def record(archive: Archive, number: int = 1) -> InstanceRecord:
    receive(archive, data_set(number))
    found = archive.index.instance_by_sop("default", f"{SERIES}.{number}")
    assert found is not None
    return found


def send(archive: Archive, far: Far, *records: InstanceRecord, key_file: str = "", transfer_syntax: str = "") -> None:
    retrieve = Retrieve(archive)
    rule = ForwardRule(name="on", to=("partner",), transfer_syntax=transfer_syntax)
    try:
        with courier(archive, retrieve, WebDestination(name="partner", url=far.url, key_file=key_file))(rule) as line:
            for one in records:
                line.send(one)
    finally:
        retrieve.close()


def test_instances_go_out_as_stored_over_one_connection(archive: Archive, far: Far) -> None:
    send(archive, far, record(archive, 1), record(archive, 2))
    assert [data_set(number) in body for number, body in enumerate(far.bodies, 1)] == [True, True]
    assert len(far.connections) == 1
    assert far.headers[0]["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert STUDY.encode() in far.bodies[0]


def test_the_key_is_read_from_its_file(archive: Archive, far: Far, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("brk_secret\n")
    send(archive, far, record(archive), key_file=str(tmp_path / "key"))
    assert far.headers[0]["authorization"] == "Bearer brk_secret"


def test_a_key_that_cannot_be_read_is_no_reason_to_give_up(archive: Archive, far: Far, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="key file"):
        send(archive, far, record(archive), key_file=str(tmp_path / "missing"))


def test_a_rule_may_compress(archive: Archive, far: Far) -> None:
    send(archive, far, record(archive), transfer_syntax=JPEG_LS)
    assert JPEG_LS.encode() in far.bodies[0].partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(("status", "reason"), [(200, None), (202, None)])
def test_what_was_stored_is_done(archive: Archive, far: Far, status: int, reason: int | None) -> None:
    far.status, far.reason = status, reason
    send(archive, far, record(archive))


@pytest.mark.parametrize(("status", "reason"), [(409, 0xA900), (409, 0x0111), (202, 0xC000), (400, None), (415, None)])
def test_what_is_refused_for_good_is_not_wanted(archive: Archive, far: Far, status: int, reason: int | None) -> None:
    far.status, far.reason = status, reason
    with pytest.raises(NotWanted, match=f"HTTP status {status}"):
        send(archive, far, record(archive))


@pytest.mark.parametrize(("status", "reason"), [(409, 0xA700), (401, None), (404, None), (429, None), (503, None)])
def test_what_may_be_taken_later_is_tried_again(archive: Archive, far: Far, status: int, reason: int | None) -> None:
    far.status, far.reason = status, reason
    with pytest.raises(Unreachable, match=f"HTTP status {status}"):
        send(archive, far, record(archive))


def test_nobody_there_is_unreachable(archive: Archive) -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        send(archive, Far(url="http://127.0.0.1:9/dicom-web"), record(archive))
