"""The ONE way out: checks holds, writes the decision, removes the rows, queues the keys (DESIGN §3 law 1).

The rows go first and together; `reclaim` deletes the bytes later. What was deleted is remembered: the answer is Gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge import audit, decisions
from bridge.archive import Archive
from bridge.errors import Gone, Held, NotFound, Unavailable
from storage.errors import StorageFull, StorageUnavailable
from storage.records import Event, InstanceRecord, Origin, ResourceRef

_PAGE = 1000


def delete(archive: Archive, ref: ResourceRef, origin: Origin, *, override_retention: bool = False) -> Sequence[Event]:
    """Delete a study, series or instance. Raises NotFound, Gone, Held or Unavailable; nothing is changed then.

    A legal hold always forbids; a running retention term forbids unless the caller overrides it, and the audit trail
    shows that. Whoever asks writes the deletion itself to the trail, as with every refusal.
    """
    now = archive.now()
    try:
        seen = archive.index.revision(ref)  # what comes in while the terms are checked has a term of its own, and stays
        _check_terms(archive, ref, override_retention=override_retention)
        decisions.write(archive, decisions.deleted(ref, at=now, origin=origin))
        events = archive.index.remove(ref, origin, up_to=seen)
    except (StorageUnavailable, StorageFull) as error:
        raise Unavailable(f"nothing was deleted: {error}") from error
    if not events:
        raise Gone("deleted by another at the same time")
    if override_retention:
        audit.record("override retention", at=now, origin=origin, outcome="success", ref=ref)
    return events


def _check_terms(archive: Archive, ref: ResourceRef, *, override_retention: bool) -> None:
    after, seen = "", False
    while page := archive.index.instances(ref, after=after, limit=_PAGE):
        for record in page:
            _check_term(archive, record, override_retention=override_retention)
        after, seen = page[-1].ref.sop_instance_uid or "", True
        if len(page) < _PAGE:
            break
    if not seen:
        raise Gone("deleted before") if archive.index.was_removed(ref) else NotFound("no such resource")


def _check_term(archive: Archive, record: InstanceRecord, *, override_retention: bool) -> None:
    if record.legal_hold:
        raise Held("a legal hold forbids removal")
    term = record.retention
    if term is None or override_retention:
        return
    if term.until is None or term.until > archive.now():
        until = term.until.date().isoformat() if term.until else "further notice"
        raise Held(f"retention class {term.retention_class} forbids removal until {until}", until=term.until)
