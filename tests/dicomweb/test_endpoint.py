"""Methods of a route: who answers them, who may use them, and request bodies that are never held whole."""

from __future__ import annotations

import hashlib
import logging
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from bridge.access import add_key
from bridge.errors import NotFound
from dicomweb.deps import Call
from dicomweb.reply import Reply, whole
from dicomweb.request_body import RequestBody
from tests.bridge.archives import open_test_archive
from tests.dicomweb.web import ROOT, Web, open_web, serving

STUDY = "/studies/{study}"


def length_and_hash(call: Call) -> Reply:
    """What came, told without keeping it."""
    size, digest = 0, hashlib.sha256()
    for chunk in call.body:
        size += len(chunk)
        digest.update(chunk)
    return whole(200, "text/plain", f"{size} {digest.hexdigest()}".encode())


def refused(_call: Call) -> Reply:
    raise NotFound("there is no such study")


def deleted(_call: Call) -> Reply:
    return Reply(status=204)


ROUTES = (
    (STUDY, "GET", deleted, "retrieve"),
    (STUDY, "POST", length_and_hash, "store"),
    (STUDY, "DELETE", deleted, "delete"),
    ("/studies", "POST", refused, "store"),
)


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr("dicomweb.app.ROUTES", ROUTES)
    with open_web(tmp_path) as opened:
        yield opened


def test_each_method_of_a_route_has_its_own_work(web: Web) -> None:
    url = f"{ROOT}/studies/1.2"
    assert web.client.request("POST", url, content=b"abc").text.startswith("3 ")
    assert web.client.request("DELETE", url).status_code == 204
    assert web.client.request("HEAD", url).status_code == 204


@pytest.mark.parametrize(
    ("path", "allow"), [("/studies/1.2", "DELETE, GET, HEAD, POST, OPTIONS"), ("/studies", "POST, OPTIONS")]
)
def test_options_and_405_list_the_methods_of_the_table(web: Web, path: str, allow: str) -> None:
    options = web.client.request("OPTIONS", ROOT + path)
    assert (options.status_code, options.headers["allow"]) == (204, allow)
    wrong = web.client.request("PUT", ROOT + path)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, allow)
    assert wrong.json()["status"] == 405


def test_a_preflight_lists_the_methods_of_the_resource(web: Web) -> None:
    headers = {"origin": "https://viewer.test", "access-control-request-method": "POST"}
    response = web.client.request("OPTIONS", f"{ROOT}/studies", headers=headers)
    assert (response.status_code, response.headers["access-control-allow-methods"]) == (204, "POST, OPTIONS")


def test_a_refusal_is_written_to_the_trail_also_when_the_path_names_nothing(
    web: Web, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomweb.app.ROUTES", ((STUDY, "GET", lambda _: whole(415, "text/plain", b""), "retrieve"),))
    with caplog.at_level(logging.INFO, "audit"), open_web(web.directory) as own:
        assert own.get("/studies/no-uid").status_code == 415
    assert '"failed"' in caplog.records[-1].getMessage()


def test_beside_the_service_only_get_is_answered(web: Web) -> None:
    response = web.client.request("POST", "/health", content=b"x")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(("method", "scope"), [("GET", "read"), ("POST", "write"), ("DELETE", "admin")])
def test_a_method_needs_its_scope(web: Web, method: str, scope: str) -> None:
    other = {"read": "write", "write": "read", "admin": "write"}[scope]
    for granted, allowed in dict.fromkeys(((scope, True), (other, False), ("admin", True))):
        secret = add_key(web.archive, f"{method.lower()}-{granted}", site="default", scopes=(granted,), at=NOW)
        headers = {"authorization": f"Bearer {secret}"}
        response = web.client.request(method, f"{ROOT}/studies/1.2", headers=headers)
        assert (response.status_code != 403) is allowed


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_body_beyond_its_limit_is_413(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomweb.app.ROUTES", ROUTES)
    with open_web(tmp_path, body_limit_bytes=1000) as narrow:
        assert narrow.client.request("POST", f"{ROOT}/studies/1.2", content=bytes(1000)).status_code == 200
        response = narrow.client.request("POST", f"{ROOT}/studies/1.2", content=bytes(1001))
        assert response.status_code == 413
        assert "http.body_limit_bytes" in response.json()["detail"]


def test_a_body_that_announces_too_much_is_refused_before_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomweb.app.ROUTES", ROUTES)
    head = b"POST /dicom-web/studies/1.2 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    with open_web(tmp_path, body_limit_bytes=8) as narrow, serving(narrow.archive) as url, raw(url, head) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_readers_are_answered_while_every_upload_waits_for_its_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomweb.app.ROUTES", ROUTES)
    with open_web(tmp_path, threads=1, uploads=1) as narrow:
        busy = threading.Event()
        narrow.door.uploads.submit(busy.wait, 30)
        try:
            assert narrow.client.get(f"{ROOT}/studies/1.2").status_code == 204
        finally:
            busy.set()


# ---- through a real server ----


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("dicomweb.app.ROUTES", ROUTES)
    archive = open_test_archive(tmp_path)
    with serving(archive) as url:
        yield url
    archive.close()


def raw(base: str, request: bytes) -> socket.socket:
    """A connection on which `request` was sent; HOST stands for the server's name."""
    url = httpx.URL(base)
    connection = socket.create_connection((url.host, url.port or 80), timeout=20)
    connection.sendall(request.replace(b"HOST", b"%s:%d" % (url.host.encode(), url.port or 80)))
    return connection


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_arrives_whole_with_a_length_or_in_chunks(base: str, chunked: bool) -> None:
    body = bytes(range(256)) * 40_000
    pieces = (body[start : start + 300_000] for start in range(0, len(body), 300_000))
    response = httpx.post(f"{base}/studies/1.2", content=pieces if chunked else body, timeout=60)
    assert response.text == f"{len(body)} {hashlib.sha256(body).hexdigest()}"


def test_continue_is_said_only_once_the_body_is_wanted(base: str) -> None:
    head = b"POST /dicom-web/studies/1.2 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with raw(base, head) as connection:
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    with raw(base, head.replace(b"/1.2", b"")) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_a_connection_serves_again_after_a_refusal_that_left_the_body_unread(base: str) -> None:
    with httpx.Client(timeout=60) as client:
        assert client.post(f"{base}/studies", content=bytes(3_000_000)).status_code == 404
        assert client.post(f"{base}/studies/1.2", content=b"abc").text.startswith("3 ")


def test_a_sender_that_falls_silent_gets_408(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomweb.app.ROUTES", ROUTES)
    with open_web(tmp_path, body_timeout_s=0.05) as web, serving(web.archive) as url:
        head = b"POST /dicom-web/studies/1.2 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\na"
        with raw(url, head) as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_sender_that_breaks_off_ends_the_work(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    leave = RequestBody.__exit__

    def left(self: RequestBody, *reason: object) -> None:
        leave(self)
        ended.set()

    monkeypatch.setattr(RequestBody, "__exit__", left)
    raw(base, b"POST /dicom-web/studies/1.2 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\na").close()
    assert ended.wait(20)
    assert httpx.get(f"{base}/studies/1.2").status_code == 204
