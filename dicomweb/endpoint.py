"""From an ASGI request to a verb of the hall and back: one visit to a pool thread, errors by table, an audit line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from bridge import audit, metrics
from bridge.access import require
from bridge.errors import BridgeError, Unavailable
from dicomweb import problem
from dicomweb.deps import Call, Door
from dicomweb.reply import Reply, send_reply, whole
from storage.errors import StorageUnavailable
from storage.records import ResourceRef

Work = Callable[[Call], Reply]

ROUTE_KEY = "dicom_bridge.route"  # in the ASGI scope, for metrics and the access log: the template, never the UIDs
SENT_KEY = "dicom_bridge.sent_bytes"


class Endpoint:
    """One route. `action` names it in the audit trail, "" for none; `scope` is what the caller must be allowed.

    `inline` work never waits for anything, so it answers even while every pool thread is busy.
    """

    def __init__(
        self, door: Door, route: str, work: Work, *, action: str = "", scope: str = "read", inline: bool = False
    ) -> None:
        self._door = door
        self._route = route
        self._work = work
        self._action = action
        self._scope = scope
        self._inline = inline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope[ROUTE_KEY] = self._route
        if scope["method"] == "OPTIONS":
            reply = Reply(status=204, headers=[(b"allow", b"GET, HEAD, OPTIONS")])
        else:
            call = read_call(self._door, scope)
            if self._inline:
                reply = self._visit(call)
            else:
                reply = await asyncio.get_running_loop().run_in_executor(self._door.pool, self._visit, call)
        scope[SENT_KEY] = await send_reply(reply, scope, receive, send, self._door.pool)

    def _visit(self, call: Call) -> Reply:
        outcome = "success"
        try:
            if self._scope:
                call.authenticate()
                require(call.principal, self._scope)
            return self._work(call)
        except BridgeError as error:
            outcome = type(error).__name__
            metrics.REFUSED.labels("HTTP", outcome).inc()
            return problem_reply(error)
        except StorageUnavailable as error:  # while looking up a key or a revision; verbs wrap their own
            outcome = Unavailable.__name__
            return problem_reply(Unavailable(f"the index does not answer: {error}"))
        finally:
            if self._action and hasattr(call, "principal"):
                self._audit(call, outcome)

    def _audit(self, call: Call, outcome: str) -> None:
        ref: ResourceRef | None = None
        if outcome != "InvalidRequest":
            ref = call.scope()
        audit.record(self._action, at=self._door.archive.now(), origin=call.origin, outcome=outcome, ref=ref)


def problem_reply(error: BridgeError) -> Reply:
    """An error as its status and problem document."""
    status = problem.status_of(error)
    headers = [(b"cache-control", b"no-store"), *problem.headers_of(error)]
    return whole(status, problem.CONTENT_TYPE, problem.body(status, str(error)), headers)


def read_call(door: Door, scope: Scope) -> Call:
    """The parts of an ASGI scope that verbs may look at."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    client = scope.get("client")
    return Call(
        door=door,
        method=scope["method"],
        path=scope.get("path_params", {}),
        query_string=scope["query_string"].decode("latin-1"),
        headers=headers,
        peer=client[0] if client else "",
        scheme=scope.get("scheme", "http"),
        server=scope.get("server"),
    )
