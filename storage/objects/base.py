"""The object store protocol. Every sentence in a docstring here is a test, run over every backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from storage.objects.payload import Payload

CHUNK_BYTES = 1 << 20  # the largest chunk `read` yields


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing or stat says of one object."""

    key: str
    size_bytes: int
    modified_at: datetime  # aware, UTC
    version_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMeta:
    """What travels with an object in the same request. No patient data, ASCII only, within the limits of meta.py."""

    tags: Mapping[str, str] = field(default_factory=dict)  # mutable later; at most 10
    user: Mapping[str, str] = field(default_factory=dict)  # immutable; at most 1.5 KB
    retain_until: datetime | None = None  # never in the past: stores refuse it
    legal_hold: bool = False


class ObjectStore(Protocol):
    """Bytes by key."""

    def put(self, key: str, payload: Payload, *, meta: ObjectMeta) -> ObjectInfo:
        """Take `payload` as `key` with its `meta`; durable on return; all or nothing; ObjectExists if taken.

        A put that raised may be repeated with the same payload under another key. InvalidKey and InvalidMeta name what
        some store would refuse. Raises StorageFull, StorageUnavailable.
        """
        ...

    def read(
        self, key: str, *, version_id: str | None = None, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """Yield the bytes in chunks of at most 1 MiB; ObjectNotFound is raised by the call, before the first chunk.

        Closing the iterator early frees everything at once. A range past the end yields nothing.
        """
        ...

    def stat(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """Size and time of an object; ObjectNotFound if there is none."""
        ...

    def meta(self, key: str, *, version_id: str | None = None) -> ObjectMeta:
        """The tags, user metadata, lock and hold the object carries now; ObjectNotFound if there is none."""
        ...

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        """Remove `key` for good (that version, on versioned stores); an absent key is no error; ObjectHeld if locked.

        Without a version id, on a versioned store, every version of the key goes.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield committed objects in key order; never a half-written one."""
        ...

    def close(self) -> None:
        """Give back connections and files."""
        ...


@runtime_checkable
class ObjectPolicy(Protocol):
    """The second protocol: changing what an object carries. Asked for once with `isinstance`."""

    def set_tags(self, key: str, tags: Mapping[str, str], *, version_id: str | None = None) -> None:
        """Replace all tags of the object."""
        ...

    def extend_retention(self, key: str, until: datetime, *, version_id: str | None = None) -> None:
        """Lengthen the lock; a shorter date than the present one is refused with ObjectHeld."""
        ...

    def set_legal_hold(self, key: str, held: bool, *, version_id: str | None = None) -> None:
        """Switch the legal hold on or off."""
        ...


@runtime_checkable
class EarlyStore(Protocol):
    """A protocol of stores that can do a part of a put before its key is known. Asked for with `isinstance`."""

    def begin_put(self, payload: Payload) -> None:
        """Begin to write the payload, if that is of use now; raises nothing. Its `put` or `discard` follows."""
        ...


@runtime_checkable
class Sweepable(Protocol):
    """The third protocol: tidying up after puts that were cut off. Asked for with `isinstance`."""

    def sweep_unfinished(self, older_than: timedelta) -> int:
        """Remove what interrupted puts left, if untouched for that long; never an object. Returns how many."""
        ...


@runtime_checkable
class Foretold(Protocol):
    """The fourth protocol: being told what will be read. Asked for with `isinstance`."""

    def will_need(self, keys: Sequence[str]) -> None:
        """Begin to bring these objects into memory, without waiting. A hint: what cannot be done shows when they are
        read. Objects of which the first is in memory are left alone."""
        ...
