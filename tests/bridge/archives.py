"""Builders: small data sets, and archives on memory or disk with a clock that tests move."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bridge.archive import HOT, Archive, landing_name
from bridge.ingest import Delivery, Receipt, begin, ingest
from bridge.part10 import build_header, read_preamble
from bridge.settings import Peer, Settings, Storage
from storage.errors import StorageFull, StorageUnavailable
from storage.index import migrate, open_index
from storage.objects.base import ObjectInfo, ObjectMeta
from storage.objects.local import LocalStore
from storage.objects.memory import MemoryStore
from storage.objects.payload import Payload
from storage.records import Origin

STUDY, SERIES = "1.2.826.0.1.3680043.10.1", "1.2.826.0.1.3680043.10.1.1"
ORIGIN = Origin(door="DIMSE", name="CT01", address="127.0.0.1")


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    time: datetime = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Now; each reading is a microsecond later, so that two instances are never received at once."""
        self.time += timedelta(microseconds=1)
        return self.time

    def forward(self, **passed: float) -> None:
        """Let time pass: `forward(hours=2)`."""
        self.time += timedelta(**passed)


class MoodyStore(MemoryStore):
    """A memory store that can be away or full."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now=now)
        self.mood = "well"

    def put(self, key: str, payload: Payload, *, meta: ObjectMeta) -> ObjectInfo:
        if self.mood == "away":
            raise StorageUnavailable("the store is away")
        if self.mood == "full":
            raise StorageFull("the store is full")
        return super().put(key, payload, meta=meta)


def data_set(number: int = 1, *, study: str = STUDY, series: str = SERIES, **attributes: object) -> bytes:
    """An explicit little endian CT data set of 4 x 4 pixels, without preamble and file meta."""
    item = Dataset()
    item.SOPClassUID = CTImageStorage
    item.SOPInstanceUID = f"{series}.{number}"
    item.StudyInstanceUID = study
    item.SeriesInstanceUID = series
    item.StudyDate, item.StudyTime = "20260305", "101500"
    item.Modality = "CT"
    item.PatientName, item.PatientID = "Zhang^San=张^三", "P1"
    item.SpecificCharacterSet = "ISO_IR 192"
    item.InstanceNumber, item.SeriesNumber = number, 1
    item.Rows = item.Columns = 4
    item.BitsAllocated = item.BitsStored = 16
    item.HighBit, item.PixelRepresentation, item.SamplesPerPixel = 15, 0, 1
    item.PhotometricInterpretation = "MONOCHROME2"
    item.PixelData = bytes(range(32))
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, f"{series}.{number}"
    item.file_meta = meta
    file = io.BytesIO()
    dcmwrite(file, item, enforce_file_format=True)
    return file.getvalue()[read_preamble(file.getvalue()).data_set_offset :]


def part10(number: int = 1, **attributes: object) -> bytes:
    """The same as a file."""
    header = build_header(
        sop_class_uid=CTImageStorage,
        sop_instance_uid=f"{attributes.get('series', SERIES)}.{number}",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    return header + data_set(number, **attributes)


def open_test_archive(directory: Path, settings: Settings | None = None, *, landing: bool = False) -> Archive:
    """An archive on a MoodyStore and SQLite below `directory`, with a Clock as `archive.now`."""
    settings = settings or Settings()
    settings = replace(
        settings,
        node="node1",
        storage=replace(settings.storage, directory=directory, free_space_reserve_bytes=0),
    )
    clock = Clock()
    url = f"sqlite:///{directory / 'index.sqlite'}"
    migrate(url)
    index = open_index(url, now=clock)
    stores: dict[str, object] = {HOT: MoodyStore(clock)}
    if landing:
        stores[landing_name("node1")] = LocalStore(directory / "landing", now=clock)
    spool = directory / "spool"
    spool.mkdir(exist_ok=True)
    return Archive(
        settings=settings,
        index=index,
        registry=index,
        stores=stores,  # type: ignore[arg-type]  # a dict is invariant in its values
        spool_directory=spool,
        now=clock,
    )


def moody(archive: Archive) -> MoodyStore:
    """The hot store, for changing its mood."""
    store = archive.stores[HOT]
    assert isinstance(store, MoodyStore)
    return store


def receive(
    archive: Archive, data: bytes, *, site: str = "default", origin: Origin = ORIGIN, peer: Peer | None = None
) -> Receipt:
    """Take a data set as the DIMSE door does."""
    header = build_header(
        sop_class_uid=CTImageStorage, sop_instance_uid="1.2.3", transfer_syntax_uid=ExplicitVRLittleEndian
    )
    spool = begin(archive, header)
    spool.write(data)
    delivery = Delivery(transfer_syntax_uid=ExplicitVRLittleEndian, site=site, origin=origin, peer=peer)
    return ingest(archive, spool, delivery)


def with_storage(**values: object) -> Settings:
    """Settings with some storage values changed."""
    return Settings(storage=Storage(**values))  # type: ignore[arg-type]
