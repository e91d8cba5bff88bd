"""Object stores: bytes by key, one backend a file. A new backend is one file and one line in SCHEMES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from storage.objects.base import ObjectStore
from storage.objects.local import LocalStore
from storage.objects.memory import MemoryStore
from storage.objects.s3 import S3Settings, S3Store

# Scheme -> from the directory and the S3 settings to a store.
SCHEMES: Mapping[str, Callable[[Path, S3Settings], ObjectStore]] = {
    "local": lambda directory, _: LocalStore(directory),
    "memory": lambda _directory, _: MemoryStore(),
    "s3": lambda _, settings: S3Store(settings),
}


def open_store(scheme: str, directory: Path, settings: S3Settings) -> ObjectStore:
    """A store of that scheme. Raises KeyError for an unknown one; the settings have checked it."""
    return SCHEMES[scheme](directory, settings)
