"""The tables of the index, for SQLite and PostgreSQL alike. Facts of the archive stand in `docs/index.md`.

Ids are the seq of the event that made the row, so they never come back. Times are whole microseconds since 1970, UTC.
Text compares by code point on both databases. Columns of attributes follow storage/attributes.py; a DA, TM or number
has a second column `<column>_key` with what it is compared by.
"""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

from storage.attributes import IndexedAttribute, at_level
from storage.query import NUMBER_VRS
from storage.records import Level

Words = Text().with_variant(Text(collation="C"), "postgresql")
Number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's row ids are INTEGER
NO_NUMBER = math.inf  # the key of a number that is absent or none: sorts last

metadata = MetaData()

# Columns of these names are part of every row, so an attribute that shares the name needs no second one.
IDENTITY = frozenset({"study_instance_uid", "series_instance_uid", "sop_instance_uid", "sop_class_uid"})


def key_column(attribute: IndexedAttribute) -> str | None:
    """The column with what a DA, TM or number is compared by; None where the text itself is."""
    return f"{attribute.column}_key" if attribute.vr in NUMBER_VRS | {"DA", "TM"} else None


def _attribute_columns(level: Level) -> list[Column[object]]:
    columns: list[Column[object]] = []
    for attribute in at_level(level):
        if attribute.column not in IDENTITY:
            columns.append(Column(attribute.column, Words))
        key = key_column(attribute)
        if key is not None:
            columns.append(_key_column(key, attribute.vr))
    return columns


def _key_column(name: str, vr: str) -> Column[object]:
    if vr in NUMBER_VRS:
        return Column(name, Double, nullable=False)
    return Column(name, Words)


def _required(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]] = Words) -> Column[object]:
    return Column(name, kind, nullable=False)


def _location(prefix: str = "", *, nullable: bool = False) -> list[Column[object]]:
    return [
        Column(f"{prefix}store", Words, nullable=nullable),
        Column(f"{prefix}object_key", Words, nullable=nullable),
        Column(f"{prefix}version_id", Words, nullable=nullable),  # "" on stores without versions
    ]


def _winner() -> list[Column[object]]:
    """Whose attributes the row shows: the instance with the lowest (received_at, SOP UID)."""
    return [
        _required("winner_received_at", Number),
        _required("winner_sop_instance_uid"),
        _required("variant", Number),  # which set of attributes it has, see `variant`
        _required("disagrees", Number),  # 1: instances of it disagree on an attribute
    ]


schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Number, primary_key=True, autoincrement=False),
    _required("applied_at", Number),
)

# One row: the seq of the last event. Locked by every transaction that writes, so seq is gap-free and in commit order.
counter = Table("counter", metadata, Column("name", Words, primary_key=True), _required("value", Number))

site = Table(
    "site",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("name", Words, nullable=False, unique=True),
    _required("studies", Number),
    _required("series", Number),
    _required("instances", Number),
    _required("size_bytes", Number),
    _required("seq", Number),  # of the last change in this site
    _required("shape_seq", Number),  # of the last change that can alter which studies a search finds
)

study = Table(
    "study",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    _required("site_id", Number),
    _required("study_instance_uid"),
    *_attribute_columns(Level.STUDY),
    _required("moment"),  # date and time keys together, "" when undated: the order of a worklist
    _required("modalities"),  # sorted, joined by a backslash
    _required("sop_classes"),
    _required("series_count", Number),
    _required("instance_count", Number),
    _required("cold_count", Number),  # instances whose bytes are in a cold store
    _required("size_bytes", Number),
    *_winner(),
    _required("revision", Number),
    _required("changed_at", Number),
    UniqueConstraint("site_id", "study_instance_uid", name="study_by_uid"),
)
Index("study_by_moment", study.c.site_id, study.c.moment.desc(), study.c.study_instance_uid, unique=True)
STUDY_LOOKUPS = ("patient_id", "accession_number", "study_id", "study_description", "patient_birth_date_key")
for _name in STUDY_LOOKUPS:
    Index(f"study_by_{_name}", study.c.site_id, study.c[_name])

