"""One association over a real socket: timers, broken protocol, ends of every kind (PS3.8 §9.1.5, §9.2)."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.settings import Peer as KnownPeer
from scp.association import _LINGER_S
from tests.bridge.archives import SERIES, data_set
from tests.conftest import Dcmtk
from tests.scp.running import RunningDoor, running_door, settings, wait_for
from tests.scp.wire import (
    ASSOCIATE_RJ,
    COMMAND,
    CT,
    DATA,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    LAST,
    MAXIMUM_LENGTH,
    P_DATA,
    RELEASE_RQ,
    STORE_CONTEXT,
    VERIFICATION,
    WITH_DATA_SET,
    Peer,
    associate,
    command,
    echo,
    item,
    message,
    pdu,
    request,
    store,
    value,
)  # fmt: skip

SOP = f"{SERIES}.1"


def test_dcmtk_is_answered(door: RunningDoor, dcmtk: Dcmtk) -> None:
    done = dcmtk.run("echoscu", "-v", "--repeat", "3", "127.0.0.1", str(door.port))
    assert (done.returncode, done.stderr.count("Success")) == (0, 3), done.stderr


def test_an_association_with_no_accepted_context_is_an_association(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        assert peer.associate((1, "1.2.840.10008.5.1.4.31", (IMPLICIT,)))[1][0] == 3
        peer.release()


def test_128_contexts_are_answered(door: RunningDoor) -> None:
    contexts = [(number, CT, (EXPLICIT, IMPLICIT)) for number in range(1, 256, 2)]
    with Peer(door.address) as peer:
        assert peer.associate(*contexts) == dict.fromkeys(range(1, 256, 2), (0, EXPLICIT))
        assert peer.store(SOP, data_set(), context_id=255) == 0x0000


def test_unknown_user_information_is_skipped(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, user_items=item(0x5B, b"later") + MAXIMUM_LENGTH + item(0x58, b"\1\1"))
        assert peer.echo() == 0x0000


def test_a_request_cut_into_bytes_is_understood(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        for byte in associate(ECHO_CONTEXT):
            peer.send(bytes((byte,)))
        assert peer.read()[0] == 2
        for byte in message(1, COMMAND, echo(), fragment_bytes=3):
            peer.send(bytes((byte,)))
        assert peer.status() == 0x0000


def test_request_and_first_command_may_come_in_one_packet(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.send(associate(ECHO_CONTEXT) + message(1, COMMAND, echo()) + pdu(RELEASE_RQ, bytes(4)))
        assert peer.read()[0] == 2
        assert peer.status() == 0x0000
        assert peer.read()[0] == 6


@pytest.mark.parametrize("limit", [16, 64, 4096])
def test_a_small_limit_of_the_peer_is_kept(door: RunningDoor, limit: int) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, user_items=struct.pack(">BBHI", 0x51, 0, 4, limit))
        peer.send(message(1, COMMAND, echo()))
        sizes = []
        while True:
            _, body = peer.read()
            sizes.append(len(body))
            if body[5] & LAST:
                break
        assert max(sizes) <= limit


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (pdu(0x0B, b"what is this"), 1),
        (associate(ECHO_CONTEXT), 2),
        (pdu(2, bytes(4)), 2),
        (struct.pack(">BxI", P_DATA, 0xFFFFFFF0), 6),
        (pdu(P_DATA, struct.pack(">IBB", 0xFFFFFFF0, 1, 3)), 6),
        (pdu(P_DATA, b""), 6),
        (pdu(P_DATA, value(9, COMMAND | LAST, echo())), 6),
        (pdu(P_DATA, value(1, COMMAND | LAST, b"rubbish")), 6),
        (pdu(P_DATA, value(1, DATA | LAST, b"data before a command")), 2),
        (pdu(P_DATA, value(1, COMMAND, echo())) + pdu(P_DATA, value(3, COMMAND, echo())), 2),
        (message(3, COMMAND, store(SOP)) + message(3, COMMAND, store(SOP)), 2),
        (message(1, COMMAND, request(0x8030)), 2),
        (b"".join(pdu(P_DATA, value(1, COMMAND, bytes(60000))) for _ in range(2)), 6),
    ],
)
def test_a_broken_protocol_is_answered_with_an_abort(door: RunningDoor, sent: bytes, reason: int) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, STORE_CONTEXT)
        peer.send(sent)
        peer.expect_abort(2, reason)


def test_garbage_instead_of_a_request_is_answered_with_an_abort(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.send(b"GET /studies HTTP/1.1\r\nHost: bridge\r\n\r\n")
        peer.expect_abort(2, 1)


def test_a_data_set_after_an_echo_is_read_and_dropped(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        peer.send(message(1, COMMAND, request(0x0030, data_set=WITH_DATA_SET)) + message(1, DATA, b"nonsense"))
        assert peer.status() == 0x0000
        assert peer.echo() == 0x0000


def test_a_cancel_is_ignored(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        cancel = command([(0x0100, b"\xff\x0f"), (0x0120, b"\1\0"), (0x0800, b"\x01\x01")])
        peer.send(message(1, COMMAND, cancel))
        assert peer.echo() == 0x0000


def test_an_operation_that_is_not_offered_is_said_so(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        peer.send(message(1, COMMAND, request(0x0140, sop_class=VERIFICATION)))
        response = peer.response()
        assert (response[0x0900], response[0x0100]) == (b"\x11\x02", b"\x40\x81")


def test_a_silent_connection_is_closed_in_time(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(artim_timeout_s=0.3)) as door, Peer(door.address) as peer:
        peer.expect_end()


def test_a_trickled_request_is_closed_in_time(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(artim_timeout_s=0.5)) as door, Peer(door.address) as peer:
        started = time.monotonic()
        assert trickled(peer, associate(ECHO_CONTEXT)) < len(associate(ECHO_CONTEXT))
        assert time.monotonic() - started < 5


def test_an_idle_association_is_aborted(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(idle_timeout_s=0.3)) as door, Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        peer.expect_abort(2, 0)


def test_a_trickled_object_is_aborted_and_leaves_nothing(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(idle_timeout_s=0.5)) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        assert trickled(peer, message(3, COMMAND, store(SOP)) + message(3, DATA, data_set())) < len(data_set())
        peer.socket.close()
        wait_for(lambda: door.server.open() == 0, "the association ends")
        assert door.count() == 0


def trickled(peer: Peer, data: bytes) -> int:
    """Send byte by byte with pauses; how many were sent before the door had enough."""
    peer.socket.settimeout(0.02)
    for sent, byte in enumerate(data):
        try:
            peer.send(bytes((byte,)))
            if peer.socket.recv(1):
                return sent  # it says A-ABORT
            return sent
        except TimeoutError:
            continue
        except ConnectionError:
            return sent
    return len(data)


def test_a_peer_with_nagles_algorithm_on_does_not_wait_for_our_acknowledgement(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        whole = message(1, COMMAND, echo())
        started = time.monotonic()
        for _ in range(100):
            for part in (whole[:6], whole[6:12], whole[12:]):
                peer.send(part)
            assert peer.status() == 0x0000
        assert time.monotonic() - started < 3  # 100 delayed acknowledgements would take 4 s


def test_a_peer_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(write_timeout_s=0.3)) as door, Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        peer.socket.settimeout(0.5)
        many = message(1, COMMAND, echo()) * 2000
        with contextlib.suppress(TimeoutError, ConnectionError):
            for _ in range(500):
                peer.send(many)
        peer.socket.close()
        wait_for(lambda: door.server.open() == 0, "the association ends")


def test_a_release_is_answered_and_the_connection_closed(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        peer.release()


def test_a_peer_that_stays_after_the_release_is_left(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _LINGER_S < 10
    monkeypatch.setattr("scp.association._LINGER_S", 0.2)
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        peer.release()
        wait_for(lambda: door.server.open() == 0, "the association ends although the peer keeps the connection")


def test_a_refused_peer_is_told_and_the_administrator_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = KnownPeer(name="ct-1", ae_title="CT01")
    with (
        caplog.at_level(logging.WARNING),
        running_door(tmp_path, settings(peers=(known,))) as door,
        Peer(door.address) as peer,
    ):
        peer.send(associate(ECHO_CONTEXT, calling="STRANGER"))
        kind, body = peer.read()
        assert (kind, body[1:]) == (ASSOCIATE_RJ, bytes((1, 1, 3)))
        peer.expect_end()
        wait_for(lambda: bool(door.archive.registry.refused()), "the refusal is noted")
        (refused,) = door.archive.registry.refused()
        assert (refused.calling_ae_title, refused.called_ae_title, refused.address) == (
            "STRANGER", "BRIDGE", "127.0.0.1",
        )  # fmt: skip
    (line,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert line == (
        "refused STRANGER calling BRIDGE from 127.0.0.1: no peer has this calling AE title; "
        "`dicom-bridge peers refused` says how to let it in"
    )


def test_a_peer_may_be_for_echo_only(tmp_path: Path) -> None:
    known = KnownPeer(name="monitor", ae_title="SENDER", services=("echo",))
    with running_door(tmp_path, settings(peers=(known,))) as door, Peer(door.address) as peer:
        assert [result for result, _ in peer.associate(ECHO_CONTEXT, STORE_CONTEXT).values()] == [0, 1]
        assert peer.echo() == 0x0000


def test_instances_go_to_the_site_of_the_peer(tmp_path: Path) -> None:
    known = KnownPeer(name="ct-1", ae_title="SENDER", site="north")
    with running_door(tmp_path, settings(peers=(known,))) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        assert peer.store(SOP, data_set()) == 0x0000
        assert door.archive.index.tally("north").instances == 1


@pytest.mark.parametrize("seed", range(60))
def test_a_session_with_flipped_bytes_ends_and_the_next_one_is_served(door: RunningDoor, seed: int) -> None:
    chance = random.Random(seed)
    session = bytearray(
        associate(ECHO_CONTEXT, STORE_CONTEXT)
        + message(1, COMMAND, echo())
        + message(3, COMMAND, store(SOP))
        + message(3, DATA, data_set(), fragment_bytes=200)
        + pdu(RELEASE_RQ, bytes(4))
    )
    for _ in range(chance.choice([1, 3, 20])):
        session[chance.randrange(len(session))] = chance.randrange(256)
    with Peer(door.address) as peer, contextlib.suppress(OSError):  # the door may end it at any byte
        peer.send(bytes(session))
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.socket.recv(65536):
            pass
    wait_for(lambda: door.server.open() == 0, "the association ends")
    assert not [path for path in door.archive.spool_directory.iterdir() if path.is_file()]
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        assert peer.echo() == 0x0000


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_hundred_associations_of_every_kind_leak_nothing(door: RunningDoor) -> None:
    def good() -> None:
        with Peer(door.address) as peer:
            peer.associate(ECHO_CONTEXT)
            peer.release()

    def cut() -> None:
        with Peer(door.address) as peer:
            peer.associate(STORE_CONTEXT)
            peer.send(message(3, COMMAND, store(SOP)))

    def silly() -> None:
        with Peer(door.address) as peer:
            peer.send(b"\xff" * 100)

    def silent() -> None:
        Peer(door.address).socket.close()

    kinds: list[Callable[[], None]] = [good, cut, silly, silent]
    for kind in kinds:
        kind()
    wait_for(lambda: door.server.open() == 0, "the first ones end")
    descriptors, threads = open_descriptors(), threading.active_count()
    for _ in range(25):
        for kind in kinds:
            kind()
    wait_for(lambda: door.server.open() == 0, "all end")
    wait_for(lambda: (open_descriptors(), threading.active_count()) <= (descriptors, threads), "nothing is left open")
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT)
        assert peer.echo() == 0x0000
