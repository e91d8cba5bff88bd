"""Where a bucket is and how to reach it. Importing it loads no SDK."""

from __future__ import annotations

from dataclasses import dataclass


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
