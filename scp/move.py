"""C-MOVE: instances go to a third party, over an association that we open (PS3.4 §C.4.2, PS3.7 §9.1.4)."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.errors import NotOnline, OutOfResources
from scp.command import Element, Status
from scp.connection import Broken
from scp.operation import Answer, Call
from scp.retrieval import Retrieval
from scp.scu import NoAssociation, Remote, remote_of
from scp.status import DESTINATION_UNKNOWN
from scp.store_line import StoreLine
from scp.upper_layer import ProtocolError
from storage.records import InstanceRecord

_ATTEMPTS = 3  # how often a destination may break off in one retrieval


class Move:
    """One retrieval to a destination."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._retrieval = Retrieval(call)

    def write(self, chunk: memoryview) -> None:
        """See Operation."""
        self._retrieval.write(chunk)

    def complete(self) -> Status | Answer:
        """Send, and account for it. The destination must be a peer that listens (DICOM.md E11)."""
        title = self._call.command.uid(Element.MOVE_DESTINATION)
        peer = self._call.door.peers.destination(title, self._call.caller.site)
        remote = remote_of(peer) if peer else None
        if remote is None:
            return Status(code=DESTINATION_UNKNOWN, comment="no peer of that AE title has a host and port")
        with _Delivery(self._call, remote) as delivery:
            return self._retrieval.run(delivery)

    def abandon(self) -> None:
        """Nothing is left behind."""


class _Delivery:
    """A Carrier over a StoreLine, within the bound of outgoing associations."""

    def __init__(self, call: Call, remote: Remote) -> None:
        self._call = call
        self._remote = remote
        self._slot_s = call.archive.settings.dimse.response_timeout_s
        self._line = StoreLine(remote, call.door.retrieve, call.archive.settings)
        self._attempts_left = _ATTEMPTS
        self._has_slot = False

    def __enter__(self) -> _Delivery:
        self._has_slot = self._call.door.outgoing.acquire(timeout=self._slot_s)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._line.close()
        finally:
            if self._has_slot:
                self._call.door.outgoing.release()

    def prepare(self, batch: Sequence[InstanceRecord]) -> None:
        """See Carrier. An association that has the contexts already is kept."""
        if not self._has_slot:
            raise OutOfResources("dimse.outgoing_associations are open already")
        self._check_attempts()
        try:
            self._line.prepare(batch)
        except NoAssociation as error:
            raise self._given_up(error) from error

    def send(self, record: InstanceRecord, following: InstanceRecord | None) -> Status:
        """See Carrier. After a break the next instance gets a new association."""
        self._check_attempts()
        try:
            originator = (self._call.caller.ae_title, self._call.command.message_id)
            return self._line.send(record, following, originator=originator)
        except NoAssociation as error:
            raise self._given_up(error) from error
        except (Broken, ProtocolError) as error:
            self._attempts_left -= 1
            raise NotOnline(f"{self._remote.ae_title} broke off: {error}", retry_after_s=0) from error

    def _check_attempts(self) -> None:
        if not self._attempts_left:
            raise NotOnline(f"{self._remote.ae_title} broke off too often", retry_after_s=0)

    def _given_up(self, error: NoAssociation) -> NotOnline:
        self._attempts_left = 0
        return NotOnline(str(error), retry_after_s=0)
