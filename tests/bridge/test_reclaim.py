"""The only module that deletes bytes: after the delay, after the grace, and never too many at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.archive import HOT, Archive
from bridge.delete import delete
from bridge.errors import Held
from bridge.reclaim import reclaim, sweep_orphans
from storage.objects.base import ObjectMeta
from storage.objects.payload import Payload
from storage.records import ResourceRef
from tests.bridge.archives import ORIGIN, SERIES, STUDY, Clock, data_set, moody, open_test_archive, receive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path)
    yield opened
    opened.close()


def clock(archive: Archive) -> Clock:
    assert isinstance(archive.now, Clock)
    return archive.now


def keys(archive: Archive) -> list[str]:
    return [info.key for info in archive.stores[HOT].list() if info.key.endswith(".dcm")]


def put_orphan(archive: Archive, number: int) -> str:
    key = f"default/{STUDY}/{SERIES}/{SERIES}.{number}.{'0' * 20}{number % 10}.dcm"
    body = b"no row names me"
    payload = Payload(header=b"", body=body, path=None, size_bytes=len(body), sha256="", data_set_sha256="")
    moody(archive).put(key, payload, meta=ObjectMeta())
    return key


def test_deleted_bytes_go_after_the_delay_and_not_before(archive: Archive) -> None:
    receive(archive, data_set(1))
    delete(archive, ResourceRef("default", STUDY), ORIGIN, override_retention=True)
    assert reclaim(archive) == 0
    assert len(keys(archive)) == 1
    clock(archive).forward(minutes=6)
    assert reclaim(archive) == 1
    assert keys(archive) == []
    assert reclaim(archive) == 0


def test_a_running_term_forbids_removal_and_says_until_when(archive: Archive) -> None:
    receive(archive, data_set(1))
    with pytest.raises(Held, match=r"until 20\d\d-") as refusal:
        delete(archive, ResourceRef("default", STUDY), ORIGIN)
    assert refusal.value.until is not None
    assert len(keys(archive)) == 1


def test_orphans_go_after_the_grace_and_not_before(archive: Archive) -> None:
    receive(archive, data_set(1))
    live = keys(archive)
    put_orphan(archive, 7)
    assert [swept.deleted for swept in sweep_orphans(archive)] == [0]
    clock(archive).forward(hours=25)
    assert [swept.deleted for swept in sweep_orphans(archive)] == [1]
    assert keys(archive) == live


def test_more_orphans_than_the_limit_are_left_for_a_person(archive: Archive) -> None:
    archive.settings = replace(archive.settings, worker=replace(archive.settings.worker, orphan_sweep_limit=3))
    for number in range(1, 6):
        put_orphan(archive, number)
    clock(archive).forward(hours=25)
    assert [swept.deleted for swept in sweep_orphans(archive)] == [0]
    assert len(keys(archive)) == 5


def test_decisions_are_never_swept(archive: Archive) -> None:
    receive(archive, data_set(1))
    delete(archive, ResourceRef("default", STUDY), ORIGIN, override_retention=True)
    clock(archive).forward(hours=1000)
    sweep_orphans(archive)
    assert [info.key for info in archive.stores[HOT].list("decisions/")] != []
