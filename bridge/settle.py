"""Settling a conflict: the second data set is promoted or dismissed; decision first, then the row (DESIGN §3)."""

from __future__ import annotations

from bridge import audit, decisions
from bridge.archive import Archive
from bridge.errors import Unavailable
from storage.errors import StorageFull, StorageUnavailable
from storage.index.base import Conflict
from storage.records import Origin


def promote(archive: Archive, conflict_id: int, origin: Origin) -> bool:
    """Let the second data set take the first one's place; False when there is no such conflict. Raises Unavailable."""
    conflict = _find(archive, conflict_id)
    if conflict is None:
        return False
    now = archive.now()
    try:
        decisions.write(archive, decisions.promoted(conflict.record, at=now, origin=origin))
        event = archive.index.promote(conflict_id, origin)
    except (StorageUnavailable, StorageFull) as error:
        raise Unavailable(f"nothing was changed: {error}") from error
    audit.record("promote", at=now, origin=origin, outcome="success", ref=conflict.record.ref)
    return event is not None


def dismiss(archive: Archive, conflict_id: int, origin: Origin) -> bool:
    """Keep the first data set and drop the second; False when there is no such conflict. Raises Unavailable."""
    conflict = _find(archive, conflict_id)
    if conflict is None:
        return False
    now = archive.now()
    try:
        decisions.write(archive, decisions.dismissed(conflict.record, at=now, origin=origin))
        done = archive.index.dismiss(conflict_id)
    except (StorageUnavailable, StorageFull) as error:
        raise Unavailable(f"nothing was changed: {error}") from error
    audit.record("dismiss", at=now, origin=origin, outcome="success", ref=conflict.record.ref)
    return done


def _find(archive: Archive, conflict_id: int) -> Conflict | None:
    return next((found for found in archive.index.conflicts() if found.conflict_id == conflict_id), None)
