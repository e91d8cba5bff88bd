"""C-GET and C-MOVE: what is sent, in which syntax, and the account of it (PS3.4 §C.4.2, §C.4.3; DICOM.md E11-E14)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge import identifiers
from bridge.ingest import Delivery, begin, ingest
from bridge.part10 import build_header
from bridge.settings import Dimse
from bridge.settings import Peer as KnownPeer
from scp.command import Command, Element, Status
from scp.outgoing import Outcome
from scp.proposal import Accepted
from scp.scu import Offer, Outgoing, Remote, open_association
from storage.records import ResourceRef
from tests.bridge.archives import ORIGIN, SERIES, STUDY, data_set, moody, receive
from tests.conftest import Dcmtk
from tests.scp.asking import C_GET, GET, MOVE, PATIENT_ROOT, STUDY_ROOT
from tests.scp.destinations import storescp
from tests.scp.running import RunningDoor, running_door, settings, wait_for
from tests.scp.wire import (
    COMMAND,
    CT,
    DATA,
    EXPLICIT,
    IMPLICIT,
    MAXIMUM_LENGTH,
    WITH_DATA_SET,
    Peer,
    item,
    message,
    request,
)
from tests.servers.process import free_port

DIMSE = Dimse(connect_timeout_s=5.0, response_timeout_s=10.0, artim_timeout_s=5.0)
MR_SERIES, OTHER, OTHER_SERIES = f"{STUDY}.2", "1.2.826.0.1.3680043.10.2", "1.2.826.0.1.3680043.10.2.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
JPEG_LS, JPEG_2000, DEFLATED = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1.99"
SUCCESS = Status(code=0x0000)


@dataclass
class Inbox:
    """What a requestor got."""

    answers: list[Status] = field(default_factory=list)  # what to answer, in order; Success when there is none left
    commands: list[Command] = field(default_factory=list)
    syntaxes: list[str] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)

    def begin(self, command: Command, context: Accepted) -> Inbox:
        self.commands.append(command)
        self.syntaxes.append(context.transfer_syntax)
        self.data.append(b"")
        return self

    def write(self, chunk: memoryview) -> None:
        self.data[-1] += chunk

    def complete(self) -> Status:
        return self.answers.pop(0) if self.answers else SUCCESS

    def abandon(self) -> None: ...

    def uids(self) -> list[str]:
        """SOP Instance UIDs in the order they came."""
        return [command.uid(Element.AFFECTED_SOP_INSTANCE_UID) for command in self.commands]


def identifier(level: str, **uids: str | list[str]) -> dict[str, Any]:
    """A retrieval's identifier."""
    tags = {
        "patient": ("00100020", "LO"),
        "study": ("0020000D", "UI"),
        "series": ("0020000E", "UI"),
        "sop": ("00080018", "UI"),
    }
    made: dict[str, Any] = {"00080052": {"vr": "CS", "Value": [level]}}
    for name, value in uids.items():
        tag, vr = tags[name]
        made[tag] = {"vr": vr, "Value": value if isinstance(value, list) else [value]}
    return made


def counts(outcome: Outcome) -> tuple[int, int, int]:
    """Completed, failed, warning."""
    return (
        outcome.number(Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS),
        outcome.number(Element.NUMBER_OF_FAILED_SUB_OPERATIONS),
        outcome.number(Element.NUMBER_OF_WARNING_SUB_OPERATIONS),
    )


def failed(outcome: Outcome) -> list[str]:
    """The Failed SOP Instance UID List of a final response in implicit VR."""
    return outcome.data_set[8:].decode().rstrip("\0").split("\\") if outcome.data_set else []


@contextmanager
def open_get(door: RunningDoor, *storage: Offer, root: str = STUDY_ROOT, dimse: Dimse = DIMSE) -> Iterator[Outgoing]:
    """An association for C-GET; CT in explicit VR unless other contexts are named."""
    offers = (Offer(root + GET, (IMPLICIT,)), *(storage or (Offer(CT, (EXPLICIT,), as_scp=True),)))
    with open_association(
        Remote("BRIDGE", "127.0.0.1", door.port), offers, calling_ae_title="WS", dimse=dimse
    ) as association:
        yield association


