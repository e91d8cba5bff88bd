"""Command sets: read and written without a library, checked against pynetdicom's."""

from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dsutils import decode as pynetdicom_decode

from scp import command as commands
from scp.command import Command, CommandError, Element, Response, Status
from tests.scp.wire import CT, command, echo, elements, request, store


def read_by_pynetdicom(encoded: bytes) -> object:
    """The same bytes in a library's eyes."""
    return pynetdicom_decode(io.BytesIO(encoded), True, True)


def test_a_store_request_is_read() -> None:
    read = commands.decode(store("1.2.3", 513))
    assert (read.field, read.message_id, read.has_data_set) == (0x0001, 513, True)
    assert read.uid(Element.AFFECTED_SOP_CLASS_UID) == CT
    assert read.uid(Element.AFFECTED_SOP_INSTANCE_UID) == "1.2.3"


def test_an_echo_has_no_data_set() -> None:
    assert not commands.decode(echo()).has_data_set


def test_any_other_data_set_type_means_that_one_follows() -> None:
    assert commands.decode(request(0x0001, data_set=0xFEFE)).has_data_set


def test_a_response_is_understood_by_pynetdicom() -> None:
    status = Status(code=0xC000, comment="a comment", offending_tag=0x0020000D)
    encoded = commands.encode(Response(commands.decode(store("1.2.3", 7)), status))
    read = read_by_pynetdicom(encoded)
    assert (read.CommandField, read.MessageIDBeingRespondedTo, read.Status) == (0x8001, 7, 0xC000)  # type: ignore[attr-defined]
    assert (read.ErrorComment, read.OffendingElement) == ("a comment", 0x0020000D)  # type: ignore[attr-defined]
    assert read.CommandGroupLength == len(encoded) - 12  # type: ignore[attr-defined]


@given(st.text(max_size=100))
def test_a_comment_has_at_most_64_characters_and_an_even_length(comment: str) -> None:
    encoded = commands.encode(Response(commands.decode(echo()), Status(code=0x0110, comment=comment)))
    sent = elements(encoded).get(0x0902, b"")
    assert len(sent) <= 64
    assert len(sent) % 2 == 0


@given(st.integers(0, 0xFFFF), st.from_regex(r"[0-9.]{0,64}", fullmatch=True))
def test_a_stencil_says_what_packing_anew_says(number: int, uid: str) -> None:
    fixed = {Element.AFFECTED_SOP_CLASS_UID: CT, Element.COMMAND_FIELD: 1, Element.DATA_SET_TYPE: 1}
    stencil = commands.Stencil(
        {**fixed, Element.AFFECTED_SOP_INSTANCE_UID: "", Element.MESSAGE_ID: 0},
        (Element.AFFECTED_SOP_INSTANCE_UID, Element.MESSAGE_ID),
    )
    wanted = {**fixed, Element.AFFECTED_SOP_INSTANCE_UID: uid, Element.MESSAGE_ID: number}
    assert [stencil.fill((uid, number)) for _ in range(2)] == [commands.pack(wanted)] * 2


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\0",
        command([(0x0100, b"\x30\0")]),  # no message id
        command([(0x0110, b"\1\0")]),  # no command field
        command([(0x0100, b"\x30"), (0x0110, b"\1\0")]),
        struct.pack("<HHI", 0, 0x0100, 0xFFFFFFFF) + b"\x30\0",
        struct.pack("<HHI", 8, 0x0100, 2) + b"\x30\0",  # not group 0000
        echo()[:-1],
    ],
)
def test_what_is_no_command_set_is_said_so(broken: bytes) -> None:
    with pytest.raises(CommandError):
        commands.decode(broken)


@given(st.binary(max_size=300))
def test_garbage_is_a_command_or_an_error(garbage: bytes) -> None:
    with contextlib.suppress(CommandError):
        assert isinstance(commands.decode(garbage), Command)


def test_a_cancel_names_another_message_instead_of_having_an_id() -> None:
    cancel = command([(0x0100, b"\xff\x0f"), (0x0120, b"\1\0"), (0x0800, b"\x01\x01")])
    assert commands.decode(cancel).field == 0x0FFF
