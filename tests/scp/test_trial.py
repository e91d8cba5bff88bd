"""`dicom-bridge peers test`: every way a call can end has its own words."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from bridge.settings import Dimse, Tls
from bridge.settings import Peer as KnownPeer
from scp.scu import NoAssociation
from scp.trial import attempt
from tests.scp.device import device
from tests.scp.running import running_door, settings
from tests.scp.scripted import Script, saying, scripted
from tests.scp.wire import ASSOCIATE_RJ, pdu

NO_TLS = Tls()
DIMSE = Dimse(connect_timeout_s=0.5, response_timeout_s=2.0, ae_title="ARCHIVE")


def call(port: int, *, host: str = "127.0.0.1", ae_title: str = "PEER", tls: Tls = NO_TLS, **more: Any) -> str:
    """Try a peer on this port."""
    return attempt(KnownPeer(name="p", ae_title=ae_title, host=host, port=port, **more), DIMSE, tls)


def rejecting(result: int, source: int, reason: int) -> Script:
    """A-ASSOCIATE-RJ."""
    return saying(pdu(ASSOCIATE_RJ, bytes((0, result, source, reason))))


def test_a_peer_that_answers_is_praised(tmp_path: Path) -> None:
    with running_door(tmp_path) as door:
        assert call(door.port, ae_title="BRIDGE") == f"p: BRIDGE at 127.0.0.1:{door.port} answered the echo"


def test_its_first_address_serves_for_a_host(tmp_path: Path) -> None:
    with running_door(tmp_path) as door:
        peer = KnownPeer(name="p", ae_title="X", addresses=("10.0.0.0/8", "127.0.0.1"), port=door.port)
        assert "answered the echo" in attempt(peer, DIMSE, NO_TLS)


@pytest.mark.parametrize(
    ("rejection", "words"),
    [
        ((1, 1, 1), "it gives no reason"),
        ((1, 1, 3), "does not know our AE title ARCHIVE"),
        ((1, 1, 7), "its AE title is not PEER"),
        ((1, 2, 2), "another version"),
        ((2, 3, 1), "congested"),
        ((2, 3, 2), "limit of associations"),
        ((1, 3, 7), "not in the standard"),
    ],
)
def test_a_refusal_is_explained_by_its_reason(rejection: tuple[int, int, int], words: str) -> None:
    with (
        scripted(rejecting(*rejection)) as port,
        pytest.raises(NoAssociation, match="/".join(map(str, rejection)) + ".*" + words),
    ):
        call(port)


def test_a_door_of_ours_that_does_not_know_the_caller_says_so(tmp_path: Path) -> None:
    known = (KnownPeer(name="a", ae_title="SOMEBODY"),)
    with (
        running_door(tmp_path, settings(peers=known)) as door,
        pytest.raises(NoAssociation, match="does not know our AE title"),
    ):
        call(door.port)


def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(NoAssociation, match="nobody listens"):
        call(port)


def test_a_host_that_does_not_answer() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        with (
            socket.create_connection(("127.0.0.1", port)),
            pytest.raises(NoAssociation, match=r"no answer within 0\.5 s"),
        ):
            call(port)  # its queue is full, so the kernel drops us as a firewall would


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(NoAssociation, match=r"the name nowhere\.invalid is not known"):
        call(104, host="nowhere.invalid")


def test_a_peer_without_a_port() -> None:
    with pytest.raises(NoAssociation, match="do not know where it listens"):
        call(0)


def test_something_else_than_dicom() -> None:
    with (
        scripted(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port,
        pytest.raises(NoAssociation, match="is it a DICOM port"),
    ):
        call(port)


def test_a_peer_without_the_service_is_reached_all_the_same() -> None:
    with device() as modality, pytest.raises(NoAssociation, match="not the service; the link itself works"):
        call(modality.port, ae_title="CT01")
