"""What a local object carries, packed into one extended attribute, or into a sidecar where the file system has none.

The attribute also holds the object's size, which is how a file torn by a power cut is told from a whole one.
"""

from __future__ import annotations

import errno
import os
import tempfile
from datetime import datetime
from pathlib import Path

import orjson

from storage.objects.base import ObjectMeta

NAME = "user.dicom-bridge"
_LARGEST = 3900  # bytes of `pack`
_ABSENT = (errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP)


def pack(meta: ObjectMeta, size_bytes: int) -> bytes:
    """At most 3900 bytes within the limits of `check_meta`: what one ext4 attribute block of 4 KiB holds."""
    return orjson.dumps(
        {
            "size": size_bytes,
            "tags": dict(meta.tags),
            "user": dict(meta.user),
            "until": meta.retain_until.isoformat() if meta.retain_until else None,
            "hold": meta.legal_hold,
        }
    )


def unpack(packed: bytes) -> tuple[ObjectMeta, int]:
    """The inverse of `pack`."""
    value = orjson.loads(packed)
    until = datetime.fromisoformat(value["until"]) if value["until"] else None
    meta = ObjectMeta(tags=value["tags"], user=value["user"], retain_until=until, legal_hold=value["hold"])
    return meta, value["size"]


def read(target: Path) -> bytes | None:
    """The packed attribute of an object; None for a file that never had one (restored by hand, say)."""
    try:
        return os.getxattr(target, NAME, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
    try:
        return sidecar(target).read_bytes()
    except FileNotFoundError:
        return None


def write_sidecar(target: Path, packed: bytes, staging: Path) -> None:
    """Put the sidecar of `target` in place, durable, replacing an older one whole."""
    descriptor, name = tempfile.mkstemp(prefix="meta-", suffix=".tmp", dir=staging)
    try:
        os.write(descriptor, packed)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    Path(name).replace(sidecar(target))


def sidecar(target: Path) -> Path:
    """Hidden, so that it is never taken for an object: keys have no segment that starts with a dot."""
    return target.with_name(f".{target.name}.meta")


def supported(directory: Path) -> bool:
    """Whether the file system of `directory` keeps user attributes as large as ours may become.

    An ext4 with blocks of 1 KiB says "no space" to a large one, which must not be taken for a full disk.
    """
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        try:
            os.setxattr(file.fileno(), NAME, bytes(_LARGEST))
        except OSError as error:
            if error.errno in (*_ABSENT, errno.ENOSPC, errno.E2BIG):
                return False
            raise
    return True
