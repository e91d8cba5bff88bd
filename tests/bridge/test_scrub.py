"""Reading everything back, and recreating the index from the objects and decisions alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.archive import HOT, Archive
from bridge.delete import delete
from bridge.errors import ConfigError
from bridge.relocate import deliver_landing
from bridge.scrub import rebuild, verify
from bridge.settings import Ingest, Peer, Settings
from bridge.settle import dismiss, promote
from storage.index import migrate, open_index
from storage.objects.payload import Payload
from storage.records import ResourceRef
from tests.bridge.archives import ORIGIN, SERIES, STUDY, data_set, moody, open_test_archive, receive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path, landing=True)
    yield opened
    opened.close()


def instance(number: int) -> ResourceRef:
    return ResourceRef("default", STUDY, SERIES, f"{SERIES}.{number}")


def with_empty_index(archive: Archive, tmp_path: Path) -> Archive:
    """The same stores with a new index, as after the loss of the index's disk."""
    url = f"sqlite:///{tmp_path / 'again.sqlite'}"
    migrate(url)
    index = open_index(url, now=archive.now)
    return Archive(
        settings=archive.settings,
        index=index,
        registry=index,
        stores=archive.stores,
        spool_directory=archive.spool_directory,
        now=archive.now,
    )


def check_rebuild(archive: Archive, tmp_path: Path) -> Archive:
    """Rebuild, and compare the logical dumps."""
    again = with_empty_index(archive, tmp_path)
    result = rebuild(again)
    assert result.quarantined == []
    assert sorted(again.index.dump()) == sorted(archive.index.dump())
    return again


def test_a_rebuild_gives_the_same_archive(archive: Archive, tmp_path: Path) -> None:
    for number in range(1, 6):
        receive(archive, data_set(number))
    receive(archive, data_set(9, study="1.2.3", series="1.2.3.4", PatientName="Li^Si"))
    check_rebuild(archive, tmp_path).index.close()


def test_a_rebuild_knows_what_a_peers_entry_said_then(archive: Archive, tmp_path: Path) -> None:
    peer = Peer(name="ct-1", ae_title="CT01", issuer_of_patient_id="Klinik Süd", timezone="Europe/Berlin")
    receive(archive, data_set(1), peer=peer)  # the entry is gone by the time of the rebuild
    record = archive.index.instance(instance(1))
    assert record is not None
    assert record.attributes["IssuerOfPatientID"] == "Klinik Süd"
    assert record.attributes["TimezoneOffsetFromUTC"] == "+0100"
    check_rebuild(archive, tmp_path).index.close()


def test_a_data_set_that_says_it_itself_is_believed(archive: Archive, tmp_path: Path) -> None:
    peer = Peer(name="ct-1", ae_title="CT01", issuer_of_patient_id="OTHER", timezone="Europe/Berlin")
    receive(archive, data_set(1, IssuerOfPatientID="OWN", TimezoneOffsetFromUTC="+0800"), peer=peer)
    record = archive.index.instance(instance(1))
    assert record is not None
    assert (record.attributes["IssuerOfPatientID"], record.attributes["TimezoneOffsetFromUTC"]) == ("OWN", "+0800")
    check_rebuild(archive, tmp_path).index.close()


def test_a_rebuild_does_not_resurrect_what_was_deleted(archive: Archive, tmp_path: Path) -> None:
    receive(archive, data_set(1))
    receive(archive, data_set(2))
    delete(archive, instance(1), ORIGIN, override_retention=True)
    again = check_rebuild(archive, tmp_path)
    assert again.index.instance(instance(1)) is None
    assert again.index.was_removed(instance(1))
    again.index.close()


def test_what_was_sent_again_after_a_deletion_stays(archive: Archive, tmp_path: Path) -> None:
    receive(archive, data_set(1))
    delete(archive, instance(1), ORIGIN, override_retention=True)
    receive(archive, data_set(1))
    again = check_rebuild(archive, tmp_path)
    assert again.index.instance(instance(1)) is not None
    again.index.close()


@pytest.mark.parametrize("settle", [promote, dismiss, None])
def test_a_rebuild_keeps_conflicts_and_how_they_were_settled(archive: Archive, tmp_path: Path, settle: object) -> None:
    receive(archive, data_set(1))
    receive(archive, data_set(1, PatientID="P2"))
    if callable(settle):
        assert settle(archive, archive.index.conflicts()[0].conflict_id, ORIGIN)
    check_rebuild(archive, tmp_path).index.close()


def test_a_rebuild_keeps_replacements(archive: Archive, tmp_path: Path) -> None:
    archive.settings = replace(archive.settings, ingest=Ingest(duplicates="replace"))
    receive(archive, data_set(1))
    receive(archive, data_set(1, PatientID="P2"))
    check_rebuild(archive, tmp_path).index.close()


def test_a_rebuild_finds_landed_instances_and_landed_decisions(archive: Archive, tmp_path: Path) -> None:
    receive(archive, data_set(1))
    moody(archive).mood = "away"
    receive(archive, data_set(2))
    delete(archive, instance(1), ORIGIN, override_retention=True)
    again = check_rebuild(archive, tmp_path)
    assert again.index.instance(instance(2)) is not None
    again.index.close()


def test_a_rebuild_after_delivery_sees_one_instance(archive: Archive, tmp_path: Path) -> None:
    moody(archive).mood = "away"
    receive(archive, data_set(1))
    moody(archive).mood = "well"
    deliver_landing(archive, limit=10)
    again = with_empty_index(archive, tmp_path)
    assert rebuild(again).instances == 1
    again.index.close()


def test_damaged_bytes_are_listed_and_left_where_they_are(archive: Archive, tmp_path: Path) -> None:
    receive(archive, data_set(1))
    record = archive.index.instance(instance(1))
    assert record is not None
    _damage(archive, record.location.key)
    verified = verify(archive)
    assert (verified.instances, verified.intact) == (1, 0)
    assert record.location.key in verified.damaged[0]
    again = with_empty_index(archive, tmp_path)
    result = rebuild(again)
    assert (result.instances, len(result.quarantined)) == (0, 1)
    assert [info.key for info in archive.stores[HOT].list() if info.key.endswith(".dcm")] == [record.location.key]
    again.index.close()


def test_an_index_that_is_not_empty_is_not_rebuilt(archive: Archive) -> None:
    receive(archive, data_set(1))
    with pytest.raises(ConfigError, match="not empty"):
        rebuild(archive)


def test_settings_do_not_change_what_a_rebuild_sees(archive: Archive, tmp_path: Path) -> None:
    archive.settings = replace(archive.settings, ingest=Settings().ingest)
    receive(archive, data_set(1))
    check_rebuild(archive, tmp_path).index.close()


def _damage(archive: Archive, key: str) -> None:
    store = archive.stores[HOT]
    kept = b"".join(store.read(key))
    meta = store.meta(key)
    store.delete(key)
    changed = kept[:-1] + bytes([kept[-1] ^ 1])
    payload = Payload(header=b"", body=changed, path=None, size_bytes=len(changed), sha256="", data_set_sha256="")
    store.put(key, payload, meta=meta)
