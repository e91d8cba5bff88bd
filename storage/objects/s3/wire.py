"""Signed requests to one bucket, bounded in every wait (LIFECYCLE §2.7).

The SDK signs, and knows every vendor's URLs; the bytes go from the payload straight into the socket. The SDK's own put
copies each part into memory first, and hashes it (measured: docs/storage.md).
Sending is done in pieces, because a socket's timeout covers one `send` as a whole.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlunsplit
from xml.etree import ElementTree

import urllib3
from minio.credentials.providers import StaticProvider
from minio.helpers import BaseURL
from minio.signer import sign_v4_s3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError

from storage.errors import (
    ObjectExists,
    ObjectHeld,
    ObjectNotFound,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from storage.objects.s3.settings import S3Settings

SEND_BYTES = 1 << 20
UNSIGNED = "UNSIGNED-PAYLOAD"  # S3's word for a body whose hash is not signed
_ATTEMPTS = 3
_PAUSE_S = 0.1  # doubled after each attempt
_RETRIED = (429, 500, 502, 503, 504)
_SDK_RETRIES = urllib3.Retry(  # of the few calls that the SDK makes; those below count their own
    total=_ATTEMPTS - 1,
    read=0,
    redirect=0,
    status_forcelist=_RETRIED,
    backoff_factor=2 * _PAUSE_S,
    respect_retry_after_header=False,
    raise_on_status=False,
)
_NO_BODY = hashlib.sha256(b"").hexdigest()
_TIME = "%Y%m%dT%H%M%SZ"

# S3 error codes, and what they mean here; any other is StorageUnavailable.
_ERRORS: dict[str, type[StorageError]] = {
    "NoSuchKey": ObjectNotFound,
    "NoSuchVersion": ObjectNotFound,
    "NoSuchUpload": ObjectNotFound,
    "MethodNotAllowed": ObjectNotFound,  # reading a delete marker
    "PreconditionFailed": ObjectExists,
    "ObjectLocked": ObjectHeld,
    "InvalidRetentionDate": ObjectHeld,
    "XMinioStorageFull": StorageFull,
    "XMinioAdminBucketQuotaExceeded": StorageFull,
    "QuotaExceeded": StorageFull,
    "InsufficientStorage": StorageFull,
}
_STATUSES: dict[int, type[StorageError]] = {
    404: ObjectNotFound,
    405: ObjectNotFound,
    412: ObjectExists,
    507: StorageFull,
}


class Refused(StorageUnavailable):
    """The store answered with an S3 error this side has no better word for."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(f"the object store refuses: {code or status}")
        self.code = code
        self.status = status


class Wire:
    """Requests about the bucket or one of its objects. Safe to share between threads, not across a fork."""

    def __init__(self, settings: S3Settings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._url = BaseURL(f"{'https' if settings.tls else 'http'}://{settings.endpoint}", settings.region)
        self._credentials = StaticProvider(settings.access_key, settings.secret_key).retrieve()
        self.pool = urllib3.PoolManager(
            maxsize=settings.connections,
            block=True,
            timeout=urllib3.Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s),
            retries=_SDK_RETRIES,
        )

    def request(
        self,
        method: str,
        key: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterable[bytes | memoryview]] | None = None,
        size_bytes: int = 0,
        sha256: str = _NO_BODY,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """The answer, 2xx only, its body read unless `stream`. `body` is called once for each attempt.

        Connection errors and 5xx are tried again a bounded number of times; timeouts are not, they have cost enough.
        Raises ObjectNotFound, ObjectExists, ObjectHeld, StorageFull, StorageUnavailable (Refused with the code).
        """
        pause_s = _PAUSE_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = self._send(method, key, query or {}, headers or {}, body, size_bytes, sha256, stream)
            except (NewConnectionError, ProtocolError) as error:
                if attempt == _ATTEMPTS:
                    raise unreachable(error) from error
            except HTTPError as error:
                raise unreachable(error) from error
            else:
                if 200 <= response.status < 300:
                    return response
                error_code = _error_code(response)
                if response.status not in _RETRIED or attempt == _ATTEMPTS or error_code in _ERRORS:
                    raise storage_error(error_code, response.status)
            time.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close every idle connection."""
        self.pool.clear()

    def _send(
        self,
        method: str,
        key: str | None,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Callable[[], Iterable[bytes | memoryview]] | None,
        size_bytes: int,
        sha256: str,
        stream: bool,
    ) -> urllib3.BaseHTTPResponse:
        settings = self._settings
        at = self._now().astimezone(UTC)
        url = self._url.build(
            method=method,
            region=settings.region,
            bucket_name=settings.bucket,
            object_name=key,
            query_params=dict(query),
        )
        signed = sign_v4_s3(
            method=method,
            url=url,
            region=settings.region,
            headers={
                **headers,
                "Host": url.netloc,
                "x-amz-date": at.strftime(_TIME),
                "x-amz-content-sha256": sha256,
            },
            credentials=self._credentials,
            content_sha256=sha256,
            date=at,
        )
        sent = {name: str(value) for name, value in signed.items()}
        if body is not None:
            sent["Content-Length"] = str(size_bytes)
        return self.pool.urlopen(
            method,
            urlunsplit(url),
            body=body() if body else None,
            headers=sent,
            preload_content=not stream,
            redirect=False,
            retries=False,
            pool_timeout=settings.read_timeout_s,
        )


def storage_error(code: str, status: int) -> StorageError:
    """An S3 error in the vault's words."""
    kind = _ERRORS.get(code) or (None if code else _STATUSES.get(status))
    return kind(f"the object store answers {code or status}") if kind else Refused(code, status)


def unreachable(error: Exception) -> StorageUnavailable:
    """A connection that failed or timed out; the message names no address."""
    return StorageUnavailable(f"the object store cannot be reached: {type(error).__name__}")


def server_time(response: urllib3.BaseHTTPResponse) -> datetime | None:
    """The store's clock when it answered, in whole seconds."""
    try:
        return parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return None


def version_of(version_id: str | None) -> str | None:
    """A version id as locations keep it: None for what was put without versioning."""
    return None if version_id in (None, "", "null") else version_id


def xml(response: urllib3.BaseHTTPResponse) -> ElementTree.Element:
    """The answer's document. Raises StorageUnavailable when it is none."""
    try:
        return _parse(response.data)
    except ElementTree.ParseError as error:
        raise StorageUnavailable("the object store answers with something that is not XML") from error


def text(element: ElementTree.Element, name: str) -> str:
    """The text of the child called `name`, whatever its namespace; "" when there is none."""
    return element.findtext(f"{{*}}{name}") or element.findtext(name) or ""


def _error_code(response: urllib3.BaseHTTPResponse) -> str:
    """The <Code> of an error answer; "" where it has no body (HEAD) or another one. Frees the connection."""
    try:
        body = response.data
        return text(_parse(body), "Code") if body else ""
    except (ElementTree.ParseError, HTTPError):
        return ""
    finally:
        response.release_conn()


def _parse(document: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(document)  # noqa: S314 - from the configured store; expat bounds entity expansion
