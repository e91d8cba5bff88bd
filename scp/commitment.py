"""Storage Commitment Push Model: the request (N-ACTION), and the report's words (N-EVENT-REPORT) (PS3.4 §J.3).

The request is made durable before it is answered. Whoever wants to hear on the same association gets the report there,
if the answer is known at once; everything else is the business of the sender's process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bridge import audit, commitment, identifiers
from bridge.commitment import Reference, Request
from bridge.jobs import Job
from bridge.search.documents import values
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from scp.command import SUCCESS, WITH_DATA_SET, CommandField, Element, Status, pack
from scp.contexts import STORAGE_COMMITMENT
from scp.identifier import Gathering
from scp.operation import Answer, Call
from storage.keys import is_uid
from storage.records import Origin

INSTANCE = "1.2.840.10008.1.20.1.1"  # the well-known SOP Instance (PS3.4 §J.3.5)
REQUEST_COMMITMENT = 1  # Action Type ID (PS3.4 Table J.3-1)
ALL_COMMITTED, FAILURES_EXIST = 1, 2  # Event Type ID (PS3.4 Table J.3-2)
REFERENCE_BYTES = 512  # of one item of a request, with room for what nobody asked for

# PS3.7 §10.1.4.1.10
NO_SUCH_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
NO_SUCH_ACTION = 0x0123
PROCESSING_FAILURE = 0x0110
DUPLICATE_TRANSACTION = 0x0131  # PS3.4 §J.3.2.1.4
RESOURCE_LIMITATION = 0x0213

_ON_THIS_ASSOCIATION: dict[int, int | str | bytes] = {
    Element.AFFECTED_SOP_CLASS_UID: STORAGE_COMMITMENT,
    Element.MESSAGE_ID: 1,  # the one request that we make at a time
    Element.DATA_SET_TYPE: WITH_DATA_SET,
}
_TRANSACTION, _REFERENCED, _FAILED = 0x00081195, 0x00081199, 0x00081198
_CLASS, _INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197


class Refusal(Exception):
    """The request cannot be taken on."""

    def __init__(self, code: int, comment: str) -> None:
        super().__init__(comment)
        self.status = Status(code=code, comment=comment)


class Commitment:
    """One request. Success means that it survives a power cut, and that a report will follow."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._gathering = Gathering(call, call.archive.settings.commitment.references * REFERENCE_BYTES)

    def write(self, chunk: memoryview) -> None:
        """See Operation."""
        self._gathering.write(chunk)

    def complete(self) -> Answer | None:
        """Take it on; and report at once to whoever wants to hear on this association."""
        try:
            request = self._understood()
            job = self._take_on(request)
        except Refusal as refusal:
            self._note(f"refused {refusal.status.code:04X}H")
            return Answer(status=refusal.status)
        self._note("success")
        answer = Answer(status=SUCCESS, extra={Element.ACTION_TYPE_ID: REQUEST_COMMITMENT})
        if not self._is_told_here():
            return answer
        self._call.dialogue.respond(answer, now=True)
        self._tell(job, request)
        return None

    def abandon(self) -> None:
        """Nothing is left behind."""

    def _understood(self) -> Request:
        command, caller = self._call.command, self._call.caller
        if command.uid(Element.REQUESTED_SOP_INSTANCE_UID) != INSTANCE:
            raise Refusal(NO_SUCH_INSTANCE, "not the well-known instance of storage commitment")
        if command.number(Element.ACTION_TYPE_ID) != REQUEST_COMMITMENT:
            raise Refusal(NO_SUCH_ACTION, "the action type is not 1")
        document = self._gathering.whole()
        transaction_uid = "".join(values(document, (_TRANSACTION,)))
        references = tuple(_references(document))
        if not is_uid(transaction_uid) or not references or not all(map(_is_usable, references)):
            raise Refusal(INVALID_ARGUMENT, "transaction UID or references missing or unusable")
        if len(references) > (limit := self._call.archive.settings.commitment.references):
            raise Refusal(RESOURCE_LIMITATION, f"more than {limit} references")
        return Request(
            transaction_uid=transaction_uid,
            site=caller.site,
            peer=caller.peer.name if caller.peer else "",
            ae_title=caller.ae_title,
            called_ae_title=caller.called_ae_title,
            references=references,
        )

    def _take_on(self, request: Request) -> Job:
        caller, archive = self._call.caller, self._call.archive
        if not self._is_told_here() and not (caller.peer and caller.peer.port):
            raise Refusal(PROCESSING_FAILURE, "the archive does not know where you listen for the report")
        # whoever is told here keeps the job for that long; then it belongs to the sender's process
        due_in_s = archive.settings.sender.claim_s if self._is_told_here() else 0.0
        job = commitment.take_on(archive, request, due_in_s=due_in_s)
        if job is None:
            raise Refusal(DUPLICATE_TRANSACTION, "the transaction UID was used before")
        return job

    def _is_told_here(self) -> bool:
        """A caller that is not listed can be told nowhere else."""
        peer = self._call.caller.peer
        return peer is None or peer.commitment_report == "same"

    def _tell(self, job: Job, request: Request) -> None:
        """The report, if the answer is known and the peer leaves us the time; if not, the job goes to the sender."""
        archive, dialogue, context = self._call.archive, self._call.dialogue, self._call.context
        within_s = archive.settings.dimse.response_timeout_s / 2
        request = commitment.verify(archive, request, asked_at=job.created_at, within_s=within_s)
        became = replace(job, payload=commitment.to_json(request), due_at=archive.now())
        try:
            if request.is_decided and not dialogue.has_request():
                event_type, document = report(request)
                explicit = context.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN
                response = dialogue.invoke(
                    context.context_id,
                    pack({**_ON_THIS_ASSOCIATION, **event(event_type)}),
                    [identifiers.write(document, explicit=explicit)],
                )
                if (status := response.number(Element.STATUS)) == SUCCESS.code:
                    became = commitment.reported(job, request)
                else:
                    became = replace(became, problem=f"the device answered the report with status 0x{status:04X}")
        finally:
            archive.registry.settle_job(job, became)

    def _note(self, outcome: str) -> None:
        caller, archive = self._call.caller, self._call.archive
        origin = Origin(door="DIMSE", name=caller.ae_title, address=caller.address)
        audit.record("commit", at=archive.now(), origin=origin, outcome=outcome)


