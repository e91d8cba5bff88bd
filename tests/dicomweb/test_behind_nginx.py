"""Links are those the caller sees: behind a real nginx with TLS, a port of its own and a path in front."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bridge.settings import Http, Settings
from tests.bridge.archives import open_test_archive
from tests.dicomweb.web import CT, ROOT, SERIES, STUDY, ct, fill, open_web, save, serving
from tests.servers.nginx import Nginx, Upstream, nginx

pytestmark = pytest.mark.server

PUBLIC = "https://pacs.example.org:8443/imaging"
INSTANCE = f"{CT}/instances/{SERIES}.1"
# How proxies tell what they were asked for: name of the location -> directives.
TELLING = {
    "host": """
        proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Prefix /host; proxy_set_header X-Forwarded-For $remote_addr;""",
    "port": """
        proxy_set_header Host bridge.internal; proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-Port $server_port;
        proxy_set_header X-Forwarded-Prefix /port; proxy_set_header X-Forwarded-For $remote_addr;""",
    "forwarded": """
        proxy_set_header Host bridge.internal; proxy_set_header X-Forwarded-Prefix /forwarded;
        proxy_set_header Forwarded 'for=$remote_addr;host="$http_host";proto=$scheme';""",
}


@dataclass(frozen=True)
class Seen:
    """The service as a caller sees it through one location; `base` is what every link must begin with."""

    client: httpx.Client
    base: str

    def get(self, path: str, accept: str = "*/*") -> httpx.Response:
        response = self.client.get(f"{self.base}{path}", headers={"accept": accept})
        assert response.status_code == 200, response.text
        return response


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """In front of two bridges: one told by headers, one by its setting alone."""
    folder = tmp_path_factory.mktemp("nginx")
    settings = Settings(http=replace(Http(), public_url=PUBLIC))
    fixed = open_test_archive(tmp_path_factory.mktemp("fixed"), settings)
    with open_web(tmp_path_factory.mktemp("told")) as told, serving(told.archive) as url, serving(fixed) as fixed_url:
        fill(told)
        upstreams = {name: Upstream(_origin(url), headers) for name, headers in TELLING.items()}
        upstreams["silent"] = Upstream(_origin(fixed_url), "proxy_set_header Host bridge.internal;")
        with nginx(folder, upstreams, as_root=os.geteuid() == 0) as running:
            yield running
    fixed.close()


@pytest.fixture(params=sorted(TELLING))
def seen(request: pytest.FixtureRequest, proxy: Nginx) -> Iterator[Seen]:
    with httpx.Client(verify=proxy.trust, timeout=60) as client:
        yield Seen(client, f"{proxy.url}/{request.param}{ROOT}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def links_in(value: Any) -> Iterator[str]:
    """Every URL of search results or metadata."""
    if isinstance(value, dict):
        if value.get("vr") == "UR":
            yield from value.get("Value", [])
        if "BulkDataURI" in value:
            yield value["BulkDataURI"]
        for inner in value.values():
            yield from links_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from links_in(inner)


@pytest.mark.parametrize("path", ["/studies", "/series", "/instances", f"{INSTANCE}/metadata", f"{CT}/metadata"])
def test_w6_f_2_6_retrieve_urls_and_bulk_data_uris_lead_back_through_the_proxy(seen: Seen, path: str) -> None:
    links = list(links_in(seen.get(path, "application/dicom+json").json()))
    assert links
    for link in links:
        assert link.startswith(f"{seen.base}/studies/")
        assert seen.client.get(link).status_code == 200


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (INSTANCE, "application/dicom"),
        (f"{INSTANCE}/frames/1", "application/octet-stream"),
        (f"{INSTANCE}/bulkdata/7FE00010", "application/octet-stream"),
        (f"{INSTANCE}/rendered", "image/png"),
    ],
)
def test_a_single_part_says_its_own_location(seen: Seen, path: str, accept: str) -> None:
    location = seen.get(path, accept).headers["content-location"]
    assert location.startswith(f"{seen.base}{INSTANCE}")
    assert seen.client.get(location, headers={"accept": accept}).status_code == 200


def test_g12_the_parts_of_a_message_say_their_locations(seen: Seen) -> None:
    body = seen.get(CT, 'multipart/related; type="application/dicom"').content
    locations = re.findall(rb"Content-Location: (\S+)", body)
    assert [one.decode().startswith(f"{seen.base}{CT}/instances/") for one in locations] == [True] * 3


def test_t11_a_store_says_where_the_study_is(seen: Seen, tmp_path: Path) -> None:
    file = save(ct(1, study="1.2.77", series="1.2.77.1"), tmp_path / "new.dcm")
    response = seen.client.post(
        f"{seen.base}/studies", content=file.read_bytes(), headers={"content-type": "application/dicom"}
    )
    assert response.status_code == 200
    assert response.headers["location"] == f"{seen.base}/studies/1.2.77"
    assert set(links_in(response.json())) == {
        f"{seen.base}/studies/1.2.77",
        f"{seen.base}/studies/1.2.77/series/1.2.77.1/instances/1.2.77.1.1",
    }


def test_1_6_descriptions_name_the_base_that_the_caller_sees(seen: Seen) -> None:
    capabilities = seen.client.request("OPTIONS", f"{seen.base}/")
    assert f'base="{seen.base}"' in capabilities.text
    origin = seen.base.removesuffix(ROOT)
    assert seen.client.get(f"{origin}/openapi.json").json()["servers"] == [{"url": origin}]
    page = seen.client.get(f"{origin}/").text
    assert f'href="{origin}/api"' in page
    assert seen.client.get(f"{origin}/api").status_code == 200


def test_g20_a_warning_names_the_service_as_it_is_seen(seen: Seen) -> None:
    assert seen.get("/studies?limit=1").headers["warning"].startswith(f"299 {seen.base}: ")


def test_a_public_url_needs_no_header_at_all(proxy: Nginx, tmp_path: Path) -> None:
    with httpx.Client(verify=proxy.trust, timeout=60) as client:
        base = f"{proxy.url}/silent{ROOT}"
        file = save(ct(1), tmp_path / "new.dcm")
        stored = client.post(
            f"{base}/studies", content=file.read_bytes(), headers={"content-type": "application/dicom"}
        )
        assert stored.headers["location"] == f"{PUBLIC}{ROOT}/studies/{STUDY}"
        found = client.get(f"{base}{INSTANCE}/metadata", headers={"accept": "application/dicom+json"}).json()
        assert set(links_in(found)) == {f"{PUBLIC}{ROOT}{INSTANCE}/bulkdata/7FE00010"}
