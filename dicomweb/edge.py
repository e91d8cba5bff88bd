"""What every request passes first and every answer last: limits, CORS, counters, the access log, the last-resort error.

The access log names the route's template, so it holds neither query strings nor UIDs (DESIGN §13 rule 8).
"""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge import metrics
from bridge.settings import Settings
from dicomweb import problem
from dicomweb.cors import Cors, Header
from dicomweb.endpoint import ROUTE_KEY, SCOPES, SENT_KEY, Endpoint
from dicomweb.shapes import Shapes

_LOG = logging.getLogger(__name__)
_ACCESS = logging.getLogger("dicomweb.access")
_ANY_METHOD = ", ".join((*SCOPES, "HEAD")).encode()
_SERVER_HEADER = (b"server", b"dicom-bridge")


class Edge:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp, resources: Shapes[Endpoint], settings: Settings) -> None:
        """`resources` are answered at once; all other paths are the application's."""
        self._app = app
        self._resources = resources
        self._cors = Cors(settings.http.cors_origins)
        self._target_bytes = settings.http.target_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through; anything but HTTP goes straight to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope["path"] = scope["path"].rstrip("/") or "/"
        answer = _Answer(send, self._common_headers(scope))
        try:
            if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > self._target_bytes:
                await answer.problem(414, "the request target is too long; use fewer keys or shorter lists")
            elif scope["method"] == "OPTIONS" and (headers := self._preflight(scope)) is not None:
                await answer.empty(204, headers)
            else:
                await self._dispatch(scope, receive, answer.send)
        except Exception:
            # the door is the one place that catches all (DESIGN §13 rule 7)
            _LOG.exception("a request to %s failed", scope.get(ROUTE_KEY, "an unknown route"))
            if not answer.status:
                await answer.problem(500, "an internal error; the server's log says more")
            elif not answer.finished:
                raise  # the answer has begun: only cutting the connection tells the client
        finally:
            answer.count(scope)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._resources.find(scope["path"])
        if found is None:
            await self._app(scope, receive, send)
            return
        endpoint, scope["path_params"] = found
        await endpoint(scope, receive, send)

    def _common_headers(self, scope: Scope) -> list[Header]:
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        cors = [] if origin is None else self._cors.headers(origin.decode("latin-1"))
        return [_SERVER_HEADER, *cors]

    def _preflight(self, scope: Scope) -> list[Header] | None:
        """A preflight answer with the methods of the resource; with all where only the router knows it."""
        found = self._resources.find(scope["path"])
        headers = {key.decode("latin-1"): text.decode("latin-1") for key, text in scope["headers"]}
        return self._cors.preflight(headers, found[0].allow if found else _ANY_METHOD)


class _Answer:
    """Adds the common headers to an answer and remembers how it went."""

    def __init__(self, send: Send, headers: list[Header]) -> None:
        self._send = send
        self._headers = headers
        self._started = time.perf_counter()
        self._first_byte_s = 0.0
        self.status = 0
        self.finished = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._first_byte_s = time.perf_counter() - self._started
            message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
        elif not message.get("more_body", False):
            self.finished = True
        await self._send(message)

    async def problem(self, status: int, detail: str) -> None:
        body = problem.body(status, detail)
        headers = [(b"content-type", problem.CONTENT_TYPE), (b"content-length", b"%d" % len(body))]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def empty(self, status: int, headers: list[Header]) -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    def count(self, scope: Scope) -> None:
        route, sent = scope.get(ROUTE_KEY, "other"), scope.get(SENT_KEY, 0)
        metrics.HTTP_REQUESTS.labels(route, str(self.status)).inc()
        metrics.HTTP_SECONDS.labels(route).observe(self._first_byte_s)
        metrics.HTTP_BYTES.inc(sent)
        if _ACCESS.isEnabledFor(logging.DEBUG if self.status < 500 else logging.INFO):
            took_ms = (time.perf_counter() - self._started) * 1000
            _ACCESS.info("%s %s %d %d bytes %.1f ms", scope["method"], route, self.status, sent, took_ms)
