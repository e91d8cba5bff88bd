"""Objects are announced to their store before it is their turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bridge import foresight
from bridge.archive import Archive
from bridge.foresight import foreseen
from storage.objects.memory import MemoryStore
from storage.records import InstanceRecord, Location
from tests.bridge.archives import open_test_archive
from tests.storage.index.building import record


class Listening(MemoryStore):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.announced: list[str] = []

    def will_need(self, keys: Sequence[str]) -> None:
        self.announced += keys


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path)
    yield opened
    opened.close()


def instances(count: int) -> list[InstanceRecord]:
    return [record(instance=number) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6])
def test_each_instance_comes_once_and_is_announced_a_group_before(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(foresight, "GROUP", 2)
    store, records = Listening(), instances(count)
    there = replace(archive, stores={"hot": store})
    seen = []
    for number, one in enumerate(foreseen(there, records)):
        seen.append(one)
        assert len(store.announced) == min(number // 2 * 2 + 4, count)
    assert seen == records
    assert store.announced == [one.location.key for one in records]


def test_a_store_that_cannot_read_ahead_and_one_that_is_not_here_are_left_alone(archive: Archive) -> None:
    elsewhere = replace(record(instance=2), location=Location("landing@other", "a/b"))
    there = replace(archive, stores={"hot": MemoryStore()})
    assert list(foreseen(there, [record(), elsewhere])) == [record(), elsewhere]
