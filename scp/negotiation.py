"""A-ASSOCIATE: what a requestor proposes, and the answer (PS3.8 §9.3.2-9.3.3, PS3.7 Annex D.3).

The structure is walked here, because real requests hold items that no table knows, and these are skipped (D14).
The answer is built from pynetdicom's primitives.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext

from bridge.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from scp.upper_layer import HEADER_BYTES, AbortReason, ProtocolError

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 Annex A.2.1
PROTOCOL_VERSION = 0x0001  # bit 0 (PS3.8 §9.3.2)
_FIXED = struct.Struct(">H2x16s16s32s")  # protocol version, called, calling, reserved (PS3.8 Table 9-11)
_ECHOED = slice(10, 74)  # the answer repeats AE titles and reserved bytes as they came (PS3.8 Table 9-17)
_ITEM = struct.Struct(">BxH")
_ANY_AE_TITLE = "ANY"  # pynetdicom wants one; overwritten by what is echoed
_ANY_SYNTAX = "1.2.840.10008.1.2"  # in a refused context the transfer syntax means nothing (PS3.8 §9.3.3.2)


class Item(IntEnum):
    """Item and sub-item types (PS3.8 §9.3.2, PS3.7 Annex D.3.3)."""

    APPLICATION_CONTEXT = 0x10
    PRESENTATION_CONTEXT = 0x20
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS_UID = 0x52
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION_NAME = 0x55
    EXTENDED_NEGOTIATION = 0x56
    USER_IDENTITY = 0x58


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposed presentation context."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A decoded A-ASSOCIATE-RQ. AE titles are trimmed, UIDs without padding."""

    protocol_version: int
    called_ae_title: str
    calling_ae_title: str
    application_context: str
    proposals: tuple[Proposal, ...]
    max_pdu_bytes: int  # that the peer takes; 0 = no limit
    roles: Mapping[str, tuple[bool, bool]]  # SOP class -> (requestor as SCU, requestor as SCP), where proposed
    extended: Mapping[str, bytes]  # SOP class -> service class application information, where proposed
    user_items: Mapping[int, tuple[bytes, ...]]  # every user information sub-item, known or not, by type
    echoed: bytes = field(repr=False)

    @property
    def implementation(self) -> str:
        """What the peer calls its software, for the log."""
        names = self.user_items.get(Item.IMPLEMENTATION_VERSION_NAME) or self.user_items.get(
            Item.IMPLEMENTATION_CLASS_UID, (b"",)
        )
        return text(names[0])


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a proposal: result of PS3.8 Table 9-18, and the transfer syntax when it is 0."""

    context_id: int
    result: int
    transfer_syntax: str = ""


def decode(pdu: bytes) -> Request:
    """Read an A-ASSOCIATE-RQ. Raises ProtocolError for contradicting lengths and for context ids used twice."""
    if len(pdu) < HEADER_BYTES + _FIXED.size:
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "A-ASSOCIATE-RQ is too short")
    version, called, calling, _reserved = _FIXED.unpack_from(pdu, HEADER_BYTES)
    application_context = ""
    proposals: dict[int, Proposal] = {}
    user_items: dict[int, tuple[bytes, ...]] = {}
    for kind, value in items(pdu, HEADER_BYTES + _FIXED.size):
        if kind == Item.APPLICATION_CONTEXT:
            application_context = text(value)
        elif kind == Item.PRESENTATION_CONTEXT:
            proposal = _proposal(value)
            if proposal.context_id in proposals:
                raise ProtocolError(AbortReason.INVALID_PARAMETER, f"context id {proposal.context_id} is used twice")
            proposals[proposal.context_id] = proposal
        elif kind == Item.USER_INFORMATION:
            for sub_kind, sub_value in items(value, 0):
                user_items[sub_kind] = (*user_items.get(sub_kind, ()), sub_value)
    return Request(
        protocol_version=version,
        called_ae_title=text(called),
        calling_ae_title=text(calling),
        application_context=application_context,
        proposals=tuple(proposals.values()),
        max_pdu_bytes=maximum_length(user_items),
        roles=dict(role_selections(user_items)),
        extended=dict(_extended(user_items)),
        user_items=user_items,
        echoed=pdu[_ECHOED],
    )


def accept(
    request: Request,
    decisions: Sequence[Decision],
    *,
    max_pdu_bytes: int,
    roles: Mapping[str, tuple[bool, bool]],
    extended: Mapping[str, bytes],
    confirms_identity: bool = False,
) -> bytes:
    """A-ASSOCIATE-AC. `roles` and `extended` answer what was proposed (PS3.7 §D.3.3.4, §D.3.3.5).

    `confirms_identity`: a user was named, is known, and the requestor wants to hear it (PS3.7 §D.3.3.7.2).
    """
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.called_ae_title = primitive.calling_ae_title = _ANY_AE_TITLE
    primitive.presentation_context_definition_results_list = [_context(decision) for decision in decisions]
    primitive.user_information = user_information(max_pdu_bytes, roles, extended)
    if confirms_identity:
        confirmation = UserIdentityNegotiation()
        confirmation.server_response = b""
        primitive.user_information.append(confirmation)
    encoded = bytearray(A_ASSOCIATE_AC(primitive).encode())
    encoded[_ECHOED] = request.echoed
    return bytes(encoded)


def text(value: bytes) -> str:
    """An AE title or UID without padding: leading and trailing spaces and NULs mean nothing (PS3.8 §9.3.2)."""
    plain = value.decode("ascii", "replace").strip(" \0")
    # control characters would let a caller write lines of its own into the log
    return plain if plain.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in plain)


def items(data: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """(type, value) of the items that fill `data` from `position` to its end."""
    end = len(data)
    while position < end:
        if end - position < _ITEM.size:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "stray bytes in an A-ASSOCIATE-RQ")
        kind, length = _ITEM.unpack_from(data, position)
        position += _ITEM.size
        if length > end - position:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, f"item {kind:02X}H is longer than what contains it")
        yield kind, data[position : position + length]
        position += length


def _proposal(value: bytes) -> Proposal:
    if len(value) < 4:
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "a presentation context is too short")
    abstract_syntax = ""
    transfer_syntaxes: list[str] = []
    for kind, name in items(value, 4):
        if kind == Item.ABSTRACT_SYNTAX:
            abstract_syntax = text(name)
        elif kind == Item.TRANSFER_SYNTAX:
            transfer_syntaxes.append(text(name))
    return Proposal(value[0], abstract_syntax, tuple(transfer_syntaxes))


def maximum_length(user_items: Mapping[int, tuple[bytes, ...]]) -> int:
    """PS3.8 Annex D.1; a request without it sets no limit."""
    values = user_items.get(Item.MAXIMUM_LENGTH)
    if not values:
        return 0
    if len(values[0]) != 4:
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "the maximum length does not have four bytes")
    return int.from_bytes(values[0], "big")


def role_selections(user_items: Mapping[int, tuple[bytes, ...]]) -> Iterator[tuple[str, tuple[bool, bool]]]:
    """PS3.7 §D.3.3.4: UID length, UID, SCU role, SCP role; malformed ones are skipped."""
    for value in user_items.get(Item.ROLE_SELECTION, ()):
        length = int.from_bytes(value[:2], "big")
        if len(value) >= length + 4:
            yield text(value[2 : 2 + length]), (value[2 + length] == 1, value[3 + length] == 1)


def _extended(user_items: Mapping[int, tuple[bytes, ...]]) -> Iterator[tuple[str, bytes]]:
    """PS3.7 §D.3.3.5: UID length, UID, service class application information; malformed ones are skipped."""
    for value in user_items.get(Item.EXTENDED_NEGOTIATION, ()):
        length = int.from_bytes(value[:2], "big")
        if len(value) >= length + 2:
            yield text(value[2 : 2 + length]), value[2 + length :]


def _context(decision: Decision) -> PresentationContext:
    context = PresentationContext()
    context.context_id = decision.context_id
    context.result = decision.result
    context.transfer_syntax = [decision.transfer_syntax or _ANY_SYNTAX]
    return context


def user_information(
    max_pdu_bytes: int, roles: Mapping[str, tuple[bool, bool]], extended: Mapping[str, bytes]
) -> list[Any]:
    """The sub-items that either side sends, as pynetdicom's primitives."""
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu_bytes
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    found: list[Any] = [length, class_uid, version]
    for sop_class_uid, (scu, scp) in roles.items():
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = sop_class_uid
        role.scu_role, role.scp_role = scu, scp
        found.append(role)
    for sop_class_uid, information in extended.items():
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = sop_class_uid
        item.service_class_application_information = information
        found.append(item)
    return found
