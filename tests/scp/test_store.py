"""C-STORE over real sockets, with our own peer, DCMTK and pynetdicom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from bridge.errors import OutOfResources
from bridge.ingest import Receipt
from bridge.part10 import read_preamble
from scp.operation import Intake, Sink
from scp.server import INGEST
from storage.errors import StorageFull
from storage.records import ResourceRef
from tests.bridge.archives import SERIES, STUDY, data_set, moody
from tests.conftest import Dcmtk
from tests.scp.running import RunningDoor, SlowIntake, running_door, settings, wait_for
from tests.scp.wire import (
    COMMAND,
    CT,
    DATA,
    ECHO_CONTEXT,
    EXPLICIT,
    LAST,
    P_DATA,
    STORE_CONTEXT,
    WITH_DATA_SET,
    Peer,
    message,
    pdu,
    request,
    store,
    value,
)  # fmt: skip

SOP = f"{SERIES}.1"


@pytest.fixture
def peer(door: RunningDoor) -> Iterator[Peer]:
    """An associated peer: context 1 for echo, 3 for CT."""
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, STORE_CONTEXT)
        yield peer


def stored_bytes(door: RunningDoor, sop: str = SOP) -> bytes:
    record = door.archive.index.instance(ResourceRef("default", STUDY, SERIES, sop))
    assert record is not None
    return b"".join(door.archive.read(record))


def test_the_data_set_is_kept_as_it_came_behind_a_rebuilt_file_meta(door: RunningDoor, peer: Peer) -> None:
    assert peer.store(SOP, data_set()) == 0x0000
    peer.release()
    kept = stored_bytes(door)
    meta = read_preamble(kept)
    assert kept[meta.data_set_offset :] == data_set()
    assert meta.transfer_syntax_uid == EXPLICIT
    assert meta.media_storage_sop_class_uid == CT
    assert meta.media_storage_sop_instance_uid == SOP


def test_the_calling_ae_title_is_in_the_file_meta(door: RunningDoor, peer: Peer, tmp_path: Path) -> None:
    assert peer.store(SOP, data_set()) == 0x0000
    path = tmp_path / "kept.dcm"
    path.write_bytes(stored_bytes(door))
    assert dcmread(path).file_meta.SourceApplicationEntityTitle == "SENDER"


def test_the_response_names_what_it_answers(peer: Peer) -> None:
    peer.send(message(3, COMMAND, store(SOP, 77)) + message(3, DATA, data_set()))
    response = peer.response()
    assert response[0x0100] == b"\x01\x80"
    assert response[0x0120] == bytes((77, 0))
    assert response[0x0800] == b"\x01\x01"
    assert response[0x1000].rstrip(b"\0").decode() == SOP
    assert response[0x0002].rstrip(b"\0").decode() == CT


def test_success_is_sent_only_after_commit(tmp_path: Path) -> None:
    slow = SlowIntake()
    with running_door(tmp_path, intake=slow.intake()) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        peer.send(message(3, COMMAND, store(SOP)) + message(3, DATA, data_set()))
        assert slow.has_begun.wait(10)
        peer.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.read()
        peer.socket.settimeout(10)
        slow.may_finish.set()
        assert peer.status() == 0x0000
        assert door.count() == 1


def test_the_same_again_is_success(door: RunningDoor, peer: Peer) -> None:
    assert [peer.store(SOP, data_set()) for _ in range(2)] == [0, 0]
    assert door.count() == 1


def test_another_data_set_of_a_known_uid_is_never_a_silent_success(peer: Peer) -> None:
    assert peer.store(SOP, data_set()) == 0x0000
    peer.send(message(3, COMMAND, store(SOP)) + message(3, DATA, data_set(PatientID="P2")))
    response = peer.response()
    assert response[0x0900] == b"\x00\xb0"
    assert b"conflict" in response[0x0902]


def test_a_data_set_that_is_none_cannot_be_understood(peer: Peer) -> None:
    assert peer.store(SOP, b"this is no data set, but it is long enough to look like one") == 0xC000
    assert peer.store(SOP, b"") == 0xC000
    assert peer.echo() == 0x0000


def test_a_missing_uid_is_named_as_offending_element(peer: Peer) -> None:
    peer.send(message(3, COMMAND, store(SOP)) + message(3, DATA, data_set(StudyInstanceUID="")))
    response = peer.response()
    assert response[0x0900] == b"\x00\xc0"
    assert response[0x0901] == b"\x20\x00\x0d\x00"
    assert 0 < len(response[0x0902]) <= 64


def test_a_data_set_that_is_not_the_commands_is_refused(door: RunningDoor, peer: Peer) -> None:
    assert peer.store("1.2.3.4", data_set()) == 0xA900
    assert peer.store(SOP, data_set(SOPClassUID="1.2.840.10008.5.1.4.1.1.4")) == 0xA900
    assert door.count() == 0


def test_a_class_that_is_not_the_contexts_is_refused(peer: Peer) -> None:
    mr = "1.2.840.10008.5.1.4.1.1.4"
    peer.send(message(3, COMMAND, store(SOP, sop_class=mr)) + message(3, DATA, data_set(SOPClassUID=mr)))
    assert peer.status() == 0xA900
    assert peer.echo() == 0x0000


def test_storing_on_the_verification_context_is_refused(peer: Peer) -> None:
    assert peer.store(SOP, data_set(), context_id=1) == 0x0122


def test_a_store_without_data_set_cannot_be_understood(peer: Peer) -> None:
    peer.send(message(3, COMMAND, request(0x0001, sop_class=CT, sop=SOP)))
    assert peer.status() == 0xC000


def test_an_object_beyond_the_limit_is_out_of_resources_and_the_next_one_is_taken(tmp_path: Path) -> None:
    limit = len(data_set())
    with running_door(tmp_path, settings(object_limit_bytes=limit)) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        assert peer.store(SOP, data_set(PatientComments="x" * 100), fragment_bytes=64) == 0xA700
        assert peer.store(SOP, data_set()) == 0x0000


def test_a_refused_object_that_does_not_end_is_aborted(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(object_limit_bytes=1000)) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        peer.send(message(3, COMMAND, store(SOP)))
        peer.send(pdu(P_DATA, value(3, DATA, bytes(1100))) + pdu(P_DATA, value(3, DATA, bytes(1100))))
        peer.expect_abort(0, 0)
        assert list(door.archive.spool_directory.iterdir()) == []


@pytest.mark.parametrize("mood", ["away", "full"])
def test_a_store_that_cannot_take_it_is_out_of_resources_and_echo_still_works(
    door: RunningDoor, peer: Peer, mood: str
) -> None:
    moody(door.archive).mood = mood
    assert peer.store(SOP, data_set()) == 0xA700
    assert peer.echo() == 0x0000
    moody(door.archive).mood = "well"
    assert peer.store(SOP, data_set()) == 0x0000


@pytest.mark.parametrize("fragment_bytes", [1, 2, 7, 4090])
def test_fragments_of_any_size_make_the_same_object(door: RunningDoor, peer: Peer, fragment_bytes: int) -> None:
    assert peer.store(SOP, data_set(), fragment_bytes=fragment_bytes) == 0x0000
    assert stored_bytes(door).endswith(data_set())


def test_many_values_in_one_pdu_and_an_empty_last_one(door: RunningDoor, peer: Peer) -> None:
    whole = message(3, COMMAND, store(SOP), fragment_bytes=5, values_per_pdu=50)
    whole += message(3, DATA, data_set(), fragment_bytes=100, values_per_pdu=3).replace(
        value(3, DATA | LAST, data_set()[-(len(data_set()) % 100) :]),
        value(3, DATA, data_set()[-(len(data_set()) % 100) :]),
    )
    peer.send(whole + pdu(P_DATA, value(3, DATA | LAST, b"")))
    assert peer.status() == 0x0000
    assert stored_bytes(door).endswith(data_set())


def test_operations_sent_at_once_run_one_after_the_other(door: RunningDoor, peer: Peer) -> None:
    peer.send(
        b"".join(
            message(3, COMMAND, store(f"{SERIES}.{number}", number)) + message(3, DATA, data_set(number))
            for number in range(1, 6)
        )
    )
    answered = [(response[0x0120][0], response[0x0900]) for response in (peer.response() for _ in range(5))]
    assert answered == [(number, b"\0\0") for number in range(1, 6)]
    assert door.count() == 5


def test_a_large_object_goes_through_a_file_that_is_gone_afterwards(door: RunningDoor, peer: Peer) -> None:
    large = data_set(PixelData=bytes(3 << 20), Rows=1024, Columns=1536)
    assert peer.store(SOP, large, fragment_bytes=65536) == 0x0000
    assert stored_bytes(door).endswith(large)
    assert list(door.archive.spool_directory.iterdir()) == []


@pytest.mark.parametrize("end", ["abort", "reset", "close", "release"])
def test_an_association_that_ends_in_mid_store_leaves_nothing(door: RunningDoor, peer: Peer, end: str) -> None:
    spool = door.archive.spool_directory
    peer.send(message(3, COMMAND, store(SOP)))
    for _ in range(40):
        peer.send(pdu(P_DATA, value(3, DATA, bytes(65536))))
    wait_for(lambda: any(spool.iterdir()), "the object reaches a file")
    if end == "abort":
        peer.send(pdu(7, bytes(4)))
    elif end == "release":
        peer.release()
    elif end == "reset":
        peer.socket.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SO_LINGER of 0 s: close sends RST
    peer.socket.close()
    wait_for(lambda: not any(spool.iterdir()), "the file is gone")
    assert door.count() == 0


def test_dcmtk_stores_real_images(door: RunningDoor, dcmtk: Dcmtk, shared_data: Path) -> None:
    files = sorted((shared_data / "ct-head-phantom").glob("I1*.dcm"))
    done = dcmtk.run("storescu", "127.0.0.1", str(door.port), *files)
    assert (done.returncode, "E:" in done.stderr) == (0, False), done.stderr
    assert door.count() == len({dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files})


def test_dcmtk_proposes_every_compressed_syntax_and_each_is_kept_as_it_is(
    door: RunningDoor, dcmtk: Dcmtk, shared_data: Path
) -> None:
    folder = shared_data / "variety"
    sent = {
        "pydicom-pydicom__test_files__MR_small_jpeg_ls_lossless.dcm": "-xt",
        "pydicom-pydicom__test_files__JPEG2000.dcm": "-xw",
    }
    for name, option in sent.items():
        done = dcmtk.run("storescu", "-R", option, "127.0.0.1", str(door.port), folder / name)
        assert done.returncode == 0, done.stderr
    for name in sent:
        original = dcmread(folder / name, stop_before_pixels=True)
        record = door.archive.index.instance_by_sop("default", original.SOPInstanceUID)
        assert record is not None
        assert record.transfer_syntax_uid == original.file_meta.TransferSyntaxUID


def test_pynetdicom_stores_and_reads_the_comment(door: RunningDoor, shared_data: Path) -> None:
    ae = AE("PYNETDICOM")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = ae.associate(*door.address)
    assert association.is_established
    image = dcmread(shared_data / "ct-head-phantom" / "I10.dcm")
    assert association.send_c_store(image).Status == 0x0000
    image.SeriesInstanceUID = ""
    status = association.send_c_store(image)
    assert status.Status == 0xC000
    assert "Series" in status.ErrorComment
    association.release()


@pytest.mark.parametrize("verb", ["begin", "ingest"])
def test_an_error_nobody_foresaw_is_answered_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    def broken(*_: object) -> Receipt:
        raise RuntimeError("a mistake of ours")

    verbs = {"begin": INGEST.begin, "ingest": INGEST.ingest, verb: broken}
    with running_door(tmp_path, intake=Intake(**verbs)) as door, Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, STORE_CONTEXT)
        assert peer.store(SOP, data_set()) == 0x0110
        assert peer.echo() == 0x0000
    assert "a mistake of ours" in caplog.text


def test_a_full_disk_is_out_of_resources_and_the_data_set_is_read_to_its_end(tmp_path: Path) -> None:
    def full(*_: object) -> Sink:
        raise OutOfResources("the local disk is down to its free-space reserve")

    with running_door(tmp_path, intake=Intake(begin=full, ingest=INGEST.ingest)) as door, Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, STORE_CONTEXT)
        assert peer.store(SOP, data_set(), fragment_bytes=50) == 0xA700
        assert peer.echo() == 0x0000


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    class Filling:
        discarded = 0

        def write(self, chunk: memoryview) -> None:
            raise StorageFull("no space left on device")

        def discard(self) -> None:
            Filling.discarded += 1

    begin = Intake(begin=lambda *_: Filling(), ingest=INGEST.ingest)
    with running_door(tmp_path, intake=begin) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        assert peer.store(SOP, data_set(), fragment_bytes=50) == 0xA700
        assert Filling.discarded == 1


def test_what_a_peer_delivered_is_noted_once_an_association(door: RunningDoor, peer: Peer) -> None:
    for number in (1, 2):
        assert peer.store(f"{SERIES}.{number}", data_set(number)) == 0x0000
    peer.release()
    wait_for(lambda: bool(door.archive.registry.traffic()), "the traffic is noted")
    (traffic,) = door.archive.registry.traffic()
    assert (traffic.ae_title, traffic.instances) == ("SENDER", 2)
    assert traffic.size_bytes == len(data_set(1)) + len(data_set(2))


def test_a_request_that_is_not_understood_is_answered_on_its_own(peer: Peer) -> None:
    peer.send(message(3, COMMAND, request(0x0777, data_set=WITH_DATA_SET, sop_class=CT)) + message(3, DATA, b"query"))
    assert peer.status() == 0x0211
