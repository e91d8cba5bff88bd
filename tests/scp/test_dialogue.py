"""Operations that say more than one response, hear a cancel, or ask the peer something (PS3.7 §9.3.2-9.3.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest

from scp.command import CommandField, Element, Status, pack
from scp.operation import Answer, Call
from scp.services import SERVICES
from tests.scp.running import RunningDoor, wait_for
from tests.scp.wire import (
    COMMAND,
    CT,
    DATA,
    ECHO_CONTEXT,
    LAST,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    STORE_CONTEXT,
    VERIFICATION,
    WITH_DATA_SET,
    Peer,
    command,
    echo,
    elements,
    message,
    pdu,
    request,
    store,
)  # fmt: skip

Serve = Callable[[Callable[[Call], Status | Answer]], None]
PENDING, CANCELLED = Status(code=0xFF00), Status(code=0xFE00)
FIELD = 0x0777  # an operation of these tests


class Toy:
    """An operation that is a function of its call."""

    def __init__(self, call: Call, work: Callable[[Call], Status | Answer]) -> None:
        self._call, self._work = call, work

    def write(self, chunk: memoryview) -> None: ...

    def complete(self) -> Status | Answer:
        return self._work(self._call)

    def abandon(self) -> None: ...


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Offer a function as an operation on the context of verification."""

    def offer(work: Callable[[Call], Status | Answer]) -> None:
        monkeypatch.setitem(SERVICES, FIELD, ("echo", lambda call: Toy(call, work)))

    return offer


@pytest.fixture
def peer(door: RunningDoor) -> Iterator[Peer]:
    with Peer(door.address) as opened:
        opened.associate(ECHO_CONTEXT, STORE_CONTEXT)
        yield opened


def ask(message_id: int = 1) -> bytes:
    """A request for the toy."""
    return message(1, COMMAND, request(FIELD, message_id, sop_class=VERIFICATION))


def cancel(message_id: int) -> bytes:
    """C-CANCEL-RQ (PS3.7 §9.3.2.3)."""
    number = struct.Struct("<H").pack
    return message(
        1, COMMAND, command([(0x0100, number(0x0FFF)), (0x0120, number(message_id)), (0x0800, number(0x0101))])
    )


def until_cancelled(call: Call) -> Status:
    """Pending for ever, until somebody cancels."""
    while not call.dialogue.is_cancelled():
        call.dialogue.respond(Answer(status=PENDING), now=True)
    return CANCELLED


def last_status(peer: Peer) -> int:
    """Read pending responses, return the final one."""
    while (status := peer.status()) == 0xFF00:
        pass
    return status


def test_pending_responses_come_before_the_final_one_with_their_data_sets(peer: Peer, serve: Serve) -> None:
    def three(call: Call) -> Answer:
        for number in range(3):
            call.dialogue.respond(Answer(status=PENDING, data_set=b"item%d" % number))
        return Answer(status=Status(code=0), extra={Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS: 3})

    serve(three)
    peer.send(ask(7))
    for number in range(3):
        response = peer.response()
        assert (response[0x0900], response[0x0120], response[0x0800]) == (b"\x00\xff", b"\7\0", b"\1\0")
        kind, body = peer.read()
        assert (kind, body[6:]) == (P_DATA, b"item%d" % number)
    final = peer.response()
    assert (final[0x0900], final[0x1021], final[0x0800]) == (b"\0\0", b"\3\0", b"\1\1")
    assert peer.echo() == 0x0000


def test_a_cancel_is_noticed_between_two_responses(peer: Peer, serve: Serve) -> None:
    serve(until_cancelled)
    peer.send(ask(5))
    assert peer.status() == 0xFF00
    peer.send(cancel(5))
    assert last_status(peer) == 0xFE00
    assert peer.echo() == 0x0000


def test_a_cancel_in_the_same_packet_as_the_request_is_noticed(peer: Peer, serve: Serve) -> None:
    serve(until_cancelled)
    peer.send(ask(5) + cancel(5))
    assert last_status(peer) == 0xFE00


def test_a_cancel_of_another_message_is_none_of_ours(peer: Peer, serve: Serve) -> None:
    serve(until_cancelled)
    peer.send(ask(5) + cancel(4))
    assert [peer.status() for _ in range(5)] == [0xFF00] * 5
    peer.send(cancel(5))
    assert last_status(peer) == 0xFE00


