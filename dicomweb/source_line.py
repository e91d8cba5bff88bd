"""GET requests to another DICOMweb server, one after the other over one kept connection (RFC 9110 §9.3.1)."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bridge.pulling.remote import Barred, Refused, TooMany, Unreachable
from bridge.settings import WebDestination

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
    """One thread uses it. The connection opens with the first request and again after an error."""

    def __init__(self, destination: WebDestination, timeout_s: float) -> None:
        self._url = urlsplit(destination.url)
        self._authorization = _authorization(destination)
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(self._url.hostname or "", self._url.port, timeout=timeout_s)

    @contextmanager
    def get(
        self, path: str, accept: str, query: list[tuple[str, str]] | None = None
    ) -> Iterator[http.client.HTTPResponse | None]:
        """The answer to a path below the service root, to be read in the block; None for 204.

        Raises Unreachable, also for what breaks in the block; Refused, TooMany or Barred by the answer's status.
        """
        target = self._url.path.rstrip("/") + path + ("?" + urlencode(query) if query else "")
        try:
            self._connection.request("GET", target, headers={"Accept": accept, **self._authorization})
            answer = self._connection.getresponse()
            _judge(answer)
            yield None if answer.status == _NO_CONTENT else answer
            answer.read(1)  # the end of a chunked body, so that the connection can be used again
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{self._url.netloc}: {error or type(error).__name__}") from error
        except BaseException:
            self.close()  # half an answer is on the wire
            raise
        if not answer.isclosed():
            self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def _judge(answer: http.client.HTTPResponse) -> None:
    if answer.status in (200, _NO_CONTENT):
        return
    other = Unreachable if answer.status >= 500 else Refused
    raise _MEANINGS.get(answer.status, other)(f"HTTP status {answer.status} {answer.reason}")


def _authorization(destination: WebDestination) -> dict[str, str]:
    """Raises Barred when the key file cannot be read."""
    if not destination.key_file:
        return {}
    try:
        return {"Authorization": f"Bearer {Path(destination.key_file).read_text().strip()}"}
    except OSError as error:
        raise Barred(f"its key file cannot be read: {error.strerror}") from error
