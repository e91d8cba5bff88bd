"""What the index answers about single resources, the feed and the stores. Each function is one read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, func, select, text

from storage.errors import InvalidKey
from storage.index import rows
from storage.index.base import Arrival, Bundle, Doomed, MetadataRow, Tally
from storage.index.database import Session
from storage.index.schema import (
    HOT,
    Words,
    conflict,
    doomed,
    event,
    instance,
    instance_metadata,
    removed,
    series,
    site,
    study,
)
from storage.index.sql import Among, at
from storage.index.values import moment
from storage.keys import parse_instance_key
from storage.records import Event, InstanceRecord, Level, ResourceRef


def instance_by_sop(session: Session, site_name: str, sop_instance_uid: str) -> InstanceRecord | None:
    """The instance with this SOP Instance UID."""
    row = session.row(_BY_SOP, {"at_name": site_name, "at_sop_instance_uid": sop_instance_uid})
    return None if row is None else rows.record(row)


def instances(session: Session, ref: ResourceRef, after: str, limit: int) -> list[InstanceRecord]:
    """A page of instances below `ref`, in SOP Instance UID order, without metadata_json."""
    found = session.rows(_BELOW[ref.level], {**names(ref), "after": after, "limit": limit})
    return [rows.record(row) for row in found]


def arrivals(session: Session, ref: ResourceRef, after: int, limit: int) -> list[Arrival]:
    """A page of instances below `ref` in the order of their coming."""
    found = session.rows(_ARRIVALS[ref.level], {**names(ref), "after": after, "limit": limit})
    return [Arrival(rows.seq(row), rows.record(row)) for row in found]


def metadata(session: Session, ref: ResourceRef) -> list[MetadataRow]:
    """The metadata of all instances below `ref`."""
    found = session.rows(_METADATA[ref.level], names(ref))
    return [
        MetadataRow(
            ref=ResourceRef(ref.site, ref.study_instance_uid, series_uid, sop_uid), metadata_json=json, bulk_table=bulk
        )
        for series_uid, sop_uid, json, bulk in found
    ]


def revision(session: Session, ref: ResourceRef) -> int | None:
    """The seq of the last change at or below a resource."""
    row = session.row(_REVISION[ref.level], names(ref))
    return None if row is None else row[0]


def was_removed(session: Session, ref: ResourceRef) -> bool:
    """Whether the resource existed, was deleted, and is not back."""
    if revision(session, ref) is not None:
        return False
    parameters = {
        "at_name": ref.site,
        "at_study_instance_uid": ref.study_instance_uid,
        "at_series_instance_uid": ref.series_instance_uid or "",
        "at_sop_instance_uid": ref.sop_instance_uid or "",
    }
    return session.row(_REMOVED, parameters) is not None


def events(session: Session, after: int, limit: int) -> list[Event]:
    """The feed beyond `after`."""
    return [rows.event(row) for row in session.rows(_EVENTS, {"after": after, "limit": limit})]


def at_store(session: Session, store: str, limit: int) -> list[InstanceRecord]:
    """Instances whose bytes are in `store`, oldest first."""
    statement = _AT_HOT if store == HOT else _AT_STORE
    return [rows.record(row) for row in session.rows(statement, {"at_store": store, "limit": limit})]


def size_at(session: Session, store: str) -> int:
    """Bytes of all instances and conflicts in `store`."""
    of_instances = _SIZE_AT_HOT if store == HOT else _SIZE_AT
    return sum(int(session.rows(one, {"at_store": store})[0][0]) for one in (of_instances, _CONFLICT_SIZE_AT))


def bundle(session: Session, ref: ResourceRef) -> Bundle | None:
    """The series' bundle."""
    row = session.row(_BUNDLE, names(ref))
    if row is None or row[1] is None:
        return None
    return Bundle(ref=ref, location=rows.location(*row[:3]), revision=row[3])


def quiet_series(session: Session, before: int, limit: int) -> list[tuple[ResourceRef, int]]:
    """Series with metadata in rows and no change since `before`."""
    found = session.rows(_QUIET, {"before": before, "limit": limit})
    return [
        (ResourceRef(site_name, study_uid, series_uid), number) for site_name, study_uid, series_uid, number in found
    ]


