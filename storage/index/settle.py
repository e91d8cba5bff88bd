"""Changes to instances that are there: another location, removal, conflicts, bundles. One function, one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, update

from storage.errors import IngestExpired
from storage.index import reads, rows
from storage.index.base import Bundle, Conflict
from storage.index.changes import COLD, Ledger, doom, drop_instances
from storage.index.database import Session
from storage.index.group import Waiting, add_conflict, doomed_among, find_known, store
from storage.index.schema import conflict, doomed, event, instance, instance_metadata, removed, series, site, study
from storage.index.sql import Among, at, settable, skip_present
from storage.index.values import microseconds, moment
from storage.records import Change, Event, InstanceRecord, Level, Location, Origin, ResourceRef


def swap(session: Session, record: InstanceRecord, new: Location, origin: Origin, now: datetime) -> bool:
    """Move a row to a new location if it is still at the old one."""
    ledger = Ledger(session, now)
    ref = record.ref
    known = find_known(session, ledger.site(ref.site).row, [ref.sop_instance_uid or ""]).get(ref.sop_instance_uid or "")
    if known is None or known.ref(ref.site, ref.sop_instance_uid) != ref:
        return False
    if known.location == new:
        return True  # an answer was lost and the caller asks again
    if known.location != record.location:
        return False
    if doomed_among(session, [new]):
        raise IngestExpired("the new object is about to be removed")
    happened = ledger.append(Change.RELOCATED, ref, origin)
    odd = int(rows.is_odd(new.key, ref))
    session.run(_MOVE, {"at_id": known.row, **rows.location_row(new), "odd_key": odd, "revision": happened.seq})
    colder = (new.store == COLD) - (known.location.store == COLD)
    _touch(session, known.row, happened, colder)
    doom(session, known.location, now)
    ledger.close()
    return True


def remove(session: Session, ref: ResourceRef, origin: Origin, now: datetime, up_to: int | None) -> list[Event]:
    """Drop everything at and below `ref` that came with event `up_to` or before; an event for each instance."""
    last = _EVERYTHING if up_to is None else up_to
    going = session.rows(_GOING[ref.level], {**reads.names(ref), "up_to": last})
    if not going:
        return []
    ledger = Ledger(session, now)
    site_id = ledger.site(ref.site).row
    happened, memory = [], set()
    for _, series_uid, sop_uid, store_name, key, version in going:
        one = ResourceRef(ref.site, ref.study_instance_uid, series_uid, sop_uid)
        happened.append(ledger.append(Change.REMOVED, one, origin))
        doom(session, rows.location(store_name, key, version), now)
        memory.add((series_uid, sop_uid))
    series_uids = {series_uid for series_uid, _ in memory}
    drop_instances(session, ledger, ref.site, [row[0] for row in going], revision=ledger.seq)
    _drop_conflicts(session, site_id, ref, [sop_uid for _, sop_uid in memory], now)
    for parent in [ResourceRef(ref.site, ref.study_instance_uid, uid) for uid in sorted(series_uids)]:
        if reads.revision(session, parent) is None:
            memory.add((parent.series_instance_uid, ""))
    if reads.revision(session, ResourceRef(ref.site, ref.study_instance_uid)) is None:
        memory.add(("", ""))
    _remember(session, site_id, ref.study_instance_uid, sorted(memory), ledger.seq)
    ledger.close()
    return happened


def promote(session: Session, conflict_id: int, origin: Origin, now: datetime) -> Event | None:
    """The kept second takes the place of the first, which becomes a conflict of its own."""
    found = session.row(_CONFLICT, {"at_id": conflict_id})
    if found is None:
        return None
    second = _conflict(found).record
    ledger = Ledger(session, now)
    if not session.run(_DROP_CONFLICT, {"at_id": conflict_id}):
        return None  # settled by another while this one waited
    site_name, sop_uid = second.ref.site, second.ref.sop_instance_uid or ""
    known = find_known(session, ledger.site(site_name).row, [sop_uid]).get(sop_uid)
    waiting = Waiting(second, origin, now, "replace")
    if known is None:
        store(session, ledger, site_name, [waiting], change=Change.REPLACED)
    else:
        first = reads.instance_by_sop(session, site_name, sop_uid)
        assert first is not None, "known in this transaction"
        came_from = session.rows(_EVENT, {"at_seq": known.row})
        drop_instances(session, ledger, site_name, [known.row], revision=ledger.seq + 1)
        store(session, ledger, site_name, [waiting], change=Change.REPLACED)
        by = rows.event(came_from[0]).origin if came_from else origin
        add_conflict(session, ledger.site(site_name).row, ledger.seq, first, by, now)
    ledger.close()
    assert waiting.result is not None, "stored"
    return waiting.result.event


def dismiss(session: Session, conflict_id: int, now: datetime) -> bool:
    """Drop a conflict and queue its bytes for reclaim."""
    found = session.row(_CONFLICT, {"at_id": conflict_id})
    if found is None or not session.run(_DROP_CONFLICT, {"at_id": conflict_id}):
        return False
    doom(session, _conflict(found).record.location, now)
    return True


def conflicts(session: Session, site_name: str | None) -> list[Conflict]:
    """Unsettled conflicts, oldest first."""
    found = session.rows(_CONFLICTS) if site_name is None else session.rows(_SITE_CONFLICTS, {"at_name": site_name})
    return [_conflict(row) for row in found]


def add_bundle(session: Session, bundle: Bundle, now: datetime) -> bool:
    """Attach a bundle if its series is still at that revision; the rows' own metadata goes."""
    Ledger(session, now)  # alone from here on
    row = session.row(_SERIES, reads.names(bundle.ref))
    if row is None or row[1] != bundle.revision or doomed_among(session, [bundle.location]):
        return False
    place = {f"bundle_{name}": value for name, value in rows.location_row(bundle.location).items()}
    session.run(_SET_BUNDLE, {"at_id": row[0], **place, "bundle_revision": bundle.revision, "own_metadata": 0})
    session.run(_CLEAR_METADATA, {"at_series_row": row[0]})
    if row[3] is not None and rows.location(*row[2:5]) != bundle.location:
        doom(session, rows.location(*row[2:5]), now)
    return True


