"""A-ASSOCIATE-RQ read, A-ASSOCIATE-AC written (PS3.8 §9.3.2-9.3.3)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_AC

from scp import negotiation
from scp.negotiation import Decision
from scp.upper_layer import ASSOCIATE_LIMIT_BYTES, ProtocolError
from tests.scp.wire import (
    CT,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    MAXIMUM_LENGTH,
    STORE_CONTEXT,
    associate,
    item,
    pdu,
    results,
)  # fmt: skip


def test_what_was_proposed_is_read() -> None:
    request = negotiation.decode(associate(ECHO_CONTEXT, STORE_CONTEXT, calling=" CT01 ", called="BRIDGE"))
    assert (request.calling_ae_title, request.called_ae_title) == ("CT01", "BRIDGE")
    assert [proposal.context_id for proposal in request.proposals] == [1, 3]
    assert request.proposals[1].abstract_syntax == CT
    assert request.proposals[1].transfer_syntaxes == (EXPLICIT,)
    assert request.max_pdu_bytes == 16384


def test_unknown_items_are_skipped_wherever_they_stand() -> None:
    whole = associate(ECHO_CONTEXT, user_items=item(0x99, b"new") + MAXIMUM_LENGTH + item(0x5F, b""))
    known = negotiation.decode(whole)
    more = negotiation.decode(pdu(1, whole[6:] + item(0x77, b"later")))
    assert known.proposals == more.proposals
    assert known.max_pdu_bytes == 16384
    assert known.user_items[0x99] == (b"new",)


def test_a_request_without_maximum_length_sets_no_limit() -> None:
    assert negotiation.decode(associate(ECHO_CONTEXT, user_items=b"")).max_pdu_bytes == 0


def test_malformed_role_selections_are_skipped() -> None:
    request = negotiation.decode(associate(ECHO_CONTEXT, user_items=item(0x54, b"\xff\xff1.2") + item(0x54, b"")))
    assert request.roles == {}


def test_control_characters_cannot_reach_the_log() -> None:
    assert negotiation.decode(associate(ECHO_CONTEXT, calling="A\r\nB\x1b")).calling_ae_title == "A??B?"


@pytest.mark.parametrize(
    "broken",
    [
        pdu(1, b""),
        pdu(1, bytes(67)),
        associate(ECHO_CONTEXT, ECHO_CONTEXT),  # one id twice
        associate(ECHO_CONTEXT, user_items=item(0x51, b"\0")),
        pdu(1, associate(ECHO_CONTEXT)[6:-1]),
        pdu(1, associate(ECHO_CONTEXT)[6:] + b"\x20"),
        pdu(1, associate()[6:] + item(0x20, b"\1\0")),
        pdu(1, associate()[6:] + item(0x20, b"\1\0\0\0\x30\0\xff\xff1.2")),
    ],
)
def test_contradicting_lengths_are_a_protocol_error(broken: bytes) -> None:
    with pytest.raises(ProtocolError):
        negotiation.decode(broken)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(garbage: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert negotiation.decode(pdu(1, bytes(68) + garbage)).max_pdu_bytes >= 0


def test_the_answer_is_understood_by_pynetdicom_and_repeats_the_titles() -> None:
    request = negotiation.decode(associate(ECHO_CONTEXT, STORE_CONTEXT, calling="CT01"))
    decisions = [Decision(1, 0, IMPLICIT), Decision(3, 4)]
    encoded = negotiation.accept(
        request, decisions, max_pdu_bytes=131072, roles={CT: (True, False)}, extended={CT: b"\1\0"}
    )
    read = A_ASSOCIATE_AC()
    read.decode(encoded)
    assert (read.reserved_aec.strip(), read.reserved_aet.strip()) == ("CT01", "BRIDGE")
    assert read.user_information.maximum_length == 131072
    assert [(str(one.uid), one.app_info) for one in read.user_information.ext_neg] == [(CT, b"\1\0")]
    assert read.user_information.implementation_version_name
    assert encoded[10:74] == associate(calling="CT01")[10:74]
    assert results(encoded[6:]) == {1: (0, IMPLICIT), 3: (4, IMPLICIT)}


def test_128_contexts_with_many_syntaxes_fit() -> None:
    syntaxes = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(50, 90))
    whole = associate(*((number, CT, syntaxes) for number in range(1, 256, 2)))
    assert len(negotiation.decode(whole).proposals) == 128
    assert len(whole) < ASSOCIATE_LIMIT_BYTES