def get(
    door: RunningDoor, wanted: dict[str, Any], *storage: Offer, root: str = STUDY_ROOT, inbox: Inbox | None = None
) -> tuple[list[Outcome], Inbox]:
    """A whole C-GET."""
    inbox = inbox or Inbox()
    with open_get(door, *storage, root=root) as association:
        return list(association.get(root + GET, wanted, inbox.begin)), inbox


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    """A CT series of three and an MR of one in a study, another study with one CT."""
    with running_door(tmp_path_factory.mktemp("door")) as opened:
        fill(opened)
        yield opened


def fill(door: RunningDoor) -> None:
    """What the tests retrieve."""
    for number in (1, 2, 3):
        receive(door.archive, data_set(number))
    receive(door.archive, data_set(1, series=MR_SERIES, Modality="MR", SOPClassUID=MR))
    receive(door.archive, data_set(1, study=OTHER, series=OTHER_SERIES, PatientID="P2"))


def put(door: RunningDoor, data: bytes, syntax: str) -> None:
    """An instance in a transfer syntax of its own."""
    spool = begin(door.archive, build_header(sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax_uid=syntax))
    spool.write(data)
    ingest(door.archive, spool, Delivery(transfer_syntax_uid=syntax, site="default", origin=ORIGIN))


def compressed(number: int, syntax: str) -> bytes:
    """A CT with one frame of JPEG-LS or JPEG 2000."""
    import imagecodecs
    import numpy as np
    from pydicom.encaps import encapsulate
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    from tests.scp.asking import decoded

    image = np.frombuffer(bytes(range(32)), "<u2").reshape(4, 4)
    encode = imagecodecs.jpegls_encode if syntax == JPEG_LS else imagecodecs.jpeg2k_encode
    options = {} if syntax == JPEG_LS else {"codecformat": "j2k", "reversible": True, "level": 0}
    item = decoded(data_set(number), EXPLICIT)
    item.PixelData = encapsulate([encode(image, **options)])
    item["PixelData"].VR = "OB"
    item["PixelData"].is_undefined_length = True
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = False, True
    write_dataset(file, item)
    return file.getvalue()


@pytest.mark.parametrize(
    ("wanted", "uids"),
    [
        pytest.param(identifier("IMAGE", study=STUDY, series=SERIES, sop=f"{SERIES}.2"), [f"{SERIES}.2"], id="image"),
        pytest.param(
            identifier("IMAGE", study=STUDY, series=SERIES, sop=[f"{SERIES}.3", f"{SERIES}.1", "1.2.3"]),
            [f"{SERIES}.1", f"{SERIES}.3"],
            id="list-of-images",
        ),
        pytest.param(
            identifier("SERIES", study=STUDY, series=SERIES),
            [f"{SERIES}.{number}" for number in (1, 2, 3)],
            id="series",
        ),
        pytest.param(
            identifier("STUDY", study=[STUDY, OTHER]),
            [f"{OTHER_SERIES}.1", *(f"{SERIES}.{number}" for number in (1, 2, 3)), f"{MR_SERIES}.1"],
            id="list-of-studies",
        ),
        pytest.param(identifier("STUDY", study="1.2.3.4"), [], id="nothing"),
    ],
)
def test_e13_what_is_named_comes_and_every_one_is_counted(
    door: RunningDoor, wanted: dict[str, Any], uids: list[str]
) -> None:
    both = (Offer(CT, (EXPLICIT,), as_scp=True), Offer(MR, (EXPLICIT,), as_scp=True))
    outcomes, inbox = get(door, wanted, *both)
    assert sorted(inbox.uids()) == sorted(uids)
    assert [outcome.status.code for outcome in outcomes] == [0xFF00] * (len(uids) - 1) + [0x0000]
    remaining = [outcome.number(Element.NUMBER_OF_REMAINING_SUB_OPERATIONS) for outcome in outcomes]
    assert remaining == [*range(len(uids) - 1, 0, -1), 0]
    assert [counts(outcome)[0] for outcome in outcomes] == (list(range(1, len(uids) + 1)) or [0])
    assert Element.NUMBER_OF_REMAINING_SUB_OPERATIONS not in outcomes[-1].command.elements


def test_the_bytes_are_those_that_were_stored(door: RunningDoor) -> None:
    _, inbox = get(door, identifier("IMAGE", study=STUDY, series=SERIES, sop=f"{SERIES}.1"))
    assert inbox.data == [data_set(1)]
    assert inbox.commands[0].uid(Element.AFFECTED_SOP_CLASS_UID) == CT


