"""create_app: routes and problem handlers; nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from dicomweb import ops, problem, qido, wado
from dicomweb.deps import Door, service_root
from dicomweb.edge import Edge
from dicomweb.endpoint import Endpoint, Work
from dicomweb.shapes import Shapes

_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"

# PS3.18 Tables 10.4.1-1, 10.6.1-1: (route below the service root, work, action in the audit trail); the hottest first.
ROUTES: tuple[tuple[str, Work, str], ...] = (
    (_INSTANCE + "/frames/{frames}", wado.frames, "retrieve"),
    (_INSTANCE, wado.instances, "retrieve"),
    (_SERIES + "/metadata", wado.metadata, "retrieve metadata"),
    *((route, qido.searcher(route), "search") for route in qido.RESOURCES),
    (_INSTANCE + "/metadata", wado.metadata, "retrieve metadata"),
    (_STUDY + "/metadata", wado.metadata, "retrieve metadata"),
    (_STUDY, wado.instances, "retrieve"),
    (_SERIES, wado.instances, "retrieve"),
    (_INSTANCE + "/bulkdata/{path:path}", wado.bulk, "retrieve"),
)
# Beside the service root: (route, work, scope a caller needs or "", whether it is answered without a pool thread).
OPERATIONS: tuple[tuple[str, Work, str, bool], ...] = (
    ("/health", ops.health, "", True),
    ("/ready", ops.ready, "", False),
    ("/metrics", ops.exposition, "read", False),
    ("/", ops.front_page, "", True),
)
_METHODS = ["GET", "HEAD", "OPTIONS"]


def create_app(door: Door) -> ASGIApp:
    """The ASGI application on an open door; it does not close the door."""
    resources = [(path, Endpoint(door, path, work, action=action)) for path, work, action in ROUTES]
    app = FastAPI(
        title="DICOMweb bridge",
        routes=_routes(door, resources),
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _framework_problem, Exception: _internal_problem},
    )
    return Edge(app, Shapes(service_root(door.settings), resources), door.settings)


def _routes(door: Door, resources: Iterable[tuple[str, Endpoint]]) -> list[BaseRoute]:
    root = service_root(door.settings)
    dicomweb = [Route(root + path, endpoint, methods=_METHODS) for path, endpoint in resources]
    operations = [
        Route(path, Endpoint(door, path, work, scope=scope, inline=inline), methods=_METHODS)
        for path, work, scope, inline in OPERATIONS
    ]
    return [*dicomweb, *operations]


async def _framework_problem(_request: Request, error: Exception) -> Response:
    """404 and 405 of the router in our own words."""
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
