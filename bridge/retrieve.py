"""The verb retrieve: ResourceRef -> records -> byte streams, frames, bulk data, metadata (PS3.18 §10.4, PS3.4 §C.4.2).

What exists is settled before the first byte: a call raises, the iterator it returns only cuts off (DICOM.md W28). A
frame of a native image or a whole instance costs one look-up and one bounded read of the store.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from bridge.archive import Archive
from bridge.bulk import Bulk, fragment_extents, native_value, stored_stream, stored_value
from bridge.bundle import Bundle
from bridge.compression import compression, producible
from bridge.decoding import joined_frames
from bridge.derivation import Derivation
from bridge.encapsulating import encoded_frames
from bridge.errors import Gone, NotAcceptable, NotFound, Unavailable
from bridge.extents import DataSetBytes, Inflated, Plain
from bridge.frame_reader import FrameBytes, check_numbers, codestreams, native_frames
from bridge.frames import FrameTable, unpack, unpack_bulk
from bridge.metadata import bundled_series, json_array, series_of
from bridge.part10 import build_header
from bridge.pixels import PixelPool, decoded_frame_bits
from bridge.source import RATIO_FLOOR_BYTES
from bridge.syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    OCTETS,
    lookup,
)
from bridge.transcode import convert
from storage.errors import StorageError, StorageUnavailable
from storage.index.base import MetadataRow
from storage.records import InstanceRecord, Level, ResourceRef

_PAGE_INSTANCES = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Representation:
    """A Part 10 file on its way out; `size_bytes` None where it is only known at the end."""

    transfer_syntax_uid: str
    size_bytes: int | None
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class FramePart:
    """One frame on its way out; its chunks are valid until the next part is asked for."""

    number: int
    transfer_syntax_uid: str
    media_type: str
    size_bytes: int | None
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Metadata:
    """A JSON array on its way out. `etag` is opaque, without quotes."""

    etag: str
    body: Iterator[bytes]


class Retrieve:
    """Reading from one archive. Thread-safe; one per process, so that its codec pool is shared."""

    def __init__(self, archive: Archive, pixels: PixelPool | None = None) -> None:
        self._archive = archive
        self.pixels = pixels or PixelPool(archive.settings.pixels)

    def close(self) -> None:
        """Stop the codec workers."""
        self.pixels.close()

    def instance(self, ref: ResourceRef) -> InstanceRecord:
        """The instance at exactly this study, series and UID (DICOM.md W26). Raises NotFound or Gone."""
        record = _asked(lambda: self._archive.index.instance(ref))
        if record is None:
            raise self._absent(ref)
        return record

    def instances(self, ref: ResourceRef) -> Iterator[InstanceRecord]:
        """The instances at or below `ref`, in UID order, a page at a time. Raises NotFound or Gone before the first."""
        if ref.level is Level.INSTANCE:
            return iter([self.instance(ref)])
        first = self._page(ref, "")
        if not first:
            raise self._absent(ref)
        return self._pages(ref, first)

    def object_stream(self, record: InstanceRecord, transfer_syntax_uid: str | None) -> Representation:
        """The instance as a Part 10 file. Raises NotAcceptable for a conversion that is not possible.

        None: as stored, but for implicit, big endian and deflated, which go out as Explicit VR Little Endian (DICOM.md
        G1). A named syntax: exactly that; Implicit VR Little Endian is there for DIMSE peers that know nothing else.
        What is compressed with loss is another instance, derived from this one.
        """
        target = _object_target(record.transfer_syntax_uid, transfer_syntax_uid)
        if target == record.transfer_syntax_uid:
            return Representation(target, record.size_bytes, self._read(record, 0, None))
        derivation = _derivation(record, target)
        sop_instance_uid = derivation.derived_uid if derivation else record.ref.sop_instance_uid or ""
        header = build_header(
            sop_class_uid=record.sop_class_uid, sop_instance_uid=sop_instance_uid, transfer_syntax_uid=target
        )
        converted = convert(
            self.data_set(record),
            record.transfer_syntax_uid,
            target,
            frame_table=frame_table_of(record),
            pixels=self.pixels,
            derivation=derivation,
        )
        size = None if converted.size_bytes is None else len(header) + converted.size_bytes
        return Representation(target, size, _chain(header, converted.chunks))

    def frames(
        self, record: InstanceRecord, numbers: Sequence[int], transfer_syntax_uid: str | None
    ) -> Iterator[FramePart]:
        """These frames in this order, duplicates kept (DICOM.md W9). None: as stored, native ones as Explicit VR LE.

        Raises InvalidRequest or NotFound for a number, NotAcceptable for video or a conversion that is not possible.
        """
        table = frame_table_of(record)
        if table is None:
            raise NotFound("the instance has no pixel data")
        stored = lookup(record.transfer_syntax_uid)
        if stored is not None and (stored.video or stored.referenced):
            raise NotAcceptable(f"{stored.name} has no frames that can be sent one by one")
        check_numbers(table, numbers)
        source = self.data_set(record)
        if not table.encapsulated and transfer_syntax_uid in (None, EXPLICIT_VR_LITTLE_ENDIAN):
            return _parts(native_frames(table, numbers, source), EXPLICIT_VR_LITTLE_ENDIAN, OCTETS)
        if table.encapsulated and transfer_syntax_uid in (None, record.transfer_syntax_uid):
            media_type = stored.media_type if stored else OCTETS
            return _parts(codestreams(table, numbers, source), record.transfer_syntax_uid, media_type)
        return self._converted_frames(record, table, numbers, source, transfer_syntax_uid or "")

    def producible(self, record: InstanceRecord) -> tuple[str, ...]:
        """The transfer syntaxes that the instance, and its frames, can be converted to."""
        table = frame_table_of(record)
        return producible(record.transfer_syntax_uid, table.description if table else None)

    def bulk(self, record: InstanceRecord, path: str) -> Bulk:
        """A value that metadata give by reference (PS3.18 §10.4.1.1.5). Raises NotFound, NotAcceptable.

        Pixel data: native ones as they are, encapsulated ones decoded; a video is its stream as stored, in one piece
        (DICOM.md W14). Other words come out little endian, documents without their pad byte (W8).
        """
        source = self.data_set(record)
        table = frame_table_of(record)
        if table is not None and path == f"{table.description.tag:08X}":
            return self._pixel_bulk(record, table, source)
        element = next((one for one in unpack_bulk(record.bulk_table or b"") if one.path == path), None)
        if element is None:
            raise NotFound("the instance has no such bulk data")
        if element.encapsulated:
            return stored_stream(fragment_extents(source, element), source, element.media_type)
        return stored_value(element, source)

    def metadata(self, ref: ResourceRef, base: bytes) -> Metadata:
        """The DICOM JSON of everything at and below `ref`; `base` takes the place of the service's URL in its links.

        The ETag changes with every change below `ref`, and with `base`. Raises NotFound, Gone, Unavailable.
        """
        index = self._archive.index
        revision = _asked(lambda: index.revision(ref))
        rows = _asked(lambda: index.metadata(ref)) if revision is not None else ()
        if not rows:
            raise self._absent(ref)
        etag = f"{revision}-{zlib.crc32(base):08x}"
        return Metadata(etag, json_array(rows, self._bundles(rows), base))

    def _pixel_bulk(self, record: InstanceRecord, table: FrameTable, source: DataSetBytes) -> Bulk:
        stored = lookup(record.transfer_syntax_uid)
        if not table.encapsulated:
            return native_value(table, source)
        if stored is None or not stored.decodable:
            extents = [extent for frame in table.frames for extent in frame]
            return stored_stream(extents, source, (stored.media_type if stored else "") or OCTETS)
        numbers = range(1, len(table.frames) + 1)
        bits = decoded_frame_bits(table.description)

        def decoded(_start: int, _length: int | None) -> Iterator[bytes]:
            return joined_frames(self._decoded(record, table, numbers, source), bits)

        return Bulk(OCTETS, (len(numbers) * bits + 7) // 8, decoded, supports_ranges=False)

    def _bundles(self, rows: Sequence[MetadataRow]) -> dict[str, Bundle]:
        """The bundles these rows need, opened; by series."""
        bundles: dict[str, Bundle] = {}
        for row in bundled_series(rows):
            series = replace(row.ref, sop_instance_uid=None)
            bundle = _asked(partial(self._archive.index.bundle, series))
            if bundle is None:
                raise Unavailable("the metadata of this series are being moved; try again")
            store = self._archive.store(bundle.location)
            try:
                data = b"".join(store.read(bundle.location.key, version_id=bundle.location.version_id))
            except StorageError as error:
                raise Unavailable(f"the metadata of this series cannot be read: {error}") from error
            bundles[series_of(row)] = Bundle(data)
        return bundles

    def _decoded(
        self, record: InstanceRecord, table: FrameTable, numbers: Sequence[int], source: DataSetBytes
    ) -> Iterator[bytes]:
        streams = (b"".join(frame.chunks) for frame in codestreams(table, numbers, source))
        if len(numbers) == 1:
            uid = record.transfer_syntax_uid
            return (self.pixels.decode(stream, table.description, uid) for stream in streams)
        return self.pixels.decode_all(streams, table.description, record.transfer_syntax_uid)

    def _converted_frames(
        self, record: InstanceRecord, table: FrameTable, numbers: Sequence[int], source: DataSetBytes, target: str
    ) -> Iterator[FramePart]:
        """Frames decoded, or compressed into `target`. Raises NotAcceptable."""
        _check_convertible(record, table, target)
        media_type = OCTETS
        if target == EXPLICIT_VR_LITTLE_ENDIAN:
            frames = self._decoded(record, table, numbers, source)
        else:
            frames = encoded_frames(table, numbers, source, record.transfer_syntax_uid, target, self.pixels)
            row = lookup(target)
            media_type = row.media_type if row else OCTETS
        parts = zip(numbers, frames, strict=True)
        return (FramePart(number, target, media_type, len(one), iter([one])) for number, one in parts)

    def data_set(self, record: InstanceRecord) -> DataSetBytes:
        """The record's data set by range; offsets of a deflated one count in the inflated bytes."""

        def read(start: int, length: int | None) -> Iterator[bytes]:
            return self._read(record, start, length)

        stored = lookup(record.transfer_syntax_uid)
        if stored is not None and stored.deflated:
            ratio = self._archive.settings.pixels.inflate_ratio_limit
            return Inflated(read, record.data_set_offset, max(RATIO_FLOOR_BYTES, ratio * record.size_bytes))
        return Plain(read, record.data_set_offset)

    def _read(self, record: InstanceRecord, start: int, length: int | None) -> Iterator[bytes]:
        """Bytes of the object; if they have just moved, looked up once more. Raises NotFound, Gone, Unavailable."""
        try:
            return self._archive.read(record, start, length)
        except NotFound:
            moved = self.instance(record.ref)
        if moved.location == record.location or moved.sha256 != record.sha256:
            raise Unavailable("the bytes of this instance are not where the index says")
        return self._archive.read(moved, start, length)

    def _page(self, ref: ResourceRef, after: str) -> Sequence[InstanceRecord]:
        return _asked(lambda: self._archive.index.instances(ref, after=after, limit=_PAGE_INSTANCES))

    def _pages(self, ref: ResourceRef, page: Sequence[InstanceRecord]) -> Iterator[InstanceRecord]:
        while page:
            yield from page
            page = self._page(ref, page[-1].ref.sop_instance_uid or "") if len(page) == _PAGE_INSTANCES else ()

    def _absent(self, ref: ResourceRef) -> NotFound | Gone:
        if _asked(lambda: self._archive.index.was_removed(ref)):
            return Gone(f"this {_NOUN[ref.level]} was deleted")
        return NotFound(f"there is no such {_NOUN[ref.level]}")