series = Table(
    "series",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    _required("site_id", Number),
    _required("study_row", Number),
    _required("series_instance_uid"),
    *_attribute_columns(Level.SERIES),
    _required("instance_count", Number),
    _required("size_bytes", Number),
    _required("own_metadata", Number),  # 1: some instances have their metadata in their own row, not in the bundle
    *_winner(),
    _required("revision", Number),
    _required("changed_at", Number),
    *_location("bundle_", nullable=True),
    Column("bundle_revision", Number),
    UniqueConstraint("study_row", "series_instance_uid", name="series_by_uid"),
)
Index("series_in_order", series.c.study_row, series.c.series_number_key, series.c.series_instance_uid, unique=True)
Index("series_by_uid_alone", series.c.site_id, series.c.series_instance_uid)
# By when a series began, because that seldom changes: an index on `changed_at` would be written with each instance.
_quiet = text("own_metadata = 1")
Index("series_quiet", series.c.winner_received_at, sqlite_where=_quiet, postgresql_where=_quiet)
_bundled = text("bundle_object_key IS NOT NULL")
Index("series_bundled", series.c.bundle_object_key, sqlite_where=_bundled, postgresql_where=_bundled)

instance = Table(
    "instance",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    _required("site_id", Number),
    _required("study_row", Number),
    _required("series_row", Number),
    _required("sop_instance_uid"),
    _required("sop_class_uid"),
    *_attribute_columns(Level.INSTANCE),
    _required("transfer_syntax_uid"),
    *_location(),
    _required("odd_key", Number),  # 1: the key does not spell this site and SOP Instance UID
    _required("size_bytes", Number),
    _required("sha256"),
    _required("data_set_sha256"),
    _required("data_set_offset", Number),
    _required("received_at", Number),
    _required("origin_name"),
    _required("study_variant", Number),
    _required("series_variant", Number),
    _required("state"),
    _required("legal_hold", Number),
    Column("retention_class", Words),
    Column("retention_policy", Words),
    Column("retention_start", Number),
    Column("retention_until", Number),
    Column("retention_flags", Words),
    _required("revision", Number),
    Column("bulk_table", LargeBinary),
    Column("frame_table", LargeBinary),  # last, because it may be long
    UniqueConstraint("site_id", "sop_instance_uid", name="instance_by_uid"),
)
Index(
    "instance_in_order", instance.c.series_row, instance.c.instance_number_key, instance.c.sop_instance_uid, unique=True
)
# Nearly all instances are in the hot store, and nobody looks them up by that.
HOT = "hot"
_elsewhere = text(f"store <> '{HOT}'")
Index(
    "instance_elsewhere",
    instance.c.store,
    instance.c.received_at,
    sqlite_where=_elsewhere,
    postgresql_where=_elsewhere,
)
_odd = text("odd_key = 1")
Index("instance_by_odd_key", instance.c.object_key, sqlite_where=_odd, postgresql_where=_odd)

# DICOM JSON of an instance until its series' bundle has it; apart, so that scans of instances stay small.
instance_metadata = Table(
    "instance_metadata",
    metadata,
    Column("instance_row", Number, primary_key=True, autoincrement=False),
    _required("json", LargeBinary),
)

# The different sets of attributes that instances gave for a study or series, as sorted JSON.
variant = Table(
    "variant",
    metadata,
    _required("level"),
    _required("owner", Number),
    _required("number", Number),
    _required("attributes"),
    PrimaryKeyConstraint("level", "owner", "number"),
    sqlite_with_rowid=False,
)

# Texts a multi-valued or person name attribute is found by; ModalitiesInStudy and SOPClassesInStudy too.
form = Table(
    "form",
    metadata,
    _required("site_id", Number),
    _required("attribute", Number),  # the tag
    _required("form"),
    _required("owner", Number),
    PrimaryKeyConstraint("site_id", "attribute", "form", "owner"),
    sqlite_with_rowid=False,
)
Index("form_by_owner", form.c.owner, form.c.attribute, form.c.form)

# Three characters in a row of a study's names, ids and description: what `*contains*` starts from.
gram = Table(
    "gram",
    metadata,
    _required("site_id", Number),
    _required("gram", Number),
    _required("study_row", Number),
    PrimaryKeyConstraint("site_id", "gram", "study_row"),
    sqlite_with_rowid=False,
)
Index("gram_by_study", gram.c.study_row)

