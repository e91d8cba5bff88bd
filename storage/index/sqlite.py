"""SQLite as the index's database: WAL, every commit on disk, writers of all processes in a fair queue.

Readers never wait. Writers queue on two lock files beside the database: whoever holds the turn waits alone for the
lock, so a writer that has just finished cannot take it again before one that waits (SQLite's own busy handler lets it).

The log is brought to the disk (fdatasync) after the lock is given back and before anyone hears of success: the next
writer need not wait for it. `synchronous=NORMAL` leaves that to us; the log is written in order and carries checksums,
so that what comes back after a power cut is whole up to some commit, and all commits that were settled are in it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
from sqlalchemy.dialects import sqlite

from storage.errors import StorageUnavailable
from storage.index.database import Database, Parameters, Row, Session, T

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",  # `settle` does the rest
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16384",  # KiB a connection
    "PRAGMA wal_autocheckpoint=8000",  # pages: a page that many commits touch is written back once
)
PAGE_BYTES = 4096  # a commit writes each page it touches to the log whole: 55 KB, where 8192 wrote 100 KB
PROGRESS_STEPS = 20_000  # between looks at the clock
IDLE_CONNECTIONS = 64
_LOST = "the disk did not keep the index's log; look at the disk, then start the bridge again"
POLL_S = (0.00005, 0.0005)  # first and longest pause while waiting for another process


class SqliteSession(Session):
    """A connection and its deadline."""

    def __init__(self, database: Database, path: Path, *, timeout_s: float) -> None:
        super().__init__(database)
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
        self.cursor = self.connection.cursor()
        self.deadline = float("inf")
        self.connection.execute(f"PRAGMA busy_timeout={int(timeout_s * 1000)}")
        self.connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        for pragma in PRAGMAS:
            self.connection.execute(pragma)
        self.connection.set_progress_handler(self._overdue, PROGRESS_STEPS)

    def listing(self, values: Sequence[str] | Sequence[int]) -> str:
        """A JSON array."""
        return orjson.dumps(values).decode()

    def wildcard(self, pattern: str) -> str:
        """GLOB: case-sensitive, `?` is one character; it knows one special character more than DICOM."""
        return pattern.replace("[", "[[]")

    def _fetch(self, text: str, parameters: Parameters) -> list[Row]:
        return self.cursor.execute(text, parameters).fetchall()

    def _run(self, text: str, parameters: Sequence[Parameters]) -> int:
        if len(parameters) == 1:
            return self.cursor.execute(text, parameters[0]).rowcount
        return self.cursor.executemany(text, parameters).rowcount

    def _overdue(self) -> int:
        return time.monotonic() > self.deadline


class Sqlite(Database):
    """One file, any number of threads and processes."""

    name = "sqlite"
    table_exists = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"
    alone = None  # writers are alone anyway

    def __init__(self, path: Path, *, lock_timeout_s: float, statement_timeout_s: float) -> None:
        super().__init__()
        self.dialect = sqlite.dialect(paramstyle="named")
        self._path = path
        self._lock_timeout_s = lock_timeout_s
        self._statement_timeout_s = statement_timeout_s
        self._idle: list[SqliteSession] = []
        self._writer: SqliteSession | None = None
        self._turn = threading.Lock()
        self._log: int | None = None  # the write-ahead log, open as long as the writer's connection is
        self._is_lost = False  # the disk refused to keep it: nobody knows what it has
        self._queue = WriterQueue(path)

    def read(self, work: Callable[[Session], T], *, snapshot: bool = False) -> T:
        """Readers see the last committed state and wait for nobody."""
        try:
            session = self._take()
            session.deadline = time.monotonic() + self._statement_timeout_s
            try:
                return _snapshot(session, work) if snapshot else work(session)
            finally:
                self._give_back(session)
        except sqlite3.Error as error:
            raise StorageUnavailable(f"the index did not answer: {error}") from error

    def commit(self, work: Callable[[Session], T]) -> T:
        """Take the writers' turn among threads, then among processes, then one transaction."""
        if self._is_lost:
            raise StorageUnavailable(_LOST)
        deadline = time.monotonic() + self._lock_timeout_s
        if not self._turn.acquire(timeout=self._lock_timeout_s):
            raise StorageUnavailable("the index is busy with another change")
        try:
            with self._queue.place(deadline):
                return self._transaction(work)
        except sqlite3.Error as error:
            raise StorageUnavailable(f"the index did not take the change: {error}") from error
        finally:
            self._turn.release()

    def settle(self) -> None:
        """See Database. After a failure nothing is written any more: a second attempt would succeed without cause."""
        if self._log is None:
            return  # nothing was committed
        try:
            os.fdatasync(self._log)
        except OSError as error:
            self._is_lost = True
            raise StorageUnavailable(_LOST) from error

    def close(self) -> None:
        """Close every connection."""
        with self._turn:
            if self._log is not None:
                os.close(self._log)
                self._log = None
            while self._idle:
                self._idle.pop().connection.close()
            if self._writer is not None:
                self._writer.connection.close()
                self._writer = None
            self._queue.close()

    def _connect(self) -> SqliteSession:
        return SqliteSession(self, self._path, timeout_s=self._lock_timeout_s)

    def _take(self) -> SqliteSession:
        try:
            return self._idle.pop()  # another thread may have taken the last one meanwhile
        except IndexError:
            return self._connect()

    def _give_back(self, session: SqliteSession) -> None:
        if len(self._idle) < IDLE_CONNECTIONS and not session.connection.in_transaction:
            self._idle.append(session)
        else:
            session.connection.close()

    def _transaction(self, work: Callable[[Session], T]) -> T:
        session = self._writer = self._writer or self._connect()
        session.deadline = time.monotonic() + self._statement_timeout_s
        session.cursor.execute("BEGIN IMMEDIATE")
        try:
            result = work(session)
            session.cursor.execute("COMMIT")
        except BaseException:
            session.deadline = float("inf")
            if session.connection.in_transaction:
                session.cursor.execute("ROLLBACK")
            raise
        if self._log is None:
            self._log = os.open(f"{self._path}-wal", os.O_RDWR | os.O_CLOEXEC)
        return result


def _snapshot(session: SqliteSession, work: Callable[[Session], T]) -> T:
    session.cursor.execute("BEGIN")
    try:
        return work(session)
    finally:
        session.deadline = float("inf")
        session.cursor.execute("COMMIT")


class WriterQueue:
    """A fair lock over processes: two files, `.turn` for the next in line and `.lock` for the one at work."""

    def __init__(self, path: Path) -> None:
        self._names = [path.with_name(path.name + suffix) for suffix in (".turn", ".lock")]
        self._files: list[int] = []

    @contextmanager
    def place(self, deadline: float) -> Iterator[None]:
        """Hold the lock; raises StorageUnavailable when it is not free by the deadline (monotonic seconds)."""
        if not self._files:
            self._files = [os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for name in self._names]
        turn, lock = self._files
        _take(turn, deadline)
        try:
            _take(lock, deadline)
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock files; they stay on disk, because removing one would split the queue."""
        while self._files:
            os.close(self._files.pop())


def _take(descriptor: int, deadline: float) -> None:
    pause = POLL_S[0]
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise StorageUnavailable("the index is busy with another process") from error
        time.sleep(pause)
        pause = min(pause * 2, POLL_S[1])
