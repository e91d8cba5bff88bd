"""What a renderer works on and what it gives: one instance, within reach of its bytes; one rendered thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from bridge.attributes import Attributes
from bridge.errors import TooLarge
from bridge.kinds import Kind, kind_of
from bridge.retrieve import Retrieve
from storage.records import InstanceRecord


@dataclass(frozen=True, slots=True)
class Subject:
    """An instance to be rendered."""

    retrieve: Retrieve
    record: InstanceRecord

    @property
    def kind(self) -> Kind:
        """What it is when it is shown."""
        record = self.record
        return kind_of(record.sop_class_uid, record.transfer_syntax_uid, has_pixels=record.frame_table is not None)

    def attributes(self, limit_bytes: int) -> Attributes:
        """Its data set without bulk values. Raises NotFound, Unavailable, TooLarge beyond the limit."""
        pieces: list[bytes] = []
        left = limit_bytes
        for piece in self.retrieve.metadata(self.record.ref, b"").body:
            left -= len(piece)
            if left < 0:
                raise TooLarge(f"the {self.kind} is too large to be rendered here")
            pieces.append(piece)
        (document,) = orjson.loads(b"".join(pieces))
        return Attributes(document)

    def fetch(self, path: str) -> bytes:
        """A bulk value by its path in the metadata, words little endian. Raises NotFound."""
        return b"".join(self.retrieve.bulk(self.record, path).chunks)

    def beginning(self, path: str, length: int) -> bytes:
        """As `fetch`, at most `length` bytes."""
        return b"".join(self.retrieve.bulk(self.record, path).read(0, length))


@dataclass(frozen=True, slots=True)
class Rendered:
    """One rendered thing on its way out; `frame` is set where it shows one frame of several.

    `read(start, length)`, where there is one, gives a range of its `size_bytes`.
    """

    media_type: str
    chunks: Iterator[bytes]
    size_bytes: int | None = None
    frame: int | None = None
    read: Callable[[int, int | None], Iterator[bytes]] | None = None


def rendered(media_type: str, body: bytes, frame: int | None = None) -> Rendered:
    """A rendered thing that is there already."""
    return Rendered(media_type, iter((body,)), len(body), frame)
