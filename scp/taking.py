"""What a peer sends us by C-GET, on its way into the archive (PS3.4 §C.4.3, PS3.7 §9.1.3).

An object that cannot be kept is answered with its status, and the others go on. While our own archive cannot take
anything the association is ended: what was not taken is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.archive import Archive
from bridge.errors import BridgeError, ClassMismatch, OutOfResources, TooLarge, Unavailable
from bridge.ingest import Delivery, begin, ingest
from bridge.part10 import build_header
from bridge.pulling.remote import Arrivals, Unreachable
from bridge.settings import Peer
from scp.command import SUCCESS, Command, Element, Status
from scp.proposal import Accepted
from scp.status import status_of
from storage.errors import StorageFull
from storage.records import Origin


@dataclass(frozen=True, slots=True)
class Taker:
    """Begins a Taking for each C-STORE that comes."""

    archive: Archive
    peer: Peer
    address: str
    site: str
    study_instance_uid: str  # the only study that was asked for
    arrivals: Arrivals

    def __call__(self, command: Command, context: Accepted) -> Taking:
        """One object. Raises Unreachable when our disk is full."""
        return Taking(self, command, context)


class Taking:
    """A Receiver: one object."""

    def __init__(self, taker: Taker, command: Command, context: Accepted) -> None:
        self._taker = taker
        self._context = context
        self._left = taker.archive.settings.dimse.object_limit_bytes
        self._sop_class_uid = command.uid(Element.AFFECTED_SOP_CLASS_UID)
        self._sop_instance_uid = command.uid(Element.AFFECTED_SOP_INSTANCE_UID)
        self._refusal: BridgeError | None = None
        if self._sop_class_uid != context.abstract_syntax:
            self._refusal = ClassMismatch("the SOP class is not that of the presentation context")
        header = build_header(
            sop_class_uid=self._sop_class_uid,
            sop_instance_uid=self._sop_instance_uid,
            transfer_syntax_uid=context.transfer_syntax,
            source_ae_title=taker.peer.ae_title.strip(),
        )
        try:
            self._spool = begin(taker.archive, header)
        except OutOfResources as error:
            raise Unreachable(f"our own archive cannot take it: {error}") from error

    def write(self, chunk: memoryview) -> None:
        """See Receiver. Raises Unreachable when our disk is full."""
        self._left -= len(chunk)
        if self._left < 0 and self._refusal is None:
            self._refusal = TooLarge("the object is larger than dimse.object_limit_bytes")
        if self._refusal is None:
            try:
                self._spool.write(chunk)
            except StorageFull as error:
                raise Unreachable(f"our own archive cannot take it: {error}") from error

    def complete(self) -> Status:
        """See Receiver. Raises Unreachable while our own index or store is away."""
        try:
            if self._refusal is not None:
                self._spool.discard()
                raise self._refusal
            ingest(self._taker.archive, self._spool, self._delivery())
        except (OutOfResources, Unavailable) as error:
            raise Unreachable(f"our own archive cannot take it: {error}") from error
        except BridgeError as error:
            self._taker.arrivals.refused(self._sop_instance_uid, str(error))
            return status_of(error)
        self._taker.arrivals.arrived()
        return SUCCESS

    def abandon(self) -> None:
        """See Receiver."""
        self._spool.discard()

    def _delivery(self) -> Delivery:
        taker = self._taker
        return Delivery(
            transfer_syntax_uid=self._context.transfer_syntax,
            site=taker.site,
            origin=Origin(door="DIMSE", name=taker.peer.ae_title.strip(), address=taker.address),
            peer=taker.peer,
            expected_sop_class_uid=self._sop_class_uid,
            expected_sop_instance_uid=self._sop_instance_uid,
            expected_study_instance_uid=taker.study_instance_uid,
        )
