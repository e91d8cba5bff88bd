"""The index: rows by UID, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from storage.errors import StorageUnavailable
from storage.index import migrations
from storage.index.database import Database
from storage.index.sqlindex import SqlIndex
from storage.index.sqlite import Sqlite

__all__ = ["SqlIndex", "migrate", "open_index"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def open_index(
    url: str,
    *,
    password: str = "",
    connections: int = 8,
    group_limit: int = 64,
    lock_timeout_s: float = 30.0,
    statement_timeout_s: float = 30.0,
    commit_window_s: float = 3600.0,
    now: Callable[[], datetime] = _utc_now,
) -> SqlIndex:
    """Open an index that `migrate` has prepared.

    `url` is `sqlite:///absolute/path` or `postgresql://user@host:port/database`. Raises SchemaMismatch when the schema
    is older or newer than this program, StorageUnavailable when the database does not answer.
    """
    database = _database(url, password, connections, lock_timeout_s, statement_timeout_s)
    try:
        migrations.check(database)
    except BaseException:
        database.close()
        raise
    return SqlIndex(
        database,
        group_limit=group_limit,
        wait_limit_s=lock_timeout_s + statement_timeout_s,
        commit_window_s=commit_window_s,
        now=now,
    )


def migrate(url: str, *, password: str = "") -> list[str]:
    """Bring a database to this program's schema; the names of the migrations applied."""
    database = _database(url, password, 1, 60.0, 3600.0)
    try:
        return migrations.migrate(database)
    finally:
        database.close()


def _database(url: str, password: str, connections: int, lock_timeout_s: float, statement_timeout_s: float) -> Database:
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        path = Path("/" + rest.lstrip("/"))
        if not rest.startswith("/"):
            raise StorageUnavailable("a SQLite index is named sqlite:/// and an absolute path")
        return Sqlite(path, lock_timeout_s=lock_timeout_s, statement_timeout_s=statement_timeout_s)
    if scheme == "postgresql":
        from storage.index.postgres import Postgres  # its driver is 6 MB that a process on SQLite can do without

        return Postgres(
            url,
            password=password,
            connections=connections,
            lock_timeout_s=lock_timeout_s,
            statement_timeout_s=statement_timeout_s,
        )
    raise StorageUnavailable(f"an index cannot be kept in {scheme or 'an unnamed kind of database'}")
