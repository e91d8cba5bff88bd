"""The S3 store against a server that errs, and against real ones: wire, versions, multipart, probe."""

from __future__ import annotations

import base64
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from storage.errors import InvalidMeta, ObjectExists, ObjectNotFound, StorageFull, StorageUnavailable
from storage.objects.base import ObjectMeta
from storage.objects.payload import Payload
from storage.objects.s3 import S3Settings, S3Store
from storage.objects.s3.probe import ABSENT, VERIFIED
from tests.servers.object_stores import S3Server
from tests.storage.conftest import open_s3
from tests.storage.stored import BODY, HEADER, content, is_absent, keys_of, new_key, pattern, payload, spooled

NOTHING = ObjectMeta()


@dataclass
class Asked:
    """A request the scripted server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedS3:
    """A server that answers each request with the next (status, headers, body); status 0 hangs up instead."""

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    endpoint: str = ""

    def store(self, **changed: object) -> S3Store:
        """A store that talks to it."""
        values: dict[str, object] = {"read_timeout_s": 2.0, "connect_timeout_s": 1.0, "part_bytes": 5 << 20, **changed}
        return S3Store(
            S3Settings(
                endpoint=self.endpoint,
                bucket="bucket",
                access_key="access",
                secret_key="secret",
                tls=False,
                **values,  # type: ignore[arg-type]  # the tests change any of them
            )
        )


@pytest.fixture
def scripted() -> Iterator[ScriptedS3]:
    script = ScriptedS3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
            status, headers, content = script.answers.pop(0)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            self.close_connection = int(headers.get("Content-Length", len(content))) > len(content)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.endpoint = f"127.0.0.1:{server.server_port}"
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


def error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode()


def test_a_put_is_one_request_with_everything_in_it(scripted: ScriptedS3) -> None:
    scripted.answers = [(200, {"x-amz-version-id": "v1"}, b"")]
    until = datetime(2999, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
    meta = ObjectMeta(tags={"rc": "cn op", "mod": "CT"}, user={"aet": "A B"}, retain_until=until, legal_hold=True)
    info = scripted.store().put("site/1/2/3.dcm", payload(), meta=meta)
    assert info.version_id == "v1"
    (asked,) = scripted.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", "/bucket/site/1/2/3.dcm", HEADER + BODY)
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers["x-amz-tagging"] == "rc=cn%20op&mod=CT"
    assert headers["x-amz-meta-aet"] == "A B"
    assert headers["x-amz-object-lock-mode"] == "GOVERNANCE"
    assert headers["x-amz-object-lock-retain-until-date"] == "2999-01-02T03:04:06Z"  # never a moment short
    assert headers["x-amz-object-lock-legal-hold"] == "ON"
    assert headers["if-none-match"] == "*"
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert base64.b64decode(headers["x-amz-checksum-crc32"]) == zlib.crc32(HEADER + BODY).to_bytes(4)
    assert "x-amz-checksum-crc32" in headers["authorization"]  # nobody can change it on the way


@pytest.mark.parametrize(
    ("endpoint", "tls", "is_safe"),
    [
        ("store.example:9000", False, False),
        ("store.example:443", True, True),
        ("192.0.2.1:9000", False, False),
        ("127.0.0.1:9000", False, True),
        ("[::1]:9000", False, True),
        ("[2001:db8::1]:9000", False, False),
        ("localhost:9000", False, True),
    ],
)
def test_the_line_is_safe_over_tls_and_on_this_machine(endpoint: str, tls: bool, is_safe: bool) -> None:
    settings = S3Settings(endpoint=endpoint, bucket="bucket", access_key="access", secret_key="secret", tls=tls)
    assert settings.is_line_safe is is_safe


def test_on_any_other_line_the_body_is_signed_too(scripted: ScriptedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Settings, "is_line_safe", False)
    scripted.answers = [(200, {}, b"")]
    scripted.store().put(new_key(), payload(), meta=NOTHING)
    (asked,) = scripted.asked
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers["x-amz-content-sha256"] == payload().object_sha256()


@pytest.mark.parametrize("failure", [(503, {}, error("SlowDown")), (500, {}, b""), (0, {}, b"")])
def test_a_passing_failure_is_tried_again_with_the_whole_body(
    scripted: ScriptedS3, failure: tuple[int, dict[str, str], bytes]
) -> None:
    scripted.answers = [failure, failure, (200, {}, b"")]
    scripted.store().put(new_key(), payload(), meta=NOTHING)
    assert [asked.body for asked in scripted.asked] == [HEADER + BODY] * 3


def test_tries_are_bounded(scripted: ScriptedS3) -> None:
    scripted.answers = [(503, {}, b"")] * 9
    with pytest.raises(StorageUnavailable):
        scripted.store().put(new_key(), payload(), meta=NOTHING)
    assert len(scripted.asked) == 3


def test_a_put_whose_answer_was_lost_is_recognised_as_ours(scripted: ScriptedS3) -> None:
    size = str(len(HEADER + BODY))
    stat = {"Content-Length": size, "Last-Modified": "Mon, 23 Nov 2026 08:00:00 GMT", "x-amz-version-id": "v7"}
    scripted.answers = [(0, {}, b""), (412, {}, error("PreconditionFailed")), (200, stat, b"")]
    assert scripted.store().put(new_key(), payload(), meta=NOTHING).version_id == "v7"


def test_another_object_found_at_the_second_try_is_not_taken_for_ours(scripted: ScriptedS3) -> None:
    stat = {"Content-Length": "1", "Last-Modified": "Mon, 23 Nov 2026 08:00:00 GMT"}
    scripted.answers = [(0, {}, b""), (412, {}, error("PreconditionFailed")), (200, stat, b"")]
    with pytest.raises(ObjectExists):
        scripted.store().put(new_key(), payload(), meta=NOTHING)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (507, b"", StorageFull),
        (507, error("XMinioStorageFull"), StorageFull),
        (503, error("XMinioStorageFull"), StorageFull),
        (400, error("XMinioAdminBucketQuotaExceeded"), StorageFull),
        (412, b"", ObjectExists),
        (403, error("AccessDenied"), StorageUnavailable),
        (403, error("InvalidAccessKeyId"), StorageUnavailable),
        (403, error("RequestTimeTooSkewed"), StorageUnavailable),
        (400, b"<html>not S3 at all", StorageUnavailable),
        (301, b"", StorageUnavailable),
    ],
)
def test_an_answer_is_told_in_the_vaults_words(
    scripted: ScriptedS3, status: int, body: bytes, kind: type[Exception]
) -> None:
    scripted.answers = [(status, {}, body)]
    with pytest.raises(kind) as refusal:
        scripted.store().put(new_key(), payload(), meta=NOTHING)
    assert "secret" not in str(refusal.value)
    assert len(scripted.asked) == 1


def test_a_body_that_breaks_off_is_fetched_again_and_never_passed_on_short(scripted: ScriptedS3) -> None:
    headers = {"Content-Length": "10", "Content-Range": "bytes 0-9/10"}
    short, whole = (206, headers, b"01234"), (206, headers, b"0123456789")
    scripted.answers = [short, whole]
    assert content(scripted.store(), "a/b") == b"0123456789"
    scripted.answers = [short, short]
    with pytest.raises(StorageUnavailable):
        content(scripted.store(), "a/b")


def test_a_server_that_is_not_there_is_unavailable_at_once() -> None:
    with socket.socket() as held:  # bound, not listening: refused
        held.bind(("127.0.0.1", 0))
        store = ScriptedS3(endpoint=f"127.0.0.1:{held.getsockname()[1]}").store()
        started = time.monotonic()
        for ask in every_call(store):
            with pytest.raises(StorageUnavailable):
                ask()
        assert time.monotonic() - started < 30
        store.close()


def test_a_server_that_never_answers_is_given_up_after_the_read_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = ScriptedS3(endpoint=f"127.0.0.1:{silent.getsockname()[1]}").store(read_timeout_s=0.2)
        for ask in every_call(store):
            started = time.monotonic()
            with pytest.raises(StorageUnavailable):
                ask()
            assert time.monotonic() - started < 2
        store.close()


def every_call(store: S3Store) -> list[Callable[[], object]]:
    key, soon = "site/1/2/3.dcm", datetime(2999, 1, 1, tzinfo=UTC)
    return [
        lambda: store.put(key, payload(), meta=NOTHING),
        lambda: store.put(key, payload(bytes(6 << 20)), meta=NOTHING),
        lambda: store.read(key),
        lambda: store.stat(key),
        lambda: store.meta(key),
        lambda: store.delete(key),
        lambda: store.delete(key, version_id="v1"),
        lambda: list(store.list()),
        lambda: store.set_tags(key, {"a": "b"}),
        lambda: store.extend_retention(key, soon),
        lambda: store.set_legal_hold(key, True),
        store.ensure_bucket,
        store.probe,
        lambda: store.sweep_unfinished(timedelta(0)),
    ]


def test_a_lock_on_a_store_without_locks_is_refused_not_dropped(scripted: ScriptedS3) -> None:
    store = scripted.store(lock_mode="none")
    with pytest.raises(InvalidMeta):
        store.put(new_key(), payload(), meta=ObjectMeta(retain_until=datetime(2999, 1, 1, tzinfo=UTC)))
    assert scripted.asked == []


def test_a_part_that_fails_aborts_the_upload(scripted: ScriptedS3) -> None:
    begun = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
    scripted.answers = [(404, {}, b""), (200, {}, begun), (507, {}, b""), (507, {}, b""), (204, {}, b"")]
    with pytest.raises(StorageFull):
        scripted.store().put(new_key(), payload(bytes(8 << 20)), meta=NOTHING)
    aborted = [asked for asked in scripted.asked if asked.method == "DELETE"]
    assert ["uploadId=u1" in asked.path for asked in aborted] == [True]


def test_a_completion_that_fails_after_its_status_is_a_failure(scripted: ScriptedS3) -> None:
    begun = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
    part = (200, {"ETag": '"e"'}, b"")
    failed = (200, {}, error("InternalError"))
    scripted.answers = [(404, {}, b""), (200, {}, begun), part, part, failed, (204, {}, b"")]
    with pytest.raises(StorageUnavailable):
        scripted.store().put(new_key(), payload(bytes(8 << 20)), meta=NOTHING)
    assert scripted.asked[-1].method == "DELETE"


@pytest.fixture(params=["minio", "versitygw"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def store(server: S3Server) -> Iterator[S3Store]:
    opened = open_s3(server)
    opened.ensure_bucket()
    yield opened
    opened.close()


@pytest.mark.server
@pytest.mark.parametrize("is_line_safe", [True, False])
def test_a_body_that_was_damaged_on_the_way_is_refused(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, is_line_safe: bool
) -> None:
    key, sent = new_key(), payload()
    monkeypatch.setattr(S3Settings, "is_line_safe", is_line_safe)
    monkeypatch.setattr(Payload, "object_crc32", lambda _: zlib.crc32(b"other bytes"))
    with pytest.raises(StorageUnavailable):
        store.put(key, sent, meta=NOTHING)
    assert is_absent(store, key)


@pytest.mark.server
def test_a_missing_bucket_is_made_by_the_first_put(server: S3Server) -> None:
    store, key = open_s3(server), new_key()
    info = store.put(key, payload(), meta=NOTHING)
    assert info.version_id is not None
    assert content(store, key) == HEADER + BODY
    assert store.ensure_bucket() is False
    store.close()


@pytest.mark.server
def test_an_unversioned_bucket_has_no_version_ids(server: S3Server) -> None:
    store, key = open_s3(server, object_lock=False), new_key()
    assert store.put(key, payload(), meta=NOTHING).version_id is None
    assert [info.version_id for info in store.list()] == [None]
    store.delete(key)
    assert is_absent(store, key)
    store.close()


@pytest.mark.server
def test_bytes_below_a_delete_marker_are_still_found_by_version(store: S3Store) -> None:
    """Somebody with another tool deleted without a version: the index still knows which bytes are meant."""
    key = new_key()
    info = store.put(key, payload(), meta=NOTHING)
    store.wire.request("DELETE", key)
    with pytest.raises(ObjectNotFound):
        store.read(key)
    with pytest.raises(ObjectNotFound):
        store.stat(key)
    assert b"".join(store.read(key, version_id=info.version_id)) == HEADER + BODY
    assert keys_of(store.list()) == [key]
    store.delete(key)
    assert keys_of(store.list()) == []


@pytest.mark.server
def test_a_large_spool_goes_through_in_little_memory(store: S3Store, tmp_path: Path) -> None:
    key, body = new_key(), pattern(48 << 20)
    with spooled(tmp_path, body) as taken:
        tracemalloc.start()
        try:
            store.put(key, taken, meta=NOTHING)
            _, written = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            read_bytes = sum(map(len, store.read(key)))
            _, read = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert read_bytes == len(HEADER + body)
    assert written < 8 << 20
    assert read < 24 << 20


@pytest.mark.server
def test_an_abandoned_upload_is_swept_once_it_is_old(store: S3Store) -> None:
    store.wire.request("POST", new_key(), query={"uploads": ""})
    assert store.sweep_unfinished(timedelta(hours=1)) == 0
    assert store.sweep_unfinished(timedelta(hours=-1)) == 1
    assert store.sweep_unfinished(timedelta(hours=-1)) == 0


@pytest.mark.server
def test_the_probe_finds_a_lock_that_is_enforced(store: S3Store) -> None:
    found = store.probe()
    assert (found.worm, found.legal_hold) == (VERIFIED, VERIFIED)
    assert (found.versioning, found.tags, found.user_metadata, found.conditional_put) == (True, True, True, True)
    assert abs(found.clock_skew_s) < 5
    assert {verdict for what, verdict, _ in found.findings() if what != "lifecycle rules"} == {"ok"}
    assert keys_of(store.list()) == []  # nothing of the probe stays


@pytest.mark.server
def test_the_probe_finds_that_there_is_no_lock(server: S3Server) -> None:
    store = open_s3(server, object_lock=False)
    found = store.probe()
    assert (found.worm, found.legal_hold, found.versioning) == (ABSENT, ABSENT, False)
    assert ("WORM", "warning", ABSENT) in found.findings()
    store.close()


@pytest.mark.server
def test_a_wrong_clock_is_seen_by_the_probe(server: S3Server) -> None:
    right = open_s3(server)
    right.ensure_bucket()
    wrong = S3Store(right.settings, now=lambda: datetime.now(UTC) + timedelta(seconds=400))
    assert -405 < wrong.probe().clock_skew_s < -395
    wrong.close()
    right.close()
