"""A job of storage commitment: verify what a device asked about, then tell it on a new association (PS3.4 §J.3.3)."""

from __future__ import annotations

from bridge import commitment, identifiers, jobs, metrics
from bridge.archive import Archive
from bridge.commitment import Request
from bridge.jobs import Job
from bridge.peers import Roster
from bridge.settings import Peer
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from scp.command import SUCCESS
from scp.commitment import event, report
from scp.connection import Broken
from scp.contexts import IDENTIFIER_SYNTAXES, STORAGE_COMMITMENT
from scp.scu import NoAssociation, Offer, open_association, remote_of
from scp.upper_layer import ProtocolError

_REPORT = Offer(STORAGE_COMMITMENT, IDENTIFIER_SYNTAXES, as_scp=True)


def run(archive: Archive, roster: Roster, job: Job) -> Job:
    """One turn of the job; what became of it."""
    settings = archive.settings.commitment
    request = commitment.from_json(job.payload)
    if not request.is_decided:
        # no longer than a part of the claim, so that what was read back is known even if this process dies
        within_s = archive.settings.sender.claim_s / 4
        request = commitment.verify(archive, request, asked_at=job.created_at, within_s=within_s)
        waiting = sum(reference.verdict is None for reference in request.references)
        if waiting:
            problem = f"{waiting} of {len(request.references)} are not in the object store yet"
            payload = commitment.to_json(request)
            return jobs.later(job, payload=payload, at=archive.now(), in_s=settings.recheck_s, problem=problem)
    try:
        tell(archive, _peer(roster, request), request)
    except NoAssociation as error:
        kept = jobs.later(job, payload=commitment.to_json(request), at=archive.now(), in_s=0)
        became = jobs.failed(
            kept,
            str(error),
            at=archive.now(),
            attempts=settings.attempts,
            retry_s=settings.retry_s,
            retry_max_s=settings.retry_max_s,
        )
        if became.state == "dead":
            metrics.COMMITMENTS.labels("unreported").inc()
        return became
    return commitment.reported(job, request)


def tell(archive: Archive, peer: Peer, request: Request) -> None:
    """N-EVENT-REPORT with us as the SCP, by role selection. Raises NoAssociation unless the device took it."""
    dimse, tls, remote = archive.settings.dimse, archive.settings.tls, remote_of(peer)
    if remote is None:
        raise NoAssociation(f"we do not know where it listens: dicom-bridge peers set {peer.name} host=... port=...")
    ours = request.called_ae_title or dimse.ae_title
    try:
        with open_association(remote, [_REPORT], calling_ae_title=ours, dimse=dimse, tls=tls) as association:
            context = association.context_for(STORAGE_COMMITMENT)
            if context is None:
                raise NoAssociation("it accepted the association, but not the service Storage Commitment")
            event_type, document = report(request)
            data_set = identifiers.write(document, explicit=context.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN)
            status = association.request(context, event(event_type), [data_set]).status
    except (Broken, ProtocolError) as error:
        raise NoAssociation(f"it took the association, but did not answer the report: {error}") from error
    if status.code != SUCCESS.code:
        raise NoAssociation(f"it answered the report with status 0x{status.code:04X}")


def _peer(roster: Roster, request: Request) -> Peer:
    peer = roster.named(request.peer) if request.peer else roster.titled(request.ae_title)
    if peer is None:
        raise NoAssociation("the device is not among the peers any more, so we do not know where it listens")
    return peer
