"""The index protocol: rows by UID. Each method is exactly one transaction. Every sentence is a test on every index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from storage.query import Page, Query
from storage.records import Committed, Event, InstanceRecord, Location, Origin, ResourceRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A second data set under a known SOP Instance UID, kept beside the first until someone decides."""

    conflict_id: int
    record: InstanceRecord
    origin: Origin
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A location whose row is gone; `reclaim` deletes its bytes once the grace has passed."""

    doomed_id: int
    location: Location
    queued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataRow:
    """What a metadata answer needs of one instance, in the order of DICOM.md Q17."""

    ref: ResourceRef
    metadata_json: bytes | None  # compressed; None when it is in the series' bundle
    bulk_table: bytes | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance, and the seq of the event that brought it."""

    seq: int
    record: InstanceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A series' metadata as one object: which location, at which revision of the series it was made."""

    ref: ResourceRef
    location: Location
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts for `stats` and the metrics."""

    studies: int
    series: int
    instances: int
    size_bytes: int
    conflicts: int
    waiting_for_reclaim: int
    by_store: Mapping[str, int]  # store name -> instances


class Index(Protocol):
    """Rows by UID."""

    def commit(self, record: InstanceRecord, origin: Origin, *, put_at: datetime, duplicates: str) -> Committed:
        """THE commit point: row, study and series counters, event, all together.

        `duplicates` is keep-first | replace | reject. The same data set again in the same study and series is
        DUPLICATE: nothing is written but the new location, which is queued for reclaim. Other content under a known
        SOP Instance UID is CONFLICT, REPLACED or REJECTED by policy; a location that is not kept is queued for reclaim.
        Raises IngestExpired when `put_at` is longer ago than the commit window, StorageUnavailable when the index is
        down.
        """
        ...

    def instance(self, ref: ResourceRef) -> InstanceRecord | None:
        """The committed instance at exactly this study, series and SOP Instance UID, or None."""
        ...

    def instance_by_sop(self, site: str, sop_instance_uid: str) -> InstanceRecord | None:
        """The committed instance with this SOP Instance UID, whatever its study, or None."""
        ...

    def instances(self, ref: ResourceRef, *, after: str = "", limit: int = 1000) -> Sequence[InstanceRecord]:
        """The instances below `ref` in SOP Instance UID order, those beyond `after`; without metadata_json."""
        ...

    def arrivals(self, ref: ResourceRef, *, after: int, limit: int) -> Sequence[Arrival]:
        """The instances below `ref` in the order in which they came, those beyond the seq `after`; no metadata_json.

        One that took another one's place counts as come at that moment.
        """
        ...

    def metadata(self, ref: ResourceRef) -> Sequence[MetadataRow]:
        """The metadata of all instances below `ref`, by series number, then instance number, then UIDs."""
        ...

    def revision(self, ref: ResourceRef) -> int | None:
        """The seq of the last change at or below a study, series or instance; None where there is no such resource."""
        ...

    def was_removed(self, ref: ResourceRef) -> bool:
        """True when the resource existed and was deleted (410 instead of 404)."""
        ...

    def swap(self, record: InstanceRecord, new: Location, origin: Origin, *, put_at: datetime) -> bool:
        """Compare-and-swap the location, queueing the old one for reclaim; False if the row moved or went meanwhile."""
        ...

    def remove(self, ref: ResourceRef, origin: Origin, *, up_to: int | None = None) -> Sequence[Event]:
        """Drop the rows at and below `ref`, queue their locations for reclaim, remember the removal; empty if none.

        With `up_to`, the revision of `ref` that the caller looked at, instances that came later stay.
        """
        ...

    def search(self, query: Query) -> Page:
        """One page of results; agrees with `storage.query.satisfies`. Criteria on unindexed paths: InvalidQuery."""
        ...

    def events(self, *, after: int, limit: int) -> Sequence[Event]:
        """The change feed beyond `after`: ordered, gap-free, never showing seq n before every lower one is visible."""
        ...

    def at_store(self, store: str, *, limit: int) -> Sequence[InstanceRecord]:
        """Instances whose bytes are in `store`, oldest first."""
        ...

    def size_at(self, store: str) -> int:
        """The bytes of all instances and conflicts whose location is in `store`."""
        ...

    def doomed(self, *, before: datetime, after: int = 0, limit: int) -> Sequence[Doomed]:
        """Locations queued for reclaim before that time, by ascending `doomed_id`, those beyond `after`."""
        ...

    def reclaimed(self, doomed_ids: Sequence[int]) -> None:
        """Forget doomed locations whose bytes are gone."""
        ...

    def referenced(self, store: str, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that any row, conflict, bundle or doomed entry of `store` names; the rest are orphans."""
        ...

    def conflicts(self, site: str | None = None) -> Sequence[Conflict]:
        """Unsettled conflicts, oldest first."""
        ...

    def promote(self, conflict_id: int, origin: Origin) -> Event | None:
        """The second takes the first one's place, the first becomes the conflict; None if it is settled already."""
        ...

    def dismiss(self, conflict_id: int) -> bool:
        """Drop a conflict and queue its bytes for reclaim; False if it is settled already."""
        ...

    def quiet_series(self, *, before: datetime, limit: int) -> Sequence[tuple[ResourceRef, int]]:
        """Series with metadata in rows and no change since `before`, with their revision."""
        ...

    def add_bundle(self, bundle: Bundle) -> bool:
        """Attach a bundle and clear the rows' metadata, if the series is still at that revision."""
        ...

    def bundle(self, ref: ResourceRef) -> Bundle | None:
        """The series' bundle, or None."""
        ...

    def tally(self, site: str | None = None) -> Tally:
        """Counts over one site or all."""
        ...

    def dump(self) -> Iterator[str]:
        """The logical content, one line a row, seq and times of change left out: what a rebuild must reproduce."""
        ...

    def ping(self) -> None:
        """Raise StorageUnavailable if the index does not answer."""
        ...

    def close(self) -> None:
        """Give back connections; pending commits are finished first."""
        ...
