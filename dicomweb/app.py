"""create_app: routes and problem handlers; nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from bridge.errors import ConfigError
from bridge.settings import Settings
from dicomweb import (
    api_page,
    bulkdata,
    capabilities,
    instances,
    ops,
    problem,
    qido,
    removal,
    rendered,
    stow,
    thumbnail,
    wado,
    wado_uri,
)
from dicomweb.deps import Door, service_root
from dicomweb.edge import Edge
from dicomweb.endpoint import SCOPES, Answer, Endpoint, Work
from dicomweb.resources import BASE, INSTANCE, SERIES, STUDY, URI_SERVICE, placed
from dicomweb.shapes import Shapes

# PS3.18 Tables 10.4.1-1, 10.5.1-1, 10.6.1-1: (route below the service root, method, work, action in the audit trail).
# GET is HEAD too. What a caller must be allowed goes by the method, see endpoint.SCOPES.
ROUTES: tuple[tuple[str, str, Work, str], ...] = (
    (INSTANCE + "/frames/{frames}", "GET", wado.frames, "retrieve"),
    (INSTANCE, "GET", instances.instances, "retrieve"),
    (SERIES + "/metadata", "GET", wado.metadata, "retrieve metadata"),
    *((route, "GET", qido.searcher(route), "search") for route in qido.RESOURCES),
    (INSTANCE + "/metadata", "GET", wado.metadata, "retrieve metadata"),
    (STUDY + "/metadata", "GET", wado.metadata, "retrieve metadata"),
    (STUDY, "GET", instances.instances, "retrieve"),
    (SERIES, "GET", instances.instances, "retrieve"),
    (INSTANCE + "/bulkdata/{path:path}", "GET", bulkdata.value, "retrieve"),
    *((level + "/bulkdata", "GET", bulkdata.everything, "retrieve") for level in (INSTANCE, SERIES, STUDY)),
    *((level + "/pixeldata", "GET", bulkdata.pixel_data, "retrieve") for level in (INSTANCE, SERIES, STUDY)),
    *((route, "DELETE", removal.remove, "delete") for route in (STUDY, SERIES, INSTANCE)),
    (INSTANCE + "/rendered", "GET", rendered.instance, "retrieve rendered"),
    (INSTANCE + "/frames/{frames}/rendered", "GET", rendered.frames, "retrieve rendered"),
    (SERIES + "/rendered", "GET", rendered.instances, "retrieve rendered"),
    (STUDY + "/rendered", "GET", rendered.instances, "retrieve rendered"),
    (INSTANCE + "/thumbnail", "GET", thumbnail.thumbnail, "retrieve thumbnail"),
    (INSTANCE + "/frames/{frames}/thumbnail", "GET", thumbnail.thumbnail, "retrieve thumbnail"),
    (SERIES + "/thumbnail", "GET", thumbnail.thumbnail, "retrieve thumbnail"),
    (STUDY + "/thumbnail", "GET", thumbnail.thumbnail, "retrieve thumbnail"),
    (URI_SERVICE, "GET", wado_uri.retrieve, "retrieve"),
    ("/studies", "POST", stow.store, "store"),
    (STUDY, "POST", stow.store, "store"),
    (BASE, "OPTIONS", capabilities.retrieve, ""),
)
# Beside the service root: (route, work, scope a caller needs or "", whether it is answered without a pool thread).
OPERATIONS: tuple[tuple[str, Work, str, bool], ...] = (
    ("/health", ops.health, "", True),
    ("/ready", ops.ready, "", False),
    ("/metrics", ops.exposition, "read", False),
    ("/openapi.json", api_page.openapi, "", False),
    ("/api", api_page.page, "", False),
    ("/", ops.front_page, "", True),
)


def create_app(door: Door) -> ASGIApp:
    """The ASGI application on an open door; it does not close the door."""
    resources = [(route, Endpoint(door, route, answers)) for route, answers in _by_route(door.settings).items()]
    app = FastAPI(
        title="DICOMweb bridge",
        routes=_routes(door, resources),
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _framework_problem, Exception: _internal_problem},
    )
    return Edge(app, Shapes(service_root(door.settings), resources), door.settings)


def _by_route(settings: Settings) -> dict[str, dict[str, Answer]]:
    """Route -> method -> how it is answered. Raises ConfigError when two rows end up in one place."""
    found: dict[str, dict[str, Answer]] = {}
    for route, method, work, action in ROUTES:
        path = placed(route, method, settings)
        if path is not None and method in found.get(path, {}):
            raise ConfigError(f"http.wado_uri is {settings.http.wado_uri!r}, where another resource stands")
        if path is not None:
            found.setdefault(path, {})[method] = Answer(work=work, action=action, scope=SCOPES[method])
    if not service_root(settings):  # the service root is the front page too
        found.setdefault(BASE, {})["GET"] = Answer(work=ops.front_page, scope="", inline=True)
    return found


def _routes(door: Door, resources: Iterable[tuple[str, Endpoint]]) -> list[BaseRoute]:
    """The framework's routes; an endpoint knows its methods itself."""
    root = service_root(door.settings)
    dicomweb = [Route((root + path).rstrip("/") or "/", endpoint) for path, endpoint in resources]
    operations = [
        Route(path, Endpoint(door, path, {"GET": Answer(work=work, scope=scope, inline=inline)}))
        for path, work, scope, inline in OPERATIONS
    ]
    return [*dicomweb, *operations]


async def _framework_problem(_request: Request, error: Exception) -> Response:
    """404 of the router in our own words."""
    assert isinstance(error, HTTPException)
    detail = "there is no such resource; see docs/dicomweb.md for all of them" if error.status_code == 404 else ""
    return Response(
        problem.body(error.status_code, detail or str(error.detail)),
        error.status_code,
        {**(error.headers or {}), "Cache-Control": "no-store"},
        media_type=problem.CONTENT_TYPE.decode(),
    )


async def _internal_problem(_request: Request, _error: Exception) -> Response:
    return Response(
        problem.body(500, "an internal error; the server's log says more"),
        500,
        {"Cache-Control": "no-store"},
        media_type=problem.CONTENT_TYPE.decode(),
    )
