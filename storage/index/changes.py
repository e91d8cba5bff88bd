"""The running account of a write transaction: seq, events, sites; and how rows leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, delete, func, insert, select, update

from storage.index import rows
from storage.index.database import Session
from storage.index.schema import (
    counter,
    doomed,
    event,
    instance,
    instance_metadata,
    series,
    site,
    study,
    variant,
)
from storage.index.sql import Among, at, settable, skip_present, words
from storage.index.states import SeriesState, StudyState, drop_forms, drop_grams
from storage.index.values import microseconds
from storage.records import Change, Event, Level, Location, Origin, ResourceRef

COLD = "cold"


@dataclass(slots=True)
class SiteState:
    """A site's row."""

    row: int
    name: str
    studies: int = 0
    series: int = 0
    instances: int = 0
    size_bytes: int = 0
    seq: int = 0
    shape_seq: int = 0


@dataclass(slots=True)
class Ledger:
    """Gives out seq and keeps the sites' counts; `close` writes both and the events."""

    session: Session
    now: datetime
    seq: int = 0
    events: list[Event] = field(default_factory=list)
    sites: dict[str, SiteState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        row = self.session.row(LOCK)
        assert row is not None, "the first migration writes the counter"
        self.seq = row[0]

    def site(self, name: str) -> SiteState:
        """The site's counts; a new site begins with its first change."""
        state = self.sites.get(name)
        if state is None:
            row = self.session.row(_SITE, {"at_name": name})
            state = SiteState(*row) if row else self._new_site(name)
            self.sites[name] = state
        return state

    def append(self, change: Change, ref: ResourceRef, origin: Origin) -> Event:
        """The next event."""
        self.seq += 1
        happened = Event(seq=self.seq, at=self.now, change=change, ref=ref, origin=origin)
        self.events.append(happened)
        self.site(ref.site).seq = self.seq
        return happened

    def close(self) -> None:
        """Write what was counted."""
        if not self.events:
            return
        self.session.many(_ADD_EVENT, [rows.event_row(happened) for happened in self.events])
        for state in self.sites.values():
            counts = {name: getattr(state, name) for name in _COUNTS}
            self.session.run(_SET_SITE, {"at_id": state.row, **counts})
        self.session.run(_SET_SEQ, {"value": self.seq})

    def _new_site(self, name: str) -> SiteState:
        row = self.session.row(_LAST_SITE)
        state = SiteState((row[0] or 0) + 1 if row else 1, name)
        self.session.run(_ADD_SITE, {"id": state.row, "name": name, **dict.fromkeys(_COUNTS, 0)})
        return state


_COUNTS = ("studies", "series", "instances", "size_bytes", "seq", "shape_seq")


def doom(session: Session, place: Location, now: datetime) -> None:
    """Queue a location for reclaim, once."""
    session.run(_DOOM, {**rows.location_row(place), "queued_at": microseconds(now)})


def is_cold(place: Location) -> bool:
    """Whether the bytes are in a cold store."""
    return place.store == COLD


def modalities(session: Session, study_row: int) -> frozenset[str]:
    """The modalities of a study's series as they are written now."""
    found = session.rows(_MODALITIES, {"study_row": study_row})
    return frozenset(part for (text,) in found for part in text.split("\\") if part)


def drop_instances(
    session: Session, ledger: Ledger, site_name: str, instance_rows: Sequence[int], *, revision: int
) -> None:
    """Remove rows of instances and what hangs on them; studies and series shrink, change their winner or go.

    `revision` is the seq of the event that says so.
    """
    site_state = ledger.site(site_name)
    chosen = {"rows": session.listing(instance_rows)}
    going = session.rows(_GOING, chosen)
    drop_forms(session, Level.INSTANCE, instance_rows)
    session.run(_DROP_METADATA, chosen)
    session.run(_DROP_INSTANCES, chosen)
    site_state.instances -= len(going)
    site_state.size_bytes -= sum(size for *_, size in going)
    for series_row in sorted({row for _, row, _ in going}):
        _shrink_series(session, ledger, site_state, series_row, revision)
    for study_row in sorted({row for row, _, _ in going}):
        _shrink_study(session, ledger, site_state, study_row, revision)


def _shrink_series(session: Session, ledger: Ledger, site_state: SiteState, row: int, revision: int) -> None:
    count, size_bytes, own = session.rows(_SERIES_SUMS, {"series_row": row})[0]
    if not count:
        site_state.series -= 1
        bundle = session.row(_BUNDLE, {"at_id": row})
        if bundle is not None and bundle[1] is not None:
            doom(session, rows.location(*bundle), ledger.now)
        _forget(session, Level.SERIES, row)
        session.run(_DROP_SERIES, {"at_id": row})
        return
    state = SeriesState.load_row(session, row)
    state.instance_count, state.size_bytes, state.own_metadata = count, size_bytes, int(own > 0)
    state.revision, state.changed_at = revision, microseconds(ledger.now)
    first = session.rows(_FIRST_OF_SERIES, {"series_row": row})[0]
    used = {number for (number,) in session.rows(_VARIANTS_OF_SERIES, {"series_row": row})}
    state.settle(session, first, used)
    state.write(session)


def _shrink_study(session: Session, ledger: Ledger, site_state: SiteState, row: int, revision: int) -> None:
    series_count, count, size_bytes = session.rows(_STUDY_SUMS, {"study_row": row})[0]
    site_state.shape_seq = revision
    if not count:
        site_state.studies -= 1
        _forget(session, Level.STUDY, row)
        drop_grams(session, row)
        session.run(_DROP_STUDY, {"at_id": row})
        return
    state = StudyState.load_row(session, row)
    state.series_count, state.instance_count, state.size_bytes = series_count, count, size_bytes
    state.revision, state.changed_at = revision, microseconds(ledger.now)
    state.cold_count = session.rows(_COLD, {"study_row": row})[0][0]
    state.modalities = modalities(session, row)
    state.sop_classes = frozenset(uid for (uid,) in session.rows(_CLASSES, {"study_row": row}))
    first = session.rows(_FIRST_OF_STUDY, {"study_row": row})[0]
    used = {number for (number,) in session.rows(_VARIANTS_OF_STUDY, {"study_row": row})}
    state.settle(session, first, used)
    state.write(session)


def _forget(session: Session, level: Level, row: int) -> None:
    drop_forms(session, level, [row])
    session.run(_DROP_VARIANTS, {"at_level": level.value, "at_owner": row})


_ONE_STUDY = select(series.c.id).where(series.c.study_row == bindparam("study_row", type_=series.c.study_row.type))
_OF_STUDY = instance.c.series_row.in_(_ONE_STUDY)
_OF_SERIES = instance.c.series_row == bindparam("series_row", type_=instance.c.series_row.type)

# On PostgreSQL this locks the row until the transaction ends; SQLite has one writer anyway.
LOCK = select(counter.c.value).where(counter.c.name == words("seq")).with_for_update()
_SET_SEQ = update(counter).values(settable(counter, "value")).where(counter.c.name == words("seq"))
_SITE = select(*(site.c[name] for name in ("id", "name", *_COUNTS))).where(at(site, "name"))
_LAST_SITE = select(func.max(site.c.id))
_ADD_SITE = insert(site)
_SET_SITE = update(site).values(settable(site, *_COUNTS)).where(at(site, "id"))
_ADD_EVENT = insert(event)
_DOOM = skip_present(doomed)
_MODALITIES = (
    select(series.c.modality)
    .distinct()
    .where(series.c.study_row == bindparam("study_row"), series.c.modality.is_not(None))
)
_GOING = select(instance.c.study_row, instance.c.series_row, instance.c.size_bytes).where(Among(instance.c.id, "rows"))
_DROP_METADATA = delete(instance_metadata).where(Among(instance_metadata.c.instance_row, "rows"))
_DROP_INSTANCES = delete(instance).where(Among(instance.c.id, "rows"))
_SERIES_SUMS = (
    select(
        func.count(), func.coalesce(func.sum(instance.c.size_bytes), 0), func.count(instance_metadata.c.instance_row)
    )
    .select_from(instance)
    .outerjoin(instance_metadata, instance_metadata.c.instance_row == instance.c.id)
    .where(_OF_SERIES)
)
_STUDY_SUMS = select(
    func.count(),
    func.coalesce(func.sum(series.c.instance_count), 0),
    func.coalesce(func.sum(series.c.size_bytes), 0),
).where(series.c.study_row == bindparam("study_row"))
_COLD = select(func.count()).where(_OF_STUDY, instance.c.store == words(COLD))
_CLASSES = select(instance.c.sop_class_uid).distinct().where(_OF_STUDY)
_WHO = (instance.c.received_at, instance.c.sop_instance_uid)
_FIRST_OF_SERIES = select(*_WHO, instance.c.series_variant).where(_OF_SERIES).order_by(*_WHO).limit(1)
_FIRST_OF_STUDY = select(*_WHO, instance.c.study_variant).where(_OF_STUDY).order_by(*_WHO).limit(1)
_VARIANTS_OF_SERIES = select(instance.c.series_variant).distinct().where(_OF_SERIES)
_VARIANTS_OF_STUDY = select(instance.c.study_variant).distinct().where(_OF_STUDY)
_BUNDLE = select(series.c.bundle_store, series.c.bundle_object_key, series.c.bundle_version_id).where(at(series, "id"))
_DROP_SERIES = delete(series).where(at(series, "id"))
_DROP_STUDY = delete(study).where(at(study, "id"))
_DROP_VARIANTS = delete(variant).where(at(variant, "level", "owner"))
