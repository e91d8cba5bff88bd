"""C-MOVE: instances go to a third party, over an association that we open (PS3.4 §C.4.2, PS3.7 §9.1.4)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from bridge.errors import NotAcceptable, NotOnline, OutOfResources
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from scp.command import Element, Status
from scp.connection import Broken
from scp.operation import Answer, Call
from scp.proposal import CONTEXTS_LIMIT, Accepted
from scp.retrieval import Retrieval, best, unbroken
from scp.scu import NoAssociation, Offer, Outgoing, Remote, open_association, remote_of
from scp.status import DESTINATION_UNKNOWN
from scp.upper_layer import ProtocolError
from storage.records import InstanceRecord

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 3  # how often a destination may break off in one retrieval
_PLAIN = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


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
    """A Carrier over one association at a time, which proposes each syntax that a batch is stored in (E12)."""

    def __init__(self, call: Call, remote: Remote) -> None:
        self._call = call
        self._remote = remote
        self._dimse = call.archive.settings.dimse
        self._stack = ExitStack()
        self._association: Outgoing | None = None
        self._offers: tuple[Offer, ...] = ()
        self._accepted: Mapping[str, Mapping[str, Accepted]] = {}
        self._attempts_left = _ATTEMPTS
        self._has_slot = False

    def __enter__(self) -> _Delivery:
        self._has_slot = self._call.door.outgoing.acquire(timeout=self._dimse.response_timeout_s)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._stack.close()
        finally:
            if self._has_slot:
                self._call.door.outgoing.release()

    def prepare(self, batch: Sequence[InstanceRecord]) -> None:
        """See Carrier. An association that has the contexts already is kept."""
        if not self._has_slot:
            raise OutOfResources("dimse.outgoing_associations are open already")
        wanted = _offers(batch)
        if self._association is None or not set(wanted) <= set(self._offers):
            self._open(tuple(dict.fromkeys((*wanted, *self._offers)))[:CONTEXTS_LIMIT])

    def send(self, record: InstanceRecord) -> Status:
        """See Carrier. After a break the next instance gets a new association."""
        if self._association is None or not set(_offers([record])) <= set(self._offers):
            self._open(_offers([record]))
        assert self._association is not None
        found = best(record, self._accepted.get(record.sop_class_uid, {}))
        if found is None:
            raise NotAcceptable("the destination accepts neither its SOP class as stored nor uncompressed")
        transfer_syntax, context = found
        chunks = unbroken(self._call.door.retrieve.data_set_chunks(record, transfer_syntax))
        originator = (self._call.caller.ae_title, self._call.command.message_id)
        try:
            sop_instance_uid = record.ref.sop_instance_uid or ""
            return self._association.store(context, sop_instance_uid, chunks, originator=originator)
        except (Broken, ProtocolError) as error:
            self._association.abort()
            self._association = None
            self._attempts_left -= 1
            raise NotOnline(f"{self._remote.ae_title} broke off: {error}", retry_after_s=0) from error

    def _open(self, offers: tuple[Offer, ...]) -> None:
        """A new association in place of the one before. Raises NotOnline."""
        self._stack.close()
        self._association, self._offers = None, offers
        if not self._attempts_left:
            raise NotOnline(f"{self._remote.ae_title} broke off too often", retry_after_s=0)
        try:
            association = self._stack.enter_context(
                open_association(
                    self._remote,
                    offers,
                    calling_ae_title=self._dimse.ae_title,
                    dimse=self._dimse,
                    tls=self._call.archive.settings.tls,
                )
            )
        except NoAssociation as error:
            self._attempts_left = 0
            raise NotOnline(str(error), retry_after_s=0) from error
        self._association = association
        accepted: dict[str, dict[str, Accepted]] = {}
        for context in association.contexts.values():
            accepted.setdefault(context.abstract_syntax, {}).setdefault(context.transfer_syntax, context)
        self._accepted = accepted


def _offers(batch: Sequence[InstanceRecord]) -> tuple[Offer, ...]:
    """For each SOP class: every syntax that instances are stored in by itself, and the two plain ones."""
    offers: dict[Offer, None] = {}
    for record in batch:
        if record.transfer_syntax_uid not in _PLAIN:
            offers[Offer(record.sop_class_uid, (record.transfer_syntax_uid,))] = None
        for plain in _PLAIN:
            offers[Offer(record.sop_class_uid, (plain,))] = None
    return tuple(offers)
