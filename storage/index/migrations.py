"""Numbered forward migrations from an empty database. Only `migrate` changes a schema; doors refuse any other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, insert, select

from storage.errors import SchemaMismatch
from storage.index import cursors, first_tables, openings, peers_and_jobs, schema
from storage.index.database import Database, Prepared, Session


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: a name for people, the statements for a kind of database, and what is computed from the rows there."""

    name: str
    statements: Callable[[str], list[str]]
    fill: Callable[[Session], None] | None = None


def _no_statements(_kind: str) -> list[str]:
    return []


MIGRATIONS: tuple[Migration, ...] = (
    Migration("0001 first tables", first_tables.statements),
    Migration("0002 openings of names", _no_statements, openings.fill),
    Migration("0003 peers and jobs", peers_and_jobs.statements),
    Migration("0004 cursors", cursors.statements),
)

_VERSION = select(func.max(schema.schema_version.c.version))
_RECORD = insert(schema.schema_version)


def migrate(database: Database) -> list[str]:
    """Bring the schema to this program's version; the names of the steps that were applied."""
    return database.write(lambda session: _apply(database, session))


def check(database: Database) -> None:
    """Raise SchemaMismatch unless the schema is exactly this program's."""
    found = database.read(lambda session: version(database, session))
    if found != len(MIGRATIONS):
        relation = "older" if found < len(MIGRATIONS) else "newer"
        raise SchemaMismatch(
            f"the index has schema {found}, {relation} than this program's {len(MIGRATIONS)}; "
            "run `dicom-bridge migrate`" + (" with this program" if relation == "older" else " of a newer program")
        )


def version(database: Database, session: Session) -> int:
    """The number of migrations applied; 0 for an empty database."""
    if not session.rows(Prepared(database.table_exists, {"name": "schema_version"})):
        return 0
    row = session.row(_VERSION)
    return row[0] or 0 if row else 0


def _apply(database: Database, session: Session) -> list[str]:
    if database.alone:
        session.rows(Prepared(database.alone, {}))
    present = version(database, session)
    if present > len(MIGRATIONS):
        raise SchemaMismatch(f"the index has schema {present}, newer than this program's {len(MIGRATIONS)}")
    applied = []
    for number, migration in enumerate(MIGRATIONS[present:], present + 1):
        for statement in migration.statements(database.name):
            session.run(Prepared(statement, {}))
        if migration.fill is not None:
            migration.fill(session)
        session.run(_RECORD, {"version": number, "applied_at": time.time_ns() // 1000})
        applied.append(migration.name)
    return applied
