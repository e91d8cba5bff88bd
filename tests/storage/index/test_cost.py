"""What a read costs does not grow with what it is not about, in steps of SQLite's machine instead of time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.index import SqlIndex, migrate, open_index, sqlite, states
from storage.records import InstanceRecord
from tests.storage.index.building import Clock, keep, record, ref

Read = Callable[[SqlIndex], object]


def _steps(monkeypatch: pytest.MonkeyPatch, index: SqlIndex, read: Read) -> int:
    taken = 0

    def count(_: object) -> int:
        nonlocal taken
        taken += 1
        return 0

    read(index)  # the statement is prepared
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "PROGRESS_STEPS", 1)
        patched.setattr(sqlite.SqliteSession, "_overdue", count)
        patched.setattr(sqlite, "IDLE_CONNECTIONS", 0)
        read(index)  # on the connection that was there, which closes
        taken = 0
        read(index)
    return taken


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda index: index.instances(ref(1, None, None)), id="instances-of-a-study"),
        pytest.param(lambda index: index.instances(ref(1, 1, None)), id="instances-of-a-series"),
        pytest.param(lambda index: index.arrivals(ref(1, 1, None), after=0, limit=100), id="arrivals"),
        pytest.param(lambda index: index.metadata(ref(1, 1, None)), id="metadata"),
        pytest.param(lambda index: index.instance(ref(1, 1, 1)), id="instance"),
    ],
)
def test_a_read_below_a_resource_looks_at_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: Read
) -> None:
    url = f"sqlite://{tmp_path / 'index.sqlite'}"
    migrate(url)
    index = open_index(url, now=Clock())
    for number in (1, 2, 3):
        keep(index, record(1, 1, number))
    alone = _steps(monkeypatch, index, read)
    for study in range(2, 42):
        keep(index, record(study))
    assert 0 < _steps(monkeypatch, index, read) < 1.2 * alone
    index.close()


@pytest.mark.parametrize(
    "one", [pytest.param(lambda number: record(number), id="new-study"), pytest.param(lambda _: _LATE, id="old-series")]
)
def test_a_commit_costs_the_same_however_much_is_archived(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, one: Callable[[int], InstanceRecord]
) -> None:
    taken = 0

    def count(_: object) -> int:
        nonlocal taken
        taken += 1
        return 0

    monkeypatch.setattr(states, "GRAMS_TOGETHER", 1000)  # they are written now and then, for many studies
    monkeypatch.setattr(sqlite, "PROGRESS_STEPS", 1)
    monkeypatch.setattr(sqlite.SqliteSession, "_overdue", count)
    url = f"sqlite://{tmp_path / 'index.sqlite'}"
    migrate(url)
    index = open_index(url, now=Clock())

    def steps(new: InstanceRecord) -> int:
        nonlocal taken
        taken = 0
        keep(index, new)
        return taken

    keep(index, record(1))
    few = steps(record(2))
    for number in range(3, 60):
        keep(index, record(number))
    assert 0 < steps(one(60)) < 1.2 * few
    index.close()


_LATE = record(1, 1, 2)
