"""What puts that were interrupted leave behind: files in staging, and objects torn by a power cut (see durable.py)."""

from __future__ import annotations

import os
from pathlib import Path

from storage.objects.local import attribute
from storage.objects.local.naming import prune
from storage.objects.local.walking import keys


def sweep(objects: Path, staging: Path, before: float) -> int:
    """Remove those last touched before that time, in seconds since 1970. Returns how many. Raises OSError."""
    left_over = [Path(entry) for entry in os.scandir(staging) if entry.is_file(follow_symlinks=False)]
    swept = sum(_remove_older(path, before) for path in left_over)
    for path in (objects / key for key in keys(objects, "")):
        if _is_torn(path) and _remove_older(path, before):
            swept += 1
            prune(path.parent, objects)
    return swept


def _is_torn(path: Path) -> bool:
    try:
        packed = attribute.read(path)
        return packed is not None and attribute.unpack(packed)[1] != path.stat().st_size
    except FileNotFoundError:
        return False


def _remove_older(path: Path, before: float) -> bool:
    try:
        if path.stat(follow_symlinks=False).st_mtime >= before:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True
