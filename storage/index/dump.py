"""The logical content of the index as text: what `scrub --rebuild` must reproduce from the objects alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, bindparam, or_, select

from storage.index import rows, settle, values
from storage.index.database import Database, Session
from storage.index.schema import Words, instance, series, site, study
from storage.index.sql import at
from storage.index.states import SeriesState, State, StudyState

_PAGE = 50  # studies a read

Content = tuple[str, str, list[str]]  # site, study, its lines


def lines(database: Database) -> Iterator[str]:
    """One line a row, by site and UIDs; ids, seq, times of change and where metadata lies left out."""
    after = ("", "")
    while found := _read(database, after):
        for _, _, text in found:
            yield from text
        after = found[-1][:2]
    yield from sorted(database.read(_conflicts))


def _read(database: Database, after: tuple[str, str]) -> list[Content]:
    return database.read(lambda session: _page(session, after), snapshot=True)


def _page(session: Session, after: tuple[str, str]) -> list[Content]:
    found = session.rows(_STUDIES, {"after_name": after[0], "after_uid": after[1]})
    return [(name, uid, _study(session, name, row)) for name, uid, row in found]


def _study(session: Session, site_name: str, row: int) -> list[str]:
    state = StudyState.load_row(session, row)
    counts = {
        "series": state.series_count,
        "modalities": sorted(state.modalities),
        "classes": sorted(state.sop_classes),
    }
    text = [_line("study", site_name, state, study=state.uid, cold=state.cold_count, **counts)]
    for (series_row,) in session.rows(_SERIES, {"at_study_row": row}):
        one = SeriesState.load_row(session, series_row)
        text.append(_line("series", site_name, one, study=state.uid, series=one.uid))
        text += [_instance(found) for found in session.rows(_INSTANCES, {"at_series_row": series_row})]
    return text


def _line(kind: str, site_name: str, state: State, **more: object) -> str:
    common = {
        "attributes": state.attributes,
        "instances": state.instance_count,
        "size_bytes": state.size_bytes,
        "disagrees": state.disagrees,
        "winner": state.winner,
    }
    return f"{kind} {values.packed_any({'site': site_name, **more, **common})}"


def _instance(row: tuple[Any, ...]) -> str:
    record = rows.record(row)
    tables = {"frames": _digest(record.frame_table), "bulk": _digest(record.bulk_table)}
    return f"instance {rows.record_json(record)} {values.packed_any(tables)}"


def _conflicts(session: Session) -> list[str]:
    return [f"conflict {rows.record_json(kept.record)}" for kept in settle.conflicts(session, None)]


def _digest(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


_AFTER_NAME, _AFTER_UID = bindparam("after_name", type_=Words), bindparam("after_uid", type_=Words)
_STUDIES = (
    select(site.c.name, study.c.study_instance_uid, study.c.id)
    .join_from(site, study, study.c.site_id == site.c.id)
    .where(or_(site.c.name > _AFTER_NAME, and_(site.c.name == _AFTER_NAME, study.c.study_instance_uid > _AFTER_UID)))
    .order_by(site.c.name, study.c.study_instance_uid)
    .limit(_PAGE)
)
_SERIES = select(series.c.id).where(at(series, "study_row")).order_by(series.c.series_instance_uid)
_INSTANCES = (
    rows.record_select(with_metadata=False).where(at(instance, "series_row")).order_by(instance.c.sop_instance_uid)
)
