"""Object stores: bytes by key, one backend a module or folder. A new one is that and one line in SCHEMES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.objects.base import ObjectStore
    from storage.objects.s3.settings import S3Settings


def _local(directory: Path, _: S3Settings) -> ObjectStore:
    from storage.objects.local import LocalStore

    return LocalStore(directory)


def _memory(_: Path, __: S3Settings) -> ObjectStore:
    from storage.objects.memory import MemoryStore

    return MemoryStore()


def _s3(_: Path, settings: S3Settings) -> ObjectStore:
    from storage.objects.s3.store import S3Store

    return S3Store(settings)


# Scheme -> from the directory and the S3 settings to a store. Each loads its own libraries when it is chosen.
SCHEMES: Mapping[str, Callable[[Path, S3Settings], ObjectStore]] = {"local": _local, "memory": _memory, "s3": _s3}


def open_store(scheme: str, directory: Path, settings: S3Settings) -> ObjectStore:
    """A store of that scheme. Raises KeyError for an unknown one; the settings have checked it."""
    return SCHEMES[scheme](directory, settings)
