"""Associations that we open: against our own door, and against peers that misbehave (PS3.8 §9.2)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.settings import Dimse
from bridge.settings import Peer as KnownPeer
from scp.connection import PeerGone, PeerSilent
from scp.scu import NoAssociation, Offer, OperationFailed, Outgoing, Remote, open_association, remote_of
from scp.upper_layer import ProtocolError
from storage.records import ResourceRef
from tests.bridge.archives import SERIES, STUDY, data_set, receive
from tests.conftest import Dcmtk
from tests.scp.asking import FIND, STUDY_ROOT
from tests.scp.destinations import storescp
from tests.scp.running import RunningDoor, running_door, settings, wait_for
from tests.scp.scripted import Script, saying, scripted
from tests.scp.wire import CT, EXPLICIT, IMPLICIT, VERIFICATION, item, pdu
from tests.servers.process import free_port

DIMSE = Dimse(connect_timeout_s=5.0, response_timeout_s=5.0, artim_timeout_s=5.0)
OFFERS = (Offer(VERIFICATION, (IMPLICIT,)), Offer(CT, (EXPLICIT,)), Offer(STUDY_ROOT + FIND, (EXPLICIT, IMPLICIT)))


@contextmanager
def called(port: int, *offers: Offer, dimse: Dimse = DIMSE) -> Iterator[Outgoing]:
    """An association with whoever listens there."""
    remote = Remote("BRIDGE", "127.0.0.1", port)
    with open_association(remote, offers or OFFERS, calling_ae_title="SENDER", dimse=dimse) as association:
        yield association


def test_an_echo(door: RunningDoor) -> None:
    with called(door.port) as association:
        assert association.echo().code == 0x0000
    wait_for(lambda: door.server.open() == 0, "it is released")


def test_stored_bytes_arrive_as_they_are(door: RunningDoor) -> None:
    data = data_set(1, PixelData=bytes(range(256)) * 4000, Rows=1000, Columns=512)
    with called(door.port) as association:
        context = association.context_for(CT, EXPLICIT)
        assert context is not None
        chunks = [data[start : start + 100_000] for start in range(0, len(data), 100_000)]
        assert association.store(context, f"{SERIES}.1", chunks).code == 0x0000
        assert association.store(context, f"{SERIES}.1", [data], originator=("WS", 7)).code == 0x0000
    (record,) = door.archive.index.instances(ResourceRef("default", STUDY, SERIES))
    assert b"".join(door.archive.read(record, record.data_set_offset)) == data


def test_a_query_yields_its_matches(door: RunningDoor) -> None:
    receive(door.archive, data_set())
    identifier = {
        "00080052": {"vr": "CS", "Value": ["STUDY"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Zhang*"}]},
        "0020000D": {"vr": "UI"},
    }
    with called(door.port) as association:
        (found,) = association.find(STUDY_ROOT + FIND, identifier)
    assert found["0020000D"]["Value"] == [STUDY]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Zhang^San", "Ideographic": "张^三"}]


def test_a_query_that_is_refused_raises_its_status(door: RunningDoor) -> None:
    with called(door.port) as association:
        with pytest.raises(OperationFailed, match="A900: QueryRetrieveLevel must be"):
            list(association.find(STUDY_ROOT + FIND, {"00080052": {"vr": "CS", "Value": ["FLOOR"]}}))
        assert association.echo().code == 0x0000


def test_a_class_that_was_not_accepted_raises(door: RunningDoor) -> None:
    with called(door.port, Offer(CT, (EXPLICIT,))) as association, pytest.raises(OperationFailed, match="0122"):
        association.echo()


def test_the_best_context_is_found_by_its_syntax(door: RunningDoor) -> None:
    offers = [Offer(CT, (IMPLICIT,)), Offer(CT, (EXPLICIT,))]
    with called(door.port, *offers) as association:
        found = [association.context_for(CT, *wanted) for wanted in ((EXPLICIT, IMPLICIT), (IMPLICIT,), ("1.2",), ())]
    assert [context and context.context_id for context in found] == [3, 1, None, 1]


def test_a_block_that_raises_aborts(door: RunningDoor) -> None:
    with pytest.raises(ZeroDivisionError), called(door.port):
        raise ZeroDivisionError
    wait_for(lambda: door.server.open() == 0, "it is aborted")


def test_dcmtk_takes_what_we_send(dcmtk: Dcmtk, tmp_path: Path) -> None:
    with storescp(dcmtk, tmp_path) as destination, called(destination.port, *OFFERS[:2]) as association:
        context = association.context_for(CT, EXPLICIT)
        assert context is not None
        assert association.store(context, f"{SERIES}.1", [data_set()]).code == 0x0000
    (file,) = destination.files()
    assert file.read_bytes().endswith(data_set())


def test_nobody_listens() -> None:
    with pytest.raises(NoAssociation, match="cannot be reached") as error, called(free_port()):
        pass
    assert error.value.is_transient


def test_a_refusal_is_explained(tmp_path: Path) -> None:
    peers = (KnownPeer(name="other", ae_title="OTHER"),)
    with (
        running_door(tmp_path, settings(peers=peers)) as door,
        pytest.raises(NoAssociation, match="does not know our AE title") as error,
        called(door.port),
    ):
        pass
    assert not error.value.is_transient


def silent(connection: socket.socket) -> None:
    """Say nothing until the other side gives up."""
    while connection.recv(1 << 16):
        pass


def test_a_peer_that_does_not_answer_the_request_is_given_up() -> None:
    hasty = Dimse(artim_timeout_s=0.2)
    with scripted(silent) as port, pytest.raises(NoAssociation, match="no complete PDU"), called(port, dimse=hasty):
        pass


def test_a_peer_that_speaks_no_dicom_is_told_from_one_that_refuses() -> None:
    http = saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with scripted(http) as port, pytest.raises(NoAssociation, match="did not answer as DICOM does"), called(port):
        pass


def accepting(then: Script) -> Script:
    """Accept one context of verification, then go on."""

    def script(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        result = item(0x21, b"\1\0\0\0" + item(0x40, IMPLICIT.encode()))
        titles = b"\0\1\0\0" + b"BRIDGE".ljust(16) + b"SENDER".ljust(16) + bytes(32)
        user = item(0x50, item(0x51, b"\0\0\x40\0"))
        connection.sendall(pdu(2, titles + item(0x10, b"1.2.840.10008.3.1.1.1") + result + user))
        connection.recv(1 << 16)
        then(connection)

    return script


def test_a_peer_that_does_not_answer_an_operation_is_given_up() -> None:
    short = Dimse(response_timeout_s=0.2)
    with scripted(accepting(silent)) as port, pytest.raises(PeerSilent), called(port, dimse=short) as association:
        association.echo()


def test_a_peer_that_hangs_up_in_the_middle() -> None:
    with scripted(accepting(lambda _: None)) as port, pytest.raises(PeerGone), called(port) as association:
        association.echo()


def test_a_peer_that_answers_nonsense() -> None:
    def nonsense(connection: socket.socket) -> None:
        connection.sendall(b"\4\0\0\0\0\6\0\0\0\xff\1\3")
        silent(connection)

    with scripted(accepting(nonsense)) as port, pytest.raises(ProtocolError), called(port) as association:
        association.echo()


@pytest.mark.parametrize(
    ("peer", "remote"),
    [
        (KnownPeer(name="a", ae_title=" WS ", host="ws.local", port=104), Remote("WS", "ws.local", 104)),
        (
            KnownPeer(name="a", ae_title="WS", addresses=("10.0.0.0/8", "10.0.0.7"), port=104),
            Remote("WS", "10.0.0.7", 104),
        ),
        (KnownPeer(name="a", ae_title="WS", addresses=("10.0.0.0/8",), port=104), None),
        (KnownPeer(name="a", ae_title="WS", host="ws.local"), None),
    ],
)
def test_where_a_peer_listens(peer: KnownPeer, remote: Remote | None) -> None:
    assert remote_of(peer) == remote
