"""Group commit: together, in order, durable, and nobody fails for another."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from storage.errors import IngestExpired, StorageUnavailable
from storage.index import SqlIndex, migrate, open_index
from storage.index.group import Waiting
from storage.index.writer import GroupWriter, Join
from storage.records import Committed, Outcome
from tests.storage.index.building import MORNING, SCANNER, keep, record, ref

DEADLINE_S = 60.0
STORED = Committed(outcome=Outcome.STORED)


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "the condition was never met"
        threading.Event().wait(0.005)


class _Slow:
    """A database that commits when it is told to, and remembers the groups."""

    def __init__(self) -> None:
        self.groups: list[list[str | None]] = []
        self.go = threading.Event()

    def __call__(self, join: Join) -> None:
        group = join()
        self.groups.append([waiting.record.ref.sop_instance_uid for waiting in group])
        assert self.go.wait(DEADLINE_S)
        for waiting in group:
            waiting.result = STORED


def _waiting(instance: int, content: str = "a") -> Waiting:
    return Waiting(record(1, 1, instance, content=content), SCANNER, MORNING, "keep-first")


def _queued(writer: GroupWriter) -> int:
    return len(writer._queue)


def test_those_who_wait_are_committed_together() -> None:
    slow = _Slow()
    writer = GroupWriter(slow, group_limit=4, wait_limit_s=DEADLINE_S)
    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(writer.commit, _waiting(1))
        _until(lambda: len(slow.groups) == 1)
        others = [pool.submit(writer.commit, _waiting(number)) for number in range(2, 8)]
        _until(lambda: _queued(writer) == 6)
        slow.go.set()
        assert [future.result(DEADLINE_S) for future in (first, *others)] == [STORED] * 7
    assert [len(group) for group in slow.groups] == [1, 4, 2]


def test_who_comes_while_the_database_belongs_to_another_process_is_in_the_group() -> None:
    slow, free = _Slow(), threading.Event()
    slow.go.set()

    def elsewhere(join: Join) -> None:
        assert free.wait(DEADLINE_S)
        slow(join)

    writer = GroupWriter(elsewhere, group_limit=8, wait_limit_s=DEADLINE_S)
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(writer.commit, _waiting(number)) for number in (1, 2, 3)]
        _until(lambda: _queued(writer) == 3)
        free.set()
        assert all(future.result(DEADLINE_S) == STORED for future in futures)
    assert list(map(len, slow.groups)) == [3]


def test_a_database_that_never_becomes_free_fails_who_waits() -> None:
    def refuse(_: Join) -> None:
        raise StorageUnavailable("busy")

    writer = GroupWriter(refuse, group_limit=8, wait_limit_s=DEADLINE_S)
    with pytest.raises(StorageUnavailable, match="busy"):
        writer.commit(_waiting(1))
    assert _queued(writer) == 0


def test_one_sop_instance_uid_is_in_a_group_once() -> None:
    slow = _Slow()
    writer = GroupWriter(slow, group_limit=8, wait_limit_s=DEADLINE_S)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(writer.commit, _waiting(1))]
        _until(lambda: len(slow.groups) == 1)
        futures += [pool.submit(writer.commit, _waiting(number, str(number))) for number in (2, 2, 3)]
        _until(lambda: _queued(writer) == 3)
        slow.go.set()
        assert all(future.result(DEADLINE_S) == STORED for future in futures)
    assert sorted(map(len, slow.groups)) == [1, 1, 2]


def test_who_waits_too_long_is_told_so() -> None:
    slow = _Slow()
    writer = GroupWriter(slow, group_limit=8, wait_limit_s=0.05)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(writer.commit, _waiting(1))
        _until(lambda: len(slow.groups) == 1)
        with pytest.raises(StorageUnavailable):
            writer.commit(_waiting(2))
        slow.go.set()
        assert first.result(DEADLINE_S) == STORED
    assert slow.groups == [["1.2.1.1.1"]]


def test_a_closed_writer_takes_nothing_more() -> None:
    slow = _Slow()
    slow.go.set()
    writer = GroupWriter(slow, group_limit=8, wait_limit_s=DEADLINE_S)
    writer.close()
    with pytest.raises(StorageUnavailable):
        writer.commit(_waiting(1))


def test_a_record_the_database_refuses_fails_alone(index: SqlIndex) -> None:
    """The culprit has a column that no database takes; the others of its group are committed."""
    good = [record(1, 1, number) for number in range(1, 6)]
    bad = replace(record(1, 1, 9), size_bytes=1 << 70)
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(keep, index, one) for one in (*good[:3], bad, *good[3:])]
    outcomes = ["refused" if future.exception() else str(future.result().outcome) for future in futures]
    assert outcomes == ["stored"] * 3 + ["refused"] + ["stored"] * 2
    assert isinstance(futures[3].exception(), StorageUnavailable)
    assert len(index.instances(ref(1, None, None))) == 5


def test_an_expired_record_fails_alone(index: SqlIndex) -> None:
    with ThreadPoolExecutor(3) as pool:
        fine = [pool.submit(keep, index, record(1, 1, number)) for number in (1, 2)]
        late = pool.submit(
            index.commit, record(1, 1, 3), SCANNER, put_at=MORNING.replace(year=2020), duplicates="keep-first"
        )
    assert isinstance(late.exception(), IngestExpired)
    assert [future.result().outcome for future in fine] == [Outcome.STORED] * 2


def test_threads_that_commit_the_same_instance_get_one_row(index: SqlIndex) -> None:
    records = [replace(record(), location=replace(record().location, key=f"default/{n}")) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = [committed.outcome for committed in pool.map(lambda one: keep(index, one), records)]
    assert sorted(outcomes) == [Outcome.DUPLICATE] * 7 + [Outcome.STORED]
    assert index.tally().waiting_for_reclaim == 7


def _commit_many(url: str, study: int, count: int) -> None:
    index = open_index(url)
    for number in range(count):
        one = record(study, 1, number)
        index.commit(one, SCANNER, put_at=index.now(), duplicates="keep-first")
    index.close()


def test_processes_write_one_index_and_the_feed_has_no_gap(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    index = open_index(url)
    processes = [spawn.Process(target=_commit_many, args=(url, 1 + number % 2, 40), daemon=True) for number in range(3)]
    for process in processes:
        process.start()
    seen: list[int] = []
    while any(process.is_alive() for process in processes):
        seen += [event.seq for event in index.events(after=len(seen), limit=1000)]
        assert seen == list(range(1, len(seen) + 1)), "a reader saw n before n - 1"
    for process in processes:
        process.join(DEADLINE_S)
        assert process.exitcode == 0
    seen += [event.seq for event in index.events(after=len(seen), limit=1000)]
    assert seen == list(range(1, len(seen) + 1))
    assert len(index.instances(ref(1, None, None))) == 40
    assert index.tally().instances == 80
    index.close()


WRITER = """
import sys, itertools
from storage.index import open_index
from tests.storage.index.building import SCANNER, record
index = open_index(sys.argv[1])
for number in itertools.count():
    index.commit(record(1, 1, number), SCANNER, put_at=index.now(), duplicates="keep-first")
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_what_it_had_committed_and_no_gap(url: str, tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    with (tmp_path / "said").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, url], cwd=root, stdout=output, env={**os.environ, "PYTHONPATH": str(root)}
        )
    said = tmp_path / "said"
    try:
        _until(lambda: said.read_bytes().count(b"\n") >= 15 or process.poll() is not None)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    acknowledged = [int(line) for line in said.read_text().splitlines()]
    assert len(acknowledged) >= 15
    index = open_index(url)
    there = {one.ref.sop_instance_uid for one in index.instances(ref(1, None, None), limit=100_000)}
    assert {f"1.2.1.1.{number}" for number in acknowledged} <= there
    assert keep(index, record(2)).outcome is Outcome.STORED
    feed = index.events(after=0, limit=100_000)
    assert [event.seq for event in feed] == list(range(1, len(there) + 2))
    index.close()


