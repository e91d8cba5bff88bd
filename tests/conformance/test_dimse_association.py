"""Association establishment and release, requirement by requirement; each id is the clause and the row in question."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.settings import Peer as KnownPeer
from tests.scp.running import RunningDoor, running_door, settings
from tests.scp.wire import (
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    COMMAND,
    CT,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    LAST,
    MAXIMUM_LENGTH,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    STORE_CONTEXT,
    VERIFICATION,
    Peer,
    associate,
    echo,
    item,
    items,
    message,
    pdu,
    value,
)  # fmt: skip

JPEG, JPEG_LOSSLESS, BIG = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.2"
WORKLIST = "1.2.840.10008.5.1.4.31"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    """One peer is known, by title and address; our own title is checked."""
    wanted = settings(peers=(KnownPeer(name="ct-1", ae_title="CT01"),), check_called_ae_title=True)
    with running_door(tmp_path_factory.mktemp("door"), wanted) as opened:
        yield opened


def call(door: RunningDoor, request: bytes) -> tuple[int, bytes]:
    """The answer to an A-ASSOCIATE-RQ."""
    with Peer(door.address) as peer:
        peer.send(request)
        return peer.read()


def rq(*contexts: object, calling: str = "CT01", **options: object) -> bytes:
    """A request of the known peer."""
    return associate(*(contexts or (ECHO_CONTEXT,)), calling=calling, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        pytest.param(rq(version=2), (1, 2, 2), id="PS3.8-9.3.4-protocol-version-not-supported"),
        pytest.param(rq(application_context="1.2.3"), (1, 1, 2), id="PS3.8-9.3.4-application-context-not-supported"),
        pytest.param(rq(calling="STRANGER"), (1, 1, 3), id="PS3.8-9.3.4-calling-ae-not-recognised"),
        pytest.param(rq(called="ELSEWHERE"), (1, 1, 7), id="PS3.8-9.3.4-called-ae-not-recognised"),
    ],
)
def test_a_refusal_says_result_source_and_reason(
    door: RunningDoor, request_pdu: bytes, answer: tuple[int, int, int]
) -> None:
    kind, body = call(door, request_pdu)
    assert (kind, tuple(body[1:])) == (ASSOCIATE_RJ, answer)


def test_ps3_8_9_3_4_over_the_limit_is_transient(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(associations=1)) as door, Peer(door.address) as first:
        first.associate(ECHO_CONTEXT)
        kind, body = call(door, associate(ECHO_CONTEXT))
        assert (kind, tuple(body[1:])) == (ASSOCIATE_RJ, (2, 3, 2))


@pytest.mark.parametrize(
    ("context", "result"),
    [
        pytest.param((1, VERIFICATION, (IMPLICIT,)), (0, IMPLICIT), id="PS3.8-9.3.3.2-acceptance"),
        pytest.param((1, WORKLIST, (IMPLICIT,)), (3, None), id="PS3.8-9.3.3.2-abstract-syntax"),
        pytest.param((1, CT, ("1.2.840.10008.1.2.4.94",)), (4, None), id="PS3.8-9.3.3.2-transfer-syntaxes"),
        pytest.param((1, CT, (IMPLICIT, EXPLICIT)), (0, EXPLICIT), id="D5-explicit-over-implicit"),
        pytest.param((1, CT, (BIG, IMPLICIT)), (0, IMPLICIT), id="D5-never-big-endian-when-little-is-offered"),
        pytest.param((1, CT, (JPEG, EXPLICIT)), (0, EXPLICIT), id="D5-nothing-is-lost"),
        pytest.param((1, CT, (EXPLICIT, JPEG_LOSSLESS)), (0, JPEG_LOSSLESS), id="D5-lossless-compression-is-kept"),
        pytest.param((1, "1.3.46.670589.5.0.1", (IMPLICIT,)), (0, IMPLICIT), id="D7-private-storage-class"),
    ],
)
def test_a_presentation_context_gets_its_result(
    door: RunningDoor, context: tuple[int, str, tuple[str, ...]], result: tuple[int, str | None]
) -> None:
    with Peer(door.address) as peer:
        code, syntax = peer.associate(context, calling="CT01")[1]
    assert code == result[0]
    assert result[1] in (None, syntax)


def test_d4_all_contexts_refused_is_an_accepted_association(door: RunningDoor) -> None:
    assert call(door, rq((1, WORKLIST, (IMPLICIT,))))[0] == ASSOCIATE_AC


def test_d6_one_class_in_many_contexts_is_accepted_in_each(door: RunningDoor) -> None:
    contexts = [(number, CT, (EXPLICIT,)) for number in range(1, 256, 2)]
    with Peer(door.address) as peer:
        answer = peer.associate(*contexts, calling="CT01")
    assert answer == dict.fromkeys(range(1, 256, 2), (0, EXPLICIT))


def test_ps3_8_9_3_3_every_context_is_answered_in_one_item_with_one_transfer_syntax(door: RunningDoor) -> None:
    _, body = call(door, rq(ECHO_CONTEXT, STORE_CONTEXT, (5, WORKLIST, (IMPLICIT,))))
    answers = [inner for kind, inner in items(body[68:]) if kind == 0x21]
    assert [inner[0] for inner in answers] == [1, 3, 5]
    assert all(len(items(inner[4:])) == 1 for inner in answers)


def test_ps3_8_9_3_3_titles_and_reserved_bytes_come_back_as_they_were(door: RunningDoor) -> None:
    request = bytearray(rq())
    request[42:74] = bytes(range(32))
    _, body = call(door, bytes(request))
    assert body[4:68] == request[10:74]


def test_d14_maximum_length_implementation_uid_and_name_are_always_sent(door: RunningDoor) -> None:
    _, body = call(door, rq())
    (information,) = [inner for kind, inner in items(body[68:]) if kind == 0x50]
    found = dict(items(information))
    assert struct.unpack(">I", found[0x51]) == (131072,)
    assert 0 < len(found[0x52]) <= 64
    assert 0 < len(found[0x55]) <= 16


def test_d14_unknown_sub_items_are_skipped(door: RunningDoor) -> None:
    assert call(door, rq(user_items=item(0xAA, b"?" * 300) + MAXIMUM_LENGTH))[0] == ASSOCIATE_AC


def test_d10_no_asynchronous_operations_are_agreed(door: RunningDoor) -> None:
    _, body = call(door, rq(user_items=MAXIMUM_LENGTH + item(0x53, b"\0\x08\0\x08")))
    (information,) = [inner for kind, inner in items(body[68:]) if kind == 0x50]
    assert 0x53 not in dict(items(information))


def test_d9_the_requestor_is_never_made_provider_of_storage(door: RunningDoor) -> None:
    selection = item(0x54, struct.pack(">H", len(CT)) + CT.encode() + b"\1\1")
    _, body = call(door, rq(STORE_CONTEXT, user_items=MAXIMUM_LENGTH + selection))
    (information,) = [inner for kind, inner in items(body[68:]) if kind == 0x50]
    assert dict(items(information))[0x54][-2:] == b"\1\0"


def test_d13_titles_are_trimmed_and_case_counts(door: RunningDoor) -> None:
    assert call(door, rq(calling=" CT01"))[0] == ASSOCIATE_AC
    assert call(door, rq(calling="ct01"))[0] == ASSOCIATE_RJ


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param(pdu(0x0F, bytes(4)), 1, id="PS3.8-9.3.8-unrecognised-pdu"),
        pytest.param(rq(), 2, id="PS3.8-9.3.8-unexpected-pdu"),
        pytest.param(struct.pack(">BxI", P_DATA, 131073) + bytes(10), 6, id="PS3.8-D.1-longer-than-agreed"),
        pytest.param(pdu(P_DATA, value(7, COMMAND | LAST, echo())), 6, id="PS3.8-9.3.5.1-context-not-accepted"),
    ],
)
def test_d2_ps3_8_9_3_8_an_abort_says_source_and_reason(door: RunningDoor, sent: bytes, reason: int) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, calling="CT01")
        peer.send(sent)
        peer.expect_abort(2, reason)


def test_d3_a_connection_that_asks_for_nothing_is_closed(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(artim_timeout_s=0.2)) as door, Peer(door.address) as peer:
        peer.expect_end()


def test_d15_a_release_in_the_middle_of_an_operation_is_answered(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, calling="CT01")
        peer.send(message(1, COMMAND, echo(), fragment_bytes=20)[:32] + pdu(RELEASE_RQ, bytes(4)))
        while (answer := peer.read())[0] == P_DATA:
            pass
        assert answer == (RELEASE_RP, bytes(4))


def test_d8_ps3_8_annex_d1_the_peers_limit_is_kept(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, calling="CT01", user_items=struct.pack(">BBHI", 0x51, 0, 4, 32))
        peer.send(message(1, COMMAND, echo()))
        sizes, control = [], 0
        while not control & LAST:
            _, body = peer.read()
            sizes.append(len(body))
            control = body[5]
        assert max(sizes) <= 32
