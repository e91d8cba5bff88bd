"""File meta: what is read, what is written, what is refused (PS3.10 §7)."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from bridge.errors import InvalidInstance
from bridge.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, build_header, read_preamble
from storage.keys import is_uid
from tests.bridge.elements import EXPLICIT_LITTLE, data_set, element

CT = "1.2.840.10008.5.1.4.1.1.2"
HEADER = build_header(sop_class_uid=CT, sop_instance_uid="1.2.3.4.5", transfer_syntax_uid=EXPLICIT_LITTLE)


def test_a_header_that_was_built_is_read_back() -> None:
    meta = read_preamble(HEADER + data_set())
    assert (meta.media_storage_sop_class_uid, meta.media_storage_sop_instance_uid) == (CT, "1.2.3.4.5")
    assert (meta.transfer_syntax_uid, meta.data_set_offset) == (EXPLICIT_LITTLE, len(HEADER))


def test_pydicom_reads_a_header_that_was_built() -> None:
    header = build_header(
        sop_class_uid=CT, sop_instance_uid="1.2.3.4.5", transfer_syntax_uid=EXPLICIT_LITTLE, source_ae_title="CT01"
    )
    read = pydicom.dcmread(io.BytesIO(header + data_set()))
    assert read.file_meta.SourceApplicationEntityTitle == "CT01"
    assert read.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert read.file_meta.FileMetaInformationGroupLength == len(header) - 128 - 4 - 12
    assert read.SOPInstanceUID == "1.2.3.4.5"


def test_the_implementation_ids_are_legal() -> None:
    assert is_uid(IMPLEMENTATION_CLASS_UID, strict=True)
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


def test_every_length_in_a_header_is_even() -> None:
    assert len(HEADER) % 2 == 0
    assert HEADER[:132] == bytes(128) + b"DICM"


def test_a_file_without_preamble_is_read() -> None:
    assert read_preamble(HEADER[128:] + data_set()).data_set_offset == len(HEADER) - 128


def test_a_file_without_preamble_and_prefix_is_read() -> None:
    assert read_preamble(HEADER[132:] + data_set()).data_set_offset == len(HEADER) - 132


@pytest.mark.parametrize("group_length", [None, 0, 7, 60_000])
def test_the_group_length_is_not_believed(group_length: int | None) -> None:
    group = HEADER[132 + 12 :]
    stated = b"" if group_length is None else element(0x00020000, "UL", group_length.to_bytes(4, "little"))
    file = bytes(128) + b"DICM" + stated + group
    assert read_preamble(file + data_set()).data_set_offset == len(file)


def test_a_file_without_transfer_syntax_is_refused_by_tag() -> None:
    path = get_testdata_file("meta_missing_tsyntax.dcm")
    assert isinstance(path, str)
    data = Path(path).read_bytes()
    with pytest.raises(InvalidInstance) as refusal:
        read_preamble(data)
    assert refusal.value.offending_tag == 0x00020010


@pytest.mark.parametrize("cut", [133, 140, 150, len(HEADER) - 1])
def test_a_truncated_header_is_refused(cut: int) -> None:
    with pytest.raises(InvalidInstance):
        read_preamble(HEADER[:cut])


@pytest.mark.parametrize("junk", [b"", b"\0" * 200, b"\x89PNG" + b"x" * 300, b"DICM"])
def test_what_is_no_dicom_file_is_refused(junk: bytes) -> None:
    with pytest.raises(InvalidInstance):
        read_preamble(junk)


def test_the_buffer_is_let_go() -> None:
    buffer = bytearray(HEADER + data_set())
    read_preamble(buffer)
    buffer.clear()  # BufferError while somebody holds a view of it