@pytest.mark.server
def test_seq_is_visible_in_order_though_writers_finish_in_another(postgres_index: str) -> None:
    """A writer that holds seq n and has not committed keeps n + 1 from being seen."""
    from tests.storage.index.building import empty_postgres

    empty_postgres(postgres_index)
    index = open_index(postgres_index)
    keep(index, record(1, 1, 1))
    with psycopg.connect(postgres_index) as slow, ThreadPoolExecutor(1) as pool:
        slow.execute("SELECT value FROM counter WHERE name = 'seq' FOR UPDATE")
        later = pool.submit(keep, index, record(1, 1, 2))
        with psycopg.connect(postgres_index, autocommit=True) as watcher:
            waits = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            _until(lambda: (watcher.execute(waits).fetchone() or [0])[0] == 1)
        assert [event.seq for event in index.events(after=0, limit=9)] == [1]
        slow.rollback()
        committed = later.result(DEADLINE_S)
    assert committed.event is not None
    assert committed.event.seq == 2
    index.close()


def test_a_database_that_is_locked_for_too_long_is_unavailable(tmp_path: Path) -> None:
    from storage.index import migrate

    path = tmp_path / "index.sqlite"
    migrate(f"sqlite://{path}")
    index = open_index(f"sqlite://{path}", lock_timeout_s=0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable):
        keep(index, record())
    other.execute("ROLLBACK")
    other.close()
    assert keep(index, record()).outcome is Outcome.STORED
    index.close()


