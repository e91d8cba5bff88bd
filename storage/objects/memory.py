"""Objects in memory: for tests and trials. Forgets everything when the process ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from storage.errors import ObjectExists, ObjectNotFound
from storage.keys import check_key
from storage.objects.base import CHUNK_BYTES, ObjectInfo, ObjectMeta
from storage.objects.meta import check_meta, raise_if_held
from storage.objects.payload import Payload
from storage.objects.policy import Rewriting


@dataclass(frozen=True, slots=True)
class _Object:
    body: bytes
    meta: ObjectMeta
    info: ObjectInfo


class MemoryStore(Rewriting):
    """An `ObjectStore` and `ObjectPolicy` over a dictionary."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}

    def put(self, key: str, payload: Payload, *, meta: ObjectMeta) -> ObjectInfo:
        """See ObjectStore; "durable" means as long as the process lives."""
        check_key(key)
        check_meta(meta, self._now())
        body = b"".join(payload.chunks())
        info = ObjectInfo(key, len(body), self._now())
        kept = replace(meta, tags=dict(meta.tags), user=dict(meta.user))
        with self._lock:
            if key in self._objects:
                raise ObjectExists(key)
            self._objects[key] = _Object(body, kept, info)
        return info

    def read(
        self, key: str, *, version_id: str | None = None, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """See ObjectStore."""
        body = self._find(key).body
        end = len(body) if length is None else min(len(body), start + length)
        return (body[at : min(at + CHUNK_BYTES, end)] for at in range(start, end, CHUNK_BYTES))

    def stat(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See ObjectStore."""
        return self._find(key).info

    def meta(self, key: str, *, version_id: str | None = None) -> ObjectMeta:
        """See ObjectStore."""
        return self._find(key).meta

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        """See ObjectStore."""
        with self._lock:
            found = self._objects.get(key)
            if found is not None:
                raise_if_held(found.meta, self._now())
                del self._objects[key]

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See ObjectStore."""
        with self._lock:
            found = sorted((key, item.info) for key, item in self._objects.items() if key.startswith(prefix))
        return (info for _, info in found)

    def close(self) -> None:
        """Nothing to give back."""

    def _find(self, key: str) -> _Object:
        with self._lock:
            try:
                return self._objects[key]
            except KeyError:
                raise ObjectNotFound(key) from None

    def _change(self, key: str, change: Callable[[ObjectMeta], ObjectMeta]) -> None:
        with self._lock:
            if key not in self._objects:
                raise ObjectNotFound(key)
            found = self._objects[key]
            self._objects[key] = replace(found, meta=change(found.meta))
