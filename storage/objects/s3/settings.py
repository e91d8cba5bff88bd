"""Where a bucket is and how to reach it. Importing it loads no SDK."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """Where the bucket is and how to reach it."""

    endpoint: str  # host:port
    bucket: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    tls: bool = True
    object_lock: bool = True
    lock_mode: str = "GOVERNANCE"  # GOVERNANCE | COMPLIANCE | none
    part_bytes: int = 16 << 20
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 30.0
    connections: int = 32

    @property
    def is_line_safe(self) -> bool:
        """Whether nobody can change a body on its way to the store: over TLS, or on this machine."""
        host = self.endpoint.rpartition(":")[0].strip("[]")
        try:
            return self.tls or host == "localhost" or ip_address(host).is_loopback
        except ValueError:  # a name
            return False
