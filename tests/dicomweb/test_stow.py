"""STOW-RS around the edges: senders that break off, limits, overlap, what is recorded."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge import audit
from bridge.errors import BridgeError
from dicomweb.store_batch import Batch
from dicomweb.store_report import Failed
from dicomweb.xml import native_model
from storage.errors import StorageFull
from storage.objects.payload import Spool
from tests.dicomweb.storing import OTHER, RELATED, file, message, post, spooled, store, values
from tests.dicomweb.web import CT, ROOT, SERIES, STUDY, Web, ct, open_web, serving, uids
from tests.scp.running import wait_for


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path) as opened:
        yield opened


def stored(web: Web) -> list[str]:
    """The SOP Instance UIDs that the archive has, in order."""
    return sorted(uids(web.json("/instances")))


# ---- messages that end early ----


def test_the_parts_before_a_missing_closing_boundary_stay(web: Web) -> None:
    response = post(web, message([file(web, ct(1)), file(web, ct(2))], closing=False))
    assert response.status_code == 400
    assert "1 instances before it were stored" in response.json()["detail"]
    assert stored(web) == [f"{SERIES}.1"]
    assert spooled(web) == []


@pytest.mark.parametrize("memory", [1 << 20, 100], ids=["in memory", "in a file"])
def test_a_sender_that_breaks_off_keeps_what_came_whole_and_leaves_no_half(tmp_path: Path, memory: int) -> None:
    with open_web(tmp_path) as web:
        web.archive.settings = with_memory(web, memory)
        body = message([file(web, ct(number)) for number in (1, 2, 3)])
        head = (
            f"POST {ROOT}/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {RELATED}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with serving(web.archive) as url:
            connection = socket.create_connection(("127.0.0.1", httpx.URL(url).port), 20)
            connection.sendall(head.encode() + body[:-200])
            wait_for(lambda: len(stored(web)) >= 1, "the first instance is stored")
            connection.close()
            wait_for(lambda: len(stored(web)) == 2, "the second instance is stored")
        assert stored(web) == [f"{SERIES}.1", f"{SERIES}.2"]
        assert spooled(web) == []


def with_memory(web: Web, memory_bytes: int) -> Any:
    """Settings with which longer instances are spooled to a file."""
    current = web.archive.settings
    return replace(current, storage=replace(current.storage, spool_memory_bytes=memory_bytes))


def test_a_header_that_makes_no_sense_ends_the_message_but_not_the_parts_before(web: Web) -> None:
    body = message([file(web, ct(1)), ("no colon\r\n", file(web, ct(2)))])
    response = post(web, body)
    assert response.status_code == 400
    assert stored(web) == [f"{SERIES}.1"]


# ---- limits ----


def test_a_message_of_too_many_parts_is_refused_past_the_limit(tmp_path: Path) -> None:
    with open_web(tmp_path, parts_limit=2) as narrow:
        assert store(narrow, *(file(narrow, ct(number)) for number in (1, 2))).status_code == 200
        response = store(narrow, *(file(narrow, ct(number)) for number in (3, 4, 5)))
        assert response.status_code == 400
        assert "http.parts_limit" in response.json()["detail"]
        assert len(stored(narrow)) == 4


def test_a_body_past_its_limit_keeps_what_came_whole(tmp_path: Path) -> None:
    with open_web(tmp_path, body_limit_bytes=2500) as narrow:
        body = message([file(narrow, ct(number)) for number in (1, 2, 3, 4)])
        with serving(narrow.archive) as url:
            pieces = (body[at : at + 500] for at in range(0, len(body), 500))
            response = httpx.post(f"{url}/studies", content=pieces, headers={"content-type": RELATED}, timeout=60)
        assert response.status_code == 413
        assert stored(narrow) == [f"{SERIES}.1", f"{SERIES}.2"]
        assert spooled(narrow) == []


def test_a_multipart_message_inside_a_part_is_not_opened(web: Web) -> None:
    inner = message([file(web, ct(1))])
    response = post(web, message([("Content-Type: multipart/related; boundary=x\r\n", inner.replace(b"a-b", b"x-b"))]))
    assert response.status_code == 400
    assert values(response.json(), OTHER, "00081197") == [0xC000]
    assert stored(web) == []


def test_a_disk_that_fills_up_fails_the_instance_and_not_the_ones_behind(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Spool.write

    def full(self: Spool, chunk: memoryview) -> None:
        if b"full" in bytes(chunk):
            raise StorageFull("no space left")
        write(self, chunk)

    monkeypatch.setattr(Spool, "write", full)
    response = store(web, file(web, ct(1, PatientComments="full")), file(web, ct(2)))
    assert response.status_code == 202
    assert stored(web) == [f"{SERIES}.2"]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("fuzz")) as opened:
        yield opened


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6), st.integers(0, 5000),
    st.sampled_from(["application/dicom", "application/dicom+json", "application/dicom+xml"]), st.booleans(),
)  # fmt: skip
def test_mangled_messages_get_a_clear_answer_and_never_a_500(
    target: Web, changes: list[tuple[int, int]], length: int, kind: str, cut: bool
) -> None:
    picture = ("Content-Type: image/png\r\nContent-Location: p\r\n", b"\x89PNG\r\n")
    documents = {
        "application/dicom": [file(target, ct(1)), file(target, ct(2))],
        "application/dicom+json": [(f"Content-Type: {kind}\r\n", json.dumps(JSON_METADATA).encode()), picture],
        "application/dicom+xml": [(f"Content-Type: {kind}\r\n", native_model(JSON_METADATA)), picture],
    }
    body = bytearray(message(documents[kind]))
    for place, value in changes:
        body[place % len(body)] = value
    sent = bytes(body[: length % len(body)] if cut else body)
    response = post(target, sent, kind=RELATED.replace("application/dicom", kind))
    assert response.status_code in (200, 202, 400, 409, 413), response.text
    assert spooled(target) == []


JSON_METADATA = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.3.5"]},
    "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]},
    "7FE00010": {"vr": "OW", "BulkDataURI": "p"},
}


# ---- several at a time ----


def test_instances_of_one_request_are_stored_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_web(tmp_path, ingest_threads=3) as web:
        together = threading.Barrier(3)
        commit = type(web.archive.index).commit

        def meet(*arguments: Any, **named: Any) -> Any:
            together.wait(20)  # broken, and an error, unless three come at once
            return commit(*arguments, **named)

        monkeypatch.setattr(type(web.archive.index), "commit", meet)
        assert store(web, *(file(web, ct(number)) for number in (1, 2, 3))).status_code == 200


def test_never_more_are_under_way_than_the_batch_may_have() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def complete() -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(0.01)
        with lock:
            running -= 1
        raise BridgeError("not now")

    gate = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        batch = Batch(pool, 2)
        for _ in range(12):
            batch.add(complete)
        assert len(batch.results()) == 12
    assert most <= 3  # two in the pool, the last in the caller's thread


def test_the_answer_is_in_the_order_of_the_parts(web: Web) -> None:
    numbers = [5, 3, 9, 1, 7, 2, 8]
    answer = store(web, *(file(web, ct(number)) for number in numbers)).json()
    assert values(answer, "00081199", "00081155") == [f"{SERIES}.{number}" for number in numbers]


def test_an_error_of_our_own_fails_one_instance_and_is_logged(
    web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise RuntimeError("a secret detail")

    with ThreadPoolExecutor(1) as pool:
        batch = Batch(pool, 1)
        batch.add(broken, sop_instance_uid="1.2")
        (failed,) = batch.results()
    assert isinstance(failed, Failed)
    assert failed.reason == 0x0110
    assert "secret" not in str(failed.error)
    assert "a secret detail" in caplog.text


# ---- what is recorded ----


def test_each_instance_and_the_request_have_a_line_in_the_audit_trail(web: Web, tmp_path: Path) -> None:
    trail = tmp_path / "audit.jsonl"
    audit.to_file(trail)
    try:
        store(web, file(web, ct(1)), b"no DICOM file", path=f"/studies/{STUDY}")
        post(web, b"", kind="text/plain")
    finally:
        os.close(audit._file)
        audit._file = None
    lines = [json.loads(line) for line in trail.read_text().splitlines()]
    said = {(line["action"], line["outcome"]) for line in lines}
    assert said == {
        ("ingest", "stored"),
        ("ingest", "InvalidInstance"),
        ("store", "success"),
        ("store", "UnsupportedMediaType"),
    }
    assert all("Zhang" not in line for line in trail.read_text().splitlines())


def test_metrics_count_instances_by_door_and_outcome(web: Web) -> None:
    def counted(sample: str) -> float:
        found = [line for line in web.client.get("/metrics").text.splitlines() if line.startswith(sample)]
        return float(found[0].split()[-1]) if found else 0.0

    stored_before = counted('bridge_ingested_instances_total{door="HTTP",outcome="stored"}')
    refused_before = counted('bridge_refused_total{door="HTTP",error="InvalidInstance"}')
    store(web, file(web, ct(1)), b"no DICOM file")
    assert counted('bridge_ingested_instances_total{door="HTTP",outcome="stored"}') == stored_before + 1
    assert counted('bridge_refused_total{door="HTTP",error="InvalidInstance"}') == refused_before + 1


def test_what_was_stored_is_found_at_once(web: Web) -> None:
    store(web, file(web, ct(1)))
    tag = web.get(f"{CT}/metadata").headers["etag"]
    store(web, file(web, ct(2)))
    assert len(web.json(f"{CT}/metadata")) == 2
    assert web.get(f"{CT}/metadata").headers["etag"] != tag