def test_d10_a_request_in_the_middle_waits_for_its_turn(peer: Peer, serve: Serve) -> None:
    def one(call: Call) -> Status:
        assert not call.dialogue.is_cancelled()
        call.dialogue.respond(Answer(status=PENDING))
        return Status(code=0)

    serve(one)
    peer.send(ask(1) + message(1, COMMAND, echo(2)) + ask(3))
    responses = [peer.response() for _ in range(5)]
    assert [response[0x0120][0] for response in responses] == [1, 1, 2, 3, 3]


@pytest.mark.parametrize("answer_first", [True, False])
def test_d15_a_release_in_the_middle_ends_the_operation(
    door: RunningDoor, peer: Peer, serve: Serve, answer_first: bool
) -> None:
    serve(until_cancelled)
    peer.send(ask())
    if answer_first:
        assert peer.status() == 0xFF00
    peer.send(pdu(RELEASE_RQ, bytes(4)))
    while (read := peer.read())[0] == P_DATA:
        pass
    assert read == (RELEASE_RP, bytes(4))
    peer.socket.close()
    wait_for(lambda: door.server.open() == 0, "the association ends")


def test_d15_an_abort_in_the_middle_leaves_nothing(door: RunningDoor, peer: Peer, serve: Serve) -> None:
    serve(until_cancelled)
    peer.send(ask())
    assert peer.status() == 0xFF00
    peer.send(pdu(7, bytes(4)))
    wait_for(lambda: door.server.open() == 0, "the association ends")


def test_a_data_set_out_of_nowhere_is_a_broken_protocol(peer: Peer, serve: Serve) -> None:
    serve(until_cancelled)
    peer.send(ask() + message(1, DATA, b"what"))
    while (read := peer.read())[0] == P_DATA:
        pass
    assert (read[0], read[1][2:]) == (7, b"\2\2")


def asks_for_a_store(call: Call) -> Status:
    """Send an object on the storage context, answer with what the peer said."""
    wanted = {Element.COMMAND_FIELD: CommandField.C_STORE, Element.MESSAGE_ID: 9, Element.DATA_SET_TYPE: WITH_DATA_SET}
    reply = call.dialogue.invoke(
        3, pack({**wanted, Element.AFFECTED_SOP_CLASS_UID: CT}), [b"first", b"", b"second"], lambda: None
    )
    return Status(code=reply.number(Element.STATUS), comment=f"answer to {reply.responded_to}")


def test_a_sub_operation_goes_out_and_its_response_comes_back(peer: Peer, serve: Serve) -> None:
    serve(asks_for_a_store)
    peer.send(ask())
    sent = peer.response()
    assert (sent[0x0100], sent[0x0110], sent[0x0002].rstrip(b"\0").decode()) == (b"\1\0", b"\x09\0", CT)
    assert [peer.read()[1][5:] for _ in range(2)] == [b"\0first", b"\2second"]
    number = struct.Struct("<H").pack
    fields = [(0x0100, number(0x8001)), (0x0120, number(9)), (0x0800, number(0x0101)), (0x0900, number(0xB000))]
    peer.send(message(3, COMMAND, command(fields)))
    assert peer.response()[0x0900] == b"\0\xb0"


def test_a_request_where_a_response_is_due_is_a_broken_protocol(peer: Peer, serve: Serve) -> None:
    serve(asks_for_a_store)
    peer.send(ask() + message(3, COMMAND, store("1.2.3")))
    while (read := peer.read())[0] == P_DATA:
        pass
    assert (read[0], read[1][2:]) == (7, b"\2\2")


def test_d8_the_peers_pdu_limit_holds_for_what_we_send(door: RunningDoor, serve: Serve) -> None:
    serve(asks_for_a_store)
    with Peer(door.address) as peer:
        peer.associate(ECHO_CONTEXT, STORE_CONTEXT, user_items=struct.pack(">BBHI", 0x51, 0, 4, 32))
        peer.send(ask())
        values = [peer.read()[1]]
        while values[-1][5] != LAST:  # the last one of the data set
            values.append(peer.read()[1])
        assert max(map(len, values)) <= 32
        assert elements(b"".join(one[6:] for one in values if one[5] & COMMAND))[0x0110] == b"\x09\0"
