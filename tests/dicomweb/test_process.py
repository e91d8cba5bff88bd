"""`python -m dicomweb` as a process of its own: inherited socket, no delay, draining, TLS."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bridge.archive import index_url, open_archive
from bridge.arrival import ingest_file
from bridge.settings import Settings, Storage
from storage.index import migrate
from tests.conftest import REPOSITORY
from tests.dicomweb.web import CT, ORIGIN, ROOT, SERIES, STUDY, ct, save

DEADLINE_S = 30.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data directory with a study of 40 MB."""
    data = tmp_path / "data"
    data.mkdir()
    settings = Settings(storage=Storage(directory=data, free_space_reserve_bytes=0))
    migrate(index_url(settings))
    archive = open_archive(settings)
    try:
        for number in range(1, 41):
            item = ct(number, Rows=512, Columns=1024)
            item.PixelData = bytes(512 * 1024 * 2)
            ingest_file(archive, save(item, tmp_path / "one.dcm"), site="default", origin=ORIGIN)
    finally:
        archive.close()
    return data


@contextmanager
def door(directory: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A door process on a socket that it inherits, and the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    environment = {**os.environ, "BRIDGE_STORAGE_DIRECTORY": str(directory), "PYTHONPATH": str(REPOSITORY), **settings}
    process = subprocess.Popen(
        [sys.executable, "-m", "dicomweb", "--fd", str(listening.fileno())],
        env=environment,
        pass_fds=(listening.fileno(),),
        cwd=directory,
    )
    try:
        yield process, listening.getsockname()[1]
    finally:
        process.kill()
        process.wait()
        listening.close()


def connect(port: int, *, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    """A connection to the door; the socket listens already, so the first answer comes when the process is up."""
    if tls is not None:
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_S, context=tls)
    return http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)


def test_a_door_serves_on_an_inherited_socket(directory: Path) -> None:
    with door(directory) as (_, port), closing(connect(port)) as connection:
        connection.request("GET", f"{ROOT}{CT}/instances/{SERIES}.1/frames/1")
        response = connection.getresponse()
        assert response.status == 200
        assert len(response.read()) == int(response.headers["content-length"])
        assert response.headers["server"] == "dicom-bridge"


def test_a_running_answer_is_finished_before_the_door_closes(directory: Path) -> None:
    with door(directory) as (process, port), closing(connect(port)) as connection:
        connection.request("GET", f"{ROOT}/studies/{STUDY}")
        response = connection.getresponse()
        first = response.read(1)
        process.send_signal(signal.SIGTERM)
        body = first + response.read()
        assert len(body) == int(response.headers["content-length"])
        assert process.wait(DEADLINE_S) in (0, -signal.SIGTERM)


def test_an_idle_door_ends_at_once(directory: Path) -> None:
    with door(directory) as (process, port), closing(connect(port)) as connection:
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b'{"status":"alive"}'
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_S)
        assert time.monotonic() - started < 15


def test_a_certificate_makes_it_https(directory: Path, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl, "openssl is needed to make a certificate"
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    files = {"BRIDGE_HTTP_TLS_CERTIFICATE": str(certificate), "BRIDGE_HTTP_TLS_KEY": str(key)}
    with door(directory, **files) as (_, port):
        context = ssl.create_default_context(cafile=str(certificate))
        with closing(connect(port, tls=context)) as connection:
            connection.request("GET", f"{ROOT}/studies")
            body = connection.getresponse().read()
            assert f"https://127.0.0.1:{port}{ROOT}/studies/{STUDY}".encode() in body
