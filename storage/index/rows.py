"""Rows of the index as records and records as rows. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Select, and_, null, select

from storage.errors import InvalidKey
from storage.index import values
from storage.index.schema import instance, instance_metadata, series, site, study, variant
from storage.index.sql import words
from storage.index.values import Value, microseconds, moment
from storage.keys import is_key_of, parse_instance_key
from storage.records import Change, Event, InstanceRecord, Level, Location, Origin, ResourceRef, Retention

_LONG = ("bulk_table", "frame_table")
_OWN = [column for column in instance.c if column.name not in (*_LONG, "odd_key")]
_NAMES = (
    *(column.name for column in _OWN), *_LONG, "site", "study_instance_uid", "series_instance_uid",
    "study_attributes", "series_attributes", "metadata_json",
)  # fmt: skip
_INSTANCE_ATTRIBUTES = tuple(
    (keyword, _NAMES.index(values.attribute_of(keyword).column)) for keyword in values.keywords(Level.INSTANCE)
)
_AT = {name: position for position, name in enumerate(_NAMES)}


def record_select(*, with_metadata: bool) -> Select[Any]:
    """Instances with everything that makes a record; conditions and order are added by the caller."""
    of_study, of_series = variant.alias("of_study"), variant.alias("of_series")
    source = (
        instance.join(series, series.c.id == instance.c.series_row)
        .join(study, study.c.id == instance.c.study_row)
        .join(site, site.c.id == instance.c.site_id)
    )
    for table, level, owner, number in (
        (of_study, Level.STUDY, instance.c.study_row, instance.c.study_variant),
        (of_series, Level.SERIES, instance.c.series_row, instance.c.series_variant),
    ):
        source = source.outerjoin(  # there is one; said so, it is looked up last (states.py)
            table, and_(table.c.level == words(level.value), table.c.owner == owner, table.c.number == number)
        )
    metadata_json: Any = null()
    if with_metadata:
        source = source.outerjoin(instance_metadata, instance_metadata.c.instance_row == instance.c.id)
        metadata_json = instance_metadata.c.json
    return select(
        *_OWN, instance.c.bulk_table, instance.c.frame_table, site.c.name, study.c.study_instance_uid,
        series.c.series_instance_uid, of_study.c.attributes.label("study_attributes"),
        of_series.c.attributes.label("series_attributes"), metadata_json.label("metadata_json"),
    ).select_from(source)  # fmt: skip


def seq(row: tuple[Any, ...]) -> int:
    """The seq of the event that made a row of `record_select`."""
    found: int = row[_AT["id"]]
    return found


def record(row: tuple[Any, ...]) -> InstanceRecord:
    """A row of `record_select`."""
    get = row.__getitem__
    attributes: dict[str, str] = orjson.loads(get(_AT["study_attributes"]))
    attributes.update(orjson.loads(get(_AT["series_attributes"])))
    for keyword, position in _INSTANCE_ATTRIBUTES:
        if row[position] is not None:
            attributes[keyword] = row[position]
    return InstanceRecord(
        ref=ResourceRef(
            get(_AT["site"]),
            get(_AT["study_instance_uid"]),
            get(_AT["series_instance_uid"]),
            get(_AT["sop_instance_uid"]),
        ),
        sop_class_uid=get(_AT["sop_class_uid"]),
        transfer_syntax_uid=get(_AT["transfer_syntax_uid"]),
        location=location(get(_AT["store"]), get(_AT["object_key"]), get(_AT["version_id"])),
        size_bytes=get(_AT["size_bytes"]),
        sha256=get(_AT["sha256"]),
        data_set_sha256=get(_AT["data_set_sha256"]),
        data_set_offset=get(_AT["data_set_offset"]),
        received_at=moment(get(_AT["received_at"])),
        attributes=attributes,
        metadata_json=get(_AT["metadata_json"]),
        frame_table=get(_AT["frame_table"]),
        bulk_table=get(_AT["bulk_table"]),
        retention=_retention({name: get(_AT[name]) for name in _RETENTION}),
        legal_hold=bool(get(_AT["legal_hold"])),
        state=get(_AT["state"]),
        origin_name=get(_AT["origin_name"]),
    )


_RETENTION = ("retention_class", "retention_policy", "retention_start", "retention_until", "retention_flags")


def instance_row(record: InstanceRecord, own: Mapping[str, str]) -> dict[str, Value]:
    """The columns of an instance that the record alone decides; ids, variants and revision are the caller's.

    `own` are its canonical attributes at instance level.
    """
    return {
        "sop_instance_uid": record.ref.sop_instance_uid,
        "sop_class_uid": record.sop_class_uid,
        "transfer_syntax_uid": record.transfer_syntax_uid,
        **location_row(record.location),
        "odd_key": int(is_odd(record.location.key, record.ref)),
        "size_bytes": record.size_bytes,
        "sha256": record.sha256,
        "data_set_sha256": record.data_set_sha256,
        "data_set_offset": record.data_set_offset,
        "received_at": microseconds(record.received_at),
        "origin_name": values.cleaned(record.origin_name),
        "state": record.state,
        "legal_hold": int(record.legal_hold),
        **_retention_row(record.retention),
        "bulk_table": record.bulk_table,
        "frame_table": record.frame_table,
        **values.columns(own, Level.INSTANCE),
    }


def location(store: str, key: str, version_id: str) -> Location:
    """A location from its columns."""
    return Location(store, key, version_id or None)


def location_row(place: Location) -> dict[str, Value]:
    """A location as columns."""
    return {"store": place.store, "object_key": place.key, "version_id": place.version_id or ""}


def is_odd(key: str, ref: ResourceRef) -> bool:
    """True for a key that does not tell by itself which instance's row to look at."""
    if is_key_of(key, ref):  # nearly always
        return False
    try:
        named = parse_instance_key(key).ref
    except InvalidKey:
        return True
    return (named.site, named.sop_instance_uid) != (ref.site, ref.sop_instance_uid)