def doomed_before(session: Session, before: int, after: int, limit: int) -> list[Doomed]:
    """Locations queued for reclaim before that time."""
    found = session.rows(_DOOMED_BEFORE, {"before": before, "after": after, "limit": limit})
    return [
        Doomed(doomed_id=row, location=rows.location(store, key, version), queued_at=moment(queued_at))
        for row, store, key, version, queued_at in found
    ]


def referenced(session: Session, store: str, keys: Sequence[str]) -> set[str]:
    """Those of `keys` that something in the index names."""
    parameters = {"at_store": store, "keys": session.listing(keys)}
    found = {key for one in _NAMED_KEYS for (key,) in session.rows(one, parameters)}
    by_site: dict[str, list[str]] = {}
    for key in keys:
        try:
            ref = parse_instance_key(key).ref
        except InvalidKey:
            continue
        by_site.setdefault(ref.site, []).append(ref.sop_instance_uid or "")
    for site_name, uids in by_site.items():
        named_here = {"at_name": site_name, "at_store": store, "uids": session.listing(uids)}
        found |= {key for (key,) in session.rows(_KEYS_BY_UID, named_here)}
    return found & set(keys)


def tally(session: Session, site_name: str | None) -> Tally:
    """Counts over one site or all."""
    one = {"at_name": site_name}
    studies, all_series, count, size_bytes = session.rows(_TALLY if site_name is None else _TALLY_SITE, one)[0]
    by_store: dict[str, int] = dict(session.rows(_ELSEWHERE if site_name is None else _ELSEWHERE_SITE, one))
    if in_hot := int(count) - sum(by_store.values()):
        by_store[HOT] = in_hot
    waiting = session.rows(_CONFLICTS if site_name is None else _CONFLICTS_SITE, one)
    return Tally(
        studies=int(studies),
        series=int(all_series),
        instances=int(count),
        size_bytes=int(size_bytes),
        conflicts=waiting[0][0],
        waiting_for_reclaim=session.rows(_DOOMED)[0][0],
        by_store=by_store,
    )


def names(ref: ResourceRef) -> dict[str, Any]:
    """The parameters of `named`."""
    return {
        "at_name": ref.site,
        "at_study_instance_uid": ref.study_instance_uid,
        "at_series_instance_uid": ref.series_instance_uid,
        "at_sop_instance_uid": ref.sop_instance_uid,
    }


def named(level: Level) -> ColumnElement[bool]:
    """The row of a reference, and for a level below it all its rows."""
    conditions = [at(site, "name"), at(study, "study_instance_uid")]
    if level is not Level.STUDY:
        conditions.append(at(series, "series_instance_uid"))
    if level is Level.INSTANCE:
        conditions.append(at(instance, "sop_instance_uid"))
    return and_(*conditions)


TO_SERIES = site.join(study, study.c.site_id == site.c.id).join(series, series.c.study_row == study.c.id)
TO_INSTANCE = TO_SERIES.join(instance, instance.c.series_row == series.c.id)
_LIMIT: BindParameter[int] = bindparam("limit")

_BY_SOP = rows.record_select(with_metadata=True).where(at(site, "name"), at(instance, "sop_instance_uid"))


def _page(level: Level, order: ColumnElement[Any], after: BindParameter[Any]) -> Select[Any]:
    """Records below a reference, those after `after` first.

    Which ones is told by the ids alone, from the reference downwards: with the whole rows in one statement SQLite walks
    all instances of the site in the order asked for, and looks at each whether it is below the reference.
    """
    ids = select(instance.c.id).select_from(TO_INSTANCE).where(named(level), order > after)
    ids = ids.order_by(order).limit(_LIMIT)
    return rows.record_select(with_metadata=False).where(instance.c.id.in_(ids)).order_by(order)


