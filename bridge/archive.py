"""Archive: the named stores, the index, the limits of one process. Opens and closes them; holds no verbs.

Stores are of one kind (DESIGN §3): `hot` keeps the bytes, `landing@<node>` takes them while `hot` is away.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bridge.errors import ConfigError, NotFound, NotOnline, Unavailable
from bridge.folders import make_directory
from bridge.settings import Settings
from storage.errors import ObjectNotFound, StorageUnavailable
from storage.index import open_index
from storage.index.base import Index
from storage.index.registry import Registry
from storage.objects import open_store
from storage.objects.base import ObjectStore
from storage.objects.guarded import GuardedStore
from storage.objects.local import LocalStore
from storage.objects.memory import MemoryStore
from storage.objects.s3 import S3Settings
from storage.records import InstanceRecord, Location

HOT = "hot"
LANDING = "landing@"  # followed by the node
_OTHER_NODE_RETRY_S = 30


@dataclass(slots=True, kw_only=True)
class Archive:
    """Everything a verb needs, given to it as its first argument."""

    settings: Settings
    index: Index
    registry: Registry
    stores: Mapping[str, ObjectStore]
    spool_directory: Path
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _landing_bytes: int = 0
    _landing_seen_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def landing(self) -> str | None:
        """The name of this node's landing store, or None when landing is off."""
        name = landing_name(self.settings.node)
        return name if name in self.stores else None

    @property
    def locks_objects(self) -> bool:
        """Whether new objects of the hot store carry a retention lock."""
        storage = self.settings.storage
        return storage.hot == "s3" and storage.s3_object_lock and storage.s3_lock_mode != "none"

    def store(self, location: Location) -> ObjectStore:
        """The store that has these bytes. Raises NotOnline for another node's landing."""
        try:
            return self.stores[location.store]
        except KeyError:
            raise NotOnline(
                f"the bytes are still on {location.store}; they will be delivered to the object store",
                retry_after_s=_OTHER_NODE_RETRY_S,
            ) from None

    def read(self, record: InstanceRecord, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The object's bytes in chunks of at most 1 MiB. Raises NotFound when they moved, Unavailable when away."""
        location = record.location
        try:
            return self.store(location).read(location.key, version_id=location.version_id, start=start, length=length)
        except ObjectNotFound as error:
            raise NotFound("the bytes are not where the index said a moment ago") from error
        except StorageUnavailable as error:
            raise Unavailable(f"the object store does not answer: {error}") from error

    def landing_has_room(self, size_bytes: int) -> bool:
        """Whether landing may take this many more bytes within its quota (looked up at most once a second)."""
        name = self.landing
        if name is None:
            return False
        with self._lock:
            if time.monotonic() - self._landing_seen_at > 1.0:
                self._landing_bytes = self.index.size_at(name)
                self._landing_seen_at = time.monotonic()
            if self._landing_bytes + size_bytes > self.settings.storage.landing_quota_bytes:
                return False
            self._landing_bytes += size_bytes
            return True

    def has_free_space(self, size_bytes: int) -> bool:
        """Whether the local disk keeps its reserve after taking this many bytes."""
        free = os.statvfs(self.spool_directory)
        return free.f_bavail * free.f_frsize - size_bytes >= self.settings.storage.free_space_reserve_bytes

    def close(self) -> None:
        """Finish pending commits, give back connections and files."""
        self.index.close()
        for store in self.stores.values():
            store.close()


def open_archive(settings: Settings) -> Archive:
    """Open the stores and the index the settings name. Raises StorageError when one cannot be opened."""
    directory = settings.storage.directory.absolute()
    make_directory(directory)
    stores, spool_directory = _open_stores(settings, directory)
    index = open_index(
        index_url(settings),
        password=settings.index.password,
        connections=settings.index.connections,
        group_limit=settings.index.group_limit,
        lock_timeout_s=settings.index.lock_timeout_s,
        statement_timeout_s=settings.index.statement_timeout_s,
        commit_window_s=settings.storage.commit_window_s,
    )
    return Archive(settings=settings, index=index, registry=index, stores=stores, spool_directory=spool_directory)


def load_backends(settings: Settings) -> None:
    """Import what `open_archive` imports only where it is chosen, and open nothing."""
    if settings.storage.hot == "s3":
        importlib.import_module("storage.objects.s3.store")
    if settings.index.url.startswith("postgresql:"):
        importlib.import_module("storage.index.postgres")


def index_url(settings: Settings) -> str:
    """The index's URL; the embedded default is a SQLite file in the data directory."""
    if settings.index.url == "sqlite":
        return f"sqlite:///{settings.storage.directory.absolute() / 'index.sqlite'}"
    return settings.index.url


def prepare_store(settings: Settings) -> None:
    """Make the bucket, if the store is S3 and there is none. Raises StorageUnavailable while the store is away."""
    if settings.storage.hot != "s3":
        return
    from storage.objects.s3.store import S3Store  # the SDK is loaded only where S3 is spoken

    store = S3Store(s3_settings(settings))
    try:
        store.ensure_bucket()
    finally:
        store.close()


def landing_name(node: str) -> str:
    """The store name of a node's landing."""
    return f"{LANDING}{node}"


def s3_settings(settings: Settings) -> S3Settings:
    """The S3 part of the settings in the store's own words. Raises ConfigError without keys."""
    storage = settings.storage
    if not storage.s3_access_key or not storage.s3_secret_key:
        raise ConfigError("storage.hot is s3, so storage.s3_access_key and storage.s3_secret_key must be set")
    return S3Settings(
        endpoint=storage.s3_endpoint,
        bucket=storage.s3_bucket,
        access_key=storage.s3_access_key,
        secret_key=storage.s3_secret_key,
        region=storage.s3_region,
        tls=storage.s3_tls,
        object_lock=storage.s3_object_lock,
        lock_mode=storage.s3_lock_mode,
        part_bytes=storage.s3_part_bytes,
        connect_timeout_s=storage.s3_connect_timeout_s,
        read_timeout_s=storage.s3_read_timeout_s,
        connections=storage.s3_connections,
    )


def _open_stores(settings: Settings, directory: Path) -> tuple[dict[str, ObjectStore], Path]:
    """The stores by name, and where spools grow: beside the store that adopts them by rename."""
    storage = settings.storage
    if storage.hot == "local":
        local = LocalStore(directory / "hot", direct_writes=storage.direct_writes)
        return {HOT: local}, local.staging
    if storage.hot == "memory":
        spool = directory / "spool"
        spool.mkdir(exist_ok=True)
        return {HOT: MemoryStore()}, spool
    guarded = GuardedStore(
        open_store("s3", directory, s3_settings(settings)),
        put_deadline_s=storage.put_deadline_s,
        breaker_probe_s=storage.breaker_probe_s,
    )
    landing = LocalStore(directory / "landing", direct_writes=storage.direct_writes)
    stores: dict[str, ObjectStore] = {HOT: guarded}
    if storage.landing_quota_bytes:
        stores[landing_name(settings.node)] = landing
    return stores, landing.staging
