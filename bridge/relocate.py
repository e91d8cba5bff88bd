"""Moving bytes between stores: landing -> hot. Copy, verify, compare-and-swap, reclaim (DESIGN §3 law 4).

A crash at any step leaves a spare copy, never a missing one: old bytes go only after the row points at the new ones.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bridge import metrics
from bridge.archive import HOT, Archive
from bridge.object_meta import instance_meta
from storage.errors import IngestExpired, ObjectExists, ObjectNotFound, StorageError, StorageFull, StorageUnavailable
from storage.keys import ingest_id, instance_key
from storage.objects.base import ObjectStore
from storage.objects.payload import Payload, read_back
from storage.records import InstanceRecord, Location, Origin

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one round did."""

    moved: int
    waiting: int


def deliver_landing(archive: Archive, *, limit: int) -> Delivered:
    """Move up to `limit` of this node's landed instances to the hot store; stops when it is still away."""
    landing = archive.landing
    if landing is None:
        return Delivered(0, 0)
    _deliver_decisions(archive, landing)
    waiting = archive.index.at_store(landing, limit=limit)
    moved = 0
    origin = Origin(door="WORKER", name="relocate", address=archive.settings.node)
    for record in waiting:
        try:
            moved += relocate(archive, record, HOT, origin)
        except (StorageUnavailable, StorageFull) as error:
            _LOG.warning("landing waits: %s", error)
            break
        except ObjectNotFound:
            continue  # the instance was deleted or moved since we listed it
        except StorageError as error:
            _LOG.error("an instance cannot be delivered from landing: %s", error)
    return Delivered(moved, len(waiting) - moved)


def relocate(archive: Archive, record: InstanceRecord, target: str, origin: Origin) -> bool:
    """Move one instance to the store named `target`; False if its row changed meanwhile. Raises StorageError."""
    put_at = archive.now()
    with _copy(archive, archive.store(record.location), record.location, record.data_set_offset) as payload:
        if payload.sha256 != record.sha256:
            raise StorageError(f"the bytes in {record.location.store} do not have the hash they were stored with")
        meta = instance_meta(record, origin=origin, lock=archive.locks_objects, now=put_at)
        key = instance_key(
            record.ref, ingest_id(put_at)
        )  # a copy gets a key of its own: an abandoned put may own the old one
        info = archive.stores[target].put(key, payload, meta=meta)
    try:
        moved = archive.index.swap(record, Location(target, key, info.version_id), origin, put_at=put_at)
    except IngestExpired:
        return False  # took too long; the copy is an orphan now and the next round makes another
    if moved:
        metrics.RELOCATED.inc()
    return moved


def _copy(archive: Archive, source: ObjectStore, location: Location, header_bytes: int = 0) -> Payload:
    return read_back(
        source.read(location.key, version_id=location.version_id),
        header_bytes,
        directory=archive.spool_directory,
        memory_bytes=archive.settings.storage.spool_memory_bytes,
    )


def _deliver_decisions(archive: Archive, landing: str) -> None:
    """Decisions written while the store was away follow as they are."""
    source, target = archive.stores[landing], archive.stores[HOT]
    for info in list(source.list("decisions/")):
        try:
            with _copy(archive, source, Location(landing, info.key)) as payload:
                target.put(info.key, payload, meta=source.meta(info.key))
        except ObjectExists:
            pass  # an earlier round was cut off between the copy and the removal
        except (StorageUnavailable, StorageFull):
            return
        source.delete(info.key)
