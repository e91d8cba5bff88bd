"""The verb retrieve over a whole archive: instances, frames, bulk data, metadata, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from bridge.archive import Archive
from bridge.arrival import ingest_file
from bridge.bundling import bundle_quiet_series
from bridge.errors import Gone, InvalidRequest, NotAcceptable, NotFound, Unavailable
from bridge.retrieve import Retrieve
from bridge.syntaxes import OCTETS
from storage.errors import StorageUnavailable
from storage.records import InstanceRecord, Origin, ResourceRef
from tests.bridge.archives import ORIGIN, MoodyStore, moody, open_test_archive
from tests.bridge.frames_of import DEFLATED_FRAME, RLE, described, encoded, image
from tests.bridge.objects import base, compressed, differences, part10, pixel_module

STUDY, SERIES = "1.2.826.0.1.3680043.10.1", "1.2.826.0.1.3680043.10.1.1"
BASE = b"http://pacs.example/dicom-web"
NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


class Bench:
    """An archive, the verb on it, and every range read of its store."""

    def __init__(self, archive: Archive, directory: Path) -> None:
        self.archive = archive
        self.directory = directory
        self.retrieve = Retrieve(archive)
        self.reads: list[tuple[int, int | None]] = []
        self.looked_up = 0
        read, instance = moody(archive).read, archive.index.instance

        def counted_read(
            key: str, *, version_id: str | None = None, start: int = 0, length: int | None = None
        ) -> Iterator[bytes]:
            self.reads.append((start, length))
            return read(key, version_id=version_id, start=start, length=length)

        def counted_instance(ref: ResourceRef) -> InstanceRecord | None:
            self.looked_up += 1
            return instance(ref)

        moody(archive).read = counted_read  # type: ignore[method-assign]  # a spy
        archive.index.instance = counted_instance  # type: ignore[method-assign]  # a spy

    def store(self, item: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> ResourceRef:
        path = self.directory / "incoming.dcm"
        path.write_bytes(part10(item, transfer_syntax_uid))
        receipt = ingest_file(self.archive, path, site="default", origin=ORIGIN)
        self.reads.clear()
        return receipt.ref

    def record(self, item: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> InstanceRecord:
        return self.retrieve.instance(self.store(item, transfer_syntax_uid))

    def frame_bytes(self, record: InstanceRecord, numbers: list[int], target: str | None = None) -> list[bytes]:
        return [b"".join(part.chunks) for part in self.retrieve.frames(record, numbers, target)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    archive = open_test_archive(tmp_path)
    made = Bench(archive, tmp_path)
    yield made
    made.retrieve.close()
    archive.close()


def instance(number: int = 1, **attributes: object) -> Dataset:
    """An instance of the series, told apart by its number."""
    return base(SOPInstanceUID=f"{SERIES}.{number}", InstanceNumber=number, SeriesNumber=1, **attributes)


def picture(frames: int = 1, number: int = 1, kind: str = "u2") -> tuple[Dataset, list[bytes]]:
    """A native image and its frames."""
    images = [image(kind, seed=seed) for seed in range(frames)]
    item = pixel_module(instance(number), described(images[0], number_of_frames=frames))
    item.PixelData = b"".join(one.tobytes() for one in images)
    return item, [one.tobytes() for one in images]


# -- instances and objects


def test_an_instance_is_found_by_exactly_its_parents(bench: Bench) -> None:
    ref = bench.store(instance())
    assert bench.retrieve.instance(ref).ref == ref
    for wrong in (
        replace(ref, study_instance_uid="1.2.9"),
        replace(ref, series_instance_uid="1.2.9"),
        replace(ref, sop_instance_uid="1.2.9"),
        replace(ref, site="elsewhere"),
    ):
        with pytest.raises(NotFound):
            bench.retrieve.instance(wrong)
        with pytest.raises(NotFound):
            bench.retrieve.instances(wrong)
        with pytest.raises(NotFound):
            bench.retrieve.metadata(wrong, BASE)


def test_instances_of_a_study_come_page_by_page(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.retrieve._PAGE_INSTANCES", 3)
    refs = {bench.store(instance(number)) for number in range(1, 8)}
    for above in (ResourceRef("default", STUDY), ResourceRef("default", STUDY, SERIES)):
        found = [record.ref for record in bench.retrieve.instances(above)]
        assert set(found) == refs
        assert len(found) == 7


def test_a_deleted_instance_is_gone_and_not_unknown(bench: Bench) -> None:
    ref = bench.store(instance())
    bench.archive.index.remove(ref, ORIGIN)
    for above in (ref, ResourceRef("default", STUDY, SERIES), ResourceRef("default", STUDY)):
        with pytest.raises(Gone):
            bench.retrieve.instances(above)
        with pytest.raises(Gone):
            bench.retrieve.metadata(above, BASE)


def test_an_index_that_is_away_is_unavailable(bench: Bench) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("down")

    ref = bench.store(instance())
    bench.archive.index.instance = away  # type: ignore[method-assign, assignment]  # a stand-in
    with pytest.raises(Unavailable, match="index"):
        bench.retrieve.instance(ref)


@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
def test_an_object_goes_out_as_it_was_stored_byte_by_byte(bench: Bench, uid: str) -> None:
    item = compressed(described(image()), [encoded(image(), uid)]) if uid != ExplicitVRLittleEndian else picture()[0]
    record = bench.record(item, uid)
    sent = bench.retrieve.object_stream(record, None)
    assert (sent.transfer_syntax_uid, sent.size_bytes) == (uid, record.size_bytes)
    assert b"".join(sent.chunks) == part10(item, uid)
    assert bench.reads == [(0, None)]


@pytest.mark.parametrize("uid", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_implicit_big_endian_and_deflated_go_out_explicit(bench: Bench, uid: str) -> None:
    """DICOM.md G1."""
    item, (frame,) = picture()
    wanted = dcmread(io.BytesIO(part10(item, ExplicitVRLittleEndian)))
    if uid == ExplicitVRBigEndian:  # pydicom leaves the words as they are given
        item.PixelData = np.frombuffer(frame, "<u2").byteswap().tobytes()
    record = bench.record(item, uid)
    for asked in (None, ExplicitVRLittleEndian):
        sent = bench.retrieve.object_stream(record, asked)
        data = b"".join(sent.chunks)
        assert sent.transfer_syntax_uid == ExplicitVRLittleEndian
        assert sent.size_bytes in (None, len(data))
        ours = dcmread(io.BytesIO(data))
        assert ours.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert ours.file_meta.MediaStorageSOPInstanceUID == item.SOPInstanceUID
        assert differences(wanted, ours) == []


@pytest.mark.parametrize("uid", [*NATIVE, RLELossless])
def test_a_syntax_asked_for_by_name_is_sent_as_stored(bench: Bench, uid: str) -> None:
    item = compressed(described(image()), [encoded(image(), uid)]) if uid == RLELossless else picture()[0]
    sent = bench.retrieve.object_stream(bench.record(item, uid), uid)
    assert b"".join(sent.chunks) == part10(item, uid)


def test_compressed_objects_are_decoded_when_asked(bench: Bench) -> None:
    pixels = image()
    record = bench.record(compressed(described(pixels), [encoded(pixels, JPEG2000Lossless)]), JPEG2000Lossless)
    for target in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        sent = bench.retrieve.object_stream(record, target)
        data = b"".join(sent.chunks)
        assert sent.size_bytes == len(data)
        assert np.array_equal(dcmread(io.BytesIO(data)).pixel_array, pixels)


def test_an_instance_converted_by_itself_is_not_read_again(bench: Bench) -> None:
    pixels = image()
    record = bench.record(compressed(described(pixels), [encoded(pixels, JPEG2000Lossless)]), JPEG2000Lossless)
    whole = b"".join(bench.retrieve.object_stream(record, ExplicitVRLittleEndian).chunks)
    assert b"".join(bench.retrieve.object_alone(record, ExplicitVRLittleEndian).chunks) == whole
    bench.reads.clear()
    again = bench.retrieve.object_alone(record, ExplicitVRLittleEndian)
    assert (again.transfer_syntax_uid, again.size_bytes) == (ExplicitVRLittleEndian, len(whole))
    assert b"".join(again.read(0, None)) == whole
    assert b"".join(again.read(200, 50)) == whole[200:250]
    assert bench.reads == []
    other = bench.retrieve.object_alone(record, ImplicitVRLittleEndian)
    assert other.transfer_syntax_uid == ImplicitVRLittleEndian
    assert b"".join(other.chunks) == b"".join(bench.retrieve.object_stream(record, ImplicitVRLittleEndian).chunks)


def test_what_needs_no_codec_is_read_each_time(bench: Bench) -> None:
    record = bench.record(picture()[0], ImplicitVRLittleEndian)
    for target in (None, ImplicitVRLittleEndian):
        for _ in range(2):
            bench.reads.clear()
            sent = b"".join(bench.retrieve.object_alone(record, target).chunks)
            assert sent == b"".join(bench.retrieve.object_stream(record, target).chunks)
            assert bench.reads


def test_a_series_passing_by_is_not_kept(bench: Bench) -> None:
    pixels = image()
    record = bench.record(compressed(described(pixels), [encoded(pixels, JPEG2000Lossless)]), JPEG2000Lossless)
    for _ in range(2):
        bench.reads.clear()
        (sent,) = bench.retrieve.object_streams([(record, ExplicitVRLittleEndian)])
        assert b"".join(sent.chunks)
        assert bench.reads


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        (ExplicitVRLittleEndian, JPEGBaseline8Bit),
        (ExplicitVRLittleEndian, ExplicitVRBigEndian),
        (ExplicitVRLittleEndian, "1.2.3"),
        (RLELossless, JPEGExtended12Bit),
        (MPEG2MPML, ExplicitVRLittleEndian),
    ],
)
def test_a_conversion_that_is_not_possible_is_refused(bench: Bench, stored: str, asked: str) -> None:
    item = picture()[0] if stored == ExplicitVRLittleEndian else compressed(described(image("i1")), [b"\0\0"])
    record = bench.record(item, stored)
    with pytest.raises(NotAcceptable, match=r"cannot be (converted|sent as)"):
        bench.retrieve.object_stream(record, asked)
    with pytest.raises(NotAcceptable, match=r"cannot be converted|one by one"):
        bench.retrieve.frames(record, [1], asked)


# -- frames


@pytest.mark.parametrize("uid", NATIVE)
@pytest.mark.parametrize("kind", ["u1", "u2", "i2"])
def test_native_frames_are_byte_exact_and_little_endian(bench: Bench, uid: str, kind: str) -> None:
    item, frames = picture(5, kind=kind)
    if uid == ExplicitVRBigEndian:
        item["PixelData"].VR = "OB" if kind == "u1" else "OW"
        if kind != "u1":
            item.PixelData = np.frombuffer(item.PixelData, "<u2").byteswap().tobytes()
    record = bench.record(item, uid)
    assert bench.frame_bytes(record, [1, 2, 3, 4, 5]) == frames
    assert bench.frame_bytes(record, [4, 2, 2, 5], ExplicitVRLittleEndian) == [frames[n] for n in (3, 1, 1, 4)]
    part = next(bench.retrieve.frames(record, [3], None))
    assert (part.number, part.transfer_syntax_uid, part.media_type, part.size_bytes) == (
        3,
        ExplicitVRLittleEndian,
        "application/octet-stream",
        len(frames[2]),
    )


def test_a_frame_costs_one_look_up_and_one_bounded_read(bench: Bench) -> None:
    item, frames = picture(50)
    ref = bench.store(item)
    bench.looked_up = 0
    record = bench.retrieve.instance(ref)
    assert bench.frame_bytes(record, [37]) == [frames[36]]
    assert bench.looked_up == 1
    assert [length for _, length in bench.reads] == [len(frames[0])]


def test_frames_in_a_row_come_out_of_one_read(bench: Bench) -> None:
    item, frames = picture(20)
    record = bench.record(item)
    assert bench.frame_bytes(record, [*range(5, 12), 1]) == [*frames[4:11], frames[0]]
    assert [length for _, length in bench.reads] == [7 * len(frames[0]), len(frames[0])]


@pytest.mark.parametrize("uid", NATIVE)
def test_one_bit_frames_begin_on_a_byte(bench: Bench, uid: str) -> None:
    """DICOM.md W13."""
    masks = [np.random.default_rng(seed).integers(0, 2, (3, 7), np.uint8) for seed in range(9)]
    item = pixel_module(
        instance(), described(masks[0], bits_allocated=1, bits_stored=1, high_bit=0, number_of_frames=9)
    )
    packed = np.packbits(np.concatenate([mask.ravel() for mask in masks]), bitorder="little").tobytes()
    item.PixelData = packed + b"\0" * (len(packed) % 2)
    item["PixelData"].VR = "OB"
    record = bench.record(item, uid)
    wanted = [np.packbits(mask, bitorder="little").tobytes() for mask in masks]
    assert bench.frame_bytes(record, list(range(1, 10))) == wanted


def test_compressed_frames_are_bare_codestreams(bench: Bench) -> None:
    """DICOM.md W12."""
    images = [image("u2", seed=seed) for seed in range(4)]
    streams = [encoded(one, JPEG2000Lossless) for one in images]
    record = bench.record(compressed(described(images[0], number_of_frames=4), streams), JPEG2000Lossless)
    parts = list(bench.retrieve.frames(record, [3], None))
    assert [(part.transfer_syntax_uid, part.media_type) for part in parts] == [(JPEG2000Lossless, "image/jp2")]
    assert [stream.rstrip(b"\0") for stream in bench.frame_bytes(record, [2, 4, 1])] == [
        streams[1],
        streams[3],
        streams[0],
    ]
    bench.reads.clear()
    bench.frame_bytes(record, [1, 2, 3, 4])
    assert len(bench.reads) == 1


def test_compressed_frames_are_decoded_when_asked(bench: Bench) -> None:
    images = [image("u2", seed=seed) for seed in range(4)]
    item = compressed(described(images[0], number_of_frames=4), [encoded(one, RLE) for one in images])
    record = bench.record(item, RLE)
    parts = bench.retrieve.frames(record, [4, 1, 1], ExplicitVRLittleEndian)
    found = [(part.number, part.size_bytes, b"".join(part.chunks)) for part in parts]
    assert found == [(n, images[0].nbytes, images[n - 1].tobytes()) for n in (4, 1, 1)]


def test_a_frame_decoded_by_itself_is_not_read_again(bench: Bench) -> None:
    images = [image("u2", seed=seed) for seed in range(2)]
    item = compressed(described(images[0], number_of_frames=2), [encoded(one, RLE) for one in images])
    record = bench.record(item, RLE)
    for number in (1, 2):
        assert bench.frame_bytes(record, [number], ExplicitVRLittleEndian) == [images[number - 1].tobytes()]
    bench.reads.clear()
    (part,) = bench.retrieve.frames(record, [2], ExplicitVRLittleEndian)
    assert (part.number, part.media_type, part.size_bytes) == (2, OCTETS, images[1].nbytes)
    assert b"".join(part.chunks) == images[1].tobytes()
    assert bench.reads == []
    (made,) = bench.retrieve.frames(record, [2], JPEG2000Lossless)
    assert (made.media_type, made.transfer_syntax_uid) == ("image/jp2", JPEG2000Lossless)
    assert bench.frame_bytes(record, [2], RLE) == [encoded(images[1], RLE)]


@pytest.mark.parametrize("target", [None, ExplicitVRLittleEndian])
@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, RLELossless])
def test_a_frame_beyond_the_last_is_not_found_and_the_count_is_named(
    bench: Bench, uid: str, target: str | None
) -> None:
    item = (
        picture(2)[0]
        if uid == ExplicitVRLittleEndian
        else compressed(described(image(), number_of_frames=2), [encoded(image(), RLE)] * 2)
    )
    record = bench.record(item, uid)
    with pytest.raises(NotFound, match="has 2"):
        bench.retrieve.frames(record, [1, 3], target)
    with pytest.raises(InvalidRequest):
        bench.retrieve.frames(record, [0], target)
    with pytest.raises(InvalidRequest):
        bench.retrieve.frames(record, [], target)


def test_an_instance_without_pixels_has_no_frames(bench: Bench) -> None:
    with pytest.raises(NotFound, match="no pixel data"):
        bench.retrieve.frames(bench.record(instance()), [1], None)


def test_a_frame_that_the_value_does_not_hold_is_refused(bench: Bench) -> None:
    item, _ = picture(2)
    item.NumberOfFrames = 3
    record = bench.record(item)
    with pytest.raises((NotAcceptable, NotFound)):
        bench.retrieve.frames(record, [3], None)


@pytest.mark.parametrize("target", [None, ExplicitVRLittleEndian, MPEG2MPML])
def test_frames_of_a_video_are_refused(bench: Bench, target: str | None) -> None:
    """DICOM.md W14."""
    item = compressed(described(image("u1", colour=True), number_of_frames=30), [b"\0\0\1\xb3stream!!"])
    with pytest.raises(NotAcceptable, match="MPEG2"):
        bench.retrieve.frames(bench.record(item, MPEG2MPML), [1], target)


@pytest.mark.parametrize("target", [ImplicitVRLittleEndian, JPEGBaseline8Bit])
def test_frames_in_another_syntax_are_refused(bench: Bench, target: str) -> None:
    with pytest.raises(NotAcceptable):
        bench.retrieve.frames(bench.record(picture()[0]), [1], target)
    record = bench.record(compressed(described(image()), [encoded(image(), RLE)], SOPInstanceUID="1.2.3"), RLE)
    with pytest.raises(NotAcceptable):
        list(bench.retrieve.frames(record, [1], target if target != ImplicitVRLittleEndian else "1.2.3"))


# -- bytes that move


def test_bytes_that_moved_meanwhile_are_found_at_their_new_place(bench: Bench) -> None:
    item, frames = picture()
    record = bench.record(item)
    store = moody(bench.archive)
    moved = replace(record.location, key=record.location.key.replace(".dcm", "x.dcm"))
    copy(store, record, moved.key)
    assert bench.archive.index.swap(record, moved, ORIGIN, put_at=bench.archive.now())
    store.delete(record.location.key)
    assert bench.frame_bytes(record, [1]) == frames
    assert b"".join(bench.retrieve.object_stream(record, None).chunks) == part10(item, ExplicitVRLittleEndian)


def copy(store: MoodyStore, record: InstanceRecord, key: str) -> None:
    from storage.objects.base import ObjectMeta
    from storage.objects.payload import Payload

    body = b"".join(store.read(record.location.key))
    payload = Payload(
        header=b"",
        body=body,
        path=None,
        size_bytes=len(body),
        sha256=record.sha256,
        data_set_sha256=record.data_set_sha256,
    )
    store.put(key, payload, meta=ObjectMeta())


def test_bytes_that_are_nowhere_are_unavailable_and_never_empty(bench: Bench) -> None:
    record = bench.record(picture()[0])
    moody(bench.archive).delete(record.location.key)
    with pytest.raises(Unavailable, match="not where the index says"):
        bench.retrieve.object_stream(record, None).read(0, None)


def test_bytes_of_an_instance_that_was_just_deleted_are_gone(bench: Bench) -> None:
    record = bench.record(picture()[0])
    bench.archive.index.remove(record.ref, ORIGIN)
    moody(bench.archive).delete(record.location.key)
    with pytest.raises(Gone):
        bench.retrieve.object_stream(record, None).read(0, None)


# -- bulk data


def test_native_pixel_data_are_bulk_data_by_range(bench: Bench) -> None:
    item, frames = picture(3)
    bulk = bench.retrieve.bulk(bench.record(item), "7FE00010")
    whole = b"".join(frames)
    assert (bulk.media_type, bulk.size_bytes, b"".join(bulk.chunks)) == ("application/octet-stream", len(whole), whole)
    assert b"".join(bulk.read(5, 100)) == whole[5:105]
    assert b"".join(bulk.read(len(whole) - 3, None)) == whole[-3:]


def test_big_endian_words_of_bulk_data_come_out_little_endian(bench: Bench) -> None:
    words = np.arange(5000, dtype="<u4")
    item = instance()
    item.add_new(0x00660016, "OF", words.byteswap().tobytes())  # pydicom leaves the words as they are given
    bulk = bench.retrieve.bulk(bench.record(item, ExplicitVRBigEndian), "00660016")
    assert b"".join(bulk.chunks) == words.tobytes()
    assert b"".join(bulk.read(7, 9)) == words.tobytes()[7:16]


@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_bulk_data_inside_sequences_are_found_by_their_path(bench: Bench, uid: str) -> None:
    inner = Dataset()
    inner.EncapsulatedDocument = bytes(range(250)) * 40
    item = instance()
    item.ReferencedImageSequence = Sequence([Dataset(), inner])
    bulk = bench.retrieve.bulk(bench.record(item, uid), "00081140/2/00420011")
    assert b"".join(bulk.chunks) == inner.EncapsulatedDocument


def test_a_document_comes_with_its_media_type_and_without_its_pad_byte(bench: Bench) -> None:
    """DICOM.md W8."""
    pdf = b"%PDF-1.7 " + bytes(9000)
    item = instance(SOPClassUID=EncapsulatedPDFStorage, MIMETypeOfEncapsulatedDocument="application/pdf")
    item.EncapsulatedDocument = pdf + b"\0"
    item.EncapsulatedDocumentLength = len(pdf)
    bulk = bench.retrieve.bulk(bench.record(item), "00420011")
    assert (bulk.media_type, bulk.size_bytes, b"".join(bulk.chunks)) == ("application/pdf", len(pdf), pdf)


def test_compressed_pixel_data_as_bulk_are_decoded(bench: Bench) -> None:
    images = [image("u2", seed=seed) for seed in range(3)]
    item = compressed(described(images[0], number_of_frames=3), [encoded(one, RLE) for one in images])
    bulk = bench.retrieve.bulk(bench.record(item, RLE), "7FE00010")
    data = b"".join(bulk.chunks)
    assert data == b"".join(one.tobytes() for one in images)
    assert bulk.size_bytes == len(data)


def test_compressed_masks_as_bulk_share_bytes_like_native_ones(bench: Bench) -> None:
    masks = [np.random.default_rng(seed).integers(0, 2, (3, 7), np.uint8) for seed in range(9)]
    about = described(masks[0], bits_allocated=1, bits_stored=1, high_bit=0, number_of_frames=9)
    streams = [encoded(np.packbits(mask, bitorder="little"), DEFLATED_FRAME) for mask in masks]
    bulk = bench.retrieve.bulk(bench.record(compressed(about, streams), DEFLATED_FRAME), "7FE00010")
    wanted = np.packbits(np.concatenate([mask.ravel() for mask in masks]), bitorder="little").tobytes()
    assert (bulk.size_bytes, b"".join(bulk.chunks)) == (len(wanted), wanted)


def test_a_video_is_one_stream_by_range(bench: Bench) -> None:
    """DICOM.md W14."""
    stream = b"\0\0\1\xb3" + bytes(range(256)) * 10
    item = compressed(described(image("u1", colour=True), number_of_frames=30), [stream])
    bulk = bench.retrieve.bulk(bench.record(item, MPEG2MPML), "7FE00010")
    assert (bulk.media_type, bulk.size_bytes) == ("video/mpeg2", len(stream))
    assert b"".join(bulk.chunks) == stream
    assert b"".join(bulk.read(100, 300)) == stream[100:400]


def test_an_encapsulated_icon_is_its_codestream(bench: Bench) -> None:
    pixels, icon = image("u2"), image("u1", rows=64, columns=64)
    item = compressed(described(pixels), [encoded(pixels, RLE)])
    small = compressed(described(icon), [encoded(icon, RLE)])
    item.IconImageSequence = Sequence([small])
    bulk = bench.retrieve.bulk(bench.record(item, RLE), "00880200/1/7FE00010")
    assert b"".join(bulk.chunks) == encoded(icon, RLE)


@pytest.mark.parametrize("path", ["7FE00010", "00420011", "nonsense", "", "00081140/1/00420011"])
def test_bulk_data_that_are_not_there_are_not_found(bench: Bench, path: str) -> None:
    with pytest.raises(NotFound):
        bench.retrieve.bulk(bench.record(instance()), path)


# -- metadata


def metadata(bench: Bench, ref: ResourceRef) -> list[dict[str, dict[str, object]]]:
    found: list[dict[str, dict[str, object]]] = orjson.loads(b"".join(bench.retrieve.metadata(ref, BASE).body))
    return found


def test_metadata_are_an_array_in_the_order_of_instance_numbers(bench: Bench) -> None:
    refs = [bench.store(instance(number)) for number in (10, 2, 1)]
    for above in (ResourceRef("default", STUDY), ResourceRef("default", STUDY, SERIES)):
        assert [one["00200013"]["Value"] for one in metadata(bench, above)] == [[1], [2], [10]]
    assert [one["00200013"]["Value"] for one in metadata(bench, refs[0])] == [[10]]


def test_links_in_metadata_begin_with_the_service(bench: Bench) -> None:
    ref = bench.store(picture()[0])
    (found,) = metadata(bench, ref)
    uri = str(found["7FE00010"]["BulkDataURI"])
    assert uri.startswith(BASE.decode() + f"/studies/{STUDY}/series/{SERIES}/instances/")
    path = uri.rpartition("/bulkdata/")[2]
    assert bench.retrieve.bulk(bench.retrieve.instance(ref), path).size_bytes == len(picture()[1][0])


def test_the_etag_changes_with_every_change_below_and_with_the_base(bench: Bench) -> None:
    above = ResourceRef("default", STUDY)
    bench.store(instance(1))
    first = bench.retrieve.metadata(above, BASE).etag
    assert bench.retrieve.metadata(above, BASE).etag == first
    assert bench.retrieve.metadata(above, b"http://other").etag != first
    ref = bench.store(instance(2))
    second = bench.retrieve.metadata(above, BASE).etag
    bench.archive.index.remove(ref, ORIGIN)
    assert len({first, second, bench.retrieve.metadata(above, BASE).etag}) == 3


def test_bundled_metadata_read_the_same_as_before(bench: Bench) -> None:
    refs = [bench.store(instance(number)) for number in range(1, 100)]
    study, series = ResourceRef("default", STUDY), ResourceRef("default", STUDY, SERIES)
    before = [metadata(bench, ref) for ref in (study, series, refs[70])]
    quieten(bench)
    assert all(row.metadata_json is None for row in bench.archive.index.metadata(series))
    assert [metadata(bench, ref) for ref in (study, series, refs[70])] == before


def quieten(bench: Bench) -> None:
    bench.archive.now.forward(hours=1)  # type: ignore[attr-defined]  # the archive's clock is a Clock here
    assert bundle_quiet_series(bench.archive) == 1


def test_late_and_deleted_instances_are_told_apart_from_the_bundle(bench: Bench) -> None:
    refs = [bench.store(instance(number)) for number in (1, 3, 4)]
    quieten(bench)
    bench.store(instance(2))
    bench.archive.index.remove(refs[2], Origin(door="CLI", name="admin", address=""))
    found = metadata(bench, ResourceRef("default", STUDY, SERIES))
    assert [one["00200013"]["Value"] for one in found] == [[1], [2], [3]]


def test_a_bundle_that_is_not_there_is_unavailable(bench: Bench) -> None:
    bench.store(instance())
    quieten(bench)
    series = ResourceRef("default", STUDY, SERIES)
    bundle = bench.archive.index.bundle(series)
    assert bundle is not None
    moody(bench.archive).delete(bundle.location.key)
    with pytest.raises(Unavailable):
        bench.retrieve.metadata(series, BASE)
