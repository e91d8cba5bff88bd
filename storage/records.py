"""Plain values every room may hold: what the archive knows about an instance, and what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Level(StrEnum):
    """Query/retrieve levels below the patient (PS3.4 §C.6.2)."""

    STUDY = "STUDY"
    SERIES = "SERIES"
    INSTANCE = "IMAGE"


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """A study, series or instance of one site (PS3.18 §8.2 target resource; PS3.4 §C.6 unique keys).

    The site is part of the reference, so tenant isolation cannot be forgotten in a call.
    """

    site: str
    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None

    @property
    def level(self) -> Level:
        """The level this reference names."""
        if self.sop_instance_uid is not None:
            return Level.INSTANCE
        return Level.STUDY if self.series_instance_uid is None else Level.SERIES


@dataclass(frozen=True, slots=True)
class Location:
    """Where the bytes are: which named store, under which key. A key is used once, ever."""

    store: str  # "hot" | "cold" | "landing@<node>"
    key: str
    version_id: str | None = None  # on versioned buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The term computed at ingest (LIFECYCLE 2.5): class, policy, start and end as UTC instants."""

    retention_class: str  # "cn-ip-30"
    policy: str  # "cn-inpatient@1"
    start: datetime
    until: datetime | None  # None: never disposable
    flags: tuple[str, ...] = ()  # "expired-on-arrival", "study-date-unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who caused a change and through which door: ('DIMSE', 'CT01', '10.0.0.7')."""

    door: str  # "DIMSE" | "HTTP" | "CLI" | "WORKER"
    name: str  # calling AE title, key name, operating system user
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """One SOP Instance: everything the index keeps about it."""

    ref: ResourceRef  # always at instance level
    sop_class_uid: str
    transfer_syntax_uid: str
    location: Location
    size_bytes: int
    sha256: str  # is the object intact? of its header and data_set_sha256 (storage/objects/payload.py), hex
    data_set_sha256: str  # of the data set alone: identity across senders, hex
    data_set_offset: int  # where the data set starts in the object
    received_at: datetime  # aware, UTC, microseconds
    attributes: Mapping[str, str]  # keyword -> text, only those in storage/attributes.py; values joined by "\\"
    metadata_json: bytes | None  # compressed PS3.18 Annex F object; None once the series' bundle has it
    frame_table: bytes | None = None  # packed by bridge/frames.py
    bulk_table: bytes | None = None  # packed by bridge/frames.py
    retention: Retention | None = None
    legal_hold: bool = False
    state: str = "live"
    origin_name: str = ""  # calling AE title or key name that sent it


class Change(StrEnum):
    """What an event of the change feed says."""

    STORED = "stored"
    REPLACED = "replaced"
    REMOVED = "removed"
    RELOCATED = "relocated"
    CONFLICTED = "conflicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the change feed. `seq` grows strictly, without gaps, and is never reused."""

    seq: int
    at: datetime
    change: Change
    ref: ResourceRef
    origin: Origin


class Outcome(StrEnum):
    """What a commit did."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # same data set already there: nothing written, no event
    CONFLICT = "conflict"  # first stays, second kept beside it
    REPLACED = "replaced"  # policy "replace": the second took the first one's place
    REJECTED = "rejected"  # policy "reject": the second was not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The answer of `Index.commit`."""

    outcome: Outcome
    event: Event | None = None
