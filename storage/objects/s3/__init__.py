"""Objects in an S3 bucket: MinIO, AWS and the others. The only importer of minio.

The SDK is loaded when `S3Store` is first asked for: a box with a local store never pays for it (6 MB a process).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.objects.s3.settings import S3Settings

if TYPE_CHECKING:
    from storage.objects.s3.store import S3Store

__all__ = ["S3Settings", "S3Store"]


def __getattr__(name: str) -> Any:
    if name != "S3Store":
        raise AttributeError(name)
    from storage.objects.s3.store import S3Store

    return S3Store
