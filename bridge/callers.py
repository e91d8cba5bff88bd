"""Who called, who was turned away: small notes for `dicom-bridge peers`. Losing one never fails what caused it."""

from __future__ import annotations

import logging

from bridge.archive import Archive
from storage.errors import StorageError
from storage.index.registry import PeerTraffic, RefusedPeer

_LOG = logging.getLogger(__name__)


def note_refused(archive: Archive, *, calling: str, called: str, address: str, reason: str) -> None:
    """Count a caller that was turned away."""
    now = archive.now()
    refused = RefusedPeer(
        calling_ae_title=calling,
        called_ae_title=called,
        address=address,
        reason=reason,
        first_at=now,
        last_at=now,
        times=1,
    )
    try:
        archive.registry.note_refused(refused)
    except StorageError as error:
        _LOG.warning("the refusal of %s could not be noted: %s", address, error)


def note_received(archive: Archive, *, ae_title: str, address: str, instances: int, size_bytes: int) -> None:
    """Add what one association delivered to its peer's totals."""
    traffic = PeerTraffic(
        ae_title=ae_title,
        address=address,
        last_received_at=archive.now(),
        instances=instances,
        size_bytes=size_bytes,
    )
    try:
        archive.registry.note_received(traffic)
    except StorageError as error:
        _LOG.warning("the traffic of %s could not be noted: %s", address, error)
