"""`ObjectStore` and `ObjectPolicy` over one S3 bucket.

Up to `part_bytes` an object is one PUT that carries its tags, user metadata and lock; beyond, a multipart upload, which
appears on completion and is as atomic. Reads are bounded ranges, each drained at once, one ahead of the reader: a slow
client never holds a connection to the store. On a versioned bucket every call takes and gives version ids.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, Tags
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.retention import Retention
from minio.versioningconfig import VersioningConfig
from urllib3.exceptions import HTTPError, ProtocolError

from storage.errors import InvalidMeta, ObjectExists, ObjectHeld, ObjectNotFound, StorageError, StorageUnavailable
from storage.keys import check_key
from storage.objects.base import CHUNK_BYTES, ObjectInfo, ObjectMeta
from storage.objects.meta import check_meta, check_tags, extended
from storage.objects.payload import Payload
from storage.objects.s3 import listing, multipart
from storage.objects.s3.probe import Capabilities, probe
from storage.objects.s3.settings import S3Settings
from storage.objects.s3.wire import (
    SEND_BYTES,
    UNSIGNED,
    Refused,
    Wire,
    server_time,
    storage_error,
    unreachable,
    version_of,
)

RANGE_BYTES = 4 << 20  # of one GET
DIRECTORY_RACES = 4  # tries of a put that versitygw refuses because a directory is just going
_USER = "x-amz-meta-"
_LOCK_MODE, _LOCK_UNTIL, _LOCK_HOLD = (
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
)


class S3Store:
    """Opening it talks to nobody: a store that is away is found out by the first call."""

    def __init__(self, settings: S3Settings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.settings = settings
        self.wire = Wire(settings, now)
        self.now = now
        self._sdk = Minio(
            settings.endpoint,
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            region=settings.region,
            secure=settings.tls,
            http_client=self.wire.pool,
        )
        self._threads = ThreadPoolExecutor(max_workers=max(2, settings.connections // 2), thread_name_prefix="s3")
        self._is_versioned: bool | None = None

    def put(self, key: str, payload: Payload, *, meta: ObjectMeta) -> ObjectInfo:
        """See ObjectStore. Makes the bucket when it is missing."""
        check_key(key)
        headers = self._headers(key, check_meta(meta, self.now()))
        try:
            return self._put(key, payload, headers)
        except Refused as error:
            if error.code != "NoSuchBucket":
                raise
        self.ensure_bucket()
        return self._put(key, payload, headers)

    def read(
        self, key: str, *, version_id: str | None = None, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """See ObjectStore."""
        check_key(key)
        end = None if length is None else start + length
        if end is not None and end <= start:
            self.stat(key, version_id=version_id)
            return iter(())
        chunks, end = self._fetch(key, version_id, start, end)
        return self._ranges(key, version_id, chunks, start + sum(map(len, chunks)), end)

    def stat(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See ObjectStore."""
        return _info(key, self._head(key, version_id))

    def meta(self, key: str, *, version_id: str | None = None) -> ObjectMeta:
        """See ObjectStore."""
        headers = self._head(key, version_id).headers
        with sdk_errors():
            tags = self._sdk.get_object_tags(self.settings.bucket, key, version_id=version_id)
        return _meta(headers, dict(tags or {}))

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        """See ObjectStore. Without a version id every version goes: nothing stays hidden below a delete marker."""
        check_key(key)
        versions = [version_id] if version_id or not self.is_versioned() else self._versions(key)
        for version in versions:
            self._delete(key, version)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ObjectStore. On a versioned bucket each version is an object of its own, also below a delete marker."""
        found = listing.versions if self.is_versioned() else listing.objects
        return (listed.info for listed in found(self.wire, prefix) if not listed.is_delete_marker)

    def set_tags(self, key: str, tags: Mapping[str, str], *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        check_tags(tags)
        check_key(key)
        wanted = Tags.new_object_tags()
        wanted.update(tags)
        with sdk_errors():
            self._sdk.set_object_tags(self.settings.bucket, key, wanted, version_id=version_id)

    def extend_retention(self, key: str, until: datetime, *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        extended(_meta(self._head(key, version_id).headers, {}), until)
        mode = "GOVERNANCE" if self.settings.lock_mode == "none" else self.settings.lock_mode
        with sdk_errors():
            self._sdk.set_object_retention(
                self.settings.bucket, key, Retention(mode, _whole_seconds(until)), version_id=version_id
            )

    def set_legal_hold(self, key: str, held: bool, *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        check_key(key)
        change = self._sdk.enable_object_legal_hold if held else self._sdk.disable_object_legal_hold
        with sdk_errors():
            change(self.settings.bucket, key, version_id=version_id)

    def close(self) -> None:
        """See ObjectStore."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.wire.close()

    def ensure_bucket(self) -> bool:
        """Make the bucket, with versioning and object lock where the settings say so; True when it was missing."""
        with sdk_errors():
            if self._sdk.bucket_exists(self.settings.bucket):
                return False
            try:
                self._sdk.make_bucket(self.settings.bucket, self.settings.region, self.settings.object_lock)
            except S3Error as error:
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise
                return False  # another process was faster
            if self.settings.object_lock and not self._versioning():
                self._sdk.set_bucket_versioning(self.settings.bucket, VersioningConfig(ENABLED))
        self._is_versioned = None
        return True

    def is_versioned(self) -> bool:
        """Whether the bucket keeps versions; asked once."""
        if self._is_versioned is None:
            with sdk_errors():
                self._is_versioned = self._versioning()
        return self._is_versioned

    def sweep_unfinished(self, older_than: timedelta) -> int:
        """Abort multipart uploads begun that long ago and never completed. Returns how many."""
        return multipart.sweep(self.wire, self.now() - older_than)

    def probe(self) -> Capabilities:
        """What the store really does; see `Capabilities`. Makes the bucket when it is missing."""
        self.ensure_bucket()
        return probe(self)

    def _versioning(self) -> bool:
        return self._sdk.get_bucket_versioning(self.settings.bucket).status == ENABLED

    def _put(self, key: str, payload: Payload, headers: Mapping[str, str]) -> ObjectInfo:
        attempts = 0

        def body() -> Iterator[bytes | memoryview]:
            nonlocal attempts
            attempts += 1
            return payload.chunks(SEND_BYTES)

        try:
            if payload.size_bytes > self.settings.part_bytes:
                response = multipart.upload(self.wire, self._threads, key, payload, headers, self.settings.part_bytes)
            else:
                response = self._put_whole(key, payload, headers, body)
        except ObjectExists:
            if attempts < 2:
                raise
            # The first attempt's answer was lost; the key is used once ever, so what is there now is ours.
            info = self.stat(key)
            if info.size_bytes != payload.size_bytes:
                raise
            return info
        version_id = version_of(response.headers.get("x-amz-version-id"))
        return ObjectInfo(key, payload.size_bytes, server_time(response) or self.now(), version_id)

    def _put_whole(
        self, key: str, payload: Payload, headers: Mapping[str, str], body: Callable[[], Iterator[bytes | memoryview]]
    ) -> urllib3.BaseHTTPResponse:
        """One PUT, whose body the store compares with a checksum in the signed head, and keeps that checksum.

        Where the line might be tampered with, the body is signed too. A gateway over a folder may refuse while another
        call removes the empty directory: then again.
        """
        digest = UNSIGNED if self.settings.is_line_safe else payload.object_sha256()
        checksum = base64.b64encode(payload.object_crc32().to_bytes(4)).decode()
        for left in reversed(range(DIRECTORY_RACES)):
            try:
                return self.wire.request(
                    "PUT",
                    key,
                    headers={**headers, "If-None-Match": "*", "x-amz-checksum-crc32": checksum},
                    body=body,
                    size_bytes=payload.size_bytes,
                    sha256=digest,
                )
            except Refused as error:
                if error.code != "ExistingObjectIsDirectory" or not left:
                    raise
        raise AssertionError("the last round returns or raises")

    def _headers(self, key: str, meta: ObjectMeta) -> dict[str, str]:
        headers = {"Content-Type": "application/dicom" if key.endswith(".dcm") else "application/octet-stream"}
        headers |= {f"{_USER}{name}": value for name, value in meta.user.items()}
        if meta.tags:
            headers["x-amz-tagging"] = "&".join(
                f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in meta.tags.items()
            )
        if meta.retain_until is not None:
            if self.settings.lock_mode == "none":
                raise InvalidMeta("a lock on a store whose lock mode is none")
            headers[_LOCK_MODE] = self.settings.lock_mode
            headers[_LOCK_UNTIL] = _whole_seconds(meta.retain_until).strftime("%Y-%m-%dT%H:%M:%SZ")
        if meta.legal_hold:
            headers[_LOCK_HOLD] = "ON"
        return headers

    def _head(self, key: str, version_id: str | None) -> urllib3.BaseHTTPResponse:
        return self.wire.request("HEAD", check_key(key), query=_version_query(version_id))

    def _fetch(self, key: str, version_id: str | None, start: int, end: int | None) -> tuple[Sequence[bytes], int]:
        """The chunks of one range from `start`, and where reading ends: at `end` or the object's own end."""
        try:
            return self._fetch_once(key, version_id, start, end)
        except ProtocolError:  # the connection broke in the middle of the body
            pass
        try:
            return self._fetch_once(key, version_id, start, end)
        except ProtocolError as error:
            raise unreachable(error) from error

    def _fetch_once(self, key: str, version_id: str | None, start: int, end: int | None) -> tuple[Sequence[bytes], int]:
        last = start + RANGE_BYTES if end is None else min(start + RANGE_BYTES, end)
        headers = {"Range": f"bytes={start}-{last - 1}"}
        try:
            response = self.wire.request("GET", key, query=_version_query(version_id), headers=headers, stream=True)
        except Refused as error:
            if error.code == "InvalidRange" or error.status == 416:
                return (), start
            raise
        try:
            chunks = tuple(response.stream(CHUNK_BYTES))
        except ProtocolError:
            raise
        except HTTPError as error:
            raise unreachable(error) from error
        finally:
            response.close()
            response.release_conn()
        size_bytes = _total(response)
        return chunks, size_bytes if end is None else min(size_bytes, end)

    def _ranges(
        self, key: str, version_id: str | None, chunks: Sequence[bytes], start: int, end: int
    ) -> Generator[bytes, None, None]:
        while True:
            ahead = self._threads.submit(self._fetch, key, version_id, start, end) if start < end else None
            try:
                yield from chunks
            except BaseException:
                if ahead is not None:
                    ahead.cancel()
                raise
            if ahead is None:
                return
            chunks, _ = ahead.result()
            if not chunks:
                return
            start += sum(map(len, chunks))

    def _versions(self, key: str) -> Iterator[str | None]:
        """The versions and delete markers of exactly this key."""
        return (listed.version_id for listed in listing.versions(self.wire, key) if listed.info.key == key)

    def _delete(self, key: str, version_id: str | None) -> None:
        try:
            self.wire.request("DELETE", key, query=_version_query(version_id))
        except ObjectNotFound:
            return
        except Refused as error:
            if error.status in (400, 403) and self._is_held(key, version_id):
                raise ObjectHeld(f"the object store answers {error.code}: the object is locked or held") from error
            raise

    def _is_held(self, key: str, version_id: str | None) -> bool:
        try:
            meta = _meta(self._head(key, version_id).headers, {})
        except StorageError:
            return False
        return meta.legal_hold or (meta.retain_until is not None and meta.retain_until > self.now())