# Studies whose grams are not in the table yet: those of many are sorted in together, as each falls on another page.
gram_waiting = Table(
    "gram_waiting",
    metadata,
    Column("study_row", Number, primary_key=True, autoincrement=False),
    _required("site_id", Number),
)

event = Table(
    "event",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    _required("at", Number),
    _required("change"),
    _required("site"),
    _required("study_instance_uid"),
    Column("series_instance_uid", Words),
    Column("sop_instance_uid", Words),
    _required("door"),
    _required("name"),
    _required("address"),
)

conflict = Table(
    "conflict",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    _required("site_id", Number),
    _required("sop_instance_uid"),
    *_location(),
    _required("size_bytes", Number),
    _required("data_set_sha256"),
    _required("record"),  # JSON of everything but the binary parts
    Column("metadata_json", LargeBinary),
    Column("bulk_table", LargeBinary),
    Column("frame_table", LargeBinary),
    _required("door"),
    _required("name"),
    _required("address"),
    _required("seen_at", Number),
)
Index("conflict_by_uid", conflict.c.site_id, conflict.c.sop_instance_uid)
Index("conflict_by_key", conflict.c.object_key)

doomed = Table(
    "doomed",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    *_location(),
    _required("queued_at", Number),
    UniqueConstraint("object_key", "store", "version_id", name="doomed_by_key"),
    sqlite_autoincrement=True,
)
Index("doomed_by_age", doomed.c.queued_at)

# Resources that existed and were deleted; "" stands for "no such part".
removed = Table(
    "removed",
    metadata,
    _required("site_id", Number),
    _required("study_instance_uid"),
    _required("series_instance_uid"),
    _required("sop_instance_uid"),
    _required("seq", Number),
    PrimaryKeyConstraint("site_id", "study_instance_uid", "series_instance_uid", "sop_instance_uid"),
    sqlite_with_rowid=False,
)

access_key = Table(
    "access_key",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    _required("name"),
    Column("key_hash", Words, nullable=False, unique=True),
    _required("site"),
    _required("scopes"),
    _required("created_at", Number),
    Column("revoked_at", Number),
)
_live = text("revoked_at IS NULL")
Index("access_key_by_name", access_key.c.name, unique=True, sqlite_where=_live, postgresql_where=_live)

refused_peer = Table(
    "refused_peer",
    metadata,
    _required("calling_ae_title"),
    _required("called_ae_title"),
    _required("address"),
    _required("reason"),
    _required("first_at", Number),
    _required("last_at", Number),
    _required("times", Number),
    PrimaryKeyConstraint("calling_ae_title", "called_ae_title", "address", "reason"),
)

peer_traffic = Table(
    "peer_traffic",
    metadata,
    _required("ae_title"),
    _required("address"),
    _required("last_received_at", Number),
    _required("instances", Number),
    _required("size_bytes", Number),
    PrimaryKeyConstraint("ae_title", "address"),
)

lease = Table(
    "lease", metadata, Column("name", Words, primary_key=True), _required("holder"), _required("until", Number)
)

# Peers that the command line keeps; those of the configuration file are not here.
peer = Table(
    "peer",
    metadata,
    Column("name", Words, primary_key=True),
    _required("definition"),  # JSON of what is not a default
    _required("changed_at", Number),
)

# Work that must outlive the process that took it on.
job = Table(
    "job",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    _required("kind"),
    _required("key"),
    _required("target"),
    _required("payload"),  # JSON
    _required("state"),  # waiting | done | dead
    _required("attempts", Number),
    _required("problem"),
    _required("created_at", Number),
    _required("due_at", Number),
    UniqueConstraint("kind", "key", name="job_by_key"),
    sqlite_autoincrement=True,
)
_waiting = text("state = 'waiting'")
Index("job_by_due", job.c.kind, job.c.due_at, sqlite_where=_waiting, postgresql_where=_waiting)

# How far a reader of the feed has come.
cursor = Table("cursor", metadata, Column("name", Words, primary_key=True), _required("seq", Number))
