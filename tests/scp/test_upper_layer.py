"""The upper layer without sockets: however bytes are cut, the same events come out; nonsense is named."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp import upper_layer
from scp.upper_layer import (
    Aborted,
    AbortReason,
    Acceptor,
    AssociateRequested,
    Fragment,
    ProtocolError,
    ReleaseRequested,
    State,
)
from tests.scp.wire import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    COMMAND,
    DATA,
    ECHO_CONTEXT,
    LAST,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    associate,
    pdu,
    value,
)  # fmt: skip

MAX_PDU = 1000


def open_acceptor() -> Acceptor:
    """One whose association is accepted."""
    acceptor = Acceptor(max_pdu_bytes=MAX_PDU)
    acceptor.accepted()
    return acceptor


def messages(acceptor: Acceptor, pieces: list[bytes]) -> list[object]:
    """Events, with the fragments of a value joined so that cuts do not show."""
    found: list[object] = []
    pending = b""
    for piece in pieces:
        for event in acceptor.receive(memoryview(piece)):
            if isinstance(event, AssociateRequested):
                acceptor.accepted()
            if not isinstance(event, Fragment):
                found.append(event)
                continue
            pending += event.data
            if event.is_last:
                found.append((event.context_id, event.is_command, pending))
                pending = b""
    return found


value_strategy = st.tuples(st.sampled_from([1, 3]), st.sampled_from([COMMAND, DATA]), st.binary(max_size=60))
stream_strategy = st.lists(st.lists(value_strategy, min_size=1, max_size=3), max_size=5)


@given(stream_strategy, st.data())
def test_cuts_anywhere_make_no_difference(values: list[list[tuple[int, int, bytes]]], data: st.DataObject) -> None:
    stream = associate(ECHO_CONTEXT)
    for group in values:
        stream += pdu(P_DATA, b"".join(value(number, kind | LAST, content) for number, kind, content in group))
    stream += pdu(RELEASE_RQ, bytes(4))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[first:last] for first, last in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert messages(Acceptor(max_pdu_bytes=MAX_PDU), pieces) == [
        AssociateRequested(associate(ECHO_CONTEXT)),
        *((number, bool(kind), content) for group in values for number, kind, content in group),
        ReleaseRequested(),
    ]


def test_byte_by_byte_is_the_same_too() -> None:
    stream = pdu(P_DATA, value(1, COMMAND | LAST, b"abc") + value(1, DATA, b"") + value(1, DATA | LAST, b"defg"))
    assert messages(open_acceptor(), [stream[n : n + 1] for n in range(len(stream))]) == [
        (1, True, b"abc"),
        (1, False, b"defg"),
    ]


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_a_protocol_error_or_waits_for_more(garbage: bytes, is_open: bool) -> None:
    acceptor = open_acceptor() if is_open else Acceptor(max_pdu_bytes=MAX_PDU)
    with contextlib.suppress(ProtocolError):
        assert len(messages(acceptor, [garbage])) <= len(garbage)


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (pdu(0x00, bytes(4)), AbortReason.UNRECOGNIZED_PDU),
        (pdu(0x08, bytes(4)), AbortReason.UNRECOGNIZED_PDU),
        (b"GET / HTTP/1.1\r\n\r\n", AbortReason.UNRECOGNIZED_PDU),
        (associate(ECHO_CONTEXT), AbortReason.UNEXPECTED_PDU),
        (pdu(ASSOCIATE_AC, bytes(4)), AbortReason.UNEXPECTED_PDU),
        (pdu(ASSOCIATE_RJ, bytes(4)), AbortReason.UNEXPECTED_PDU),
        (pdu(RELEASE_RP, bytes(4)), AbortReason.UNEXPECTED_PDU),
        (pdu(RELEASE_RQ, bytes(5)), AbortReason.INVALID_PARAMETER),
        (pdu(ABORT, b""), AbortReason.INVALID_PARAMETER),
        (struct.pack(">BxI", P_DATA, 0xFFFFFFFF), AbortReason.INVALID_PARAMETER),
        (struct.pack(">BxI", P_DATA, MAX_PDU + 1), AbortReason.INVALID_PARAMETER),
        (pdu(P_DATA, b""), AbortReason.INVALID_PARAMETER),
        (pdu(P_DATA, bytes(5)), AbortReason.INVALID_PARAMETER),
        (pdu(P_DATA, struct.pack(">IBB", 1, 1, 3)), AbortReason.INVALID_PARAMETER),
        (pdu(P_DATA, struct.pack(">IBB", 0xFFFFFFFF, 1, 3)), AbortReason.INVALID_PARAMETER),
        (pdu(P_DATA, struct.pack(">IBB", 9, 1, 3) + bytes(6)), AbortReason.INVALID_PARAMETER),
        (pdu(P_DATA, value(1, 3, b"x") + bytes(3)), AbortReason.INVALID_PARAMETER),
    ],
)
def test_what_breaks_the_protocol_in_an_open_association(stream: bytes, reason: AbortReason) -> None:
    with pytest.raises(ProtocolError) as caught:
        messages(open_acceptor(), [stream])
    assert caught.value.reason is reason


@pytest.mark.parametrize("kind", [ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP])
def test_only_a_request_or_an_abort_may_come_first(kind: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        messages(Acceptor(max_pdu_bytes=MAX_PDU), [pdu(kind, bytes(10))])
    assert caught.value.reason is AbortReason.UNEXPECTED_PDU


def test_a_request_that_claims_four_gibibytes_is_refused_at_its_header() -> None:
    with pytest.raises(ProtocolError):
        messages(Acceptor(max_pdu_bytes=MAX_PDU), [struct.pack(">BxI", 1, 0xFFFFFFFF)])


def test_an_abort_tells_source_and_reason_and_ends_everything() -> None:
    acceptor = open_acceptor()
    stream = pdu(ABORT, bytes((0, 0, 2, 6))) + pdu(0x55, b"more")
    assert messages(acceptor, [stream]) == [Aborted(2, 6)]
    assert acceptor.state is State.CLOSING


def test_progress_is_counted_in_whole_pdus() -> None:
    acceptor = open_acceptor()
    stream = pdu(P_DATA, value(1, DATA, b"abcdef"))
    messages(acceptor, [stream[:-1]])
    assert acceptor.pdus == 0
    messages(acceptor, [stream[-1:]])
    assert acceptor.pdus == 1


@given(st.binary(max_size=3000), st.integers(8, 500))
def test_what_we_send_fits_the_peers_limit_and_is_read_back(content: bytes, limit: int) -> None:
    stream = upper_layer.data(5, content, is_command=True, max_pdu_bytes=limit)
    acceptor = Acceptor(max_pdu_bytes=limit)
    acceptor.accepted()
    assert messages(acceptor, [stream]) == [(5, True, content)]


def test_no_limit_means_one_pdu() -> None:
    assert len(upper_layer.data(1, bytes(100_000), is_command=False, max_pdu_bytes=0)) == 100_000 + 12
