"""A DICOM file on its way in: however it is cut, it is kept as it came or refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.archive import Archive
from bridge.arrival import Arrival, ingest_file
from bridge.errors import ClassMismatch, InvalidInstance, OutOfResources, SyntaxNotSupported, TooLarge
from bridge.part10 import PREAMBLE_BYTES, read_preamble
from storage.records import Origin, Outcome
from tests.bridge.archives import SERIES, STUDY, open_test_archive, part10

HTTP = Origin(door="HTTP", name="sender", address="127.0.0.1")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path)
    yield opened
    opened.close()


def arrive(archive: Archive, data: bytes, step: int = 1 << 20, **options: object) -> Arrival:
    arrival = Arrival(archive, site="default", origin=HTTP, **options)  # type: ignore[arg-type]
    for at in range(0, len(data), step):
        arrival.write(memoryview(data)[at : at + step])
    return arrival


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
@pytest.mark.parametrize("padding", [0, 200_000], ids=["small", "larger than the probe"])
def test_a_file_is_kept_as_it_came_however_it_is_cut(archive: Archive, step: int, padding: int) -> None:
    sent = part10(1, PixelData=bytes(padding)) if padding else part10(1)
    if step == 1 and padding:
        step = 70_000
    receipt = arrive(archive, sent, step).complete()
    record = archive.index.instance(receipt.ref)
    assert record is not None
    assert receipt.outcome is Outcome.STORED
    assert b"".join(archive.read(record)) == sent


def test_the_header_is_known_once_the_file_is_sealed(archive: Archive) -> None:
    arrival = arrive(archive, part10(1))
    assert arrival.meta is None
    arrival.seal()
    assert arrival.meta is not None
    assert arrival.meta.media_storage_sop_instance_uid == f"{SERIES}.1"
    arrival.complete()


def test_a_file_without_preamble_gets_one(archive: Archive) -> None:
    bare = part10(1)[PREAMBLE_BYTES + 4 :]
    record = archive.index.instance(arrive(archive, bare).complete().ref)
    assert record is not None
    kept = b"".join(archive.read(record))
    assert kept[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM"
    assert kept[read_preamble(kept).data_set_offset :] == bare[read_preamble(bare).data_set_offset :]


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 200_000, part10(1)[:200], part10(1)[:-40]])
def test_what_is_no_whole_dicom_file_is_refused_at_its_end(archive: Archive, data: bytes) -> None:
    arrival = arrive(archive, data)
    with pytest.raises(InvalidInstance):
        arrival.complete()
    assert list(archive.spool_directory.iterdir()) == []


def test_a_transfer_syntax_that_cannot_be_kept_is_refused_by_name(archive: Archive) -> None:
    unknown = part10(1).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0", 1)
    with pytest.raises(SyntaxNotSupported, match=r"1\.2\.840\.10008\.1\.2\.7"):
        arrive(archive, unknown).complete()


def test_a_file_beyond_its_limit_is_refused_and_leaves_nothing(archive: Archive) -> None:
    sent = part10(1, PixelData=bytes(5 << 20))
    with pytest.raises(TooLarge):
        arrive(archive, sent, limit_bytes=len(sent) - 1).complete()
    assert list(archive.spool_directory.iterdir()) == []
    assert arrive(archive, sent, limit_bytes=len(sent)).complete().outcome is Outcome.STORED


def test_only_the_study_that_was_asked_for_comes_in(archive: Archive) -> None:
    with pytest.raises(ClassMismatch, match="another study"):
        arrive(archive, part10(1), study="1.2.3").complete()
    assert arrive(archive, part10(1), study=STUDY).complete().outcome is Outcome.STORED


def test_a_disk_down_to_its_reserve_takes_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Archive, "has_free_space", lambda *_: False)
    with pytest.raises(OutOfResources):
        arrive(archive, part10(1)).complete()


def test_a_file_that_is_abandoned_leaves_nothing(archive: Archive) -> None:
    arrival = arrive(archive, part10(1, PixelData=bytes(5 << 20)))
    assert list(archive.spool_directory.iterdir()) != []
    arrival.abandon()
    assert list(archive.spool_directory.iterdir()) == []


def test_a_file_on_disk_is_left_alone(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(part10(1))
    assert ingest_file(archive, path, site="default", origin=HTTP).outcome is Outcome.STORED
    assert path.read_bytes() == part10(1)
