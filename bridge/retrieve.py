"""The verb retrieve: ResourceRef -> records -> byte streams, frames, bulk data, metadata (PS3.18 §10.4, PS3.4 §C.4.2).

What exists is settled before the first byte: a call raises, the iterator it returns only cuts off (DICOM.md W28). A
frame of a native image or a whole instance costs one look-up and one bounded read of the store.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from bridge.ahead import done, in_order
from bridge.archive import Archive
from bridge.bulk import Bulk, fragment_extents, native_value, stored_stream, stored_value
from bridge.bundle import Bundle
from bridge.compression import producible
from bridge.decoding import joined_frames
from bridge.errors import Gone, NotAcceptable, NotFound, Unavailable
from bridge.extents import DataSetBytes, Inflated, Plain
from bridge.frame_reader import check_numbers, frame_count
from bridge.frames import FrameTable, unpack_bulk
from bridge.kept import Kept
from bridge.metadata import bundled_series, json_array, json_objects, series_of
from bridge.outgoing import (
    FramePart,
    Representation,
    converted_object,
    decoded_frames,
    frame_table_of,
    object_target,
    outgoing_frames,
    ranged,
)
from bridge.pixels import PixelPool, decoded_frame_bits
from bridge.source import RATIO_FLOOR_BYTES
from bridge.syntaxes import OCTETS, lookup
from bridge.transcode import convert
from storage.errors import StorageError, StorageUnavailable
from storage.index.base import MetadataRow
from storage.records import InstanceRecord, Level, ResourceRef

_PAGE_INSTANCES = 1000
_SMALL_BYTES = 16 << 20  # instances up to this size are converted ahead, in memory
T = TypeVar("T")


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
        self._kept = Kept(archive.settings.pixels.kept_bytes)
        self._threads = ThreadPoolExecutor(archive.settings.pixels.workers + 1, "converting")

    def close(self) -> None:
        """Stop the codec workers."""
        self._threads.shutdown(cancel_futures=True)
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
        What is compressed with loss is another instance, derived from this one. Reading raises Gone and Unavailable.
        """
        target = object_target(record.transfer_syntax_uid, transfer_syntax_uid)
        if target == record.transfer_syntax_uid:
            return Representation(target, record.size_bytes, partial(self._read, record))
        return converted_object(record, target, self.data_set(record), self.pixels)

    def object_alone(self, record: InstanceRecord, transfer_syntax_uid: str | None) -> Representation:
        """As `object_stream`, for one asked for by itself: what a codec makes of it is kept for who asks again."""
        target = object_target(record.transfer_syntax_uid, transfer_syntax_uid)
        if not _needs_codec(record, target) or _decoded_bytes(record) > self._kept.largest_bytes:
            return self.object_stream(record, transfer_syntax_uid)
        key = (record.ref, record.sha256, target)
        data = self._kept.get(key)
        if data is None:
            data = b"".join(self.object_stream(record, transfer_syntax_uid).chunks)
            self._kept.put(key, data)
        return Representation(target, len(data), partial(_piece, data))

    def object_streams(
        self, wanted: Iterable[tuple[InstanceRecord, str | None]]
    ) -> Generator[Representation, None, None]:
        """As `object_stream` for many, in order. Small ones that are converted are made while others are being sent."""

        def converted(record: InstanceRecord, transfer_syntax_uid: str | None) -> Representation:
            stream = self.object_stream(record, transfer_syntax_uid)
            data = b"".join(stream.chunks)
            return Representation(stream.transfer_syntax_uid, len(data), ranged(iter([data])))

        def futures() -> Iterator[Future[Representation]]:
            for record, uid in wanted:
                is_stored = object_target(record.transfer_syntax_uid, uid) == record.transfer_syntax_uid
                if is_stored or _decoded_bytes(record) > _SMALL_BYTES:
                    yield done(self.object_stream(record, uid))
                else:
                    yield self._threads.submit(converted, record, uid)

        return in_order(futures(), self._archive.settings.pixels.workers + 1)

    def data_set_chunks(self, record: InstanceRecord, transfer_syntax_uid: str) -> Iterator[bytes]:
        """The instance without file meta, for a DIMSE peer: the stored bytes, or in a plain syntax (DICOM.md E14).

        Raises NotAcceptable for a conversion that is not possible.
        """
        stored_uid = record.transfer_syntax_uid
        if transfer_syntax_uid == stored_uid:
            return self._read(record, record.data_set_offset, None)
        source, table = self.data_set(record), frame_table_of(record)
        return convert(source, stored_uid, transfer_syntax_uid, frame_table=table, pixels=self.pixels).chunks

    def frames(
        self, record: InstanceRecord, numbers: Sequence[int], transfer_syntax_uid: str | None
    ) -> Iterator[FramePart]:
        """These frames in this order, duplicates kept (DICOM.md W9). None: as stored, native ones as Explicit VR LE.

        Raises InvalidRequest or NotFound for a number, NotAcceptable for video or a conversion that is not possible.
        What a codec makes of one asked for by itself is kept for who asks again.
        """
        table = frame_table_of(record)
        if table is None:
            raise NotFound("the instance has no pixel data")
        stored = lookup(record.transfer_syntax_uid)
        if stored is not None and (stored.video or stored.referenced):
            raise NotAcceptable(f"{stored.name} has no frames that can be sent one by one")
        check_numbers(table, numbers)
        made = outgoing_frames(record, table, numbers, transfer_syntax_uid, self.data_set(record), self.pixels)
        if len(numbers) != 1 or transfer_syntax_uid is None or not _needs_codec(record, transfer_syntax_uid):
            return made
        key = (record.ref, record.sha256, transfer_syntax_uid, numbers[0])
        frame = self._kept.get(key)
        if frame is None:
            frame = b"".join(next(made).chunks)
            self._kept.put(key, frame)
        wanted = lookup(transfer_syntax_uid)
        media_type = wanted.media_type if wanted is not None and wanted.encapsulated else OCTETS
        return iter([FramePart(numbers[0], transfer_syntax_uid, media_type, len(frame), iter([frame]))])

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

    def bulk_paths(self, record: InstanceRecord, *, pixels_only: bool) -> list[str]:
        """Where the instance's bulk data lie, as `bulk` takes it; pixel data, top-level ones only, last."""
        values = [] if pixels_only else [element.path for element in unpack_bulk(record.bulk_table or b"")]
        return list(dict.fromkeys([*values, *filter(None, [self.pixel_path(record)])]))

    def pixel_path(self, record: InstanceRecord) -> str:
        """Where its pixel data lie, "" when it has none."""
        table = frame_table_of(record)
        return f"{table.description.tag:08X}" if table is not None else ""

    def all_frames(self, record: InstanceRecord, transfer_syntax_uid: str) -> Iterator[FramePart]:
        """Every frame, as `frames` gives them."""
        table = frame_table_of(record)
        return self.frames(record, range(1, frame_count(table) + 1) if table else (), transfer_syntax_uid)

    def metadata(self, ref: ResourceRef, base: bytes) -> Metadata:
        """The DICOM JSON of everything at and below `ref`; `base` takes the place of the service's URL in its links.

        The ETag changes with every change below `ref`, and with `base`. Raises NotFound, Gone, Unavailable.
        """
        revision, rows = self._metadata_rows(ref)
        etag = f"{revision}-{zlib.crc32(base):08x}"
        return Metadata(etag, json_array(rows, self._bundles(rows), base))

    def metadata_objects(self, ref: ResourceRef, base: bytes) -> Iterator[tuple[ResourceRef, bytes]]:
        """As `metadata`, one instance and its JSON object after the other."""
        _, rows = self._metadata_rows(ref)
        return json_objects(rows, self._bundles(rows), base)

    def _metadata_rows(self, ref: ResourceRef) -> tuple[int | None, Sequence[MetadataRow]]:
        """(revision, rows) of everything at and below `ref`. Raises NotFound or Gone."""
        index = self._archive.index
        revision = _asked(lambda: index.revision(ref))
        rows = _asked(lambda: index.metadata(ref)) if revision is not None else ()
        if not rows:
            raise self._absent(ref)
        return revision, rows

    def _pixel_bulk(self, record: InstanceRecord, table: FrameTable, source: DataSetBytes) -> Bulk:
        stored = lookup(record.transfer_syntax_uid)
        if not table.encapsulated:
            return native_value(table, source)
        if stored is None or not stored.decodable:
            extents = [extent for frame in table.frames for extent in frame]
            return stored_stream(extents, source, (stored.media_type if stored else "") or OCTETS)
        numbers = range(1, len(table.frames) + 1)
        bits = decoded_frame_bits(table.description)

        def decoded(start: int, length: int | None) -> Iterator[bytes]:
            frames = decoded_frames(record, table, numbers, source, self.pixels)
            return ranged(joined_frames(frames, bits))(start, length)

        return Bulk(OCTETS, (len(numbers) * bits + 7) // 8, decoded)

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


def producible_from(record: InstanceRecord) -> tuple[str, ...]:
    """The transfer syntaxes that the instance and its frames can be converted to."""
    table = frame_table_of(record)
    return producible(record.transfer_syntax_uid, table.description if table else None)


def _needs_codec(record: InstanceRecord, target: str) -> bool:
    """Whether its pixels have to be decoded or compressed for this transfer syntax."""
    uids = (record.transfer_syntax_uid, target)
    return uids[0] != uids[1] and any(row is not None and row.encapsulated for row in map(lookup, uids))


def _piece(data: bytes, start: int, length: int | None) -> Iterator[bytes]:
    return iter([data if start == 0 and length is None else data[start:][:length]])


def _decoded_bytes(record: InstanceRecord) -> int:
    """About what the instance takes in memory once it is converted."""
    table = frame_table_of(record)
    if table is None:
        return record.size_bytes
    return record.size_bytes + decoded_frame_bits(table.description) * frame_count(table) // 8