def test_the_patient_root_needs_the_patient(door: RunningDoor) -> None:
    outcomes, inbox = get(door, identifier("PATIENT", patient="P2"), root=PATIENT_ROOT)
    assert (inbox.uids(), outcomes[-1].status.code) == ([f"{OTHER_SERIES}.1"], 0x0000)
    outcomes, inbox = get(door, identifier("STUDY", patient="P1", study=OTHER), root=PATIENT_ROOT)
    assert (inbox.uids(), outcomes[-1].status.code) == ([], 0x0000)


def test_e13_what_has_no_context_fails_and_the_others_go_on(door: RunningDoor) -> None:
    outcomes, inbox = get(door, identifier("STUDY", study=STUDY))
    assert len(inbox.uids()) == 3
    assert (outcomes[-1].status.code, counts(outcomes[-1])) == (0xB000, (3, 1, 0))
    assert failed(outcomes[-1]) == [f"{MR_SERIES}.1"]


def test_e11_all_failed_is_unable_to_perform(door: RunningDoor) -> None:
    outcomes, _ = get(door, identifier("SERIES", study=STUDY, series=MR_SERIES))
    assert (outcomes[-1].status.code, counts(outcomes[-1])) == (0xA702, (0, 1, 0))


@pytest.mark.parametrize(
    ("answers", "code", "account"),
    [
        ([0xB000, 0x0000, 0x0000], 0xB000, (2, 0, 1)),
        ([0xB007, 0x0107, 0xB006], 0xB000, (0, 0, 3)),
        ([0xA700, 0x0000, 0xC000], 0xB000, (1, 2, 0)),
        ([0xA700, 0x0122, 0xC000], 0xA702, (0, 3, 0)),
    ],
)
def test_e11_what_the_receiver_says_is_accounted_for(
    door: RunningDoor, answers: Sequence[int], code: int, account: tuple[int, int, int]
) -> None:
    inbox = Inbox([Status(code=answer) for answer in answers])
    outcomes, _ = get(door, identifier("SERIES", study=STUDY, series=SERIES), inbox=inbox)
    assert (outcomes[-1].status.code, counts(outcomes[-1])) == (code, account)
    assert len(failed(outcomes[-1])) == account[1]


def test_e13_a_cancel_in_the_middle(door: RunningDoor) -> None:
    inbox = Inbox()
    with open_get(door) as association:
        wanted = identifier("SERIES", study=STUDY, series=SERIES)
        begin_one = inbox.begin

        def begin(command: Command, context: Accepted) -> Inbox:
            association.cancel()
            return begin_one(command, context)

        outcomes = list(association.get(STUDY_ROOT + GET, wanted, begin))
        assert outcomes[-1].status.code == 0xFE00
        assert outcomes[-1].number(Element.NUMBER_OF_REMAINING_SUB_OPERATIONS) == 2
        assert counts(outcomes[-1]) == (1, 0, 0)
        after = list(association.get(STUDY_ROOT + GET, wanted, inbox.begin))
        assert after[-1].status.code == 0x0000


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(identifier("STUDY"), id="no-unique-key"),
        pytest.param(identifier("SERIES", series=SERIES), id="no-study"),
        pytest.param(identifier("IMAGE", study=STUDY, series=[SERIES, MR_SERIES], sop="1.2"), id="two-series-above"),
        pytest.param(identifier("STUDY", study="1.2.*"), id="wildcard"),
        pytest.param(identifier("STUDY", study=STUDY, series=SERIES), id="key-of-a-lower-level"),
        pytest.param(identifier("STUDY", study=STUDY, patient="P1"), id="no-unique-key-of-this-root"),
        pytest.param({"0020000D": {"vr": "UI", "Value": [STUDY]}}, id="no-level"),
    ],
)
def test_e12_an_identifier_that_is_not_one_is_refused(door: RunningDoor, wanted: dict[str, Any]) -> None:
    outcomes, inbox = get(door, wanted)
    assert ([outcome.status.code for outcome in outcomes], inbox.uids()) == ([0xA900], [])


