"""Throw-away certificates: an authority, an archive, devices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from bridge.config import Tls


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

    def tls(self, own: Identity, **more: Any) -> Tls:
        """Settings of an archive with this identity."""
        values = {"port": 1, "certificate": str(own.certificate), "key": str(own.key), "authorities": str(self.file)}
        return Tls(**{**values, **more})
