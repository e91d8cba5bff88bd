"""The keys that lie below a directory, in the order that `ObjectStore.list` promises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from storage.objects.local.refusals import refusals


def keys(top: Path, prefix: str) -> Iterator[str]:
    """Keys in byte order; hidden names are none. A directory sorts as its name with the slash that follows.

    Raises StorageUnavailable.
    """
    base, _, _ = prefix.rpartition("/")
    if base and any(segment in ("", ".", "..") for segment in base.split("/")):
        return
    stack = [f"{base}/" if base else ""]
    while stack:
        key = stack.pop()
        if key and not key.endswith("/"):
            yield key
            continue
        with refusals():
            names = [f"{key}{name}" for name in _names(top / key)]
        stack += sorted((name for name in names if name.startswith(prefix)), reverse=True)


def _names(directory: Path) -> list[str]:
    """What `directory` holds, directories with a slash at the end; empty when it is gone or none."""
    try:
        with os.scandir(directory) as entries:
            return [
                f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
                for entry in entries
                if not entry.name.startswith(".")
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
