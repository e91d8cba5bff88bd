"""The made-up studies are sound DICOM, the same every time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import imagecodecs
import pytest
from pydicom import dcmread
from pydicom.encaps import get_frame

from sample_data.generate import generate, studies
from tests.conftest import Dcmtk


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return generate(tmp_path_factory.mktemp("sample_data"))


def test_the_same_seed_makes_the_same_bytes(files: list[Path], tmp_path: Path) -> None:
    def digests(paths: list[Path]) -> list[str]:
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]

    assert digests(generate(tmp_path)) == digests(files)


def test_another_seed_makes_other_studies() -> None:
    assert next(studies(1))[1].StudyInstanceUID != next(studies(2))[1].StudyInstanceUID


def test_every_uid_is_its_own(files: list[Path]) -> None:
    uids = [dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files]
    assert len(set(uids)) == len(files)


def test_the_pixels_have_the_length_that_the_header_says(files: list[Path]) -> None:
    for path in files:
        read = dcmread(path)
        if "PixelData" not in read or read.file_meta.TransferSyntaxUID.is_encapsulated:
            continue
        samples = read.Rows * read.Columns * read.SamplesPerPixel * int(read.get("NumberOfFrames", 1))
        assert len(read.PixelData) == samples * read.BitsAllocated // 8
        assert read.pixel_array.max() > read.pixel_array.min()


def test_mammograms_lie_as_their_orientation_says(files: list[Path]) -> None:
    views = [read for path in files if (read := dcmread(path)).Modality == "MG"]
    assert [read.SeriesDescription for read in views] == ["R CC", "L CC", "R MLO", "L MLO"]
    for read in views:
        pixels = imagecodecs.jpegls_decode(get_frame(read.PixelData, 0, number_of_frames=1))
        assert pixels.shape == (read.Rows, read.Columns)
        assert pixels.max() < 1 << read.BitsStored
        chest_wall, air = (-1, 0) if read.PatientOrientation[0] == "P" else (0, -1)
        assert (read.ImageLaterality == "R") == (chest_wall == -1)
        assert pixels[:, air].max() == 0 < pixels[read.Rows // 2, chest_wall]


@pytest.mark.server
def test_dcmtk_reads_every_file(files: list[Path], dcmtk: Dcmtk) -> None:
    read = dcmtk.run("dcmdump", "--quiet", "--search", "SOPInstanceUID", *files)
    assert (read.returncode, read.stderr) == (0, "")
    assert read.stdout.count("(0008,0018)") == len(files)


def test_names_are_written_in_their_character_sets(files: list[Path]) -> None:
    by_id = {(read := dcmread(path, stop_before_pixels=True)).PatientID: read for path in files}
    assert by_id["DEMO-005"].PatientName.original_string == "Wang^XiaoDong=王^小东".encode("gb18030")
    assert by_id["DEMO-006"].PatientName.original_string.startswith(b"Zhang^XiaoDong=\x1b$)A")
    assert by_id["DEMO-007"].PatientName.phonetic == "やまだ^たろう"
