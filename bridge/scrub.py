"""Scrub: read every object back and compare its hash; recreate the index from the objects alone (DESIGN §3, Rebuild).

A rebuild replays history: objects in the order they were received, and between them the decisions that an object cannot
tell. What cannot be trusted (unreadable, wrong hash) is left where it is and listed for a person; it is never deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge import decisions
from bridge.archive import Archive
from bridge.describe import describe
from bridge.errors import BridgeError, ConfigError
from bridge.intact import is_intact
from bridge.metadata import packed
from bridge.object_meta import assumed_from, record_from_meta
from bridge.peers import Roster, known
from storage.errors import InvalidKey, StorageError
from storage.keys import parse_instance_key
from storage.objects.base import ObjectInfo
from storage.objects.payload import read_back
from storage.records import InstanceRecord, Location, Origin, Outcome, ResourceRef


@dataclass(slots=True)
class Verified:
    """What reading everything back found."""

    instances: int = 0
    intact: int = 0
    damaged: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild found and did."""

    objects: int = 0
    instances: int = 0
    decisions: int = 0
    quarantined: list[str] = field(default_factory=list)


def verify(archive: Archive) -> Verified:
    """Read the object of every instance this node can reach and compare its hash."""
    result = Verified()
    for store in archive.stores:
        for record in archive.index.at_store(store, limit=1 << 40):
            result.instances += 1
            problem = _damage(archive, record)
            if problem:
                result.damaged.append(f"{record.location.store} {record.location.key}: {problem}")
            else:
                result.intact += 1
    return result


def rebuild(archive: Archive) -> Rebuilt:
    """Fill an empty index from the stores. Raises ConfigError when the index is not empty."""
    if archive.index.tally().instances:
        raise ConfigError("the index is not empty; move it away, run `dicom-bridge migrate`, then rebuild")
    result = Rebuilt()
    history: list[tuple[datetime, int, _Kept | decisions.Decision]] = [
        (decision.at, 0, decision) for decision in decisions.read_all(iter(archive.stores.values()))
    ]
    history += [(kept.values["received_at"], 1, kept) for kept in _kept(archive, result)]
    replay = _Replay(archive, result)
    for _, _, happening in sorted(history, key=lambda entry: (entry[0], entry[1], _tie(entry[2]))):
        if isinstance(happening, _Kept):
            replay.take(happening)
        else:
            replay.decide(happening)
    result.instances = archive.index.tally().instances
    return result


@dataclass(frozen=True, slots=True)
class _Kept:
    """An instance object found in a store, with what its metadata says."""

    store: str
    info: ObjectInfo
    ref: ResourceRef
    values: dict[str, Any]
    assumed: dict[str, str]


class _Replay:
    """Applies objects and decisions to the index, in the order of time."""

    def __init__(self, archive: Archive, result: Rebuilt) -> None:
        self._archive = archive
        self._result = result
        self._roster = known(archive)
        self._replaced: set[tuple[str, str | None]] = set()

    def take(self, kept: _Kept) -> None:
        """Commit the instance, if its bytes are what they were."""
        try:
            record = _record(self._archive, self._roster, kept)
        except (BridgeError, StorageError) as error:
            self._result.quarantined.append(f"{kept.store} {kept.info.key}: {error}")
            return
        who = (kept.ref.site, kept.ref.sop_instance_uid)
        policy = "replace" if who in self._replaced else "keep-first"
        origin = Origin(door="CLI", name=record.origin_name, address="")
        committed = self._archive.index.commit(record, origin, put_at=self._archive.now(), duplicates=policy)
        if committed.outcome is Outcome.REPLACED:
            self._replaced.discard(who)

    def decide(self, decision: decisions.Decision) -> None:
        """Apply what an administrator or a policy decided."""
        self._result.decisions += 1
        origin = Origin(door="CLI", name=decision.who, address="")
        match decision.kind:
            case "delete":
                self._archive.index.remove(decision.ref, origin)
            case "replace":
                self._replaced.add((decision.ref.site, decision.ref.sop_instance_uid))
            case "promote" | "dismiss":
                self._settle(decision, origin)

    def _settle(self, decision: decisions.Decision, origin: Origin) -> None:
        for conflict in self._archive.index.conflicts(decision.ref.site):
            if conflict.record.data_set_sha256 == decision.data_set_sha256:
                if decision.kind == "promote":
                    self._archive.index.promote(conflict.conflict_id, origin)
                else:
                    self._archive.index.dismiss(conflict.conflict_id)
                return


def _kept(archive: Archive, result: Rebuilt) -> Iterator[_Kept]:
    for name, store in archive.stores.items():
        for info in store.list():
            try:
                ref = parse_instance_key(info.key).ref
            except InvalidKey:
                continue  # decisions and bundles
            result.objects += 1
            try:
                meta = store.meta(info.key, version_id=info.version_id)
                yield _Kept(name, info, ref, record_from_meta(info.key, info, meta), assumed_from(meta))
            except (StorageError, ValueError, KeyError) as error:
                result.quarantined.append(f"{name} {info.key}: its metadata cannot be read: {error}")


def _record(archive: Archive, roster: Roster, kept: _Kept) -> InstanceRecord:
    """The record as ingest made it. Raises StorageError for other bytes, BridgeError for an unreadable data set."""
    said, ingest = kept.values, archive.settings.ingest
    sender = roster.titled(said["origin_name"])
    with read_back(
        archive.stores[kept.store].read(kept.info.key, version_id=kept.info.version_id),
        said["data_set_offset"],
        directory=archive.spool_directory,
        memory_bytes=archive.settings.storage.spool_memory_bytes,
    ) as payload:
        if payload.sha256 != said["sha256"]:
            raise StorageError("the bytes do not have the hash they were stored with")
        with payload.data_set(said["data_set_offset"]) as data_set:
            description = describe(
                data_set,
                said["transfer_syntax_uid"],
                fallback_charset=(sender.fallback_charset if sender else "") or ingest.fallback_charset,
                inline_binary_bytes=ingest.inline_binary_bytes,
                depth_limit=ingest.depth_limit,
                metadata_limit_bytes=ingest.metadata_limit_bytes,
                inflate_ratio_limit=archive.settings.pixels.inflate_ratio_limit,
            )
    return InstanceRecord(
        **said,
        location=Location(kept.store, kept.info.key, kept.info.version_id),
        attributes={**kept.assumed, **description.attributes},
        metadata_json=packed(description.metadata_json),
        frame_table=description.frame_table,
        bulk_table=description.bulk_table,
    )


def _damage(archive: Archive, record: InstanceRecord) -> str:
    """What is wrong with an instance's bytes; empty when nothing is."""
    try:
        return "" if is_intact(archive, record) else "other bytes than were stored"
    except (BridgeError, StorageError) as error:
        return str(error)


def _tie(happening: _Kept | decisions.Decision) -> str:
    return happening.ref.sop_instance_uid or ""