def report(request: Request) -> tuple[int, identifiers.Document]:
    """Event type and information: every reference stands in one of the two sequences (PS3.4 Table J.3-2)."""
    document: identifiers.Document = {f"{_TRANSACTION:08X}": {"vr": "UI", "Value": [request.transaction_uid]}}
    for tag, references in ((_FAILED, request.failures), (_REFERENCED, request.committed)):
        if references:
            document[f"{tag:08X}"] = {"vr": "SQ", "Value": [_item(reference) for reference in references]}
    return FAILURES_EXIST if request.failures else ALL_COMMITTED, document


def event(event_type: int) -> dict[int, int | str | bytes]:
    """What an N-EVENT-REPORT-RQ says besides its class, message and data set type (PS3.7 Table 10.3-1)."""
    return {
        Element.COMMAND_FIELD: int(CommandField.N_EVENT_REPORT),
        Element.AFFECTED_SOP_INSTANCE_UID: INSTANCE,
        Element.EVENT_TYPE_ID: event_type,
    }


def _item(reference: Reference) -> dict[str, Any]:
    item: dict[str, Any] = {
        f"{_CLASS:08X}": {"vr": "UI", "Value": [reference.sop_class_uid]},
        f"{_INSTANCE:08X}": {"vr": "UI", "Value": [reference.sop_instance_uid]},
    }
    if reference.verdict:
        item[f"{_REASON:08X}"] = {"vr": "US", "Value": [int(reference.verdict)]}
    return item


def _references(document: identifiers.Document) -> Iterator[Reference]:
    for item in document.get(f"{_REFERENCED:08X}", {}).get("Value", ()):
        if not isinstance(item, dict):
            raise Refusal(INVALID_ARGUMENT, "the referenced SOP sequence is no sequence")
        yield Reference("".join(values(item, (_CLASS,))), "".join(values(item, (_INSTANCE,))))


def _is_usable(reference: Reference) -> bool:
    return is_uid(reference.sop_class_uid) and is_uid(reference.sop_instance_uid)
