"""Outgoing associations: the archive as service class user (PS3.4 Annexes A-C, PS3.7 §9.1, PS3.8 §9.2).

    with open_association(remote, [Offer(CT, (EXPLICIT,))], calling_ae_title="BRIDGE", dimse=dimse) as association:
        association.store(association.contexts[1], "1.2.3", chunks)

Stored bytes go out as they come in, in one write a chunk. One thread uses an association. Every wait is bounded by a
setting of `[dimse]`: `connect_timeout_s`, `artim_timeout_s`, `response_timeout_s`, `write_timeout_s`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bridge.config import Dimse, Peer
from scp import proposal
from scp.connection import Broken, Connection
from scp.outgoing import OperationFailed, Outcome, Outgoing
from scp.proposal import Offer
from scp.upper_layer import (
    AssociateAccepted,
    AssociateRejected,
    Event,
    ProtocolError,
    Requestor,
)

__all__ = [
    "NoAssociation",
    "Offer",
    "OperationFailed",
    "Outcome",
    "Outgoing",
    "Remote",
    "open_association",
    "remote_of",
]

# PS3.8 Table 9-21, what an administrator can do something about.
_REJECTIONS = {
    (1, 1, 3): "it does not know our AE title",
    (1, 1, 7): "it is not the AE title that was called",
    (2, 3, 1): "it is congested",
    (2, 3, 2): "its limit of associations is reached",
}


class NoAssociation(Exception):
    """The peer cannot be reached or does not want an association; the sentence says why. `is_transient`: try later."""

    def __init__(self, message: str, *, is_transient: bool = True) -> None:
        super().__init__(message)
        self.is_transient = is_transient


@dataclass(frozen=True, slots=True)
class Remote:
    """Whom to call."""

    ae_title: str
    host: str
    port: int


def remote_of(peer: Peer) -> Remote | None:
    """Where a configured peer listens; None when nothing can be sent to it."""
    host = peer.host or next((address for address in peer.addresses if "/" not in address), "")
    return Remote(peer.ae_title.strip(), host, peer.port) if host and peer.port else None


@contextmanager
def open_association(
    remote: Remote, offers: Sequence[Offer], *, calling_ae_title: str, dimse: Dimse
) -> Iterator[Outgoing]:
    """An association with these contexts; released at the end, aborted when the block raises. Raises NoAssociation."""
    try:
        connected = socket.create_connection((remote.host, remote.port), timeout=dimse.connect_timeout_s)
    except OSError as error:
        raise NoAssociation(f"{remote.host}:{remote.port} cannot be reached: {error.strerror or error}") from error
    connection = Connection(
        connected, Requestor(max_pdu_bytes=dimse.max_pdu_bytes), write_timeout_s=dimse.write_timeout_s
    )
    try:
        association = _associate(connection, remote, offers, calling_ae_title, dimse)
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        association.release()
    finally:
        connection.close()


def _associate(
    connection: Connection, remote: Remote, offers: Sequence[Offer], calling_ae_title: str, dimse: Dimse
) -> Outgoing:
    request = proposal.request(calling_ae_title, remote.ae_title, offers, max_pdu_bytes=dimse.max_pdu_bytes)
    try:
        connection.prepare()
        connection.send(request)
        connection.expect(dimse.artim_timeout_s)
        answer = connection.next()
        if isinstance(answer, AssociateAccepted):
            acceptance = proposal.acceptance(answer.pdu, offers)
            return Outgoing(connection, acceptance.contexts, acceptance.max_pdu_bytes, dimse)
    except (Broken, ProtocolError) as error:
        raise NoAssociation(f"{remote.ae_title} did not answer: {error}") from error
    raise _refusal(remote, answer)


def _refusal(remote: Remote, answer: Event) -> NoAssociation:
    if not isinstance(answer, AssociateRejected):
        return NoAssociation(f"{remote.ae_title} aborted")
    reason = _REJECTIONS.get((answer.result, answer.source, answer.reason))
    numbers = f"{answer.result}/{answer.source}/{answer.reason}"
    return NoAssociation(
        f"{remote.ae_title} refused: {reason} ({numbers})" if reason else f"{remote.ae_title} refused: {numbers}",
        is_transient=answer.result == 2,
    )
