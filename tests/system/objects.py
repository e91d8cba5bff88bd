"""Instances for system tests: real CT slices, and many small ones with known bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.uid import UID

from tests.bridge.archives import part10

ROOT = "1.2.826.0.1.3680043.10.9"


def ct_slices(shared_data: Path) -> list[Path]:
    """The 60 slices of the CT head phantom."""
    return sorted((shared_data / "ct-head-phantom").glob("I*.dcm"))


def many(directory: Path, count: int, *, per_series: int = 50, pixels: int = 64) -> list[Path]:
    """`count` small CT instances as files below `directory`, in series of `per_series`."""
    directory.mkdir(parents=True, exist_ok=True)
    return [_write(directory, number, per_series, pixels) for number in range(1, count + 1)]


def data_set_bytes(path: Path) -> bytes:
    """The data set of a Part 10 file, as it goes over the wire in the file's own transfer syntax."""
    content = path.read_bytes()
    group_length = int.from_bytes(content[140:144], "little")
    return content[144 + group_length :]


def uids(paths: list[Path]) -> Iterator[tuple[str, str, str, UID]]:
    """(study, series, instance, transfer syntax) of files."""
    for path in paths:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        yield (
            header.StudyInstanceUID,
            header.SeriesInstanceUID,
            header.SOPInstanceUID,
            header.file_meta.TransferSyntaxUID,
        )


def _write(directory: Path, number: int, per_series: int, pixels: int) -> Path:
    study = f"{ROOT}.{(number - 1) // per_series}"
    content = part10(
        number,
        study=study,
        series=f"{study}.1",
        Rows=pixels,
        Columns=pixels,
        PixelData=number.to_bytes(4, "little") * (pixels * pixels // 2),
    )
    path = directory / f"{number:05}.dcm"
    path.write_bytes(content)
    return path