@pytest.mark.server
def test_a_dropped_connection_is_replaced(postgres_index: str) -> None:
    from tests.storage.index.building import empty_postgres

    empty_postgres(postgres_index)
    index = open_index(postgres_index)
    keep(index, record(1, 1, 1))
    for _ in range(2):
        with psycopg.connect(postgres_index, autocommit=True) as killer:
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert index.instance(ref()) is not None
    with psycopg.connect(postgres_index, autocommit=True) as killer:
        killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert keep(index, record(1, 1, 2)).outcome is Outcome.STORED
    index.close()


def test_a_missing_database_is_unavailable_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        open_index(f"sqlite://{tmp_path}/nowhere/index.sqlite")
    with pytest.raises(StorageUnavailable):
        open_index("postgresql://bridge@127.0.0.1:1/none")
    assert time.monotonic() - began < 10


def test_success_is_said_after_the_log_is_on_the_disk_and_the_next_group_does_not_wait_for_it() -> None:
    committed: list[str | None] = []
    disk, reached = threading.Event(), threading.Semaphore(0)

    def commit(join: Join) -> None:
        for waiting in join():
            committed.append(waiting.record.ref.sop_instance_uid)
            waiting.result = STORED

    def settle() -> None:
        reached.release()
        assert disk.wait(DEADLINE_S)

    writer = GroupWriter(commit, settle, group_limit=1, wait_limit_s=DEADLINE_S)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(writer.commit, _waiting(number)) for number in (1, 2)]
        assert reached.acquire(timeout=DEADLINE_S)
        assert reached.acquire(timeout=DEADLINE_S)  # both are committed, and both wait for the disk
        assert len(committed) == 2
        assert not any(answer.done() for answer in answers)
        closing = threading.Thread(target=writer.close)
        closing.start()
        closing.join(0.05)
        assert closing.is_alive()  # the log must stay open
        disk.set()
        assert [answer.result(DEADLINE_S) for answer in answers] == [STORED, STORED]
        closing.join(DEADLINE_S)
        assert not closing.is_alive()


def test_a_group_that_the_disk_does_not_keep_was_not_committed() -> None:
    def commit(join: Join) -> None:
        for waiting in join():
            waiting.result = STORED

    def settle() -> None:
        raise StorageUnavailable("the disk is broken")

    writer = GroupWriter(commit, settle, group_limit=8, wait_limit_s=DEADLINE_S)
    with pytest.raises(StorageUnavailable, match="the disk is broken"):
        writer.commit(_waiting(1))
    writer.close()


def test_after_the_disk_lost_the_log_nothing_is_written_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite://{tmp_path / 'index.sqlite'}"
    migrate(url)
    index = open_index(url)

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(StorageUnavailable, match="did not keep the index's log"):
            keep(index, record(1))
    with pytest.raises(StorageUnavailable, match="did not keep the index's log"):
        keep(index, record(2))
    index.close()
