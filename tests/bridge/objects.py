"""Builders: Part 10 files in any transfer syntax, as byte sources that transcode and retrieve read from."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, CTImageStorage, RLELossless

from bridge.describe import Description, describe
from bridge.extents import DataSetBytes, Inflated, Plain
from bridge.frames import FrameTable, PixelDescription, unpack
from bridge.part10 import build_header, read_preamble
from bridge.pixels import PixelPool
from bridge.syntaxes import lookup
from bridge.transcode import convert

CHUNK_BYTES = 1 << 20


def base(**attributes: object) -> Dataset:
    """A data set with the UIDs every instance has."""
    item = Dataset()
    item.SOPClassUID = CTImageStorage
    item.SOPInstanceUID = "1.2.826.0.1.3680043.10.1.1.1"
    item.StudyInstanceUID = "1.2.826.0.1.3680043.10.1"
    item.SeriesInstanceUID = "1.2.826.0.1.3680043.10.1.1"
    item.PatientID = "P1"
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def pixel_module(item: Dataset, description: PixelDescription) -> Dataset:
    """The Image Pixel Module of a description, without pixel data."""
    item.Rows, item.Columns = description.rows, description.columns
    item.SamplesPerPixel = description.samples_per_pixel
    item.BitsAllocated, item.BitsStored = description.bits_allocated, description.bits_stored
    item.HighBit, item.PixelRepresentation = description.high_bit, description.pixel_representation
    item.PhotometricInterpretation = description.photometric_interpretation
    if description.samples_per_pixel > 1:
        item.PlanarConfiguration = description.planar_configuration
    if description.number_of_frames > 1:
        item.NumberOfFrames = description.number_of_frames
    return item


def compressed(description: PixelDescription, codestreams: Sequence[bytes], **attributes: object) -> Dataset:
    """A data set with encapsulated frames."""
    item = pixel_module(base(**attributes), description)
    item.PixelData = encapsulate(list(codestreams))
    item["PixelData"].is_undefined_length = True
    return item


def part10(item: Dataset, transfer_syntax_uid: str) -> bytes:
    """A file whose data set pydicom has written, also in syntaxes that it does not know yet."""
    row = lookup(transfer_syntax_uid)
    assert row is not None
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = RLELossless if row.encapsulated else UID(transfer_syntax_uid)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = item.SOPClassUID, item.SOPInstanceUID
    item.file_meta = meta
    file = io.BytesIO()
    dcmwrite(file, item, enforce_file_format=True)
    header = build_header(
        sop_class_uid=item.SOPClassUID, sop_instance_uid=item.SOPInstanceUID, transfer_syntax_uid=transfer_syntax_uid
    )
    return header + file.getvalue()[read_preamble(file.getvalue()).data_set_offset :]


@dataclass
class Stored:
    """A file as the archive has it: described once, read by range."""

    data: bytes

    def __post_init__(self) -> None:
        self.meta = read_preamble(self.data)
        self.reads: list[tuple[int, int | None]] = []

    @property
    def description(self) -> Description:
        return describe(memoryview(self.data)[self.meta.data_set_offset :], self.meta.transfer_syntax_uid)

    @property
    def frame_table(self) -> FrameTable | None:
        packed = self.description.frame_table
        return unpack(packed) if packed else None

    @property
    def source(self) -> DataSetBytes:
        row = lookup(self.meta.transfer_syntax_uid)
        if row is not None and row.deflated:
            return Inflated(self.read, self.meta.data_set_offset, 1 << 30)
        return Plain(self.read, self.meta.data_set_offset)

    def read(self, start: int, length: int | None) -> Iterator[bytes]:
        self.reads.append((start, length))
        end = len(self.data) if length is None else min(len(self.data), start + length)
        return (self.data[at : min(at + CHUNK_BYTES, end)] for at in range(start, end, CHUNK_BYTES))

    def converted(self, target_uid: str, pixels: PixelPool) -> bytes:
        """The converted data set, its announced size checked."""
        made = convert(
            self.source, self.meta.transfer_syntax_uid, target_uid, frame_table=self.frame_table, pixels=pixels
        )
        data = b"".join(made.chunks)
        assert made.size_bytes in (None, len(data))
        return data

    def read_back(self, target_uid: str, pixels: PixelPool) -> Dataset:
        """The converted data set as pydicom reads it."""
        return as_file(self.converted(target_uid, pixels), target_uid)


def as_file(data_set: bytes, transfer_syntax_uid: str) -> Dataset:
    """A bare data set read by pydicom."""
    header = build_header(
        sop_class_uid=CTImageStorage, sop_instance_uid="1.2.3", transfer_syntax_uid=transfer_syntax_uid
    )
    return dcmread(io.BytesIO(header + data_set))


def element(tag: int, vr: str, value: bytes, *, length: int | None = None) -> bytes:
    """One explicit little endian element."""
    size = len(value) if length is None else length
    if vr in ("OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UN", "UC", "UR", "UT", "SV", "UV"):
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, size) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), size) + value


def implicit(tag: int, value: bytes, *, length: int | None = None) -> bytes:
    """One implicit little endian element."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def differences(left: Dataset, right: Dataset, path: str = "") -> list[str]:
    """Where two data sets differ, element by element; group lengths and groups 0000 and 0002 left out."""
    found = []
    tags = {tag for tag in (*left.keys(), *right.keys()) if tag.element and tag.group > 2}
    for tag in sorted(tags):
        where = f"{path}{tag}"
        if tag not in left or tag not in right:
            found.append(f"{where} only on one side")
            continue
        one, other = left[tag], right[tag]
        if one.VR == other.VR == "SQ":
            if len(one.value) != len(other.value):
                found.append(f"{where} has another number of items")
            for number, (item, twin) in enumerate(zip(one.value, other.value, strict=False), 1):
                found += differences(item, twin, f"{where}/{number}/")
        elif one.VR != other.VR or one.value != other.value:
            found.append(f"{where} {one.VR} {str(one.value)[:30]!r} -> {other.VR} {str(other.value)[:30]!r}")
    return found
