"""The service describes itself: WADL, OpenAPI and a page, all from one table that agrees with the routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bridge.settings import Http, Settings
from dicomweb.app import ROUTES
from dicomweb.openapi import document
from dicomweb.resources import PARAMETERS, RESOURCES
from tests.dicomweb.web import ROOT, Web, open_web

WADL = "{http://wadl.dev.java.net/2009/02}"
HOST = "http://pacs.test:8042"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web")) as opened:
        yield opened


def options(web: Web, path: str = "/", **headers: str) -> Any:
    return web.client.request("OPTIONS", ROOT + path, headers=headers)


def test_the_table_describes_exactly_the_routes() -> None:
    assert {(one.route, one.method) for one in RESOURCES} == {(route, method) for route, method, *_ in ROUTES}
    assert len({one.name for one in RESOURCES}) == len(RESOURCES)
    assert {name for one in RESOURCES for name in one.parameters} == set(PARAMETERS)


@pytest.mark.parametrize("path", ["", "/"])
def test_8_9_options_of_the_base_is_a_wadl_document(web: Web, path: str) -> None:
    response = options(web, path)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/vnd.sun.wadl+xml")
    assert response.headers["allow"] == "OPTIONS"
    application = ElementTree.fromstring(response.content)
    assert application.tag == f"{WADL}application"
    (resources,) = application.findall(f"{WADL}resources")
    assert resources.get("base") == HOST + ROOT


def wadl_methods(node: ElementTree.Element, above: str = "") -> Iterator[tuple[str, str, str]]:
    for child in node.findall(f"{WADL}resource"):
        path = f"{above}/{child.get('path')}"
        for method in child.findall(f"{WADL}method"):
            yield path, str(method.get("name")), str(method.get("id"))
        yield from wadl_methods(child, path)


def test_h_1_the_tree_has_every_resource_and_method_once(web: Web) -> None:
    (tree,) = ElementTree.fromstring(options(web).content)
    found = list(wadl_methods(tree))
    instance = "/studies/{StudyInstance}/series/{SeriesInstance}/instances/{SOPInstance}"
    assert len(found) == len(set(found)) == len(RESOURCES) - 1
    for expected in (
        ("/studies", "GET", "SearchForStudies"),
        ("/studies", "POST", "StoreInstances"),
        ("/studies/{StudyInstance}", "GET", "RetrieveStudy"),
        (f"{instance}/frames/{{frames}}", "GET", "RetrieveFrames"),
        (f"{instance}/rendered", "GET", "RetrieveRenderedInstance"),
    ):
        assert expected in found


def test_8_9_json_is_the_same_tree(web: Web) -> None:
    response = options(web, accept="application/json")
    assert response.headers["content-type"] == "application/json"
    resources = response.json()["application"]["resources"]
    assert resources["@base"] == HOST + ROOT
    studies = next(one for one in resources["resource"] if one["@path"] == "studies")
    assert {method["@id"] for method in studies["method"]} == {"SearchForStudies", "StoreInstances"}


def test_8_9_another_form_is_406(web: Web) -> None:
    assert options(web, accept="text/html").status_code == 406
    assert options(web, "/?accept=application/json").json()["application"]


def test_8_9_a_preflight_of_the_base_stays_one(web: Web) -> None:
    response = options(web, origin="https://viewer.test", **{"access-control-request-method": "GET"})
    assert (response.status_code, response.content) == (204, b"")


def test_the_base_answers_nothing_else(web: Web) -> None:
    response = web.client.get(ROOT)
    assert (response.status_code, response.headers["allow"]) == (405, "OPTIONS")


def test_a_service_at_the_top_is_the_front_page_too(tmp_path: Path) -> None:
    with open_web(tmp_path, root="/") as top:
        assert "DICOMweb bridge" in top.client.get("/").text
        response = top.client.request("OPTIONS", "/")
        assert (response.status_code, response.headers["allow"]) == (200, "GET, HEAD, OPTIONS")
        assert f'base="{HOST}"' in response.text
        assert "/studies" in top.client.get("/openapi.json").json()["paths"]


def test_what_is_switched_off_or_moved_is_described_so(tmp_path: Path) -> None:
    with open_web(tmp_path, delete=False, wado_uri="/old/wado") as other:
        described = options(other).text
        assert "Delete" not in described
        assert 'path="old"' in described
        paths = other.client.get("/openapi.json").json()["paths"]
        assert f"{ROOT}/old/wado" in paths
        assert not [path for path, methods in paths.items() if "delete" in methods]


def test_the_openapi_document_names_every_parameter_of_its_paths() -> None:
    api = document(Settings(http=Http()), "https://a.test:8443/x/dicom-web", "/dicom-web")
    assert api["openapi"] == "3.1.0"
    assert api["servers"] == [{"url": "https://a.test:8443/x"}]
    for path, methods in api["paths"].items():
        for operation in methods.values():
            named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
            assert all(one["description"] for one in operation["parameters"])
            assert any(status.startswith("2") for status in operation["responses"])


def test_the_page_is_whole_in_itself_and_shows_every_resource(web: Web) -> None:
    response = web.client.get("/api")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert not re.search(r"<script|<link|<img|@import|url\(", response.text)
    for one in RESOURCES:
        assert f'id="{one.name}"' in response.text
    assert 'href="http://pacs.test:8042/api"' in web.client.get("/").text
