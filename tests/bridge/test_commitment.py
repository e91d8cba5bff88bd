"""Storage commitment: the verdicts, each for its reason (PS3.4 Annex J)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, MRImageStorage

from bridge import commitment, relocate
from bridge.archive import HOT, Archive
from bridge.commitment import Failure, Reference, Request
from storage.errors import StorageUnavailable
from storage.index.sqlindex import SqlIndex
from tests.bridge.archives import SERIES, Clock, data_set, moody, open_test_archive, receive

ENOUGH_S = 60.0


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An archive with landing, and two instances in it."""
    opened = open_test_archive(tmp_path, landing=True)
    for number in (1, 2):
        receive(opened, data_set(number))
    yield opened
    opened.close()


def request(*numbers: int, sop_class: str = CTImageStorage) -> Request:
    """A request about instances of SERIES."""
    return Request(
        transaction_uid="1.2.3",
        site="default",
        peer="ct-1",
        ae_title="CT01",
        called_ae_title="BRIDGE",
        references=tuple(Reference(sop_class, f"{SERIES}.{number}") for number in numbers),
    )


def verdicts(archive: Archive, asked: Request, *, hours_ago: float = 0) -> list[int | None]:
    """What is known about the references."""
    asked_at = archive.now()
    clock = archive.now
    assert isinstance(clock, Clock)
    clock.forward(hours=hours_ago)
    decided = commitment.verify(archive, asked, asked_at=asked_at, within_s=ENOUGH_S)
    return [reference.verdict for reference in decided.references]


def test_what_was_read_back_intact_is_committed(archive: Archive) -> None:
    assert verdicts(archive, request(1, 2, 1)) == [0, 0, 0]


def test_an_unknown_instance_is_no_such_instance(archive: Archive) -> None:
    assert verdicts(archive, request(1, 9)) == [0, Failure.NO_SUCH_INSTANCE]


def test_another_class_is_a_conflict_of_class_and_instance(archive: Archive) -> None:
    assert verdicts(archive, request(1, sop_class=MRImageStorage)) == [Failure.CLASS_INSTANCE_CONFLICT]


def test_an_instance_of_another_site_is_unknown(archive: Archive) -> None:
    assert verdicts(archive, replace(request(1), site="elsewhere")) == [Failure.NO_SUCH_INSTANCE]


def test_damaged_bytes_are_a_failure(archive: Archive) -> None:
    record = archive.index.instance_by_sop("default", f"{SERIES}.1")
    assert record is not None
    objects = moody(archive)._objects
    kept = objects[record.location.key]
    objects[record.location.key] = replace(kept, body=kept.body[:-1] + bytes((kept.body[-1] ^ 1,)))
    assert verdicts(archive, request(1, 2)) == [Failure.PROCESSING_FAILURE, 0]


def test_an_unsettled_conflict_fails_until_it_is_settled(archive: Archive) -> None:
    receive(archive, data_set(1, PatientID="OTHER"))
    assert verdicts(archive, request(1, 2)) == [Failure.PROCESSING_FAILURE, 0]
    [conflict] = archive.index.conflicts()
    archive.index.dismiss(conflict.conflict_id)
    assert verdicts(archive, request(1, 2)) == [0, 0]


def test_landing_is_waited_for_and_does_not_count(archive: Archive) -> None:
    moody(archive).mood = "away"
    receive(archive, data_set(3))
    assert verdicts(archive, request(1, 3)) == [0, None]
    moody(archive).mood = "well"
    relocate.deliver_landing(archive, limit=10)
    assert verdicts(archive, request(3)) == [0]


def test_what_does_not_arrive_in_time_is_a_limitation_of_resources(archive: Archive) -> None:
    moody(archive).mood = "away"
    receive(archive, data_set(3))
    assert verdicts(archive, request(1, 3), hours_ago=2) == [0, Failure.RESOURCE_LIMITATION]


def test_a_store_that_is_away_decides_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> Iterator[bytes]:
        raise StorageUnavailable("away")
        yield b""

    monkeypatch.setattr(archive.stores[HOT], "read", away)
    assert verdicts(archive, request(1)) == [None]


def test_a_verdict_is_kept_and_progress_is_made_in_slices(archive: Archive) -> None:
    asked = request(1, 2)
    nothing = commitment.verify(archive, asked, asked_at=archive.now(), within_s=0)
    assert nothing == asked
    known = replace(
        asked, references=(replace(asked.references[0], verdict=Failure.NO_SUCH_INSTANCE), asked.references[1])
    )
    assert verdicts(archive, known) == [Failure.NO_SUCH_INSTANCE, 0]


def test_a_request_survives_as_a_job(archive: Archive) -> None:
    asked = request(1, 2)
    job = commitment.take_on(archive, asked)
    assert job is not None
    assert commitment.from_json(job.payload) == asked
    assert isinstance(archive.index, SqlIndex)
    assert [job.key for job in archive.registry.jobs(commitment.KIND, limit=9)] == ["default/CT01/1.2.3"]


def test_a_transaction_uid_is_used_once_by_a_device(archive: Archive) -> None:
    assert commitment.take_on(archive, request(1))
    assert commitment.take_on(archive, request(2)) is None
    assert commitment.take_on(archive, replace(request(2), ae_title="CT02"))
