"""Is an object what it was when it was stored? Read back whole, every byte of it, in chunks (DESIGN §3)."""

from __future__ import annotations

import hashlib

from bridge.archive import Archive
from bridge.errors import NotFound, Unavailable
from storage.errors import ObjectNotFound, StorageUnavailable
from storage.objects.payload import integrity
from storage.records import InstanceRecord


def is_intact(archive: Archive, record: InstanceRecord) -> bool:
    """Whether the bytes have the hash they were stored with. Raises NotFound, NotOnline, Unavailable, StorageError."""
    header, left = bytearray(), record.data_set_offset
    digest = hashlib.sha256()
    try:
        for chunk in archive.read(record):
            head = chunk[:left]
            header += head
            left -= len(head)
            digest.update(chunk[len(head) :])
    except ObjectNotFound as error:
        raise NotFound("the bytes are not where the index said a moment ago") from error
    except StorageUnavailable as error:
        raise Unavailable(f"the object store does not answer: {error}") from error
    return integrity(bytes(header), digest.digest()) == record.sha256
