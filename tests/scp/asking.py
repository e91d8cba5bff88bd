"""Builders: identifiers as bytes and back, and a whole C-FIND."""

from __future__ import annotations

import io
from typing import Any

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tests.scp.wire import (
    COMMAND,
    DATA,
    EXPLICIT,
    IMPLICIT,
    MAXIMUM_LENGTH,
    WITH_DATA_SET,
    Peer,
    item,
    message,
    request,
)

PATIENT_ROOT, STUDY_ROOT = ("1.2.840.10008.5.1.4.1.2.1.", "1.2.840.10008.5.1.4.1.2.2.")
FIND, MOVE, GET = "1", "2", "3"
C_FIND, C_GET, C_MOVE = 0x0020, 0x0010, 0x0021


def keys(**values: Any) -> Dataset:
    """An identifier; None is an empty value. `QueryRetrieveLevel` is given as `level`."""
    data_set = Dataset()
    level = values.pop("level", "STUDY")
    if level:
        data_set.QueryRetrieveLevel = level
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        data_set[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=IGNORE)
    return data_set


def encoded(data_set: Dataset, syntax: str = IMPLICIT) -> bytes:
    """The data set's bytes."""
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = syntax == IMPLICIT, True
    write_dataset(file, data_set)
    return file.getvalue()


def decoded(data: bytes, syntax: str = IMPLICIT) -> Dataset:
    """What bytes say."""
    return read_dataset(io.BytesIO(data), syntax == IMPLICIT, True)


def extended(uid: str, information: bytes) -> bytes:
    """An extended negotiation sub-item (PS3.7 §D.3.3.5)."""
    return item(0x56, len(uid).to_bytes(2, "big") + uid.encode() + information)


def open_query(peer: Peer, *, root: str = STUDY_ROOT, syntax: str = IMPLICIT, options: bytes = b"") -> None:
    """Associate for C-FIND on context 1."""
    uid = root + FIND
    user_items = MAXIMUM_LENGTH + (extended(uid, options) if options else b"")
    assert peer.associate((1, uid, (syntax,)), user_items=user_items) == {1: (0, syntax)}


def send_find(peer: Peer, identifier: Dataset | bytes, *, root: str = STUDY_ROOT, syntax: str = IMPLICIT) -> None:
    """C-FIND-RQ with message id 1."""
    data = identifier if isinstance(identifier, bytes) else encoded(identifier, syntax)
    peer.send(
        message(1, COMMAND, request(C_FIND, data_set=WITH_DATA_SET, sop_class=root + FIND)) + message(1, DATA, data)
    )


def find(
    peer: Peer, identifier: Dataset | bytes, *, root: str = STUDY_ROOT, syntax: str = IMPLICIT
) -> tuple[list[Dataset], list[int]]:
    """All answers, and every status, the final one last."""
    send_find(peer, identifier, root=root, syntax=syntax)
    answers, statuses = [], []
    while not statuses or statuses[-1] in (0xFF00, 0xFF01):
        command_set, data = peer.message()
        statuses.append(int.from_bytes(command_set[0x0900], "little"))
        if statuses[-1] in (0xFF00, 0xFF01):
            answers.append(decoded(data, syntax))
    return answers, statuses


__all__ = ["EXPLICIT", "IMPLICIT"]
