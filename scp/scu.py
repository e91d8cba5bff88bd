"""Outgoing associations: the archive as service class user (PS3.4 Annexes A-C, PS3.7 §9.1, PS3.8 §9.2).

    with open_association(remote, [Offer(CT, (EXPLICIT,))], calling_ae_title="BRIDGE", dimse=dimse) as association:
        association.store(association.contexts[1], "1.2.3", chunks)

Stored bytes go out as they come in, in one write a chunk. One thread uses an association. Every wait is bounded by a
setting of `[dimse]`: `connect_timeout_s`, `artim_timeout_s`, `response_timeout_s`, `write_timeout_s`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bridge.errors import ConfigError
from bridge.settings import Dimse, Peer, Tls
from scp import proposal
from scp.certificates import client_context
from scp.connection import Broken, Connection
from scp.outgoing import OperationFailed, Outcome, Outgoing
from scp.proposal import Offer
from scp.reach import NoAssociation, connected, rejected
from scp.tls import TlsFailed
from scp.upper_layer import (
    AssociateAccepted,
    AssociateRejected,
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


_NO_CERTIFICATE = Tls()


@dataclass(frozen=True, slots=True)
class Remote:
    """Whom to call."""

    ae_title: str
    host: str
    port: int
    tls: bool = False
    certificate: str = ""  # the name that its certificate must have; "" = that of the host


def remote_of(peer: Peer) -> Remote | None:
    """Where a configured peer listens; None when nothing can be sent to it."""
    host = peer.host or next((address for address in peer.addresses if "/" not in address), "")
    if not host or not peer.port:
        return None
    return Remote(peer.ae_title.strip(), host, peer.port, peer.tls or bool(peer.certificate), peer.certificate)


@contextmanager
def open_association(
    remote: Remote, offers: Sequence[Offer], *, calling_ae_title: str, dimse: Dimse, tls: Tls = _NO_CERTIFICATE
) -> Iterator[Outgoing]:
    """An association with these contexts; released at the end, aborted when the block raises. Raises NoAssociation.

    `tls`: our certificate and whom we trust, for a peer that is called over TLS.
    """
    connection = Connection(
        connected(remote.host, remote.port, dimse.connect_timeout_s),
        Requestor(max_pdu_bytes=dimse.max_pdu_bytes),
        write_timeout_s=dimse.write_timeout_s,
    )
    try:
        if remote.tls:
            _secure(connection, remote, tls)
        association = _associate(connection, remote, offers, calling_ae_title, dimse)
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        association.release()
    finally:
        connection.close()


def _secure(connection: Connection, remote: Remote, tls: Tls) -> None:
    try:
        context = client_context(tls)
        connection.prepare()
        name = remote.certificate or remote.host
        connection.secure(context, as_server=False, within_s=tls.handshake_timeout_s, name=name)
    except (Broken, ConfigError, TlsFailed) as error:
        raise NoAssociation(f"{remote.host}:{remote.port} takes connections, but no TLS came about: {error}") from error


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
        why = f"it did not answer as DICOM does: {error}; is it a DICOM port, and one without TLS?"
        raise NoAssociation(f"{remote.host}:{remote.port} takes connections, but {why}") from error
    if isinstance(answer, AssociateRejected):
        raise rejected(answer.result, answer.source, answer.reason, ours=calling_ae_title, theirs=remote.ae_title)
    raise NoAssociation(f"{remote.ae_title} aborted")