def test_e14_what_the_receiver_cannot_take_compressed_is_decompressed_and_not_otherwise(tmp_path: Path) -> None:
    with running_door(tmp_path) as door:
        put(door, compressed(1, JPEG_LS), JPEG_LS)
        put(door, compressed(2, JPEG_2000), JPEG_2000)
        wanted = identifier("SERIES", study=STUDY, series=SERIES)
        as_stored = (Offer(CT, (JPEG_LS,), as_scp=True), Offer(CT, (JPEG_2000,), as_scp=True))
        _, inbox = get(door, wanted, Offer(CT, (EXPLICIT,), as_scp=True), *as_stored)
        assert inbox.syntaxes == [JPEG_LS, JPEG_2000]
        assert inbox.data[0] == compressed(1, JPEG_LS)
        for plain in (EXPLICIT, IMPLICIT):
            outcomes, inbox = get(door, wanted, Offer(CT, (plain,), as_scp=True))
            assert (outcomes[-1].status.code, inbox.syntaxes) == (0x0000, [plain, plain])
            assert all(data.endswith(bytes(range(32))) for data in inbox.data)
        outcomes, inbox = get(door, wanted, as_stored[0])
        assert (counts(outcomes[-1]), failed(outcomes[-1])) == ((1, 1, 0), [f"{SERIES}.2"])


def test_an_object_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    with running_door(tmp_path) as door:
        fill(door)
        (record, *_) = door.archive.index.instances(ResourceRef("default", STUDY, SERIES))
        moody(door.archive).delete(record.location.key, version_id=record.location.version_id)
        outcomes, _ = get(door, identifier("SERIES", study=STUDY, series=SERIES))
        assert (outcomes[-1].status.code, counts(outcomes[-1])) == (0xB000, (2, 1, 0))
        assert failed(outcomes[-1]) == [record.ref.sop_instance_uid]


def test_e16_a_receiver_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(response_timeout_s=0.2)) as door, Peer(door.address) as peer:
        fill(door)
        get_class = STUDY_ROOT + GET
        roles = MAXIMUM_LENGTH + item(0x54, len(CT).to_bytes(2, "big") + CT.encode() + b"\0\1")
        peer.associate((1, get_class, (IMPLICIT,)), (3, CT, (EXPLICIT,)), user_items=roles)
        wanted = identifiers.write(identifier("STUDY", study=STUDY), explicit=False)
        asked = request(C_GET, data_set=WITH_DATA_SET, sop_class=get_class)
        peer.send(message(1, COMMAND, asked) + message(1, DATA, wanted))
        assert peer.message()[0][0x0100] == b"\1\0"  # the first C-STORE, which nobody answers
        peer.expect_abort(2, 0)
        wait_for(lambda: door.server.open() == 0, "the association ends")


@contextmanager
def moving(directory: Path, *destinations: KnownPeer, **dimse: Any) -> Iterator[tuple[RunningDoor, Outgoing]]:
    """A door that knows these destinations, filled, and an association with it for C-MOVE."""
    workstation = KnownPeer(name="ws", ae_title="WS", services=("echo", "move"))
    wanted = settings(peers=(workstation, *destinations), **dimse)
    with running_door(directory, wanted) as door:
        fill(door)
        offers = [Offer(STUDY_ROOT + MOVE, (IMPLICIT,))]
        remote = Remote("BRIDGE", "127.0.0.1", door.port)
        with open_association(remote, offers, calling_ae_title="WS", dimse=DIMSE) as association:
            yield door, association


def destination(port: int, ae_title: str = "DEST", **values: Any) -> KnownPeer:
    """A peer that listens."""
    return KnownPeer(
        name=ae_title.lower(), ae_title=ae_title, host="127.0.0.1", port=port, services=("echo",), **values
    )


def move(association: Outgoing, wanted: dict[str, Any], to: str = "DEST") -> list[Outcome]:
    """A whole C-MOVE."""
    return list(association.move(STUDY_ROOT + MOVE, wanted, to))


def test_e12_a_study_is_moved_to_a_destination(dcmtk: Dcmtk, tmp_path: Path) -> None:
    with storescp(dcmtk, tmp_path / "dest") as there, moving(tmp_path, destination(there.port)) as (_, association):
        outcomes = move(association, identifier("STUDY", study=STUDY))
        assert [outcome.status.code for outcome in outcomes] == [0xFF00, 0xFF00, 0xFF00, 0x0000]
        assert counts(outcomes[-1]) == (4, 0, 0)
        assert sorted(one.SOPInstanceUID for one in there.received()) == sorted(
            [f"{MR_SERIES}.1", *(f"{SERIES}.{number}" for number in (1, 2, 3))]
        )
        assert data_set(1) in [file.read_bytes()[-len(data_set(1)) :] for file in there.files()]


