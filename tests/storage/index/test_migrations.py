"""Migrations lead from an empty database to the schema of the program, and nowhere else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Inspector, create_engine, inspect, text

from storage.errors import SchemaMismatch, StorageUnavailable
from storage.index import migrate, open_index
from storage.index.migrations import MIGRATIONS
from storage.index.schema import metadata
from storage.index.values import FUZZY
from storage.query import Fuzzy
from storage.records import Level
from tests.storage.index.building import Clock, find, keep, record


def _engine(url: str) -> Any:
    if url.startswith("sqlite"):
        return create_engine(f"sqlite:///{url.removeprefix('sqlite://')}")
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def _shape(inspector: Inspector) -> dict[str, Any]:
    """Columns, keys and indexes of every table."""
    shape = {}
    for name in inspector.get_table_names():
        columns = {column["name"]: (str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)}
        indexes = {
            index["name"]: (index["column_names"], bool(index["unique"])) for index in inspector.get_indexes(name)
        }
        uniques = sorted(tuple(one["column_names"]) for one in inspector.get_unique_constraints(name))
        shape[name] = (columns, indexes, uniques, inspector.get_pk_constraint(name)["constrained_columns"])
    return shape


def test_migrating_twice_changes_nothing_more(empty_url: str) -> None:
    assert migrate(empty_url) == [migration.name for migration in MIGRATIONS]
    assert migrate(empty_url) == []
    open_index(empty_url).close()


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")  # of partial indexes, compared by name elsewhere
def test_the_migrations_make_the_tables_the_program_uses(tmp_path: Path) -> None:
    migrated, declared = f"sqlite://{tmp_path / 'migrated'}", f"sqlite://{tmp_path / 'declared'}"
    migrate(migrated)
    metadata.create_all(_engine(declared))
    shapes = [_shape(inspect(_engine(one))) for one in (migrated, declared)]
    for name, (columns, indexes, uniques, primary) in shapes[1].items():
        found = shapes[0][name]
        assert {key: kind for key, (kind, _) in found[0].items()} == {key: kind for key, (kind, _) in columns.items()}
        assert found[1] == indexes
        assert (found[2], found[3]) == (uniques, primary)
    assert set(shapes[0]) - set(shapes[1]) <= {"sqlite_sequence"}


@pytest.mark.server
def test_the_migrations_make_the_same_tables_on_postgresql(postgres_url: str) -> None:
    from tests.servers.postgres import fresh_database as make_database

    migrated, declared = make_database(postgres_url), make_database(postgres_url)
    migrate(migrated)
    engines = [_engine(migrated), _engine(declared)]
    metadata.create_all(engines[1])
    shapes = [_shape(inspect(engine)) for engine in engines]
    for engine in engines:
        engine.dispose()
    assert shapes[0] == shapes[1]


def test_names_that_came_before_fuzzy_matching_are_found_after_a_migration(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from storage.index import migrations

    monkeypatch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:1])
    migrate(empty_url)
    older = open_index(empty_url, now=Clock())
    for number in (1, 2):
        keep(older, record(number, attributes={"PatientName": "Li^Si=李^四", "ReferringPhysicianName": "曾^国藩"}))
    older.close()
    engine = _engine(empty_url)
    with engine.begin() as connection:  # as it was
        connection.execute(text(f"DELETE FROM form WHERE attribute >= {FUZZY}"))
    engine.dispose()
    monkeypatch.undo()
    migrate(empty_url)
    index = open_index(empty_url)
    for path, asked in (((0x00100010,), "ls"), ((0x00080090,), "zgf")):
        assert find(index, Level.STUDY, (path, "PN", Fuzzy((asked,)))) == ["1.2.1", "1.2.2"]
    index.close()


def test_migrations_that_start_together_run_once(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [empty_url] * 4))
    assert sorted(map(len, applied)) == [0, 0, 0, len(MIGRATIONS)]


def test_an_empty_database_is_refused_with_the_way_out(empty_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="dicom-bridge migrate"):
        open_index(empty_url)


def test_a_newer_schema_is_refused_and_left_alone(empty_url: str) -> None:
    migrate(empty_url)
    engine = _engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO schema_version (version, applied_at) VALUES (99, 0)"))
    engine.dispose()
    with pytest.raises(SchemaMismatch, match="newer"):
        open_index(empty_url)
    with pytest.raises(SchemaMismatch, match="newer"):
        migrate(empty_url)


def test_a_failed_migration_leaves_the_database_as_it_was(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage.index import migrations

    broken = migrations.Migration("9999 broken", lambda kind: ["CREATE TABLE half (id INTEGER)", "CREATE NONSENSE"])
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(Exception, match=r"(?i)syntax|nonsense"):
        migrate(empty_url)
    monkeypatch.undo()
    assert migrate(empty_url) == [migration.name for migration in MIGRATIONS]


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://relative", "postgresql://u@127.0.0.1:1/x"])
def test_a_database_that_cannot_be_is_unavailable(url: str) -> None:
    with pytest.raises(StorageUnavailable):
        open_index(url)
