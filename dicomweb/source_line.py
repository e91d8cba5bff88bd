"""GET requests to another DICOMweb server, one after the other over one kept connection (RFC 9110 §9.3.1)."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode

from bridge.pulling.remote import Barred, Refused, TooMany, Unreachable
from bridge.settings import WebDestination
from dicomweb.other_server import Broken, NoKey, OtherServer

# Status -> what it means for whoever pulls (RFC 9110 §15, RFC 6585 §4, PS3.18 Table 10.6.3-1); other 4xx are Refused,
# 5xx Unreachable.
_MEANINGS: Mapping[int, type[Exception]] = {
    401: Barred,
    403: Barred,
    408: Unreachable,
    413: TooMany,
    429: Unreachable,
    501: Refused,
}
_NO_CONTENT = 204


class SourceLine:
    """One thread uses it. Raises Barred when its key cannot be read."""

    def __init__(self, destination: WebDestination, timeout_s: float) -> None:
        try:
            self._server = OtherServer(destination, timeout_s)
        except NoKey as error:
            raise Barred(str(error)) from error

    @contextmanager
    def get(
        self, path: str, accept: str, query: list[tuple[str, str]] | None = None
    ) -> Iterator[http.client.HTTPResponse | None]:
        """The answer to a path below the service root, to be read in the block; None for 204.

        Raises Unreachable, also for what breaks in the block; Refused, TooMany or Barred by the answer's status.
        """
        target = path + ("?" + urlencode(query) if query else "")
        try:
            with self._server.answer("GET", target, {"Accept": accept}) as answer:
                _judge(answer)
                yield None if answer.status == _NO_CONTENT else answer
                answer.read(1)  # the end of a chunked body, so that the connection can be used again
        except Broken as error:
            raise Unreachable(str(error)) from error

    def close(self) -> None:
        """Give the connection back."""
        self._server.close()


def _judge(answer: http.client.HTTPResponse) -> None:
    if answer.status in (200, _NO_CONTENT):
        return
    other = Unreachable if answer.status >= 500 else Refused
    raise _MEANINGS.get(answer.status, other)(f"HTTP status {answer.status} {answer.reason}")
