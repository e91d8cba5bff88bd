"""Builders: payloads in memory and in a file, keys that were never used, a clock that tests move."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.errors import ObjectNotFound, StorageUnavailable
from storage.objects.base import ObjectInfo, ObjectMeta, ObjectStore
from storage.objects.memory import MemoryStore
from storage.objects.payload import Payload, Spool, integrity

HEADER = b"\x00" * 128 + b"DICM"
BODY = b"a data set"
_numbers = itertools.count(1)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    time: datetime = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **passed: float) -> None:
        """Let time pass: `forward(hours=2)`."""
        self.time += timedelta(**passed)


def new_key(prefix: str = "default/1.2/3.4") -> str:
    """A key nobody used before."""
    return f"{prefix}/5.6.{next(_numbers):08x}.dcm"


def payload(body: bytes = BODY, header: bytes = HEADER) -> Payload:
    """A payload in memory."""
    return Payload(
        header=header,
        body=bytearray(body),
        path=None,
        size_bytes=len(header) + len(body),
        sha256=integrity(header, hashlib.sha256(body).digest()),
        data_set_sha256=hashlib.sha256(body).hexdigest(),
    )


def spooled(directory: Path, body: bytes = BODY) -> Payload:
    """The same in a temporary file below `directory`."""
    spool = Spool(HEADER, directory=directory, memory_bytes=0)
    spool.write(body)
    return spool.finish()


def spooled_in_memory(directory: Path, body: bytes) -> Payload:
    """A payload in memory as it comes from a spool."""
    spool = Spool(HEADER, directory=directory, memory_bytes=1 << 20)
    spool.write(body)
    return spool.finish()


def content(store: ObjectStore, key: str, **where: int) -> bytes:
    """The bytes of an object, or of a range of it."""
    return b"".join(store.read(key, **where))


def pattern(size_bytes: int) -> bytes:
    """Bytes of which no two places look alike."""
    block = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(2048))
    repeats = itertools.count()
    made = bytearray()
    while len(made) < size_bytes:
        made += next(repeats).to_bytes(4) + block
    return bytes(made[:size_bytes])


class StubbornStore(MemoryStore):
    """A memory store that does as told: `answer` is called before each put and may raise or wait."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.probed = 0
        self.away = False

    def before_put(self) -> None:
        """What a test puts in the way."""

    def put(self, key: str, payload: Payload, *, meta: ObjectMeta) -> ObjectInfo:
        self.asked.append(key)
        self.before_put()
        if self.away:
            raise StorageUnavailable("away")
        return super().put(key, payload, meta=meta)

    def stat(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        self.probed += 1
        if self.away:
            raise StorageUnavailable("away")
        return super().stat(key)


def keys_of(found: Iterator[ObjectInfo]) -> list[str]:
    """The keys of a listing, in its order."""
    return [info.key for info in found]


def is_absent(store: ObjectStore, key: str) -> bool:
    """True when stat finds nothing."""
    try:
        store.stat(key)
    except ObjectNotFound:
        return True
    return False
