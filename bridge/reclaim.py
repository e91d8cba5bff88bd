"""The only module that deletes bytes: doomed locations after their delay, orphans after their grace (DESIGN §3).

Every crash window leaves orphans (bytes without a row). A sweep that finds more orphans than a named limit deletes none
and says so: most likely the index is older than the store, and a person has to look (`dicom-bridge scrub --rebuild`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from bridge import metrics
from bridge.archive import Archive
from storage.errors import InvalidKey, ObjectHeld, ObjectNotFound, StorageUnavailable
from storage.index.base import Doomed
from storage.keys import parse_instance_key
from storage.objects.base import ObjectInfo, ObjectStore

_LOG = logging.getLogger(__name__)
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What an orphan sweep of one store saw and did."""

    store: str
    orphans: int
    deleted: int


def reclaim(archive: Archive) -> int:
    """Delete the bytes of doomed locations whose delay has passed; returns how many objects went."""
    before = archive.now() - timedelta(seconds=archive.settings.worker.reclaim_delay_s)
    after, deleted = 0, 0
    while batch := archive.index.doomed(before=before, after=after, limit=_BATCH):
        gone = [doomed.doomed_id for doomed in batch if _delete(archive, doomed)]
        archive.index.reclaimed(gone)
        metrics.RECLAIMED.labels("doomed").inc(len(gone))
        after, deleted = batch[-1].doomed_id, deleted + len(gone)
    return deleted


def sweep_orphans(archive: Archive, *, delete: bool = True) -> list[Swept]:
    """Look for instance objects that nothing refers to and that are older than the orphan grace, store by store."""
    return [_sweep(archive, name, store, delete=delete) for name, store in archive.stores.items()]


def orphans(archive: Archive, name: str, store: ObjectStore) -> Iterator[ObjectInfo]:
    """The objects of one store older than the grace that no row, conflict, bundle or doomed entry names."""
    oldest = archive.now() - timedelta(seconds=archive.settings.storage.orphan_grace_s)
    aged = (info for info in store.list() if info.modified_at < oldest and _is_instance(info.key))
    while batch := list(islice(aged, _BATCH)):
        known = archive.index.referenced(name, [info.key for info in batch])
        yield from (info for info in batch if info.key not in known)


def _sweep(archive: Archive, name: str, store: ObjectStore, *, delete: bool) -> Swept:
    limit = archive.settings.worker.orphan_sweep_limit
    found = list(islice(orphans(archive, name, store), limit + 1))
    if len(found) > limit:
        _LOG.error(
            "more than %d orphans in store %s: none deleted; is the index older than the store? see scrub --rebuild",
            limit,
            name,
        )
        return Swept(store=name, orphans=len(found), deleted=0)
    deleted = 0
    for info in found if delete else ():
        try:
            store.delete(info.key, version_id=info.version_id)
            deleted += 1
        except ObjectHeld:
            continue  # its lock outlives it; a later sweep finds it again
    metrics.RECLAIMED.labels("orphan").inc(deleted)
    return Swept(store=name, orphans=len(found), deleted=deleted)


def _delete(archive: Archive, doomed: Doomed) -> bool:
    """Whether the bytes are gone now; held ones and those of other nodes stay queued."""
    store = archive.stores.get(doomed.location.store)
    if store is None:
        return False
    try:
        store.delete(doomed.location.key, version_id=doomed.location.version_id)
    except ObjectHeld:
        return False
    except ObjectNotFound:
        return True
    except StorageUnavailable as error:
        _LOG.warning("reclaim waits: %s", error)
        return False
    return True


def _is_instance(key: str) -> bool:
    try:
        parse_instance_key(key)
    except InvalidKey:
        return key.endswith(".bundle")
    return True
