"""Which presentation contexts are accepted: abstract syntaxes x transfer syntaxes (PS3.8 §9.3.3.2, PS3.4 Annexes A, B).

Everything that can be stored is accepted, also what our codecs cannot decode (D5). Tables, so that the conformance
statement can print them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum

from pydicom.uid import UID_dictionary
from pynetdicom.sop_class import _NON_PATIENT_OBJECT_CLASSES, _STORAGE_CLASSES

from bridge.syntaxes import TRANSFER_SYNTAXES, TransferSyntax
from scp.negotiation import Decision, Proposal, Request

VERIFICATION = "1.2.840.10008.1.1"

# Named "Storage" in PS3.6 Table A-1, but without a study: directory, commitment, non-patient objects.
_NOT_INSTANCES = {
    "1.2.840.10008.1.3.10",
    "1.2.840.10008.1.20.1",
    "1.2.840.10008.1.20.2",
    "1.2.840.10008.5.1.4.1.1.201.1",
    *_NON_PATIENT_OBJECT_CLASSES.values(),
}

# SOP Class UID -> name: PS3.4 Table B.5-1 and those that were retired from it.
STORAGE_CLASSES: dict[str, str] = {
    **{uid: UID_dictionary[uid][0] if uid in UID_dictionary else name for name, uid in _STORAGE_CLASSES.items()},
    **{
        uid: name
        for uid, (name, kind, _, _, _) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and uid not in _NOT_INSTANCES
    },
}

_DICOM_ROOT = "1.2.840.10008."

# Every transfer syntax whose data sets can be kept: a whole data set, with its pixels in it.
STORABLE: dict[str, TransferSyntax] = {uid: row for uid, row in TRANSFER_SYNTAXES.items() if row.media_type}


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
    service: str  # "echo" | "store"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides agreed upon."""

    decisions: tuple[Decision, ...]  # one per proposal, in their order
    contexts: Mapping[int, Context]
    roles: Mapping[str, tuple[bool, bool]]


def agree(request: Request, *, services: Collection[str], unknown_sop_classes: bool) -> Agreement:
    """Decide every proposal; `services` are those that the peer may use."""
    decisions: list[Decision] = []
    contexts: dict[int, Context] = {}
    roles: dict[str, tuple[bool, bool]] = {}
    for proposal in request.proposals:
        service = service_of(proposal.abstract_syntax, unknown_sop_classes=unknown_sop_classes)
        transfer_syntax = choose(proposal.transfer_syntaxes)
        as_scu, _as_scp = request.roles.get(proposal.abstract_syntax, (True, False))
        result = _result(proposal, service, transfer_syntax, allowed=service in services and as_scu)
        if result is not Result.ACCEPTANCE:
            decisions.append(Decision(proposal.context_id, result))
            continue
        decisions.append(Decision(proposal.context_id, result, transfer_syntax))
        contexts[proposal.context_id] = Context(
            proposal.context_id, proposal.abstract_syntax, transfer_syntax, service or ""
        )
        if proposal.abstract_syntax in request.roles:
            roles[proposal.abstract_syntax] = (True, False)  # the requestor is the SCU of everything offered here
    return Agreement(tuple(decisions), contexts, roles)


def service_of(abstract_syntax: str, *, unknown_sop_classes: bool) -> str | None:
    """The service of an abstract syntax; None when this door does not offer it."""
    if abstract_syntax == VERIFICATION:
        return "echo"
    if abstract_syntax in STORAGE_CLASSES:
        return "store"
    if unknown_sop_classes and abstract_syntax and abstract_syntax not in UID_dictionary:
        return "store"  # a private class, or one newer than our tables (D7)
    return None


def choose(proposed: Collection[str]) -> str:
    """The best of the proposed transfer syntaxes, the earliest among equals; "" when none can be kept (D5)."""
    rows = [STORABLE[uid] for uid in proposed if uid in STORABLE]
    return min(rows, key=_rank).uid if rows else ""


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