@contextmanager
def sdk_errors() -> Iterator[None]:
    """What the SDK raises, in the vault's words."""
    try:
        yield
    except S3Error as error:
        raise storage_error(error.code or "", error.response.status) from error
    except (InvalidResponseError, ServerError) as error:
        raise StorageUnavailable(f"the object store answers with an error: {type(error).__name__}") from error
    except HTTPError as error:
        raise unreachable(error) from error


def _meta(headers: Mapping[str, str], tags: Mapping[str, str]) -> ObjectMeta:
    until = headers.get(_LOCK_UNTIL)
    return ObjectMeta(
        tags=tags,
        user={name.lower()[len(_USER) :]: value for name, value in headers.items() if name.lower().startswith(_USER)},
        retain_until=datetime.fromisoformat(until.replace("Z", "+00:00")) if until else None,
        legal_hold=headers.get(_LOCK_HOLD, "").upper() == "ON",
    )


def _info(key: str, response: urllib3.BaseHTTPResponse) -> ObjectInfo:
    headers = response.headers
    return ObjectInfo(
        key,
        int(headers["Content-Length"]),
        parsedate_to_datetime(headers["Last-Modified"]),
        version_of(headers.get("x-amz-version-id")),
    )


def _total(response: urllib3.BaseHTTPResponse) -> int:
    """The object's size: after the slash of Content-Range (RFC 9110 §14.4), or the whole body's length."""
    content_range = response.headers.get("Content-Range", "")
    return int(content_range.rpartition("/")[2] if content_range else response.headers["Content-Length"])


def _version_query(version_id: str | None) -> dict[str, str]:
    return {"versionId": version_id} if version_id else {}


def _whole_seconds(at: datetime) -> datetime:
    """Rounded up: a lock is never a moment short."""
    return datetime.fromtimestamp(math.ceil(at.timestamp()), UTC)
