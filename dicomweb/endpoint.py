"""From an ASGI request to a verb of the hall and back: one visit to a pool thread, errors by table, an audit line.

A request with a body is worked on in a pool of its own, so that slow senders never keep readers waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from bridge import audit, metrics
from bridge.access import require
from bridge.errors import BridgeError, InvalidRequest, Unavailable
from dicomweb import problem
from dicomweb.deps import Call, Door
from dicomweb.reply import Reply, send_reply, whole
from dicomweb.request_body import RequestBody
from storage.errors import StorageUnavailable
from storage.records import ResourceRef

Work = Callable[[Call], Reply]

ROUTE_KEY = "dicom_bridge.route"  # in the ASGI scope, for metrics and the access log: the template, never the UIDs
SENT_KEY = "dicom_bridge.sent_bytes"


# What the caller of a method must be allowed (bridge.access); GET stands for HEAD too. A device's key stores, and must
# not be able to remove.
SCOPES = {"GET": "read", "POST": "write", "DELETE": "admin", "OPTIONS": ""}
_WITH_BODY = frozenset({"POST"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How one method of a route is answered.

    `action` names it in the audit trail, "" for none; `scope` is what the caller must be allowed, "" for nothing.
    `inline` work never waits for anything, so it answers even while every pool thread is busy.
    """

    work: Work
    action: str = ""
    scope: str = "read"
    inline: bool = False


class Endpoint:
    """One route with its methods. OPTIONS and methods that it does not have are answered from the table."""

    def __init__(self, door: Door, route: str, answers: Mapping[str, Answer]) -> None:
        self._door = door
        self._route = route
        self._answers = {**answers, **({"HEAD": answers["GET"]} if "GET" in answers else {})}
        self.allow = ", ".join(dict.fromkeys((*sorted(self._answers), "OPTIONS"))).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope[ROUTE_KEY] = self._route
        answer = self._answers.get(scope["method"])
        if answer is not None:
            reply = await self._answered(answer, scope, receive)
        elif scope["method"] == "OPTIONS":
            reply = Reply(status=204, headers=[(b"allow", self.allow)])
        else:
            reply = self._not_allowed()
        scope[SENT_KEY] = await send_reply(reply, scope, receive, send, self._door.pool)

    async def _answered(self, answer: Answer, scope: Scope, receive: Receive) -> Reply:
        call = read_call(self._door, scope)
        if answer.inline:
            return self._visit(answer, call)
        loop = asyncio.get_running_loop()
        if scope["method"] not in _WITH_BODY:
            return await loop.run_in_executor(self._door.pool, self._visit, answer, call)
        http = self._door.settings.http
        announced = call.headers.get("content-length", "")
        with RequestBody(
            receive,
            loop,
            limit_bytes=http.body_limit_bytes,
            timeout_s=http.body_timeout_s,
            announced_bytes=int(announced) if announced.isdecimal() else 0,
        ) as body:
            call.body = body
            return await loop.run_in_executor(self._door.uploads, self._visit, answer, call)

    def _not_allowed(self) -> Reply:
        detail = f"this resource answers {self.allow.decode()}"
        return whole(405, problem.CONTENT_TYPE, problem.body(405, detail), [(b"allow", self.allow)])

    def _visit(self, answer: Answer, call: Call) -> Reply:
        outcome = "success"
        try:
            if answer.scope:
                call.authenticate()
                require(call.principal, answer.scope)
            reply = answer.work(call)
        except BridgeError as error:
            outcome = type(error).__name__
            metrics.REFUSED.labels("HTTP", outcome).inc()
            return problem_reply(error)
        except StorageUnavailable as error:  # while looking up a key or a revision; verbs wrap their own
            outcome = Unavailable.__name__
            return problem_reply(Unavailable(f"the index does not answer: {error}"))
        else:
            outcome = "success" if reply.status < 400 else "failed"
            return reply
        finally:
            if answer.action and hasattr(call, "principal"):
                self._audit(answer.action, call, outcome)

    def _audit(self, action: str, call: Call, outcome: str) -> None:
        ref: ResourceRef | None = None
        with contextlib.suppress(InvalidRequest):  # a path without a UID where one belongs
            ref = call.scope()
        audit.record(action, at=self._door.archive.now(), origin=call.origin, outcome=outcome, ref=ref)


def problem_reply(error: BridgeError) -> Reply:
    """An error as its status and problem document."""
    status = problem.status_of(error)
    headers = [(b"cache-control", b"no-store"), *problem.headers_of(error)]
    return whole(status, problem.CONTENT_TYPE, problem.body(status, str(error), problem.members_of(error)), headers)


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
