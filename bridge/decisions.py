"""Decisions that an object cannot tell, written to the store before their row commits (DESIGN §3, Rebuild).

A delete, replacement, promotion or hold is one small JSON object under `decisions/<site>/`; `scrub --rebuild` applies
them in order, so that it neither resurrects nor forgets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from bridge.archive import HOT, Archive
from storage.errors import ObjectNotFound, StorageFull, StorageUnavailable
from storage.keys import ingest_id
from storage.objects.base import ObjectMeta, ObjectStore
from storage.objects.payload import Payload
from storage.records import InstanceRecord, Origin, ResourceRef

PREFIX = "decisions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision: what was decided about which resource or object, when."""

    kind: str  # delete | replace | promote | dismiss
    at: datetime
    ref: ResourceRef
    data_set_sha256: str = ""  # which of the data sets under that UID is meant: a copy may lie under another key
    who: str = ""


def deleted(ref: ResourceRef, *, at: datetime, origin: Origin) -> Decision:
    """Everything at and below `ref` received before `at` is gone."""
    return Decision(kind="delete", at=at, ref=ref, who=origin.name)


def replaced(existing: InstanceRecord, *, at: datetime) -> Decision:
    """The data set of `existing` gives way to the next one under its UID."""
    return Decision(kind="replace", at=at, ref=existing.ref, data_set_sha256=existing.data_set_sha256)


def promoted(record: InstanceRecord, *, at: datetime, origin: Origin) -> Decision:
    """The data set of `record` is the one that counts."""
    return Decision(kind="promote", at=at, ref=record.ref, data_set_sha256=record.data_set_sha256, who=origin.name)


def dismissed(record: InstanceRecord, *, at: datetime, origin: Origin) -> Decision:
    """The data set of `record` is not kept."""
    return Decision(kind="dismiss", at=at, ref=record.ref, data_set_sha256=record.data_set_sha256, who=origin.name)


def write(archive: Archive, decision: Decision) -> None:
    """Make the decision durable: in the object store, or in landing while that is away or full.

    Raises StorageUnavailable or StorageFull.
    """
    body = orjson.dumps(_to_json(decision))
    payload = Payload.of(body)
    key = f"{PREFIX}/{decision.ref.site}/{ingest_id(decision.at)}.json"
    try:
        archive.stores[HOT].put(key, payload, meta=ObjectMeta())
    except (StorageUnavailable, StorageFull):
        if archive.landing is None:
            raise
        archive.stores[archive.landing].put(key, payload, meta=ObjectMeta())


def read_all(stores: Iterator[ObjectStore]) -> list[Decision]:
    """Every decision in these stores, oldest first."""
    found = []
    for store in stores:
        for info in store.list(f"{PREFIX}/"):
            try:
                body = b"".join(store.read(info.key, version_id=info.version_id))
            except ObjectNotFound:
                continue  # delivered to another store while we listed
            found.append(_from_json(orjson.loads(body)))
    return sorted(found, key=lambda decision: decision.at)


def _to_json(decision: Decision) -> dict[str, Any]:
    ref = decision.ref
    return {
        "kind": decision.kind,
        "at": decision.at.isoformat(),
        "ref": [ref.site, ref.study_instance_uid, ref.series_instance_uid, ref.sop_instance_uid],
        "data_set_sha256": decision.data_set_sha256,
        "who": decision.who,
    }


def _from_json(value: dict[str, Any]) -> Decision:
    return Decision(
        kind=value["kind"],
        at=datetime.fromisoformat(value["at"]),
        ref=ResourceRef(*value["ref"]),
        data_set_sha256=value["data_set_sha256"],
        who=value["who"],
    )
