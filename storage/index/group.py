"""What one transaction does with a group of instances that wait to be committed.

Every writer begins by locking the counter's row (SQLite's one writer has the same effect), so seq is gap-free, grows in
commit order, and no two writers ever wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from storage.errors import IngestExpired, StorageError
from storage.index import rows, values
from storage.index.changes import Ledger, SiteState, doom, drop_instances, is_cold, modalities
from storage.index.database import Session
from storage.index.schema import conflict, doomed, instance, instance_metadata, series, study
from storage.index.sql import Among, at
from storage.index.states import SeriesState, StudyState, add_forms, merge_grams
from storage.index.values import Value, microseconds
from storage.records import Change, Committed, Event, InstanceRecord, Level, Location, Origin, Outcome, ResourceRef


@dataclass(slots=True, eq=False)
class Waiting:
    """An instance on its way in, and what became of it. What its rows will say is worked out before it waits."""

    record: InstanceRecord
    origin: Origin
    put_at: datetime
    duplicates: str
    result: Committed | None = None
    error: StorageError | None = None
    in_study: values.Canonical = field(init=False)
    in_series: values.Canonical = field(init=False)
    own: dict[str, str] = field(init=False)
    row: dict[str, Value] = field(init=False)

    def __post_init__(self) -> None:
        attributes = self.record.attributes
        self.in_study = values.shared(attributes, Level.STUDY)
        self.in_series = values.shared(attributes, Level.SERIES)
        self.own = values.canonical(attributes, Level.INSTANCE)
        self.row = rows.instance_row(self.record, self.own)

    @property
    def identity(self) -> tuple[str, str | None]:
        """Two of the same identity must not be in one group."""
        return self.record.ref.site, self.record.ref.sop_instance_uid


@dataclass(frozen=True, slots=True)
class Known:
    """What is there already under a SOP Instance UID."""

    row: int
    study_instance_uid: str
    series_instance_uid: str
    location: Location
    data_set_sha256: str
    revision: int

    def ref(self, site_name: str, sop_instance_uid: str | None) -> ResourceRef:
        """Where it is."""
        return ResourceRef(site_name, self.study_instance_uid, self.series_instance_uid, sop_instance_uid)

    def is_same(self, record: InstanceRecord) -> bool:
        """The same data set in the same study and series."""
        ref = record.ref
        return self.data_set_sha256 == record.data_set_sha256 and (
            (self.study_instance_uid, self.series_instance_uid) == (ref.study_instance_uid, ref.series_instance_uid)
        )


def commit_group(
    session: Session, join: Callable[[], Sequence[Waiting]], *, now: Callable[[], datetime], window_s: float
) -> None:
    """Decide and write; every member ends with a result or an error of its own. `join` closes the group."""
    ledger = Ledger(session, now())  # PostgreSQL waits here for other writers
    group = join()
    ledger.now = now()
    by_site: dict[str, list[Waiting]] = {}
    for waiting in group:
        waiting.result = waiting.error = None
        if (ledger.now - waiting.put_at).total_seconds() > window_s:
            waiting.error = IngestExpired("the commit comes too long after the put; send the instance again")
        else:
            by_site.setdefault(waiting.record.ref.site, []).append(waiting)
    for site_name, members in by_site.items():
        _commit_site(session, ledger, site_name, members)
    ledger.close()


def _commit_site(session: Session, ledger: Ledger, site_name: str, members: Sequence[Waiting]) -> None:
    site_id = ledger.site(site_name).row
    known = find_known(session, site_id, [waiting.record.ref.sop_instance_uid or "" for waiting in members])
    dead = doomed_among(session, [waiting.record.location for waiting in members])
    fresh: list[Waiting] = []
    replacing: list[tuple[Waiting, Known]] = []
    for waiting in members:
        there = known.get(waiting.record.ref.sop_instance_uid or "")
        if there is None:
            fresh.append(waiting)
        elif there.location == waiting.record.location:  # an answer was lost and the caller asks again
            waiting.result = Committed(outcome=Outcome.STORED)
        elif there.is_same(waiting.record):
            doom(session, waiting.record.location, ledger.now)
            waiting.result = Committed(outcome=Outcome.DUPLICATE)
        elif waiting.duplicates == "reject":
            doom(session, waiting.record.location, ledger.now)
            waiting.result = Committed(outcome=Outcome.REJECTED)
        elif waiting.duplicates == "replace":
            replacing.append((waiting, there))
        else:
            _keep_beside(session, ledger, site_id, waiting, dead)
    store(session, ledger, site_name, _alive(fresh, dead))
    for waiting, there in replacing:
        if _alive([waiting], dead):
            drop_instances(session, ledger, site_name, [there.row], revision=ledger.seq + 1)
            doom(session, there.location, ledger.now)
            store(session, ledger, site_name, [waiting], change=Change.REPLACED)


def _alive(members: list[Waiting], dead: set[Location]) -> list[Waiting]:
    for waiting in members:
        if waiting.record.location in dead:
            waiting.error = IngestExpired("the object is about to be removed; send the instance again")
    return [waiting for waiting in members if waiting.error is None]


def store(
    session: Session, ledger: Ledger, site_name: str, members: Sequence[Waiting], *, change: Change = Change.STORED
) -> None:
    """Write the rows of instances whose SOP Instance UIDs are free, and an event for each."""
    if not members:
        return
    site = ledger.site(site_name)
    records = [waiting.record for waiting in members]
    studies = StudyState.load(session, site.row, sorted({record.ref.study_instance_uid for record in records}))
    series_uids = sorted({record.ref.series_instance_uid or "" for record in records})
    all_series = SeriesState.load(session, [found.row for found in studies.values()], series_uids)
    touched: dict[int, SeriesState] = {}
    added = _Added()
    for waiting in members:
        event = ledger.append(change, waiting.record.ref, waiting.origin)
        study_state = _study(studies, site, waiting.record, event.seq)
        series_state = _series(all_series, study_state, site, waiting.record, event.seq)
        _take(session, added, study_state, series_state, waiting, event)
        touched[series_state.row] = series_state
        site.instances += 1
        site.size_bytes += waiting.record.size_bytes
        waiting.result = Committed(
            outcome=Outcome.REPLACED if change is Change.REPLACED else Outcome.STORED, event=event
        )
    added.write(session, site.row)
    for series_state in touched.values():
        series_state.write(session)
    for study_state in studies.values():
        if study_state.recount:
            study_state.modalities = modalities(session, study_state.row)
        if study_state.changes_shape:
            site.shape_seq = study_state.revision
        study_state.write(session)
    if any(study_state.is_new for study_state in studies.values()):
        merge_grams(session)


@dataclass(slots=True)
class _Added:
    """Rows to be inserted together."""

    instances: list[dict[str, Any]] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    forms: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def write(self, session: Session, site_id: int) -> None:
        session.many(_ADD_INSTANCE, self.instances)
        session.many(_ADD_METADATA, self.metadata)
        for row, attributes in self.forms:
            add_forms(session, Level.INSTANCE, site_id, row, attributes)


def _study(studies: dict[str, StudyState], site: SiteState, record: InstanceRecord, seq: int) -> StudyState:
    uid = record.ref.study_instance_uid
    state = studies.get(uid)
    if state is None:
        state = studies[uid] = StudyState(Level.STUDY, seq, site.row, uid=uid, is_new=True)
        site.studies += 1
    return state


def _series(
    all_series: dict[tuple[int, str], SeriesState],
    parent: StudyState,
    site: SiteState,
    record: InstanceRecord,
    seq: int,
) -> SeriesState:
    key = (parent.row, record.ref.series_instance_uid or "")
    state = all_series.get(key)
    if state is None:
        state = all_series[key] = SeriesState(
            Level.SERIES, seq, site.row, study_row=parent.row, uid=key[1], is_new=True
        )
        parent.series_count += 1
        site.series += 1
    return state


def _take(
    session: Session,
    added: _Added,
    study_state: StudyState,
    series_state: SeriesState,
    waiting: Waiting,
    event: Event,
) -> None:
    """Count one instance in its study and series, and add its row."""
    record = waiting.record
    received_at, sop_uid = microseconds(record.received_at), record.ref.sop_instance_uid or ""
    before = series_state.modality
    study_variant = study_state.offer(session, received_at, sop_uid, waiting.in_study)
    series_variant = series_state.offer(session, received_at, sop_uid, waiting.in_series)
    for state in (study_state, series_state):
        state.instance_count += 1
        state.size_bytes += record.size_bytes
        state.revision, state.changed_at = event.seq, microseconds(event.at)
    study_state.cold_count += is_cold(record.location)
    study_state.sop_classes |= {record.sop_class_uid}
    study_state.modalities |= series_state.modality
    if before - series_state.modality:
        study_state.recount = True
    row = dict(
        waiting.row, id=event.seq, site_id=study_state.site_id, study_row=study_state.row, series_row=series_state.row,
        study_variant=study_variant, series_variant=series_variant, revision=event.seq,
    )  # fmt: skip
    added.instances.append(row)
    if record.metadata_json is not None:
        added.metadata.append({"instance_row": event.seq, "json": record.metadata_json})
        series_state.own_metadata = 1
    if any("\\" in text for text in waiting.own.values()):
        added.forms.append((event.seq, waiting.own))


def find_known(session: Session, site_id: int, sop_uids: Sequence[str]) -> dict[str, Known]:
    """What the site has under these SOP Instance UIDs."""
    found = session.rows(_KNOWN, {"at_site_id": site_id, "uids": session.listing(sop_uids)})
    return {
        sop: Known(row, study_uid, series_uid, rows.location(store_name, key, version), sha, revision)
        for row, sop, study_uid, series_uid, store_name, key, version, sha, revision in found
    }


def doomed_among(session: Session, places: Sequence[Location]) -> set[Location]:
    """Those locations that are queued for reclaim: no row may ever name them again."""
    found = session.rows(_DOOMED, {"keys": session.listing([place.key for place in places])})
    return {rows.location(*row) for row in found} & set(places)


def _keep_beside(session: Session, ledger: Ledger, site_id: int, waiting: Waiting, dead: set[Location]) -> None:
    """Another data set under a known SOP Instance UID: the second is kept as a conflict, once."""
    record = waiting.record
    waiting.result = Committed(outcome=Outcome.CONFLICT)
    kept = session.rows(_CONFLICTS, {"at_site_id": site_id, "at_sop_instance_uid": record.ref.sop_instance_uid})
    if any(rows.location(*row[:3]) == record.location for row in kept):
        return
    if any(row[3] == record.data_set_sha256 for row in kept):
        doom(session, record.location, ledger.now)
    elif record.location in dead:
        waiting.result = None
        _alive([waiting], dead)
    else:
        event = ledger.append(Change.CONFLICTED, record.ref, waiting.origin)
        add_conflict(session, site_id, event.seq, record, waiting.origin, event.at)
        waiting.result = Committed(outcome=Outcome.CONFLICT, event=event)


def add_conflict(
    session: Session, site_id: int, number: int, record: InstanceRecord, origin: Origin, seen_at: datetime
) -> None:
    """Write a conflict row; its number is the seq of its event."""
    row = {
        "id": number,
        "site_id": site_id,
        "sop_instance_uid": record.ref.sop_instance_uid,
        **rows.location_row(record.location),
        "size_bytes": record.size_bytes,
        "data_set_sha256": record.data_set_sha256,
        "record": rows.record_json(record),
        "metadata_json": record.metadata_json,
        "bulk_table": record.bulk_table,
        "frame_table": record.frame_table,
        **rows.origin_row(origin),
        "seen_at": microseconds(seen_at),
    }
    session.run(_ADD_CONFLICT, row)


_KNOWN = (
    select(
        instance.c.id, instance.c.sop_instance_uid, study.c.study_instance_uid, series.c.series_instance_uid,
        instance.c.store, instance.c.object_key, instance.c.version_id, instance.c.data_set_sha256, instance.c.revision,
    )
    .join_from(instance, study, study.c.id == instance.c.study_row)
    .join(series, series.c.id == instance.c.series_row)
    .where(at(instance, "site_id"), Among(instance.c.sop_instance_uid, "uids"))
)  # fmt: skip
_DOOMED = select(doomed.c.store, doomed.c.object_key, doomed.c.version_id).where(Among(doomed.c.object_key, "keys"))
_CONFLICTS = select(conflict.c.store, conflict.c.object_key, conflict.c.version_id, conflict.c.data_set_sha256).where(
    at(conflict, "site_id", "sop_instance_uid")
)
_ADD_INSTANCE = insert(instance)
_ADD_METADATA = insert(instance_metadata)
_ADD_CONFLICT = insert(conflict)
