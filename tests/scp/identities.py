"""Throw-away certificates: an authority, an archive, devices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bridge.settings import Tls


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as files and together in one."""

    certificate: Path
    key: Path


class Authority:
    """Vouches for whoever asks; its own certificate is in `file`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._authority = trustme.CA()
        self.file = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def identity(self, *names: str, common_name: str | None = None) -> Identity:
        """A new certificate for these names."""
        made = self._authority.issue_cert(*names, common_name=common_name)
        stem = (names or (common_name or "x",))[0]
        found = Identity(self._directory / f"{stem}.pem", self._directory / f"{stem}.key")
        found.certificate.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(found.key))
        return found

    def revocation_list(self, *revoked: Identity, days: int = 1) -> Path:
        """A list of these certificates, good for so many days."""
        now = datetime.now(UTC)
        certificate = x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())
        key = serialization.load_pem_private_key(self._authority.private_key_pem.bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        builder = x509.CertificateRevocationListBuilder(issuer_name=certificate.subject)
        builder = builder.last_update(now - timedelta(days=10)).next_update(now + timedelta(days=days))
        for one in revoked:
            number = x509.load_pem_x509_certificate(one.certificate.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now - timedelta(days=1))
            builder = builder.add_revoked_certificate(entry.build())
        path = self._directory / "revoked.pem"
        path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    def tls(self, own: Identity, **more: Any) -> Tls:
        """Settings of an archive with this identity."""
        values = {"port": 1, "certificate": str(own.certificate), "key": str(own.key), "authorities": str(self.file)}
        return Tls(**{**values, **more})
