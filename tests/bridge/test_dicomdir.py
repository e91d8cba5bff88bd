"""DICOMDIRs read by pydicom and by DCMTK."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from bridge.dicomdir import Entry, FileIds, dicomdir
from tests.bridge.objects import base, part10
from tests.conftest import Dcmtk

EXPLICIT = "1.2.840.10008.1.2.1"
STORAGE = "1.2.840.10008.5.1.4.1.1."


def instance(series: int, number: int, **attributes: Any) -> Dataset:
    item = base(
        StudyInstanceUID="1.2.3", SeriesInstanceUID=f"1.2.3.{series}", SOPInstanceUID=f"1.2.3.{series}.{number}",
        SpecificCharacterSet="ISO_IR 192", PatientName="Zhang^San=张^三", StudyDate="20260305", StudyTime="101500",
        StudyID="S1", AccessionNumber="A1", Modality="CT", SeriesNumber=series, InstanceNumber=number,
    )  # fmt: skip
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def entries(items: list[Dataset]) -> list[Entry]:
    ids = FileIds()
    return [
        Entry(
            metadata=item.to_json_dict(),
            file_id=ids.next(item.SeriesInstanceUID),
            sop_class_uid=item.SOPClassUID,
            sop_instance_uid=item.SOPInstanceUID,
            transfer_syntax_uid=EXPLICIT,
        )
        for item in items
    ]


def written(directory: Path, items: list[Dataset]) -> Path:
    """The file set on disk."""
    for item, entry in zip(items, entries(items), strict=True):
        path = directory.joinpath(*entry.file_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part10(item, EXPLICIT))
    (directory / "DICOMDIR").write_bytes(dicomdir(entries(items), "1.2.3.4.5"))
    return directory / "DICOMDIR"


@contextlib.contextmanager
def file_set(path: Path) -> Iterator[FileSet]:
    """A file set as pydicom reads it."""
    found = FileSet(path)
    try:
        yield found
    finally:
        found._stage["t"].cleanup()  # the folder it makes for changes; it warns when nobody removes it


def test_pydicom_walks_the_tree(tmp_path: Path) -> None:
    items = [instance(series, number) for series in (1, 2) for number in (1, 2, 3)]
    with file_set(written(tmp_path, items)) as found:
        assert found.find_values("PatientName") == ["Zhang^San=张^三"]
        assert found.find_values("SeriesInstanceUID") == ["1.2.3.1", "1.2.3.2"]
        assert [one.SOPInstanceUID for one in found] == [item.SOPInstanceUID for item in items]
        assert [one.load().InstanceNumber for one in found.find(SeriesInstanceUID="1.2.3.2")] == [1, 2, 3]
        assert all(len(part) <= 8 and part.isupper() for one in found for part in Path(one.path).parts[-3:])


def test_dcmtk_reads_it_and_adds_to_it(tmp_path: Path, dcmtk: Dcmtk) -> None:
    path = written(tmp_path, [instance(1, number) for number in (1, 2)])
    dumped = dcmtk.run("dcmdump", path)
    assert dumped.returncode == 0
    assert dumped.stdout.count("DirectoryRecordType") == 5
    assert "E:" not in dumped.stderr
    (tmp_path / "DICOM" / "NEW").write_bytes(part10(instance(3, 1, ImageType=["ORIGINAL", "PRIMARY"]), EXPLICIT))
    appended = dcmtk.run("dcmmkdir", "+A", "+I", "-Nxc", "+D", path, "+id", tmp_path, "DICOM/NEW")
    assert appended.returncode == 0, appended.stderr
    with file_set(path) as found:
        assert len(found) == 3


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("2", "IMAGE"),
        ("88.11", "SR DOCUMENT"),
        ("88.59", "KEY OBJECT DOC"),
        ("104.1", "ENCAP DOC"),
        ("9.1.1", "WAVEFORM"),
        ("11.1", "PRESENTATION"),
        ("481.2", "RT DOSE"),
        ("481.3", "RT STRUCTURE SET"),
        ("481.5", "RT PLAN"),
        ("66", "RAW DATA"),
        ("66.4", "IMAGE"),
    ],
)
def test_each_class_has_its_kind_of_record(tmp_path: Path, suffix: str, kind: str) -> None:
    """Also where what the record must say is missing in the instance."""
    read = dcmread(written(tmp_path, [instance(1, 1, SOPClassUID=STORAGE + suffix)]))
    assert [record.DirectoryRecordType for record in read.DirectoryRecordSequence][-1] == kind
    with file_set(tmp_path / "DICOMDIR") as found:
        assert len(found) == 1


def test_missing_values_are_filled_where_a_record_needs_them() -> None:
    item = instance(1, 1, PatientID="", StudyDate="", StudyID=None)
    for keyword in ("SeriesNumber", "InstanceNumber", "AccessionNumber"):
        delattr(item, keyword)
    read = dcmread(io.BytesIO(dicomdir(entries([item]), "1.2.3.4.5")))
    patient, study, series, image = read.DirectoryRecordSequence
    assert (patient.PatientID, study.StudyDate, study.StudyID) == ("NONE", "19000101", "0")
    assert (series.SeriesNumber, image.InstanceNumber, study.AccessionNumber) == (0, 0, "")


VALUES = st.one_of(
    st.none(), st.text(max_size=80), st.integers(-(2**70), 2**70), st.floats(allow_nan=False),
    st.dictionaries(st.sampled_from(["Alphabetic", "Ideographic", "00080100", "vr"]), st.text(max_size=5), max_size=2),
)  # fmt: skip
ELEMENTS = st.fixed_dictionaries(
    {"vr": st.sampled_from(["PN", "LO", "DA", "TM", "IS", "CS", "SH", "UI", "SQ", "ST", "DT", "US", "UN"])},
    optional={"Value": st.lists(VALUES, max_size=3), "InlineBinary": st.just("AAAA"), "BulkDataURI": st.just("x")},
)
TAGS = ["00100010", "00100020", "00080020", "00200010", "00080060", "00200011", "00080008", "00200013", "0040A043"]


@pytest.mark.filterwarnings("ignore")
@given(st.dictionaries(st.sampled_from(TAGS), ELEMENTS), st.sampled_from(["2", "88.11", "104.1", "11.1"]))
def test_whatever_metadata_hold_there_is_a_directory(metadata: dict[str, Any], suffix: str) -> None:
    entry = Entry(
        metadata=metadata,
        file_id=("DICOM", "SE000001", "IM000001"),
        sop_class_uid=STORAGE + suffix,
        sop_instance_uid="1.2.3",
        transfer_syntax_uid=EXPLICIT,
    )
    read = dcmread(io.BytesIO(dicomdir([entry], "1.2.3.4.5")))
    assert len(read.DirectoryRecordSequence) == 4
