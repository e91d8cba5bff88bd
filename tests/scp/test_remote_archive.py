"""Pulling from a DICOM archive: against our own door, and what is offered to peers that tell little (PS3.4 §C.4.3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, MRImageStorage, RLELossless

from bridge.archive import Archive
from bridge.arrival import ingest_file
from bridge.errors import ConfigError, NotFound
from bridge.pulling.remote import Barred, Refused, RemoteInstance, RemoteSeries, Unreachable
from bridge.pulling.running import Options
from bridge.pulling.selection import Selection
from bridge.settings import Ingest, Peer, Settings
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, STORABLE
from scp.contexts import STORAGE_CLASSES
from scp.proposal import CONTEXTS_LIMIT
from scp.pull import opened
from scp.remote_archive import STUDY_ROOT_GET, STUDY_ROOT_MOVE, RemoteArchive, offers, titled
from scp.scu import remote_of
from scp.usual_classes import usual_classes
from storage.records import ResourceRef
from tests.bridge.archives import ORIGIN, SERIES, STUDY, data_set, open_test_archive, part10, receive
from tests.bridge.pulling.heard import Heard
from tests.scp.running import RunningDoor, running_door, settings
from tests.servers.process import free_port

ALL = ("echo", "store", "find", "get", "move")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    (tmp_path / "ours").mkdir()
    ours = open_test_archive(tmp_path / "ours")
    yield ours
    ours.close()


@contextmanager
def old_door(folder: Path, *services: str) -> Iterator[RunningDoor]:
    """A door with three instances that lets BRIDGE do this much."""
    peers = (Peer(name="new", ae_title="BRIDGE", services=services or ALL),)
    with running_door(folder / "old", settings(peers=peers)) as door:
        for number in (1, 2, 3):
            receive(door.archive, data_set(number))
        yield door


def remote(archive: Archive, port: int, by: str = "auto") -> RemoteArchive:
    """The archive behind a port."""
    peer = Peer(name="old", ae_title="OLD", host="127.0.0.1", port=port)
    where = remote_of(peer)
    assert where is not None
    return RemoteArchive(archive, peer, where, site="default", by=by, destination="BRIDGE")


def series(*classes: str, modality: str = "CT") -> RemoteSeries:
    """A series of one instance of each class."""
    instances = tuple(
        RemoteInstance(sop_instance_uid=f"{SERIES}.{number}", sop_class_uid=uid)
        for number, uid in enumerate(classes, start=1)
    )
    return RemoteSeries(study_instance_uid=STUDY, series_instance_uid=SERIES, modality=modality, instances=instances)


def test_a_study_is_described_and_fetched(tmp_path: Path, archive: Archive) -> None:
    heard = Heard()
    with old_door(tmp_path) as door:
        source = remote(archive, door.port)
        (study,) = source.studies(Selection(patient="P1", modalities=("CT",)), None)
        (found,) = source.series(study)
        source.fetch(found, heard, singly=False)
        assert (study.study_date, study.instances, study.modalities) == ("20260305", 3, ("CT",))
        assert found == replace(series(*[CTImageStorage] * 3), modality="CT")
        assert (heard.here, heard.reasons) == (3, {})
    records = archive.index.instances(ResourceRef("default", STUDY))
    assert [b"".join(archive.read(one, one.data_set_offset)) for one in records] == [data_set(n) for n in (1, 2, 3)]
    assert {one.origin_name for one in records} == {"OLD"}


@pytest.mark.parametrize("singly", [True, False])
def test_a_part_of_a_series_is_fetched_by_its_uids(tmp_path: Path, archive: Archive, singly: bool) -> None:
    part = series(CTImageStorage, CTImageStorage)
    with old_door(tmp_path) as door:
        remote(archive, door.port).fetch(replace(part, is_whole=False), Heard(), singly=singly)
    assert archive.index.tally().instances == 2


def test_a_compressed_object_comes_as_it_is_stored(tmp_path: Path, archive: Archive) -> None:
    compressed = dcmread(BytesIO(part10(4)))
    compressed.compress(RLELossless, generate_instance_uid=False)
    file = tmp_path / "4.dcm"
    compressed.save_as(file)
    part = replace(series(CTImageStorage), instances=(RemoteInstance(sop_instance_uid=f"{SERIES}.4"),))
    with old_door(tmp_path) as door:
        ingest_file(door.archive, file, site="default", origin=ORIGIN)
        remote(archive, door.port).fetch(replace(part, is_whole=False), Heard(), singly=False)
    (record,) = archive.index.instances(ResourceRef("default", STUDY))
    assert record.transfer_syntax_uid == RLELossless
    assert file.read_bytes().endswith(b"".join(archive.read(record, record.data_set_offset)))


def test_other_modalities_are_left_out(tmp_path: Path, archive: Archive) -> None:
    with old_door(tmp_path) as door:
        assert remote(archive, door.port).studies(Selection(patient="P1", modalities=("MR", "US")), None) == []


def test_a_peer_without_the_service_is_said(tmp_path: Path, archive: Archive) -> None:
    with old_door(tmp_path, "echo") as door:
        source = remote(archive, door.port, by="get")
        with pytest.raises(Barred, match="offers no such service to BRIDGE"):
            source.studies(Selection(study=STUDY), None)
        with pytest.raises(Barred, match="offers no such service"):
            source.fetch(series(CTImageStorage), Heard(), singly=False)


def test_an_unknown_destination_is_believed_of_one_instance_only(tmp_path: Path, archive: Archive) -> None:
    with old_door(tmp_path, "find", "move") as door:
        source = remote(archive, door.port)  # no C-GET there: C-MOVE, and the peer has no port for us
        with pytest.raises(Refused, match="does not know the destination"):
            source.fetch(series(CTImageStorage), Heard(), singly=False)
        with pytest.raises(Barred, match="does not know the destination"):
            source.fetch(series(CTImageStorage), Heard(), singly=True)


def test_nobody_listens_may_change(archive: Archive) -> None:
    with pytest.raises(Unreachable, match="nobody listens"):
        remote(archive, free_port()).studies(Selection(study=STUDY), None)


def test_a_stranger_is_barred(tmp_path: Path, archive: Archive) -> None:
    peers = (Peer(name="other", ae_title="OTHER", services=ALL),)
    with (
        running_door(tmp_path / "old", settings(peers=peers)) as door,
        pytest.raises(Barred, match="does not know our"),
    ):
        remote(archive, door.port).studies(Selection(study=STUDY), None)


def test_what_cannot_be_kept_is_named_and_the_others_come(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    archive = open_test_archive(tmp_path / "ours", Settings(ingest=Ingest(duplicates="reject")))
    heard = Heard()
    receive(archive, data_set(2, InstanceNumber=99))
    with old_door(tmp_path) as door:
        remote(archive, door.port).fetch(series(*[CTImageStorage] * 3), heard, singly=False)
    assert heard.here == 2
    assert heard.reasons == {f"{SERIES}.2": "another data set is archived under this SOP Instance UID"}
    archive.close()


def test_our_own_store_that_is_away_is_tried_again(tmp_path: Path, archive: Archive) -> None:
    archive.stores["hot"].mood = "away"  # type: ignore[attr-defined]
    with old_door(tmp_path) as door, pytest.raises(Unreachable, match="our own archive cannot take it"):
        remote(archive, door.port).fetch(series(CTImageStorage), Heard(), singly=False)


def offered(part: RemoteSeries) -> list[tuple[str, tuple[str, ...]]]:
    """Storage contexts that would be proposed."""
    found = offers(part, [STUDY_ROOT_GET, STUDY_ROOT_MOVE])
    assert [one.abstract_syntax for one in found[:2]] == [STUDY_ROOT_GET, STUDY_ROOT_MOVE]
    assert len(found) <= CONTEXTS_LIMIT
    return [(one.abstract_syntax, one.transfer_syntaxes) for one in found[2:]]


def test_each_syntax_of_the_named_classes_has_a_context() -> None:
    found = offered(series(CTImageStorage, MRImageStorage))
    assert found[:2] == [(CTImageStorage, (EXPLICIT_VR_LITTLE_ENDIAN,)), (MRImageStorage, (EXPLICIT_VR_LITTLE_ENDIAN,))]
    assert {syntax for _, (syntax,) in found} == set(STORABLE)


def test_classes_that_are_not_told_are_those_of_the_modality() -> None:
    found = offered(series("", modality="MR"))
    assert {uid for uid, _ in found} == set(usual_classes("MR"))
    assert found[0] == (MRImageStorage, (EXPLICIT_VR_LITTLE_ENDIAN,))


def test_without_a_modality_every_class_has_one_context_that_no_peer_chokes_on() -> None:
    found = offered(series("", modality=""))
    assert all(syntaxes[:2] == (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN) for _, syntaxes in found)
    assert max(len(syntaxes) for _, syntaxes in found) <= 50


def test_usual_classes_are_storage_classes() -> None:
    for modality in ("CT", "MR", "US", "SR", "PR", "MG", "RTDOSE"):
        assert set(usual_classes(modality)) <= set(STORAGE_CLASSES)


def options(name: str, destination: str = "") -> Options:
    """As typed."""
    return Options(
        name=name, site="", by="auto", destination=destination, is_dry=False, is_thorough=False, parallel=1, config=None
    )


def test_whom_nobody_knows_and_where_nobody_listens(tmp_path: Path) -> None:
    peers = (
        Peer(name="mute", ae_title="MUTE", site="west"),
        Peer(name="old", ae_title="OLD", host="h", port=1, site="west"),
    )
    archive = open_test_archive(tmp_path, replace(settings(peers=peers, check_called_ae_title=True)))
    with pytest.raises(NotFound, match="no peer named 'nobody'"):
        opened(archive, options("nobody"))
    with pytest.raises(ConfigError, match="peers set mute host="):
        opened(archive, options("mute"))
    assert opened(archive, options("old")).site == "west"
    assert titled(archive, "") == "BRIDGE"
    with pytest.raises(ConfigError, match="no AE title of ours"):
        titled(archive, "OTHER")
    archive.close()
