"""Builders: records of an imaginary archive, and a clock that moves when told to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from storage.index import SqlIndex
from storage.index.schema import metadata
from storage.query import Criterion, Found, Matcher, Query
from storage.records import Committed, InstanceRecord, Level, Location, Origin, ResourceRef

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
MORNING = datetime(2026, 3, 5, 8, 0, tzinfo=UTC)
SCANNER = Origin(door="DIMSE", name="CT01", address="10.0.0.7")
PERSON = Origin(door="HTTP", name="key of a person", address="10.0.0.8")


def empty_postgres(url: str) -> None:
    """Drop every row of a migrated database."""
    names = ", ".join(table.name for table in metadata.sorted_tables if table.name not in ("schema_version", "counter"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {names}; UPDATE counter SET value = 0".encode())


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = MORNING

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)


def ref(study: int = 1, series: int | None = 1, instance: int | None = 1, *, site: str = "default") -> ResourceRef:
    """A reference into the imaginary archive."""
    series_uid = None if series is None else f"1.2.{study}.{series}"
    return ResourceRef(
        site, f"1.2.{study}", series_uid, None if instance is None else f"1.2.{study}.{series}.{instance}"
    )


def record(
    study: int = 1, series: int = 1, instance: int = 1, *, content: str = "a", site: str = "default", **changed: Any
) -> InstanceRecord:
    """An instance; `content` tells data sets apart, `changed` replaces fields."""
    here = ref(study, series, instance, site=site)
    digest = hashlib.sha256(f"{here}{content}".encode()).hexdigest()
    plain = InstanceRecord(
        ref=here,
        sop_class_uid=CT,
        transfer_syntax_uid=EXPLICIT,
        location=Location("hot", key(here, content)),
        size_bytes=1000,
        sha256=digest[::-1],
        data_set_sha256=digest,
        data_set_offset=380,
        received_at=MORNING + timedelta(seconds=instance),
        attributes=attributes(PatientID=f"P{study}", SeriesNumber=str(series), InstanceNumber=str(instance)),
        metadata_json=b"metadata of " + str(here.sop_instance_uid).encode(),
        origin_name="CT01",
    )
    return replace(plain, **changed)


def key(here: ResourceRef, content: str = "a") -> str:
    """A key as ingest makes it."""
    unique = hashlib.sha256(content.encode()).hexdigest()[:20]
    return f"{here.site}/{here.study_instance_uid}/{here.series_instance_uid}/{here.sop_instance_uid}.{unique}.dcm"


def attributes(**changed: str) -> Mapping[str, str]:
    """Attributes of a CT image."""
    return {"StudyDate": "20260305", "PatientName": "Zhang^San=张^三", "Modality": "CT", "Rows": "512", **changed}


def keep(
    index: SqlIndex, one: InstanceRecord, *, duplicates: str = "keep-first", origin: Origin = SCANNER
) -> Committed:
    """Commit a record whose object has just been put."""
    return index.commit(one, origin, put_at=index.now(), duplicates=duplicates)


def study_found(index: SqlIndex, study: int = 1) -> Found | None:
    """A study as a search shows it."""
    page = index.search(Query(site="default", level=Level.STUDY, scope=ResourceRef("default", f"1.2.{study}")))
    return page.found[0] if page.found else None


def find(index: SqlIndex, level: Level, *criteria: tuple[tuple[int, ...], str, Matcher], **paging: Any) -> list[str]:
    """The UIDs a search finds, in its order."""
    wanted = tuple(Criterion(path, vr, matcher) for path, vr, matcher in criteria)
    page = index.search(Query(site="default", level=level, criteria=wanted, **paging))
    return [
        found.ref.sop_instance_uid or found.ref.series_instance_uid or found.ref.study_instance_uid
        for found in page.found
    ]