_NOUN = {Level.STUDY: "study", Level.SERIES: "series", Level.INSTANCE: "instance"}


def _asked(question: Callable[[], T]) -> T:
    """The index's answer. Raises Unavailable when there is none."""
    try:
        return question()
    except StorageUnavailable as error:
        raise Unavailable(f"the index does not answer: {error}") from error


def _object_target(stored_uid: str, requested: str | None) -> str:
    """The syntax an object goes out in; whether it can be made shows later."""
    if requested is not None:
        return requested
    stored = lookup(stored_uid)
    plain = stored is None or (stored.explicit and not stored.big_endian and not stored.deflated)
    return stored_uid if plain or (stored is not None and stored.referenced) else EXPLICIT_VR_LITTLE_ENDIAN


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


def _check_convertible(record: InstanceRecord, table: FrameTable, target: str) -> None:
    """Raise NotAcceptable for frames that cannot be had in `target`."""
    stored, wanted = lookup(record.transfer_syntax_uid), lookup(target)
    is_native = target == EXPLICIT_VR_LITTLE_ENDIAN and stored is not None and stored.decodable
    if not is_native and compression(record.transfer_syntax_uid, table.description, target) is None:
        have = stored.name if stored else record.transfer_syntax_uid
        raise NotAcceptable(f"{have} cannot be converted to {wanted.name if wanted else target}")


def frame_table_of(record: InstanceRecord) -> FrameTable | None:
    """Where the instance's pixel data are, None when it has none."""
    if record.frame_table is None:
        return None
    table = unpack(record.frame_table)
    stored = lookup(record.transfer_syntax_uid)
    return replace(table, big_endian=True) if stored is not None and stored.big_endian_pixels else table


def _parts(frames: Iterator[FrameBytes], transfer_syntax_uid: str, media_type: str) -> Iterator[FramePart]:
    for frame in frames:
        yield FramePart(frame.number, transfer_syntax_uid, media_type, frame.size_bytes, frame.chunks)


def _chain(header: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield header
    yield from chunks
