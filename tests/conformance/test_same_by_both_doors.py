"""DICOM.md E17: the same object by STOW-RS and by C-STORE gives the same index row, metadata and bytes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE

from storage.records import InstanceRecord, ResourceRef
from tests.dicomweb.storing import store
from tests.dicomweb.web import SERIES, STUDY, ct, open_web, save
from tests.scp.running import running_door

# What tells one arrival from another; the object's own hash and size are those of its file meta information too.
OF_THE_ARRIVAL = {"location", "received_at", "origin_name", "sha256", "size_bytes", "data_set_offset", "retention"}
REF = ResourceRef("default", STUDY, SERIES, f"{SERIES}.1")


def by_c_store(path: Path, directory: Path) -> tuple[InstanceRecord, bytes]:
    with running_door(directory) as door:
        sent = pydicom.dcmread(path)
        ae = AE("MODALITY")
        ae.add_requested_context(sent.SOPClassUID, sent.file_meta.TransferSyntaxUID)
        association = ae.associate("127.0.0.1", door.port)
        assert association.send_c_store(path).Status == 0x0000
        association.release()
        record = door.archive.index.instance(REF)
        assert record is not None
        return record, b"".join(door.archive.read(record, record.data_set_offset))


def by_stow(path: Path, directory: Path) -> tuple[InstanceRecord, bytes]:
    with open_web(directory) as web:
        assert store(web, path.read_bytes()).status_code == 200
        record = web.archive.index.instance(REF)
        assert record is not None
        return record, b"".join(web.archive.read(record, record.data_set_offset))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_e17_row_metadata_and_bytes_are_the_same(tmp_path: Path, syntax: str) -> None:
    path = save(ct(1, PatientName="Müller^Jörg"), tmp_path / "sent.dcm", syntax)
    for name in ("scp", "web"):
        (tmp_path / name).mkdir()
    (row, data_set), (other_row, other_data_set) = by_c_store(path, tmp_path / "scp"), by_stow(path, tmp_path / "web")
    assert data_set == other_data_set
    for field in fields(InstanceRecord):
        if field.name not in OF_THE_ARRIVAL:
            assert getattr(row, field.name) == getattr(other_row, field.name), field.name
