"""A series that has been quiet becomes one metadata bundle, and its rows grow thin (DESIGN §3, Metadata at scale).

Bytes before row: the bundle object is durable before the index names it. A series that changed meanwhile keeps its
rows; the bundle made in vain is an orphan and is swept.
"""

from __future__ import annotations

from datetime import timedelta

from bridge import bundle
from bridge.archive import HOT, Archive
from bridge.metadata import unpacked
from storage.errors import StorageFull, StorageUnavailable
from storage.index.base import Bundle
from storage.keys import ingest_id
from storage.objects.base import ObjectMeta
from storage.objects.payload import Payload
from storage.records import Location, ResourceRef

PREFIX = "metadata"
_SERIES_A_ROUND = 50


def bundle_quiet_series(archive: Archive) -> int:
    """Bundle every series that is quiet by now; returns how many. Stops early, without harm, when the store is away."""
    before = archive.now() - timedelta(seconds=archive.settings.worker.series_quiet_s)
    bundled = 0
    while quiet := archive.index.quiet_series(before=before, limit=_SERIES_A_ROUND):
        done = 0
        for ref, revision in quiet:
            try:
                done += _bundle(archive, ref, revision)
            except (StorageUnavailable, StorageFull):
                return bundled + done
        bundled += done
        if not done or len(quiet) < _SERIES_A_ROUND:
            break
    return bundled


def _bundle(archive: Archive, ref: ResourceRef, revision: int) -> bool:
    rows = _rows(archive, ref)
    body = bundle.build(rows)
    payload = Payload.of(body)
    key = f"{PREFIX}/{ref.site}/{ref.study_instance_uid}/{ref.series_instance_uid}.{ingest_id(archive.now())}.bundle"
    info = archive.stores[HOT].put(key, payload, meta=ObjectMeta())
    location = Location(HOT, key, info.version_id)
    return archive.index.add_bundle(Bundle(ref=ref, location=location, revision=revision))


def _rows(archive: Archive, ref: ResourceRef) -> list[bundle.Row]:
    """The series' metadata, from rows and from the bundle it had before."""
    found = archive.index.metadata(ref)
    earlier = _earlier(archive, ref) if any(row.metadata_json is None for row in found) else None
    rows = []
    for row in found:
        uid = row.ref.sop_instance_uid or ""
        if row.metadata_json is not None:
            rows.append(bundle.Row(uid, unpacked(row.metadata_json)))
        elif earlier is not None:
            rows.append(bundle.Row(uid, earlier.metadata_json(uid)))
    return rows


def _earlier(archive: Archive, ref: ResourceRef) -> bundle.Bundle | None:
    had = archive.index.bundle(ref)
    if had is None:
        return None
    store = archive.store(had.location)
    return bundle.Bundle(b"".join(store.read(had.location.key, version_id=had.location.version_id)))