def event(row: tuple[Any, ...]) -> Event:
    """A row of the feed."""
    seq, at, change, site_name, study_uid, series_uid, sop_uid, door, name, address = row
    return Event(
        seq=seq,
        at=moment(at),
        change=Change(change),
        ref=ResourceRef(site_name, study_uid, series_uid, sop_uid),
        origin=Origin(door=door, name=name, address=address),
    )


def event_row(happened: Event) -> dict[str, Value]:
    """An event as columns."""
    ref = happened.ref
    return {
        "seq": happened.seq,
        "at": microseconds(happened.at),
        "change": happened.change.value,
        "site": ref.site,
        "study_instance_uid": ref.study_instance_uid,
        "series_instance_uid": ref.series_instance_uid,
        "sop_instance_uid": ref.sop_instance_uid,
        **origin_row(happened.origin),
    }


def origin_row(origin: Origin) -> dict[str, Value]:
    """An origin as columns."""
    return {
        "door": origin.door,
        "name": values.cleaned(origin.name),
        "address": values.cleaned(origin.address),
    }


def record_json(record: InstanceRecord) -> str:
    """Everything but the binary parts of a record, as text."""
    ref = record.ref
    row = instance_row(record, values.canonical(record.attributes, Level.INSTANCE))
    plain = {name: value for name, value in row.items() if name not in _LONG and name in _SCALARS}
    identity = {"study_instance_uid": ref.study_instance_uid, "series_instance_uid": ref.series_instance_uid}
    return values.packed_any({**plain, **identity, "site": ref.site, "attributes": dict(record.attributes)})


_SCALARS = frozenset(column.name for column in _OWN) - {
    values.attribute_of(keyword).column for keyword in values.keywords(Level.INSTANCE)
}


def record_from_json(
    text: str, metadata_json: bytes | None, bulk: bytes | None, frames: bytes | None
) -> InstanceRecord:
    """The inverse of `record_json`."""
    plain = json.loads(text)
    return InstanceRecord(
        ref=ResourceRef(
            plain["site"], plain["study_instance_uid"], plain["series_instance_uid"], plain["sop_instance_uid"]
        ),
        sop_class_uid=plain["sop_class_uid"],
        transfer_syntax_uid=plain["transfer_syntax_uid"],
        location=location(plain["store"], plain["object_key"], plain["version_id"]),
        size_bytes=plain["size_bytes"],
        sha256=plain["sha256"],
        data_set_sha256=plain["data_set_sha256"],
        data_set_offset=plain["data_set_offset"],
        received_at=moment(plain["received_at"]),
        attributes=plain["attributes"],
        metadata_json=metadata_json,
        frame_table=frames,
        bulk_table=bulk,
        retention=_retention(plain),
        legal_hold=bool(plain["legal_hold"]),
        state=plain["state"],
        origin_name=plain["origin_name"],
    )


def _retention_row(term: Retention | None) -> dict[str, Value]:
    if term is None:
        return dict.fromkeys(_RETENTION)
    return {
        "retention_class": term.retention_class,
        "retention_policy": term.policy,
        "retention_start": microseconds(term.start),
        "retention_until": None if term.until is None else microseconds(term.until),
        "retention_flags": ",".join(term.flags),
    }


def _retention(row: Mapping[str, Any]) -> Retention | None:
    if row["retention_class"] is None:
        return None
    until = row["retention_until"]
    return Retention(
        retention_class=row["retention_class"],
        policy=row["retention_policy"],
        start=moment(row["retention_start"]),
        until=None if until is None else moment(until),
        flags=tuple(flag for flag in row["retention_flags"].split(",") if flag),
    )
