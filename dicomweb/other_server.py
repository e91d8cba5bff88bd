"""A kept connection to another DICOMweb server, one request after the other (RFC 9110)."""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bridge.settings import WebDestination


class Broken(Exception):
    """The connection could not be made, or did not last; the sentence names the server."""


class NoKey(Exception):
    """The key file cannot be read."""


class OtherServer:
    """One thread uses it. The connection opens with the first request and again after an error.

    The key is read when it is made, so that a new key needs no restart. Raises NoKey.
    """

    def __init__(self, destination: WebDestination, timeout_s: float) -> None:
        self._url = urlsplit(destination.url)
        self._authorization = _authorization(destination)
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(self._url.hostname or "", self._url.port, timeout=timeout_s)

    @contextmanager
    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: Iterable[bytes] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request below the service root, to be read in the block.

        What is not read costs the connection. Raises Broken, also for what breaks in the block.
        """
        target = self._url.path.rstrip("/") + path
        try:
            self._connection.request(method, target, body, {**headers, **self._authorization})
            answer = self._connection.getresponse()
            yield answer
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Broken(f"{self._url.netloc}: {error}") from error
        except BaseException:
            self.close()  # half a request or half an answer is on the wire
            raise
        if not answer.isclosed():
            self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def _authorization(destination: WebDestination) -> dict[str, str]:
    if not destination.key_file:
        return {}
    try:
        return {"Authorization": f"Bearer {Path(destination.key_file).read_text().strip()}"}
    except OSError as error:
        raise NoKey(f"its key file cannot be read: {error.strerror}") from error
