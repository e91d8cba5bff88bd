"""C-STORE: a data set goes as it comes into the archive (PS3.7 §9.1.1, PS3.4 Annex B)."""

from __future__ import annotations

from bridge.errors import ClassMismatch, InvalidInstance, OutOfResources, TooLarge
from bridge.ingest import Delivery
from bridge.part10 import build_header
from scp.command import SUCCESS, Element, Status
from scp.operation import Call
from scp.status import COERCED
from storage.errors import StorageFull
from storage.records import Origin, Outcome


class Store:
    """One instance on its way in. Success is sent only after `ingest` returned, which is after the commit."""

    def __init__(self, call: Call) -> None:
        command, context = call.command, call.context
        self._call = call
        self._left = call.archive.settings.dimse.object_limit_bytes
        self._sop_class_uid = command.uid(Element.AFFECTED_SOP_CLASS_UID)
        self._sop_instance_uid = command.uid(Element.AFFECTED_SOP_INSTANCE_UID)
        if not command.has_data_set:
            raise InvalidInstance("the C-STORE request has no data set")
        if self._sop_class_uid != context.abstract_syntax:
            raise ClassMismatch("the SOP class is not that of the presentation context")
        header = build_header(
            sop_class_uid=self._sop_class_uid,
            sop_instance_uid=self._sop_instance_uid,
            transfer_syntax_uid=context.transfer_syntax,
            source_ae_title=call.caller.ae_title,
        )
        self._spool = call.intake.begin(call.archive, header)

    def write(self, chunk: memoryview) -> None:
        """Append to the object. Raises TooLarge beyond the limit, OutOfResources when the disk is full."""
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge("the object is larger than dimse.object_limit_bytes")
        try:
            self._spool.write(chunk)
        except StorageFull as error:
            raise OutOfResources(str(error)) from error

    def complete(self) -> Status:
        """Hand the object to the archive."""
        call = self._call
        receipt = call.intake.ingest(
            call.archive,
            self._spool,
            Delivery(
                transfer_syntax_uid=call.context.transfer_syntax,
                site=call.caller.site,
                origin=Origin(door="DIMSE", name=call.caller.ae_title, address=call.caller.address),
                peer=call.caller.peer,
                expected_sop_class_uid=self._sop_class_uid,
                expected_sop_instance_uid=self._sop_instance_uid,
            ),
        )
        call.tally.instances += 1
        call.tally.size_bytes += call.archive.settings.dimse.object_limit_bytes - self._left
        return _OUTCOMES.get(receipt.outcome, SUCCESS)

    def abandon(self) -> None:
        """Forget the bytes."""
        self._spool.discard()


# A conflict is never a silent Success (DESIGN §3, Duplicates).
_OUTCOMES = {
    Outcome.CONFLICT: Status(code=COERCED, comment="kept as a conflict: another data set has this SOP Instance UID"),
}
