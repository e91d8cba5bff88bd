"""Which presentation contexts are accepted: abstract syntaxes x transfer syntaxes (PS3.8 §9.3.3.2, PS3.4 Annexes A, B).

Everything that can be stored is accepted, also what our codecs cannot decode (D5). Tables, so that the conformance
statement can print them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum

from bridge.sop_classes import is_storable, storage_classes
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, STORABLE, TransferSyntax
from scp.models import PLAIN, QUERY_RETRIEVE, STORAGE_SUPPORT, Options, agreed, options
from scp.negotiation import Decision, Proposal, Request

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"  # Push Model (PS3.4 §J.3)

# SOP Class UID -> name: PS3.4 Table B.5-1 and those that were retired from it.
STORAGE_CLASSES: dict[str, str] = storage_classes()

_DICOM_ROOT = "1.2.840.10008."

# What messages are made of that are no objects: identifiers and the like.
IDENTIFIER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


class Result(IntEnum):
    """PS3.8 Table 9-18."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context, and the service it belongs to."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    service: str  # "echo" | "store" | "find" | "move" | "get" | "" when only we send on it
    takes_stores: bool = False  # the peer is SCP of a storage class: C-GET may send on it
    options: Options = PLAIN


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides agreed upon."""

    decisions: tuple[Decision, ...]  # one per proposal, in their order
    contexts: Mapping[int, Context]
    roles: Mapping[str, tuple[bool, bool]]
    extended: Mapping[str, bytes]


def agree(
    request: Request,
    *,
    services: Collection[str],
    unknown_sop_classes: bool,
    sop_classes: Collection[str] = (),
    transfer_syntaxes: Collection[str] = (),
) -> Agreement:
    """Decide every proposal by what the peer may do; a limit of classes or syntaxes is for storage, empty = none."""
    decisions: list[Decision] = []
    contexts: dict[int, Context] = {}
    roles: dict[str, tuple[bool, bool]] = {}
    extended: dict[str, bytes] = {}
    may_get = "get" in services and any(
        QUERY_RETRIEVE[proposal.abstract_syntax].service == "get"
        for proposal in request.proposals
        if proposal.abstract_syntax in QUERY_RETRIEVE
    )
    for proposal in request.proposals:
        uid = proposal.abstract_syntax
        service = service_of(uid, unknown_sop_classes=unknown_sop_classes)
        wants_scu, wants_scp = request.roles.get(uid, (True, False))
        may_store = not (sop_classes and service == "store") or uid in sop_classes
        as_scu = wants_scu and service in services and may_store
        as_scp = wants_scp and service == "store" and may_get  # D9: never unless proposed, and only for C-GET
        limits = transfer_syntaxes if service == "store" and as_scu else ()
        transfer_syntax = _chosen(_within(proposal, limits), service, is_sent=as_scp)
        result = _result(proposal, service, transfer_syntax, allowed=as_scu or as_scp)
        if result is not Result.ACCEPTANCE:
            decisions.append(Decision(proposal.context_id, result))
            continue
        decisions.append(Decision(proposal.context_id, result, transfer_syntax))
        if uid in request.roles:
            roles[uid] = (as_scu, as_scp)
        if uid in QUERY_RETRIEVE and uid in request.extended:
            extended[uid] = agreed(QUERY_RETRIEVE[uid], request.extended[uid])
        elif service == "store" and uid in request.extended:
            extended[uid] = STORAGE_SUPPORT[: len(request.extended[uid])]
        contexts[proposal.context_id] = Context(
            proposal.context_id,
            uid,
            transfer_syntax,
            service or "" if as_scu else "",
            takes_stores=as_scp,
            options=options(QUERY_RETRIEVE[uid], extended[uid]) if uid in extended and uid in QUERY_RETRIEVE else PLAIN,
        )
    return Agreement(tuple(decisions), contexts, roles, extended)


def service_of(abstract_syntax: str, *, unknown_sop_classes: bool) -> str | None:
    """The service of an abstract syntax; None when this door does not offer it."""
    if abstract_syntax == VERIFICATION:
        return "echo"
    if abstract_syntax == STORAGE_COMMITMENT:
        return "commitment"
    if abstract_syntax in STORAGE_CLASSES:
        return "store"
    if abstract_syntax in QUERY_RETRIEVE:
        return QUERY_RETRIEVE[abstract_syntax].service
    if is_storable(abstract_syntax, unknown=unknown_sop_classes):
        return "store"  # a private class, or one newer than our tables (D7)
    return None


def choose(proposed: Collection[str]) -> str:
    """The best of the proposed transfer syntaxes, the earliest among equals; "" when none can be kept (D5)."""
    rows = [STORABLE[uid] for uid in proposed if uid in STORABLE]
    return min(rows, key=_rank).uid if rows else ""


def _chosen(proposal: Proposal, service: str | None, *, is_sent: bool) -> str:
    """By what travels on the context: identifiers, objects that come in, objects that go out."""
    if service in ("find", "move", "get", "commitment") or (
        is_sent and any(uid in proposal.transfer_syntaxes for uid in IDENTIFIER_SYNTAXES)
    ):
        # whatever can be decoded can be sent so, a compressed syntax would fit those stored in it alone (E14)
        return next((uid for uid in IDENTIFIER_SYNTAXES if uid in proposal.transfer_syntaxes), "")
    return choose(proposal.transfer_syntaxes)


def _within(proposal: Proposal, limits: Collection[str]) -> Proposal:
    """The proposal with those of its transfer syntaxes that are among `limits`; as it is without limits."""
    if not limits:
        return proposal
    usable = tuple(uid for uid in proposal.transfer_syntaxes if uid in limits)
    return Proposal(proposal.context_id, proposal.abstract_syntax, usable)


def _rank(row: TransferSyntax) -> tuple[bool, ...]:
    """Lower is better: the standard's own, little endian, nothing lost, as compressed, explicit VR, not deflated."""
    return (
        not row.uid.startswith(_DICOM_ROOT),
        row.big_endian,
        row.lossy,
        not row.encapsulated,
        not row.explicit,
        row.deflated,
    )


def _result(proposal: Proposal, service: str | None, transfer_syntax: str, *, allowed: bool) -> Result:
    if proposal.context_id % 2 == 0:
        return Result.NO_REASON  # ids are odd (PS3.8 §9.3.2.2)
    if service is None:
        return Result.ABSTRACT_SYNTAX_NOT_SUPPORTED
    if not allowed:
        return Result.USER_REJECTION
    return Result.ACCEPTANCE if transfer_syntax else Result.TRANSFER_SYNTAXES_NOT_SUPPORTED