def test_e12_the_destination_learns_who_asked(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    with (
        running_door(tmp_path / "dest") as there,
        moving(tmp_path / "door", destination(there.port)) as (_, association),
    ):
        import scp.store

        original = scp.store.Store.__init__

        def spy(self: Any, call: Any) -> None:
            command = call.command
            seen.append(
                (command.uid(Element.MOVE_ORIGINATOR_AE_TITLE), command.number(Element.MOVE_ORIGINATOR_MESSAGE_ID))
            )
            original(self, call)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scp.store.Store, "__init__", spy)
            move(association, identifier("IMAGE", study=STUDY, series=SERIES, sop=f"{SERIES}.1"))
    assert seen == [("WS", 1)]


@pytest.mark.parametrize("to", ["NOBODY", "WS", ""])
def test_e11_an_unknown_destination_is_a801(tmp_path: Path, to: str) -> None:
    with moving(tmp_path) as (_, association):
        (outcome,) = move(association, identifier("STUDY", study=STUDY), to)
        assert outcome.status.code == 0xA801


def test_a_destination_of_another_site_is_none(tmp_path: Path) -> None:
    with moving(tmp_path, destination(1, site="elsewhere")) as (_, association):
        (outcome,) = move(association, identifier("STUDY", study=STUDY))
        assert outcome.status.code == 0xA801


def test_a_destination_that_is_down_fails_every_sub_operation(tmp_path: Path) -> None:
    with moving(tmp_path, destination(free_port())) as (_, association):
        outcomes = move(association, identifier("STUDY", study=STUDY))
        assert (outcomes[-1].status.code, counts(outcomes[-1])) == (0xA702, (0, 4, 0))


def test_a_destination_that_breaks_off_is_called_again_for_the_next_instance(dcmtk: Dcmtk, tmp_path: Path) -> None:
    with (
        storescp(dcmtk, tmp_path / "dest", "-v", "--abort-after") as there,
        moving(tmp_path, destination(there.port)) as (_, association),
    ):
        outcomes = move(association, identifier("SERIES", study=STUDY, series=SERIES))
        assert counts(outcomes[-1]) == (0, 3, 0)
        assert (there.folder / "log").read_text().count("Association Received") >= 3


def test_e14_a_destination_without_the_codec_gets_it_uncompressed(dcmtk: Dcmtk, tmp_path: Path) -> None:
    with storescp(dcmtk, tmp_path / "dest") as there, moving(tmp_path, destination(there.port)) as (door, association):
        put(door, compressed(9, JPEG_LS), JPEG_LS)
        outcomes = move(association, identifier("IMAGE", study=STUDY, series=SERIES, sop=f"{SERIES}.9"))
        assert outcomes[-1].status.code == 0x0000
        (received,) = there.received()
        assert (received.file_meta.TransferSyntaxUID, received.PixelData) == (EXPLICIT, bytes(range(32)))


def test_more_destinations_at_once_than_allowed_wait_and_then_fail(tmp_path: Path) -> None:
    few: dict[str, Any] = {"outgoing_associations": 1, "response_timeout_s": 0.1}
    with moving(tmp_path, destination(1), **few) as (door, association):
        with door.server._door.outgoing:
            outcomes = move(association, identifier("STUDY", study=STUDY))
        assert (outcomes[-1].status.code, counts(outcomes[-1])) == (0xA702, (0, 4, 0))


def test_a_destination_that_hangs_holds_up_no_other(dcmtk: Dcmtk, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,  # takes the connection and says nothing
        storescp(dcmtk, tmp_path / "dest") as there,
        moving(tmp_path, destination(mute.getsockname()[1], "MUTE"), destination(there.port), artim_timeout_s=60.0) as (
            door,
            association,
        ),
    ):
        stuck: list[Outcome] = []
        other = threading.Thread(
            target=lambda: stuck.extend(move(association, identifier("STUDY", study=STUDY), "MUTE"))
        )
        other.start()
        connection, _ = mute.accept()
        offers = [Offer(STUDY_ROOT + MOVE, (IMPLICIT,))]
        with open_association(
            Remote("BRIDGE", "127.0.0.1", door.port), offers, calling_ae_title="WS", dimse=DIMSE
        ) as second:
            outcomes = move(second, identifier("STUDY", study=STUDY))
        assert (counts(outcomes[-1]), stuck) == ((4, 0, 0), [])
        connection.close()
        other.join(20)
        assert (stuck[-1].status.code, counts(stuck[-1])) == (0xA702, (0, 4, 0))
