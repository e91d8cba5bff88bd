"""An instance or its frames on their way out, in the transfer syntax asked for (PS3.18 §8.7.3, §10.4.3.3).

Whether it can be had shows before the first byte: NotAcceptable, never another syntax than the named one (W15).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bridge.compression import compression
from bridge.derivation import Derivation
from bridge.encapsulating import encoded_frames
from bridge.errors import NotAcceptable
from bridge.extents import Cursor, DataSetBytes
from bridge.frame_reader import FrameBytes, codestreams, native_frames
from bridge.frames import FrameTable, unpack
from bridge.part10 import build_header
from bridge.pixels import PixelPool
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, OCTETS, lookup
from bridge.transcode import convert
from storage.records import InstanceRecord

Read: TypeAlias = Callable[[int, int | None], Iterator[bytes]]  # (first byte, how many or None for all the rest)


@dataclass(frozen=True, slots=True)
class Representation:
    """A Part 10 file on its way out; `size_bytes` None where it is only known at the end. It is read once."""

    transfer_syntax_uid: str
    size_bytes: int | None
    read: Read

    @property
    def chunks(self) -> Iterator[bytes]:
        """All of it."""
        return self.read(0, None)


@dataclass(frozen=True, slots=True)
class FramePart:
    """One frame on its way out; its chunks are valid until the next part is asked for."""

    number: int
    transfer_syntax_uid: str
    media_type: str
    size_bytes: int | None
    chunks: Iterator[bytes]


def ranged(chunks: Iterator[bytes]) -> Read:
    """A stream that can only be read from its beginning, as something to be read by range, once."""

    def read(start: int, length: int | None) -> Iterator[bytes]:
        if start == 0 and length is None:
            return chunks
        return _cut(chunks, start, length)

    return read


def _cut(chunks: Iterator[bytes], start: int, length: int | None) -> Iterator[bytes]:
    cursor = Cursor(chunks, 0)
    try:
        cursor.skip_to(start)
        yield from cursor.rest() if length is None else cursor.up_to(length)
    finally:
        cursor.close()


def object_target(stored_uid: str, requested: str | None) -> str:
    """The syntax an object goes out in. None asks for it as stored, but never implicit, big endian or deflated."""
    if requested is not None:
        return requested
    stored = lookup(stored_uid)
    plain = stored is None or (stored.explicit and not stored.big_endian and not stored.deflated)
    return stored_uid if plain or (stored is not None and stored.referenced) else EXPLICIT_VR_LITTLE_ENDIAN


def sent_uid(record: InstanceRecord, target: str) -> str:
    """The SOP Instance UID that the instance has in this transfer syntax."""
    derivation = _derivation(record, target) if target != record.transfer_syntax_uid else None
    return derivation.derived_uid if derivation else record.ref.sop_instance_uid or ""


def converted_object(record: InstanceRecord, target: str, source: DataSetBytes, pixels: PixelPool) -> Representation:
    """The instance in another transfer syntax; with loss it is another instance, derived from this one."""
    header = build_header(
        sop_class_uid=record.sop_class_uid,
        sop_instance_uid=sent_uid(record, target),
        transfer_syntax_uid=target,
    )
    converted = convert(
        source,
        record.transfer_syntax_uid,
        target,
        frame_table=frame_table_of(record),
        pixels=pixels,
        derivation=_derivation(record, target),
    )
    size = None if converted.size_bytes is None else len(header) + converted.size_bytes
    return Representation(target, size, ranged(_chain(header, converted.chunks)))


def outgoing_frames(
    record: InstanceRecord,
    table: FrameTable,
    numbers: Sequence[int],
    target: str | None,
    source: DataSetBytes,
    pixels: PixelPool,
) -> Iterator[FramePart]:
    """Frames as they lie, decoded, or compressed into `target`; None: as stored, native ones as Explicit VR LE."""
    stored_uid = record.transfer_syntax_uid
    stored = lookup(stored_uid)
    if not table.encapsulated and target in (None, EXPLICIT_VR_LITTLE_ENDIAN):
        return _parts(native_frames(table, numbers, source), EXPLICIT_VR_LITTLE_ENDIAN, OCTETS)
    if table.encapsulated and target in (None, stored_uid):
        return _parts(codestreams(table, numbers, source), stored_uid, stored.media_type if stored else OCTETS)
    if target == EXPLICIT_VR_LITTLE_ENDIAN and stored is not None and stored.decodable:
        frames = decoded_frames(record, table, numbers, source, pixels)
        media_type = OCTETS
    else:
        wanted = lookup(target or "")
        if wanted is None or compression(stored_uid, table.description, wanted.uid) is None:
            have, name = stored.name if stored else stored_uid, wanted.name if wanted else target
            raise NotAcceptable(f"these frames, {have}, cannot be converted to {name}")
        frames = encoded_frames(table, numbers, source, stored_uid, wanted.uid, pixels)
        media_type = wanted.media_type
    made = zip(numbers, frames, strict=True)
    return (FramePart(number, target or "", media_type, len(one), iter([one])) for number, one in made)


def decoded_frames(
    record: InstanceRecord, table: FrameTable, numbers: Sequence[int], source: DataSetBytes, pixels: PixelPool
) -> Iterator[bytes]:
    """Encapsulated frames as native ones."""
    streams = (b"".join(frame.chunks) for frame in codestreams(table, numbers, source))
    if len(numbers) == 1:
        uid = record.transfer_syntax_uid
        return (pixels.decode(stream, table.description, uid) for stream in streams)
    return pixels.decode_all(streams, table.description, record.transfer_syntax_uid)


def frame_table_of(record: InstanceRecord) -> FrameTable | None:
    """Where the instance's pixel data are, None when it has none."""
    if record.frame_table is None:
        return None
    table = unpack(record.frame_table)
    stored = lookup(record.transfer_syntax_uid)
    return replace(table, big_endian=True) if stored is not None and stored.big_endian_pixels else table


def _derivation(record: InstanceRecord, target: str) -> Derivation | None:
    """What an instance that is to be compressed with loss comes from."""
    stored, wanted = lookup(record.transfer_syntax_uid), lookup(target)
    if wanted is None or not wanted.lossy:
        return None
    return Derivation(
        sop_class_uid=record.sop_class_uid,
        sop_instance_uid=record.ref.sop_instance_uid or "",
        data_set_sha256=record.data_set_sha256,
        target_uid=target,
        is_lossy=stored is not None and stored.lossy,
    )


def _parts(frames: Iterator[FrameBytes], transfer_syntax_uid: str, media_type: str) -> Iterator[FramePart]:
    for frame in frames:
        yield FramePart(frame.number, transfer_syntax_uid, media_type, frame.size_bytes, frame.chunks)


def _chain(header: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield header
    yield from chunks
