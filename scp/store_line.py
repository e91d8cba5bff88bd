"""Instances on their way to one application entity, over one association at a time (PS3.4 Annex B, DICOM.md E12).

For each SOP class every transfer syntax that instances are stored in is proposed by itself, beside the two uncompressed
ones; an instance that needs other contexts than the association has gets a new association.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from bridge.errors import NotAcceptable
from bridge.forwarding.pace import Pace
from bridge.retrieve import Retrieve
from bridge.settings import Settings
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from scp.command import Status
from scp.connection import Broken
from scp.proposal import CONTEXTS_LIMIT, Accepted
from scp.retrieval import Supply, best
from scp.scu import Offer, Outgoing, Remote, open_association
from scp.upper_layer import ProtocolError
from storage.records import InstanceRecord

_PLAIN = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


class StoreLine:
    """What ends an association is raised as Broken or ProtocolError; the next instance then gets a new one.

    With `transfer_syntax_uid` (a lossless one), what is stored without compression is offered compressed first.
    """

    def __init__(
        self,
        remote: Remote,
        retrieve: Retrieve,
        settings: Settings,
        *,
        transfer_syntax_uid: str = "",
        pace: Pace | None = None,
    ) -> None:
        self._remote = remote
        self._supply = Supply(retrieve, self._context)
        self._dimse, self._tls = settings.dimse, settings.tls
        self._wanted = transfer_syntax_uid
        self._pace = pace or Pace(0)
        self._stack = ExitStack()
        self._association: Outgoing | None = None
        self._offers: tuple[Offer, ...] = ()
        self._accepted: Mapping[str, Mapping[str, Accepted]] = {}

    def prepare(self, batch: Sequence[InstanceRecord]) -> None:
        """Have the contexts of a batch, as far as one association can. Raises NoAssociation."""
        wanted = self._offers_for(batch)
        if self._association is None or not set(wanted) <= set(self._offers):
            self._open(tuple(dict.fromkeys((*wanted, *self._offers)))[:CONTEXTS_LIMIT])

    def send(
        self,
        record: InstanceRecord,
        following: InstanceRecord | None = None,
        *,
        originator: tuple[str, int] | None = None,
    ) -> Status:
        """C-STORE of one instance; the peer's status. Raises NoAssociation, Broken, ProtocolError, BridgeError.

        The one that is to follow is fetched meanwhile.

        NotAcceptable when the peer accepts neither its SOP class as it is stored nor uncompressed.
        """
        if self._association is None or not set(self._offers_for([record])) <= set(self._offers):
            self._open(self._offers_for([record]))
        assert self._association is not None
        context, chunks = self._supply.take(record)
        try:
            return self._association.store(
                context,
                record.ref.sop_instance_uid or "",
                self._pace.through(chunks),
                originator=originator,
                meanwhile=lambda: self._supply.fetch(following),
            )
        except (Broken, ProtocolError):
            self._association.abort()
            self._association = None
            raise

    def close(self) -> None:
        """Release the association."""
        self._stack.close()
        self._association = None

    def _context(self, record: InstanceRecord) -> tuple[str, Accepted]:
        accepted = self._accepted.get(record.sop_class_uid, {})
        if self._is_to_be_compressed(record) and self._wanted in accepted:
            return self._wanted, accepted[self._wanted]
        found = best(record, accepted)
        if found is None:
            raise NotAcceptable("the destination accepts neither its SOP class as stored nor uncompressed")
        return found

    def _is_to_be_compressed(self, record: InstanceRecord) -> bool:
        return bool(self._wanted) and record.transfer_syntax_uid in _PLAIN and record.frame_table is not None

    def _offers_for(self, batch: Sequence[InstanceRecord]) -> tuple[Offer, ...]:
        offers: dict[Offer, None] = {}
        for record in batch:
            if self._is_to_be_compressed(record):
                offers[Offer(record.sop_class_uid, (self._wanted,))] = None
            if record.transfer_syntax_uid not in _PLAIN:
                offers[Offer(record.sop_class_uid, (record.transfer_syntax_uid,))] = None
            for plain in _PLAIN:
                offers[Offer(record.sop_class_uid, (plain,))] = None
        return tuple(offers)

    def _open(self, offers: tuple[Offer, ...]) -> None:
        """A new association in place of the one before."""
        self._stack.close()
        self._association, self._offers = None, offers
        association = self._stack.enter_context(
            open_association(
                self._remote, offers, calling_ae_title=self._dimse.ae_title, dimse=self._dimse, tls=self._tls
            )
        )
        self._association = association
        accepted: dict[str, dict[str, Accepted]] = {}
        for context in association.contexts.values():
            accepted.setdefault(context.abstract_syntax, {}).setdefault(context.transfer_syntax, context)
        self._accepted = accepted
