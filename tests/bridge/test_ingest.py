"""The ONE way in: what a Receipt promises, what each refusal leaves behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.archive import HOT, Archive
from bridge.arrival import ingest_file
from bridge.errors import ClassMismatch, Conflict, InvalidInstance, OutOfResources, Unavailable
from bridge.ingest import Delivery, begin, ingest
from bridge.settings import Ingest, Settings
from storage.records import Outcome, ResourceRef
from tests.bridge.archives import (
    ORIGIN,
    SERIES,
    STUDY,
    data_set,
    moody,
    open_test_archive,
    part10,
    receive,
    with_storage,
)

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def landing_archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path, landing=True)
    yield opened
    opened.close()


def instance(archive: Archive, number: int = 1) -> ResourceRef:
    return ResourceRef("default", STUDY, SERIES, f"{SERIES}.{number}")


def stored_bytes(archive: Archive, ref: ResourceRef) -> bytes:
    record = archive.index.instance(ref)
    assert record is not None
    return b"".join(archive.read(record, record.data_set_offset))


def test_the_data_set_is_stored_exactly_as_received(archive: Archive) -> None:
    sent = data_set(1)
    receipt = receive(archive, sent)
    assert receipt.outcome is Outcome.STORED
    assert receipt.ref == instance(archive)
    assert stored_bytes(archive, receipt.ref) == sent


def test_both_hashes_are_those_of_the_bytes(archive: Archive) -> None:
    sent = data_set(1)
    record = archive.index.instance(receive(archive, sent).ref)
    assert record is not None
    assert record.data_set_sha256 == hashlib.sha256(sent).hexdigest()
    header = b"".join(archive.read(record, 0, record.data_set_offset))
    assert record.sha256 == hashlib.sha256(header + hashlib.sha256(sent).digest()).hexdigest()


def test_an_instance_larger_than_the_spool_memory_is_stored_too(tmp_path: Path) -> None:
    archive = open_test_archive(tmp_path, with_storage(spool_memory_bytes=100))
    sent = data_set(1)
    assert stored_bytes(archive, receive(archive, sent).ref) == sent
    assert list(archive.spool_directory.iterdir()) == []
    archive.close()


def test_every_object_carries_its_retention_metadata(archive: Archive) -> None:
    record = archive.index.instance(receive(archive, data_set(1)).ref)
    assert record is not None
    meta = archive.stores[HOT].meta(record.location.key)
    assert {"rc", "ru", "hold", "tier", "site", "mod", "st"} == set(meta.tags)
    assert meta.user["sha256"] == record.sha256
    everything = " ".join([*meta.tags.values(), *meta.user.values(), record.location.key])
    assert "Zhang" not in everything
    assert "P1" not in everything.split()


def test_the_same_data_set_again_is_success_and_writes_nothing(archive: Archive) -> None:
    receive(archive, data_set(1))
    objects = list(archive.stores[HOT].list())
    again = receive(archive, data_set(1))
    assert again.outcome is Outcome.DUPLICATE
    assert list(archive.stores[HOT].list()) == objects
    assert len(archive.index.events(after=0, limit=10)) == 1


def test_other_content_under_a_known_uid_is_kept_beside_the_first(archive: Archive) -> None:
    first = data_set(1)
    ref = receive(archive, first).ref
    second = receive(archive, data_set(1, PatientID="P2"))
    assert second.outcome is Outcome.CONFLICT
    assert stored_bytes(archive, ref) == first
    assert len(archive.index.conflicts()) == 1


def test_the_policy_reject_refuses_other_content_and_keeps_the_first(tmp_path: Path) -> None:
    archive = open_test_archive(tmp_path, Settings(ingest=Ingest(duplicates="reject")))
    first = data_set(1)
    ref = receive(archive, first).ref
    with pytest.raises(Conflict):
        receive(archive, data_set(1, PatientID="P2"))
    assert stored_bytes(archive, ref) == first
    assert archive.index.conflicts() == []
    archive.close()


def test_the_policy_replace_lets_the_second_take_the_place(tmp_path: Path) -> None:
    archive = open_test_archive(tmp_path, Settings(ingest=Ingest(duplicates="replace")))
    ref = receive(archive, data_set(1)).ref
    second = data_set(1, PatientID="P2")
    assert receive(archive, second).outcome is Outcome.REPLACED
    assert stored_bytes(archive, ref) == second
    archive.close()


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_missing_uid_is_refused_by_name(archive: Archive, keyword: str) -> None:
    with pytest.raises(InvalidInstance, match="UID"):
        receive(archive, data_set(1, **{keyword: ""}))
    assert list(archive.stores[HOT].list()) == []


@pytest.mark.parametrize("uid", ["1..2", "../../etc", "1.2/3", "1.2.a", "1" * 65])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.filterwarnings("ignore:The value length")
def test_an_unusable_uid_never_reaches_a_store(archive: Archive, uid: str) -> None:
    with pytest.raises(InvalidInstance):
        receive(archive, data_set(1, StudyInstanceUID=uid))
    assert list(archive.stores[HOT].list()) == []


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_leading_zeros_pass(archive: Archive) -> None:
    assert receive(archive, data_set(1, study="1.02.3")).outcome is Outcome.STORED


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_leading_zeros_are_refused_when_uids_are_strict(tmp_path: Path) -> None:
    archive = open_test_archive(tmp_path, Settings(ingest=Ingest(strict_uids=True)))
    with pytest.raises(InvalidInstance):
        receive(archive, data_set(1, study="1.02.3"))
    archive.close()


def test_a_truncated_data_set_is_refused(archive: Archive) -> None:
    with pytest.raises(InvalidInstance):
        receive(archive, data_set(1)[:-7])
    assert list(archive.stores[HOT].list()) == []


@pytest.mark.parametrize(
    "expected", [{"expected_sop_instance_uid": "1.2.3"}, {"expected_sop_class_uid": "1.2.840.10008.5.1.4.1.1.4"}]
)
def test_command_and_data_set_must_agree(archive: Archive, expected: dict[str, str]) -> None:
    spool = begin(archive, b"\0" * 128 + b"DICM")
    spool.write(data_set(1))
    with pytest.raises(ClassMismatch):
        ingest(archive, spool, Delivery(transfer_syntax_uid=EXPLICIT, site="default", origin=ORIGIN, **expected))


def test_a_store_that_is_away_without_landing_refuses(archive: Archive) -> None:
    moody(archive).mood = "away"
    with pytest.raises(Unavailable):
        receive(archive, data_set(1))
    assert archive.index.instance(instance(archive)) is None


@pytest.mark.parametrize("mood", ["away", "full"])
def test_landing_takes_over_and_the_instance_is_found_and_read(landing_archive: Archive, mood: str) -> None:
    moody(landing_archive).mood = mood
    sent = data_set(1)
    receipt = receive(landing_archive, sent)
    record = landing_archive.index.instance(receipt.ref)
    assert record is not None
    assert record.location.store == "landing@node1"
    assert stored_bytes(landing_archive, receipt.ref) == sent


def test_landing_past_its_quota_refuses(landing_archive: Archive) -> None:
    archive = landing_archive
    moody(archive).mood = "away"
    first = archive.index.instance(receive(archive, data_set(1)).ref)
    assert first is not None
    quota = first.size_bytes * 3 // 2
    archive.settings = replace(archive.settings, storage=replace(archive.settings.storage, landing_quota_bytes=quota))
    with pytest.raises(OutOfResources, match="quota"):
        receive(archive, data_set(2))
    assert archive.index.instance(instance(archive, 2)) is None


def test_acknowledge_landing_lands_first(tmp_path: Path) -> None:
    archive = open_test_archive(tmp_path, Settings(ingest=Ingest(acknowledge="landing")), landing=True)
    record = archive.index.instance(receive(archive, data_set(1)).ref)
    assert record is not None
    assert record.location.store == "landing@node1"
    archive.close()


def test_a_full_disk_refuses_before_anything_is_spooled(archive: Archive) -> None:
    archive.settings = replace(
        archive.settings, storage=replace(archive.settings.storage, free_space_reserve_bytes=1 << 62)
    )
    with pytest.raises(OutOfResources):
        begin(archive, b"")


def test_a_file_is_stored_byte_for_byte(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(part10(1))
    receipt = ingest_file(archive, path, site="default", origin=ORIGIN)
    record = archive.index.instance(receipt.ref)
    assert record is not None
    assert b"".join(archive.read(record)) == path.read_bytes()
    assert path.exists()


def test_sites_do_not_see_each_other(archive: Archive) -> None:
    receive(archive, data_set(1), site="north")
    receive(archive, data_set(1, PatientID="P2"), site="south")
    assert archive.index.conflicts() == []
    assert archive.index.instance_by_sop("east", f"{SERIES}.1") is None
