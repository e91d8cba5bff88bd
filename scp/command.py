"""DIMSE command sets: implicit VR little endian, group 0000 only (PS3.7 §6.3, Annex E). Pure.

Own code, because this runs for every object; a command is a handful of short elements.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

_ELEMENT = struct.Struct("<HHI")
_NUMBER = struct.Struct("<HHIH")  # a whole element of one US
_GROUP_LENGTH = struct.Struct("<HHII")  # a whole element of one UL
NO_DATA_SET = 0x0101  # PS3.7 Annex E: the one value of Command Data Set Type that means none
WITH_DATA_SET = 0x0001
RESPONSE = 0x8000  # set in the Command Field of a response
LIMIT_BYTES = 1 << 16  # of one command set; the longest real ones stay below 1 KiB
COMMENT_LENGTH = 64  # of an LO (PS3.7 Table C.1-1)


class Element(IntEnum):
    """The element numbers of group 0000 that this door reads or writes (PS3.7 Table E.1-1)."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_RESPONDED_TO = 0x0120
    MOVE_DESTINATION = 0x0600
    PRIORITY = 0x0700
    DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ACTION_TYPE_ID = 0x1008
    NUMBER_OF_REMAINING_SUB_OPERATIONS = 0x1020
    NUMBER_OF_COMPLETED_SUB_OPERATIONS = 0x1021
    NUMBER_OF_FAILED_SUB_OPERATIONS = 0x1022
    NUMBER_OF_WARNING_SUB_OPERATIONS = 0x1023
    MOVE_ORIGINATOR_AE_TITLE = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


class CommandField(IntEnum):
    """Requests that this door knows by name (PS3.7 Table E.1-1, (0000,0100))."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    C_CANCEL = 0x0FFF


class CommandError(Exception):
    """The bytes are no command set, or lack what every request must have."""


@dataclass(frozen=True, slots=True)
class Command:
    """A request or response: element number -> raw value."""

    elements: dict[int, bytes]
    field: int
    message_id: int  # of a request; 0 in a response

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows; a missing Command Data Set Type counts as none."""
        return self.number(Element.DATA_SET_TYPE, NO_DATA_SET) != NO_DATA_SET

    def number(self, element: int, default: int = 0) -> int:
        """A US value."""
        value = self.elements.get(element, b"")
        return int.from_bytes(value[:2], "little") if len(value) >= 2 else default

    @property
    def responded_to(self) -> int:
        """The message that a response or a C-CANCEL is about."""
        return self.number(Element.MESSAGE_ID_RESPONDED_TO)

    def uid(self, element: int) -> str:
        """A UI or AE value without its padding; empty when it is missing."""
        return self.elements.get(element, b"").decode("ascii", "replace").strip("\0 ")

    def about(self, affected: int, requested: int) -> str:
        """The UID of what the command is about: N-services request what C-services affect (PS3.7 §10.1.4.1)."""
        return self.uid(affected) or self.uid(requested)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How an operation ended (PS3.7 Annex C)."""

    code: int
    comment: str = ""
    offending_tag: int | None = None


SUCCESS = Status(code=0x0000)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to `command`."""

    command: Command
    status: Status = field(default=SUCCESS)
    extra: Mapping[int, int] = field(default_factory=dict)  # further US elements
    has_data_set: bool = False


def decode(data: bytes | bytearray) -> Command:
    """Read a command set. Raises CommandError."""
    elements: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position + 8 <= end:
        group, number, length = _ELEMENT.unpack_from(data, position)
        position += 8
        if group != 0 or length > end - position:
            raise CommandError("the command set is not implicit VR little endian, or is cut short")
        elements[number] = bytes(data[position : position + length])
        position += length
    if position != end:
        raise CommandError("the command set is cut short")
    for required in (Element.COMMAND_FIELD, Element.MESSAGE_ID):
        # C-CANCEL and responses name a message instead of having an id of their own (PS3.7 §9.3.2.3)
        if len(elements.get(required, b"")) != 2 and not (required is Element.MESSAGE_ID and _is_about(elements)):
            raise CommandError(f"the command set has no {required.name}")
    return Command(
        elements,
        int.from_bytes(elements[Element.COMMAND_FIELD], "little"),
        int.from_bytes(elements.get(Element.MESSAGE_ID, b""), "little"),
    )


def encode(response: Response) -> bytes:
    """The command set of a response, group length included."""
    return pack(elements_of(response))


def elements_of(response: Response) -> dict[int, int | str | bytes]:
    """The command set of a response as elements."""
    request, status = response.command, response.status
    elements: dict[int, int | str | bytes] = {
        Element.AFFECTED_SOP_CLASS_UID: request.about(Element.AFFECTED_SOP_CLASS_UID, Element.REQUESTED_SOP_CLASS_UID),
        Element.COMMAND_FIELD: request.field | RESPONSE,
        Element.MESSAGE_ID_RESPONDED_TO: request.message_id,
        Element.DATA_SET_TYPE: WITH_DATA_SET if response.has_data_set else NO_DATA_SET,
        Element.STATUS: status.code,
        Element.ERROR_COMMENT: status.comment[:COMMENT_LENGTH],
        Element.AFFECTED_SOP_INSTANCE_UID: request.about(
            Element.AFFECTED_SOP_INSTANCE_UID, Element.REQUESTED_SOP_INSTANCE_UID
        ),
        **response.extra,
    }
    if status.offending_tag is not None:
        elements[Element.OFFENDING_ELEMENT] = struct.pack(
            "<HH", status.offending_tag >> 16, status.offending_tag & 0xFFFF
        )
    return elements


def pack(elements: Mapping[int, int | str | bytes]) -> bytes:
    """A command set of these elements, group length included: numbers as US, text padded to even length by its kind
    (PS3.5 §6.2), empty text left out."""
    return _with_length(b"".join([_encoded(element, elements[element]) for element in sorted(elements)]))


class Stencil:
    """A command set that is written thousands of times with only some values changed."""

    def __init__(self, elements: Mapping[int, int | str | bytes], changing: Sequence[int]) -> None:
        """`changing`: the elements whose values `fill` takes, in that order."""
        self._parts = [_encoded(element, elements[element]) for element in sorted(elements)]
        places = {element: place for place, element in enumerate(sorted(elements))}
        self._changing = [(places[element], int(element)) for element in changing]

    def fill(self, values: Iterable[int | str]) -> bytes:
        """As `pack` with these values."""
        parts = self._parts.copy()
        for (place, element), value in zip(self._changing, values, strict=True):
            parts[place] = _encoded(element, value)
        return _with_length(b"".join(parts))


def _with_length(body: bytes) -> bytes:
    return _GROUP_LENGTH.pack(0, Element.GROUP_LENGTH, 4, len(body)) + body


def _is_about(elements: dict[int, bytes]) -> bool:
    field = int.from_bytes(elements.get(Element.COMMAND_FIELD, b""), "little")
    return field == CommandField.C_CANCEL or bool(field & RESPONSE)


def _encoded(element: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _NUMBER.pack(0, element, 2, value)
    if isinstance(value, str):
        if not value:
            return b""
        pad = b"\0" if element in _UIDS else b" "
        value = value.encode("ascii", "replace")
        value += pad * (len(value) % 2)
    return _ELEMENT.pack(0, element, len(value)) + value


_UIDS = frozenset({Element.AFFECTED_SOP_CLASS_UID, Element.AFFECTED_SOP_INSTANCE_UID})