_BELOW = {
    level: _page(level, instance.c.sop_instance_uid, bindparam("after", type_=instance.c.sop_instance_uid.type))
    for level in Level
}
_ARRIVALS = {level: _page(level, instance.c.id, bindparam("after")) for level in Level}
_METADATA = {
    level: select(
        series.c.series_instance_uid, instance.c.sop_instance_uid, instance_metadata.c.json, instance.c.bulk_table
    )
    .select_from(TO_INSTANCE.outerjoin(instance_metadata, instance_metadata.c.instance_row == instance.c.id))
    .where(named(level))
    .order_by(
        series.c.series_number_key,
        series.c.series_instance_uid,
        instance.c.instance_number_key,
        instance.c.sop_instance_uid,
    )
    for level in Level
}
_REVISION = {
    Level.STUDY: select(study.c.revision)
    .join_from(site, study, study.c.site_id == site.c.id)
    .where(named(Level.STUDY)),
    Level.SERIES: select(series.c.revision).select_from(TO_SERIES).where(named(Level.SERIES)),
    Level.INSTANCE: select(instance.c.revision)
    .select_from(
        site.join(instance, instance.c.site_id == site.c.id)
        .join(study, study.c.id == instance.c.study_row)
        .join(series, series.c.id == instance.c.series_row)
    )
    .where(named(Level.INSTANCE)),
}
_REMOVED = (
    select(removed.c.seq)
    .join_from(site, removed, removed.c.site_id == site.c.id)
    .where(at(site, "name"), at(removed, "study_instance_uid", "series_instance_uid", "sop_instance_uid"))
)
_EVENTS = select(event).where(event.c.seq > bindparam("after")).order_by(event.c.seq).limit(_LIMIT)
_IS_ELSEWHERE = instance.c.store != text(f"'{HOT}'")  # said beside another store's name: there is an index of those
_AT_HOT = (
    rows.record_select(with_metadata=True)
    .where(at(instance, "store"))
    .order_by(instance.c.received_at, instance.c.sop_instance_uid)
    .limit(_LIMIT)
)
_AT_STORE = _AT_HOT.where(_IS_ELSEWHERE)
_SIZE_AT_HOT = select(func.coalesce(func.sum(instance.c.size_bytes), 0)).where(at(instance, "store"))
_SIZE_AT = _SIZE_AT_HOT.where(_IS_ELSEWHERE)
_CONFLICT_SIZE_AT = select(func.coalesce(func.sum(conflict.c.size_bytes), 0)).where(at(conflict, "store"))
_DOOMED_BEFORE = (
    select(doomed)
    .where(doomed.c.queued_at < bindparam("before"), doomed.c.id > bindparam("after"))
    .order_by(doomed.c.id)
    .limit(_LIMIT)
)
_NAMED_KEYS = (
    select(instance.c.object_key).where(
        at(instance, "store"), instance.c.odd_key == text("1"), Among(instance.c.object_key, "keys")
    ),
    select(conflict.c.object_key).where(at(conflict, "store"), Among(conflict.c.object_key, "keys")),
    select(doomed.c.object_key).where(at(doomed, "store"), Among(doomed.c.object_key, "keys")),
    select(series.c.bundle_object_key).where(
        series.c.bundle_store == bindparam("at_store", type_=Words),
        series.c.bundle_object_key.is_not(None),
        Among(series.c.bundle_object_key, "keys"),
    ),
)
_KEYS_BY_UID = (
    select(instance.c.object_key)
    .join_from(site, instance, instance.c.site_id == site.c.id)
    .where(at(site, "name"), at(instance, "store"), Among(instance.c.sop_instance_uid, "uids"))
)
_BUNDLE = (
    select(series.c.bundle_store, series.c.bundle_object_key, series.c.bundle_version_id, series.c.bundle_revision)
    .select_from(TO_SERIES)
    .where(named(Level.SERIES))
)
_QUIET = (
    select(site.c.name, study.c.study_instance_uid, series.c.series_instance_uid, series.c.revision)
    .select_from(TO_SERIES)
    .where(
        series.c.own_metadata == text("1"),
        series.c.winner_received_at < bindparam("before"),
        series.c.changed_at < bindparam("before"),
    )
    .order_by(series.c.winner_received_at, series.c.id)
    .limit(_LIMIT)
)
_TALLY = select(
    *(func.coalesce(func.sum(site.c[name]), 0) for name in ("studies", "series", "instances", "size_bytes"))
)
_TALLY_SITE = _TALLY.where(at(site, "name"))
_ELSEWHERE = select(instance.c.store, func.count()).where(_IS_ELSEWHERE).group_by(instance.c.store)
_ELSEWHERE_SITE = _ELSEWHERE.join_from(instance, site, site.c.id == instance.c.site_id).where(at(site, "name"))
_CONFLICTS = select(func.count()).select_from(conflict)
_CONFLICTS_SITE = _CONFLICTS.join(site, site.c.id == conflict.c.site_id).where(at(site, "name"))
_DOOMED = select(func.count()).select_from(doomed)
