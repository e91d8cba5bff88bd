"""A-ASSOCIATE as requestor: what we propose, and what the peer made of it (PS3.8 §9.3.2-9.3.3, PS3.7 Annex D.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

from scp.negotiation import APPLICATION_CONTEXT, Item, items, maximum_length, role_selections, text, user_information
from scp.upper_layer import HEADER_BYTES, AbortReason, ProtocolError

CONTEXTS_LIMIT = 128  # ids are odd and one byte long (PS3.8 §9.3.2.2)
_CONTEXT_RESULT = 0x21
_FIXED_BYTES = 68  # of an A-ASSOCIATE-AC before its items (PS3.8 Table 9-17)


@dataclass(frozen=True, slots=True)
class Offer:
    """A presentation context to propose; the first one has id 1, the next 3. `as_scp`: we are its provider."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    as_scp: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """A context that the peer accepted."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scp: bool  # the peer lets us provide this SOP class


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A decoded A-ASSOCIATE-AC."""

    contexts: Mapping[int, Accepted]
    max_pdu_bytes: int  # that the peer takes; 0 = no limit


def request(calling: str, called: str, offers: Sequence[Offer], *, max_pdu_bytes: int) -> bytes:
    """A-ASSOCIATE-RQ. At most CONTEXTS_LIMIT offers."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    primitive.presentation_context_definition_list = [_context(number, offer) for number, offer in _numbered(offers)]
    roles = {offer.abstract_syntax: (not offer.as_scp, True) for offer in offers if offer.as_scp}
    primitive.user_information = user_information(max_pdu_bytes, roles, {})
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def acceptance(pdu: bytes, offers: Sequence[Offer]) -> Acceptance:
    """Read the answer to these offers. Raises ProtocolError."""
    offered = dict(_numbered(offers))
    results: dict[int, tuple[int, str]] = {}
    user_items: dict[int, tuple[bytes, ...]] = {}
    if len(pdu) < HEADER_BYTES + _FIXED_BYTES:
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "A-ASSOCIATE-AC is too short")
    for kind, value in items(pdu, HEADER_BYTES + _FIXED_BYTES):
        if kind == _CONTEXT_RESULT and len(value) >= 4:
            names = [text(name) for sub_kind, name in items(value, 4) if sub_kind == Item.TRANSFER_SYNTAX]
            results[value[0]] = (value[2], names[0] if names else "")
        elif kind == Item.USER_INFORMATION:
            for sub_kind, sub_value in items(value, 0):
                user_items[sub_kind] = (*user_items.get(sub_kind, ()), sub_value)
    roles = dict(role_selections(user_items))
    contexts = {}
    for number, (result, transfer_syntax) in results.items():
        offer = offered.get(number)
        if result == 0 and offer is not None and transfer_syntax in offer.transfer_syntaxes:
            as_scp = offer.as_scp and roles.get(offer.abstract_syntax, (True, False))[1]
            contexts[number] = Accepted(number, offer.abstract_syntax, transfer_syntax, as_scp)
    return Acceptance(contexts, maximum_length(user_items))


def _numbered(offers: Sequence[Offer]) -> list[tuple[int, Offer]]:
    return [(2 * number + 1, offer) for number, offer in enumerate(offers[:CONTEXTS_LIMIT])]


def _context(number: int, offer: Offer) -> PresentationContext:
    context = PresentationContext()
    context.context_id = number
    context.abstract_syntax = offer.abstract_syntax
    context.transfer_syntax = list(offer.transfer_syntaxes)
    return context
