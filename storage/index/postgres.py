"""PostgreSQL as the index's database, by psycopg. Writers queue on the counter's row, which each change locks first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import errors
from sqlalchemy.dialects.postgresql import psycopg as dialect

from storage.errors import StorageUnavailable
from storage.index.database import Database, Parameters, Row, Session, T

CONNECT_TIMEOUT_S = 5
ATTEMPTS = 5  # of a write that met a deadlock or a serialisation failure
TRANSIENT = (errors.DeadlockDetected, errors.SerializationFailure)  # 40P01, 40001


class PostgresSession(Session):
    """A connection."""

    def __init__(self, database: Database, connection: psycopg.Connection[Row]) -> None:
        super().__init__(database)
        self.connection = connection

    def listing(self, values: Sequence[str] | Sequence[int]) -> list[Any]:
        """An array."""
        return list(values)

    def wildcard(self, pattern: str) -> str:
        """LIKE, its own special characters escaped."""
        for char in "\\%_":
            pattern = pattern.replace(char, f"\\{char}")
        return pattern.replace("*", "%").replace("?", "_")

    def _fetch(self, text: str, parameters: Parameters) -> list[Row]:
        return self.connection.execute(text.encode(), parameters).fetchall()

    def _run(self, text: str, parameters: Sequence[Parameters]) -> int:
        with self.connection.cursor() as cursor:
            if len(parameters) == 1:
                return cursor.execute(text.encode(), parameters[0]).rowcount
            cursor.executemany(text.encode(), parameters)
            return cursor.rowcount


class Postgres(Database):
    """One server, a bounded number of connections of this process."""

    name = "postgresql"
    table_exists = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = %(name)s"
    alone = "SELECT pg_advisory_xact_lock(7232501)"  # any number that means this and nothing else

    def __init__(
        self, url: str, *, password: str, connections: int, lock_timeout_s: float, statement_timeout_s: float
    ) -> None:
        super().__init__()
        self.dialect = dialect.PGDialect_psycopg()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
        self._options = _connect_options(url, password, lock_timeout_s, statement_timeout_s)
        self._lock_timeout_s = lock_timeout_s
        self._free = threading.BoundedSemaphore(connections)
        self._idle: list[PostgresSession] = []

    def read(self, work: Callable[[Session], T], *, snapshot: bool = False) -> T:
        """Read what is committed; once more on a new connection when the one at hand turns out to be dead."""

        def once(session: PostgresSession) -> T:
            if not snapshot:
                return work(session)
            session.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                return work(session)
            finally:
                if not session.connection.closed:
                    session.connection.execute("ROLLBACK")

        try:
            return self._with_session(once)
        except _Dead:
            return self._last(once)

    def commit(self, work: Callable[[Session], T]) -> T:
        """One transaction, repeated when the database says that repeating helps; the server makes it durable."""

        def once(session: PostgresSession) -> T:
            with session.connection.transaction():
                return work(session)

        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._with_session(once)
            except _Dead:
                return self._last(once)
            except TRANSIENT as error:
                if attempt == ATTEMPTS:
                    raise StorageUnavailable("the index is too contended") from error
            time.sleep(0.005 * attempt)
        raise AssertionError("the last attempt returns or raises")

    def settle(self) -> None:
        """Nothing is left to do: the server answers a commit once it is durable (`synchronous_commit`)."""

    def close(self) -> None:
        """Close the idle connections; those at work close when they are given back."""
        while self._idle:
            self._idle.pop().connection.close()

    def _last(self, once: Callable[[PostgresSession], T]) -> T:
        try:
            return self._with_session(once, fresh=True)
        except _Dead as error:
            raise StorageUnavailable("the index closed the connection") from error.__cause__
        except TRANSIENT as error:
            raise StorageUnavailable("the index is too contended") from error

    def _with_session(self, work: Callable[[PostgresSession], T], *, fresh: bool = False) -> T:
        if not self._free.acquire(timeout=self._lock_timeout_s):
            raise StorageUnavailable("every connection to the index is busy")
        session: PostgresSession | None = None
        try:
            session = self._take(fresh=fresh)
            return work(session)
        except TRANSIENT:
            raise
        except (errors.QueryCanceled, errors.LockNotAvailable) as error:
            raise StorageUnavailable("the index did not answer in time") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if session is not None and session.connection.closed:
                raise _Dead from error
            raise StorageUnavailable(f"the index did not answer: {type(error).__name__}") from error
        finally:
            if session is not None and not session.connection.closed:
                self._idle.append(session)
            self._free.release()

    def _take(self, *, fresh: bool) -> PostgresSession:
        if fresh:
            self.close()
        try:
            return self._idle.pop()
        except IndexError:
            return PostgresSession(self, psycopg.connect(**self._options))


class _Dead(Exception):
    """The connection had been closed by the other side."""


def _connect_options(url: str, password: str, lock_timeout_s: float, statement_timeout_s: float) -> dict[str, Any]:
    """`postgresql://user@host:port/database?host=/socket/folder` as arguments of psycopg."""
    parts = urlsplit(url)
    settings = {
        "statement_timeout": f"{int(statement_timeout_s * 1000)}",
        "lock_timeout": f"{int(lock_timeout_s * 1000)}",
        "idle_in_transaction_session_timeout": f"{int((lock_timeout_s + statement_timeout_s) * 1000)}",
        "synchronous_commit": "on",  # a commit survives a power cut
        "default_transaction_isolation": "read\\ committed",
        "timezone": "UTC",
    }
    given = {
        "conninfo": url,
        "autocommit": True,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        "client_encoding": "utf8",
        "prepare_threshold": 1,
    }
    secret = password or unquote(parts.password or "")
    return {**given, "password": secret} if secret else given
