"""The ONE way in: bytes -> header -> record -> put -> commit -> Receipt (DESIGN §3, §6).

A Receipt means that a power cut cannot take the instance: its bytes are durable in a store *and* its row is committed.
The data set's bytes are stored exactly as received. Every failure leaves at most an orphan, never a row without bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter

from bridge import audit, decisions, metrics
from bridge.archive import HOT, Archive
from bridge.describe import Description, describe
from bridge.errors import (
    BridgeError,
    ClassMismatch,
    ClassNotSupported,
    Conflict,
    InvalidInstance,
    OutOfResources,
    Unavailable,
)
from bridge.metadata import packed
from bridge.object_meta import instance_meta
from bridge.peers import assume
from bridge.retention import term
from bridge.settings import Ingest, Peer
from bridge.sop_classes import is_storable
from storage.errors import IngestExpired, StorageFull, StorageUnavailable
from storage.keys import ingest_id, instance_key, is_uid
from storage.objects.base import EarlyStore
from storage.objects.payload import Payload, Spool
from storage.records import InstanceRecord, Location, Origin, Outcome, ResourceRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What happened to an instance that was taken."""

    ref: ResourceRef
    sop_class_uid: str
    outcome: Outcome
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the door knows about an instance before anyone reads it."""

    transfer_syntax_uid: str
    site: str
    origin: Origin
    peer: Peer | None = None
    expected_sop_class_uid: str | None = None
    expected_sop_instance_uid: str | None = None
    expected_study_instance_uid: str | None = None


def begin(archive: Archive, header: bytes) -> Spool:
    """A spool for an instance that is about to arrive. Raises OutOfResources when the disk is down to its reserve."""
    if not archive.has_free_space(0):
        raise OutOfResources("the local disk is down to its free-space reserve")
    return Spool(header, directory=archive.spool_directory, memory_bytes=archive.settings.storage.spool_memory_bytes)


def ingest(archive: Archive, spool: Spool, delivery: Delivery) -> Receipt:
    """Take a complete data set. Raises InvalidInstance, ClassMismatch, Conflict, OutOfResources or Unavailable."""
    started = perf_counter()
    door = delivery.origin.door
    try:
        with spool.finish() as payload:
            receipt = _ingest(archive, payload, delivery)
    except BridgeError as error:
        refuse(archive, delivery.origin, error)
        raise
    metrics.INGESTED.labels(door, receipt.outcome).inc()
    metrics.INGEST_SECONDS.observe(perf_counter() - started)
    audit.record("ingest", at=archive.now(), origin=delivery.origin, outcome=receipt.outcome, ref=receipt.ref)
    return receipt


def refuse(archive: Archive, origin: Origin, error: BridgeError) -> None:
    """Count and record an instance that is not taken."""
    metrics.REFUSED.labels(origin.door, type(error).__name__).inc()
    audit.record("ingest", at=archive.now(), origin=origin, outcome=type(error).__name__)


def _ingest(archive: Archive, payload: Payload, delivery: Delivery) -> Receipt:
    store = archive.stores[HOT]
    if isinstance(store, EarlyStore):
        store.begin_put(payload)
    description = _describe(archive, payload, delivery)
    _check(description, delivery, archive.settings.ingest)
    record = _record(archive, payload, description, delivery)
    try:
        if _is_known(archive, record):
            return _receipt(record, Outcome.DUPLICATE, description)
        put_at = archive.now()
        location = _put(archive, payload, record, delivery.origin)
        if location != record.location:
            record = replace(record, location=location)
        committed = archive.index.commit(
            record, delivery.origin, put_at=put_at, duplicates=archive.settings.ingest.duplicates
        )
    except (StorageUnavailable, StorageFull, IngestExpired) as error:
        raise Unavailable(f"not stored, send again later: {error}") from error
    if committed.outcome is Outcome.REJECTED:
        raise Conflict("another data set is archived under this SOP Instance UID")
    if committed.outcome is not Outcome.DUPLICATE:
        metrics.INGESTED_BYTES.labels(delivery.origin.door).inc(record.size_bytes)
    return _receipt(record, committed.outcome, description)


def _receipt(record: InstanceRecord, outcome: Outcome, description: Description) -> Receipt:
    return Receipt(ref=record.ref, sop_class_uid=record.sop_class_uid, outcome=outcome, warnings=description.warnings)


def _describe(archive: Archive, payload: Payload, delivery: Delivery) -> Description:
    limits = archive.settings.ingest
    peer_charset = delivery.peer.fallback_charset if delivery.peer else ""
    with payload.data_set() as data_set:
        description = describe(
            data_set,
            delivery.transfer_syntax_uid,
            fallback_charset=peer_charset or limits.fallback_charset,
            inline_binary_bytes=limits.inline_binary_bytes,
            depth_limit=limits.depth_limit,
            metadata_limit_bytes=limits.metadata_limit_bytes,
            inflate_ratio_limit=archive.settings.pixels.inflate_ratio_limit,
        )
    assume(description.attributes, delivery.peer)
    return description


def _check(description: Description, delivery: Delivery, settings: Ingest) -> None:
    """UIDs usable (PS3.5 §9.1), data set in agreement with the command (PS3.4 §B.2.3), its class one that is kept."""
    for name, tag, uid in (
        ("SOP Instance UID", 0x00080018, description.sop_instance_uid),
        ("Study Instance UID", 0x0020000D, description.study_instance_uid),
        ("Series Instance UID", 0x0020000E, description.series_instance_uid),
    ):
        if not is_uid(uid, strict=settings.strict_uids):
            raise InvalidInstance(f"the {name} is {'not a valid UID' if uid else 'missing'}", offending_tag=tag)
    if delivery.expected_sop_instance_uid not in (None, description.sop_instance_uid):
        raise ClassMismatch("SOP Instance UID of command and data set differ")
    if delivery.expected_study_instance_uid not in (None, description.study_instance_uid):
        raise ClassMismatch("the instance belongs to another study than the one asked for")
    if delivery.expected_sop_class_uid not in (None, description.sop_class_uid) and description.sop_class_uid:
        raise ClassMismatch("SOP Class UID of command and data set differ")
    sop_class_uid = description.sop_class_uid or delivery.expected_sop_class_uid or ""
    if not is_storable(sop_class_uid, unknown=settings.unknown_sop_classes):
        raise ClassNotSupported(f"instances of SOP class {sop_class_uid} are not kept here")


def _record(archive: Archive, payload: Payload, description: Description, delivery: Delivery) -> InstanceRecord:
    received_at = archive.now()
    ref = ResourceRef(
        delivery.site,
        description.study_instance_uid,
        description.series_instance_uid,
        description.sop_instance_uid,
    )
    return InstanceRecord(
        ref=ref,
        sop_class_uid=description.sop_class_uid or delivery.expected_sop_class_uid or "",
        transfer_syntax_uid=delivery.transfer_syntax_uid,
        location=Location(HOT, instance_key(ref, ingest_id(received_at))),
        size_bytes=payload.size_bytes,
        sha256=payload.sha256,
        data_set_sha256=payload.data_set_sha256,
        data_set_offset=payload.data_set_offset,
        received_at=received_at,
        attributes=description.attributes,
        metadata_json=packed(description.metadata_json),
        frame_table=description.frame_table,
        bulk_table=description.bulk_table,
        retention=term(
            archive.settings.retention,
            delivery.peer.retention_class if delivery.peer else "",
            delivery.peer.timezone if delivery.peer else "",
            description.attributes,
            received_at,
        ),
        origin_name=delivery.origin.name,
    )


def _is_known(archive: Archive, record: InstanceRecord) -> bool:
    """True when this very data set is archived already; writes the decision when it is about to replace another."""
    site, sop_instance_uid = record.ref.site, record.ref.sop_instance_uid
    existing = archive.index.instance_by_sop(site, sop_instance_uid or "")
    if existing is None:
        return False
    if existing.ref == record.ref and existing.data_set_sha256 == record.data_set_sha256:
        return True
    if archive.settings.ingest.duplicates == "replace":
        decisions.write(archive, decisions.replaced(existing, at=record.received_at))
    return False


def _put(archive: Archive, payload: Payload, record: InstanceRecord, origin: Origin) -> Location:
    """Make the bytes durable: in the object store, or in landing when it is away or when settings say so."""
    lock = archive.locks_objects
    now = archive.now()
    key = record.location.key
    if archive.settings.ingest.acknowledge == "object-store" or archive.landing is None:
        try:
            info = archive.stores[HOT].put(key, payload, meta=instance_meta(record, origin=origin, lock=lock, now=now))
            return Location(HOT, key, info.version_id)
        except (StorageUnavailable, StorageFull) as error:
            if archive.landing is None:
                if isinstance(error, StorageFull):
                    raise OutOfResources(f"the store is full: {error}") from error
                raise
            metrics.DIVERTED.inc()
    return _land(archive, payload, record, origin, now)


def _land(archive: Archive, payload: Payload, record: InstanceRecord, origin: Origin, now: datetime) -> Location:
    name = archive.landing
    if name is None or not archive.landing_has_room(payload.size_bytes):
        raise OutOfResources("the object store is away and landing has reached its quota")
    try:
        archive.stores[name].put(
            record.location.key, payload, meta=instance_meta(record, origin=origin, lock=False, now=now)
        )
    except StorageFull as error:
        raise OutOfResources(f"the object store is away and landing is full: {error}") from error
    return Location(name, record.location.key)
