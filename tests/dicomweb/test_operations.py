"""Around the resources: health, readiness, metrics, the front page, CORS, limits, keys, links behind proxies."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.access import add_key
from bridge.settings import Settings
from dicomweb.app import create_app
from dicomweb.deps import open_door, service_root
from storage.errors import StorageUnavailable
from storage.objects.base import ObjectInfo
from tests.bridge.archives import moody
from tests.dicomweb.web import CT, ROOT, SERIES, STUDY, Client, Web, ct, open_web

FAR = "203.0.113.7"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path) as opened:
        opened.add(ct(1))
        yield opened


def test_health_answers_while_the_process_lives(web: Web) -> None:
    assert web.client.get("/health").json() == {"status": "alive"}


def test_health_answers_while_every_thread_waits(tmp_path: Path) -> None:
    with open_web(tmp_path, threads=1) as narrow:
        busy = threading.Event()
        narrow.door.pool.submit(busy.wait, 30)
        try:
            assert narrow.client.get("/health").json() == {"status": "alive"}
        finally:
            busy.set()


def test_ready_says_what_works(web: Web) -> None:
    response = web.client.get("/ready")
    assert response.status_code == 200
    assert response.json()["checks"]["index"] == "ok"


def test_ready_is_503_when_the_store_is_away_and_landing_is_off(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_key: str) -> ObjectInfo:
        raise StorageUnavailable("the store is away")

    monkeypatch.setattr(moody(web.archive), "stat", away)
    response = web.client.get("/ready")
    assert response.status_code == 503
    assert response.json()["checks"]["store"] == "the store is away"


def test_metrics_count_requests_by_route_without_uids(web: Web) -> None:
    web.get(f"{CT}/metadata")
    text = web.client.get("/metrics").text
    assert 'bridge_http_requests_total{route="/studies/{study}/series/{series}/metadata",status="200"}' in text
    assert STUDY not in text


def test_the_front_page_says_where_the_service_is(web: Web) -> None:
    response = web.client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert f"http://pacs.test:8042{ROOT}" in response.text


@pytest.mark.parametrize("path", ["/nope", f"{ROOT}/nope", f"{ROOT}/studies/1/2/3", "/docs"])
def test_an_unknown_route_is_404_in_json(web: Web, path: str) -> None:
    response = web.client.get(path)
    assert response.status_code == 404
    assert response.json()["status"] == 404


def test_a_trailing_slash_makes_no_difference(web: Web) -> None:
    assert web.get("/studies/").json() == web.get("/studies").json()


def test_a_target_that_is_too_long_is_414(web: Web) -> None:
    response = web.get("/studies?StudyInstanceUID=" + ",".join(["1.2.3"] * 4000))
    assert response.status_code == 414
    assert response.json()["status"] == 414


# ---- CORS ----


def test_a_page_from_anywhere_may_read_answers(web: Web) -> None:
    response = web.get("/studies", origin="https://viewer.test")
    assert response.headers["access-control-allow-origin"] == "*"
    assert "etag" in response.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in web.get("/studies").headers


def test_a_preflight_is_answered_for_every_path(web: Web) -> None:
    response = web.client.request(
        "OPTIONS",
        f"{ROOT}{CT}/instances/{SERIES}.1/frames/1",
        headers={
            "origin": "https://viewer.test",
            "access-control-request-method": "GET",
            "access-control-request-headers": "accept,authorization",
        },
    )
    assert response.status_code == 204
    assert response.headers["access-control-allow-headers"] == "accept,authorization"
    assert "GET" in response.headers["access-control-allow-methods"]


def test_only_the_origins_of_the_setting_may_read(tmp_path: Path) -> None:
    with open_web(tmp_path, cors_origins=("https://viewer.test",)) as narrow:
        allowed, refused = (
            narrow.get("/studies", origin="https://viewer.test"),
            narrow.get("/studies", origin="https://x"),
        )
        assert allowed.headers["access-control-allow-origin"] == "https://viewer.test"
        assert "access-control-allow-origin" not in refused.headers
        assert "Origin" in refused.headers["vary"]


def test_refusals_carry_cors_too_so_that_a_viewer_can_show_them(web: Web) -> None:
    for path in ("/studies/1.2.3", "/nope", "/studies?Nonsense=1"):
        assert web.get(path, origin="https://viewer.test").headers["access-control-allow-origin"] == "*"


# ---- keys ----


@pytest.fixture
def far(web: Web) -> Iterator[Client]:
    """A caller from another machine."""
    door = open_door(web.archive, web.archive.settings)
    client = Client(create_app(door), FAR)
    yield client
    client.close()
    door.close()


def key(web: Web, name: str, *scopes: str, site: str = "default") -> dict[str, str]:
    secret = add_key(web.archive, name, site=site, scopes=scopes, at=datetime.now(UTC))
    return {"authorization": f"Bearer {secret}"}


def test_a_caller_from_elsewhere_needs_a_key(web: Web, far: Client) -> None:
    response = far.get(f"{ROOT}/studies")
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert far.get(f"{ROOT}/studies", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert far.get(f"{ROOT}/studies", headers=key(web, "reader", "read")).status_code == 200


def test_a_key_without_the_read_scope_is_forbidden(web: Web, far: Client) -> None:
    assert far.get(f"{ROOT}/studies", headers=key(web, "writer", "write")).status_code == 403


def test_a_key_sees_its_own_site_only(web: Web, far: Client) -> None:
    headers = key(web, "other", "read", site="elsewhere")
    assert far.get(f"{ROOT}/studies", headers=headers).json() == []
    assert far.get(f"{ROOT}/studies/{STUDY}", headers=headers).status_code == 404


def test_health_and_readiness_need_no_key_but_metrics_do(far: Client) -> None:
    assert far.get("/health").status_code == 200
    assert far.get("/ready").status_code == 200
    assert far.get("/metrics").status_code == 401


# ---- links and addresses behind proxies ----


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({}, "http://pacs.test:8042"),
        ({"host": "pacs.test:9000"}, "http://pacs.test:9000"),
        ({"x-forwarded-proto": "https", "x-forwarded-host": "img.test"}, "https://img.test"),
        ({"x-forwarded-proto": "https", "host": "img.test", "x-forwarded-port": "8443"}, "https://img.test:8443"),
        ({"x-forwarded-proto": "https", "host": "img.test", "x-forwarded-port": "443"}, "https://img.test"),
        ({"forwarded": 'for=127.0.0.1;proto=https;host="img.test:8443"'}, "https://img.test:8443"),
        ({"x-forwarded-host": "img.test", "x-forwarded-prefix": "/pacs"}, "http://img.test/pacs"),
        ({"x-forwarded-host": 'evil"<>.test', "x-forwarded-proto": "javascript"}, "http://pacs.test:8042"),
    ],
)
def test_links_follow_a_trusted_proxy(web: Web, headers: dict[str, str], base: str) -> None:
    found = web.client.get(f"{ROOT}/studies", headers=headers).json()
    assert found[0]["00081190"]["Value"] == [f"{base}{ROOT}/studies/{STUDY}"]
    (item,) = web.client.get(f"{ROOT}{CT}/metadata", headers=headers).json()
    assert item["7FE00010"]["BulkDataURI"].startswith(f"{base}{ROOT}/studies/")


def test_links_ignore_a_proxy_that_is_not_trusted(tmp_path: Path) -> None:
    with open_web(tmp_path, trusted_proxies=("192.0.2.0/24",)) as untrusting:
        untrusting.add(ct(1))
        headers = {"x-forwarded-host": "evil.test", "forwarded": "host=evil.test"}
        found = untrusting.client.get(f"{ROOT}/studies", headers=headers).json()
        assert found[0]["00081190"]["Value"] == [f"http://pacs.test:8042{ROOT}/studies/{STUDY}"]


def test_a_public_url_rules_all_links(tmp_path: Path) -> None:
    with open_web(tmp_path, public_url="https://img.test:8443/pacs/") as public:
        public.add(ct(1))
        found = public.client.get(f"{ROOT}/studies", headers={"x-forwarded-host": "other.test"}).json()
        assert found[0]["00081190"]["Value"] == [f"https://img.test:8443/pacs{ROOT}/studies/{STUDY}"]


def test_a_caller_behind_a_trusted_proxy_is_not_loopback(web: Web) -> None:
    assert web.client.get(f"{ROOT}/studies", headers={"x-forwarded-for": FAR}).status_code == 401
    assert web.client.get(f"{ROOT}/studies", headers={"forwarded": f'for="{FAR}:4711"'}).status_code == 401
    assert web.client.get(f"{ROOT}/studies", headers={"x-forwarded-for": "127.0.0.1"}).status_code == 200


@pytest.mark.parametrize(("root", "expected"), [("/dicom-web", "/dicom-web"), ("x/", "/x"), ("", ""), ("/", "")])
def test_the_service_root_has_a_slash_before_and_none_behind(root: str, expected: str) -> None:
    settings = Settings()
    assert service_root(replace(settings, http=replace(settings.http, root=root))) == expected


# ---- errors and logs ----


def test_an_internal_error_is_told_without_its_trace(
    web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("dicomweb.qido.search", broken)
    monkeypatch.setattr(web.client._client._transport, "raise_app_exceptions", False)
    response = web.get("/studies")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    ("method", "path"),
    [("search", "/studies"), ("revision", f"{CT}/metadata"), ("instance", f"{CT}/instances/{SERIES}.1")],
)
def test_an_index_that_is_away_is_503_with_retry_after(
    web: Web, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    def away(*_: object) -> None:
        raise StorageUnavailable("away")

    monkeypatch.setattr(type(web.archive.index), method, away)
    response = web.get(path)
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0


def test_the_access_log_has_no_query_and_no_uid(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="dicomweb"):
        web.get("/studies?PatientName=Zhang*")
        web.get(f"{CT}/metadata")
    lines = [record.getMessage() for record in caplog.records if record.name == "dicomweb.access"]
    assert len(lines) == 2
    assert lines[0].startswith("GET /studies 200 ")
    assert not any(secret in line for line in lines for secret in ("Zhang", STUDY))