def reclaimed(session: Session, doomed_ids: Sequence[int]) -> None:
    """Forget doomed locations whose bytes are gone."""
    session.run(_RECLAIMED, {"rows": session.listing(doomed_ids)})


def _touch(session: Session, instance_row: int, happened: Event, colder: int) -> None:
    """Say in the series and study of an instance that something below changed."""
    change = {"at_id": instance_row, "revision": happened.seq, "changed_at": microseconds(happened.at)}
    session.run(_TOUCH_SERIES, change)
    session.run(_TOUCH_STUDY, {**change, "colder": colder})


def _drop_conflicts(session: Session, site_id: int, ref: ResourceRef, sop_uids: Sequence[str], now: datetime) -> None:
    """Conflicts below what is removed go with it."""
    found = session.rows(_CONFLICTS_OF, {"at_site_id": site_id, "uids": session.listing(sop_uids)})
    for kept in (_conflict(row) for row in found):
        there = kept.record.ref
        if there.study_instance_uid == ref.study_instance_uid and (
            ref.series_instance_uid in (None, there.series_instance_uid)
        ):
            session.run(_DROP_CONFLICT, {"at_id": kept.conflict_id})
            doom(session, kept.record.location, now)


def _remember(
    session: Session, site_id: int, study_uid: str, memory: Sequence[tuple[str | None, str]], seq: int
) -> None:
    session.many(
        _REMEMBER,
        [
            {
                "site_id": site_id,
                "study_instance_uid": study_uid,
                "series_instance_uid": series_uid,
                "sop_instance_uid": sop_uid,
                "seq": seq,
            }
            for series_uid, sop_uid in memory
        ],
    )


def _conflict(row: tuple[Any, ...]) -> Conflict:
    number, text, metadata_json, bulk, frames, door, name, address, seen_at = row
    return Conflict(
        conflict_id=number,
        record=rows.record_from_json(text, metadata_json, bulk, frames),
        origin=Origin(door=door, name=name, address=address),
        seen_at=moment(seen_at),
    )


_MOVE = (
    update(instance)
    .values(settable(instance, "store", "object_key", "version_id", "odd_key", "revision"))
    .where(at(instance, "id"))
)
_OWNER_SERIES = select(instance.c.series_row).where(at(instance, "id")).scalar_subquery()
_OWNER_STUDY = select(instance.c.study_row).where(at(instance, "id")).scalar_subquery()
_TOUCH_SERIES = update(series).values(settable(series, "revision", "changed_at")).where(series.c.id == _OWNER_SERIES)
_TOUCH_STUDY = (
    update(study)
    .values(
        {
            **settable(study, "revision", "changed_at"),
            "cold_count": study.c.cold_count + bindparam("colder", type_=study.c.cold_count.type),
        }
    )
    .where(study.c.id == _OWNER_STUDY)
)


_EVERYTHING = (1 << 63) - 1  # no seq is higher


def _going(level: Level) -> Select[Any]:
    return (
        select(
            instance.c.id,
            series.c.series_instance_uid,
            instance.c.sop_instance_uid,
            instance.c.store,
            instance.c.object_key,
            instance.c.version_id,
        )
        .select_from(reads.TO_INSTANCE)
        .where(reads.named(level), instance.c.id <= bindparam("up_to", type_=instance.c.id.type))
        .order_by(instance.c.id)
    )


_GOING = {level: _going(level) for level in Level}
_CONFLICT_ROWS = select(
    conflict.c.id,
    conflict.c.record,
    conflict.c.metadata_json,
    conflict.c.bulk_table,
    conflict.c.frame_table,
    conflict.c.door,
    conflict.c.name,
    conflict.c.address,
    conflict.c.seen_at,
)
_CONFLICTS = _CONFLICT_ROWS.order_by(conflict.c.id)
_SITE_CONFLICTS = _CONFLICTS.join(site, site.c.id == conflict.c.site_id).where(at(site, "name"))
_CONFLICT = _CONFLICT_ROWS.where(at(conflict, "id"))
_CONFLICTS_OF = _CONFLICT_ROWS.where(at(conflict, "site_id"), Among(conflict.c.sop_instance_uid, "uids"))
_DROP_CONFLICT = delete(conflict).where(at(conflict, "id"))
_RECLAIMED = delete(doomed).where(Among(doomed.c.id, "rows"))
_EVENT = select(event).where(at(event, "seq"))
_REMEMBER = skip_present(removed)
_SERIES = (
    select(
        series.c.id, series.c.revision, series.c.bundle_store, series.c.bundle_object_key, series.c.bundle_version_id
    )
    .select_from(reads.TO_SERIES)
    .where(reads.named(Level.SERIES))
)
_SET_BUNDLE = (
    update(series)
    .values(
        settable(series, "bundle_store", "bundle_object_key", "bundle_version_id", "bundle_revision", "own_metadata")
    )
    .where(at(series, "id"))
)
_CLEAR_METADATA = delete(instance_metadata).where(
    instance_metadata.c.instance_row.in_(select(instance.c.id).where(at(instance, "series_row")))
)
