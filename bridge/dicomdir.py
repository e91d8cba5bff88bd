"""A DICOMDIR for the instances of one study, made from their metadata (PS3.3 Annex F, PS3.10 §8, PS3.11).

Records stand in the order of the tree: patient, study, then each series with its instances. Links between them are
offsets in the file, so all records are encoded first and told where they lie afterwards.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.kinds import DOCUMENT_TYPES, REPORT_CLASSES, WAVEFORM_CLASSES
from bridge.part10 import build_header
from bridge.rewrite import explicit_header
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from pydicom.dataset import Dataset  # loaded with the first DICOMDIR: 12 MB that most processes never need

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
FILE_NAME = "DICOMDIR"
_FILE_SET_ID = "DICOM-BRIDGE"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_IN_USE = 0xFFFF

Json = dict[str, Any]

# PS3.3 §F.5: the keys of each record; a default where an empty value is not allowed (type 1).
_KEYS: dict[str, dict[str, str | None]] = {
    "PATIENT": {"00100010": None, "00100020": "NONE"},
    "STUDY": {
        "00080020": "19000101", "00080030": "000000", "00080050": None, "00081030": None, "0020000D": None,
        "00200010": "0",
    },
    "SERIES": {"00080060": "OT", "0008103E": None, "0020000E": None, "00200011": "0"},
    "IMAGE": {"00080008": None, "00200013": "0", "00280008": None},
    "SR DOCUMENT": {
        "00080023": "19000101", "00080033": "000000", "00200013": "0", "0040A030": None, "0040A043": None,
        "0040A491": "PARTIAL", "0040A493": "UNVERIFIED",
    },
    "KEY OBJECT DOC": {"00080023": "19000101", "00080033": "000000", "00200013": "0", "0040A043": None},
    "ENCAP DOC": {
        "00080023": None, "00080033": None, "00200013": "0", "00420010": None, "00420012": "application/octet-stream",
        "0040A043": None,
    },
    "WAVEFORM": {"00080023": "19000101", "00080033": "000000", "00200013": "0"},
    "PRESENTATION": {
        "00081115": None, "00200013": "0", "00700080": "UNNAMED", "00700081": None, "00700082": "19000101",
        "00700083": "000000", "00700084": None,
    },
    "RT DOSE": {"00200013": "0", "30040004": None, "3004000A": "PLAN"},
    "RT STRUCTURE SET": {"00200013": "0", "30060002": "UNNAMED", "30060008": None, "30060009": None},
    "RT PLAN": {"00200013": "0", "300A0002": "UNNAMED", "300A0006": None, "300A0007": None},
    "RAW DATA": {"00080023": "19000101", "00080033": "000000", "00200013": "0"},
}  # fmt: skip
# §F.4: which record an instance of these classes has; any other is an image.
_RECORDS = {
    **dict.fromkeys(DOCUMENT_TYPES, "ENCAP DOC"),
    **dict.fromkeys(WAVEFORM_CLASSES, "WAVEFORM"),
    **dict.fromkeys((f"{_STORAGE}11.{number}" for number in range(1, 13)), "PRESENTATION"),
    _STORAGE + "88.59": "KEY OBJECT DOC",
    _STORAGE + "481.2": "RT DOSE",
    _STORAGE + "481.3": "RT STRUCTURE SET",
    _STORAGE + "481.5": "RT PLAN",
    _STORAGE + "66": "RAW DATA",
}
_SENSELESS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError)  # pydicom's ways to refuse
_UTF_8: Json = {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of the set: its metadata as DICOM JSON, its File ID, and what it is in the file."""

    metadata: Json
    file_id: tuple[str, ...]
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class FileIds:
    """Makes the File IDs of a set: components of at most 8 characters, by series and number (PS3.10 §8.2)."""

    def __init__(self) -> None:
        self._series: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def next(self, series_instance_uid: str) -> tuple[str, ...]:
        """For one more file of this series."""
        number = self._series.setdefault(series_instance_uid, len(self._series) + 1)
        count = self._counts[series_instance_uid] = self._counts.get(series_instance_uid, 0) + 1
        return "DICOM", f"SE{number:06d}", f"IM{count:06d}"


def dicomdir(entries: Iterable[Entry], sop_instance_uid: str) -> bytes:
    """The DICOMDIR file of these instances of one study, those of a series side by side; they are looked at once."""
    records = list(_records(entries))
    header = build_header(
        sop_class_uid=MEDIA_STORAGE_DIRECTORY,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
    )
    front = len(header) + len(_front(0, 0))
    places = [front]
    for record in records:
        places.append(places[-1] + len(_item(record, 0, 0)))
    nexts, lowers = _links(records)
    items = [
        _item(record, places[after] if after else 0, places[below] if below else 0)
        for record, after, below in zip(records, nexts, lowers, strict=True)
    ]
    return header + _front(places[0], places[-1] - front) + b"".join(items)


@dataclass(frozen=True, slots=True)
class _Record:
    level: int  # 0 patient, 1 study, 2 series, 3 instance
    keys: bytes  # everything behind the links


def _records(entries: Iterable[Entry]) -> Iterator[_Record]:
    series = ""
    for number, entry in enumerate(entries):
        metadata = entry.metadata
        if number == 0:
            yield _Record(0, _keys("PATIENT", metadata))
            yield _Record(1, _keys("STUDY", metadata))
        if entry.file_id[1] != series:
            series = entry.file_id[1]
            yield _Record(2, _keys("SERIES", metadata))
        yield _Record(3, _keys(_record_type(entry.sop_class_uid), metadata, entry))


def _links(records: Sequence[_Record]) -> tuple[list[int], list[int]]:
    """For each record the index of the next of its kind below the same parent, and of its first child; 0 for none."""
    nexts, lowers = [0] * len(records), [0] * len(records)
    latest: dict[int, int] = {}
    for index, record in enumerate(records):
        if record.level in latest:
            nexts[latest[record.level]] = index
        elif record.level:
            lowers[latest[record.level - 1]] = index
        latest = {level: place for level, place in latest.items() if level < record.level} | {record.level: index}
    return nexts, lowers


def _record_type(sop_class_uid: str) -> str:
    if sop_class_uid in _RECORDS:
        return _RECORDS[sop_class_uid]
    return "SR DOCUMENT" if sop_class_uid.startswith(REPORT_CLASSES) else "IMAGE"


def _keys(kind: str, metadata: Json, entry: Entry | None = None) -> bytes:
    """What a record says behind its links (§F.3.2.2): its type, its file, its keys in UTF-8."""
    item = _readable(dict(_wanted(kind, metadata)))
    item.DirectoryRecordType = kind
    if entry is not None:
        item.ReferencedFileID = list(entry.file_id)
        item.ReferencedSOPClassUIDInFile = entry.sop_class_uid
        item.ReferencedSOPInstanceUIDInFile = entry.sop_instance_uid
        item.ReferencedTransferSyntaxUIDInFile = entry.transfer_syntax_uid
    return _encoded(item)


def _readable(elements: Json) -> Dataset:
    """The elements as a data set; values that make no sense are left empty, as a directory has no use for them."""
    from pydicom.dataset import Dataset

    try:
        item = Dataset.from_json(elements | _UTF_8)
        _encoded(item)
        return item
    except _SENSELESS:
        item = Dataset()
    for tag, element in elements.items():
        try:
            one = Dataset.from_json({tag: element} | _UTF_8)
            _encoded(one)
        except _SENSELESS:
            one = Dataset.from_json({tag: {"vr": element["vr"]}} | _UTF_8)
        item.update(one)
    return item


def _encoded(item: Dataset) -> bytes:
    """Explicit VR Little Endian."""
    from pydicom.filebase import DicomIO
    from pydicom.filewriter import write_dataset

    buffer = io.BytesIO()
    stream = DicomIO(buffer)
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, item)
    return buffer.getvalue()


def _wanted(kind: str, metadata: Json) -> Iterator[tuple[str, Json]]:
    for tag, default in _KEYS[kind].items():
        vr = _VRS.get(tag, "LO")
        element = metadata.get(tag, {})
        values = element.get("Value") if element.get("vr") == vr else None
        if not values and default is not None:
            values = [int(default) if vr == "IS" else default]
        if values:
            yield tag, {"vr": vr, "Value": values}
        elif vr != "SQ":  # a sequence that must have an item is left out, not written empty
            yield tag, {"vr": vr}


# PS3.6: the VRs of the keys, LO where nothing stands here; an instance that has another one is not believed
_VRS = {
    "00100010": "PN", "00080020": "DA", "00080030": "TM", "00080050": "SH", "0020000D": "UI", "00200010": "SH",
    "00080060": "CS", "0020000E": "UI", "00200011": "IS", "00080008": "CS", "00200013": "IS", "00280008": "IS",
    "00080023": "DA", "00080033": "TM", "0040A030": "DT", "0040A491": "CS", "0040A493": "CS", "00420010": "ST",
    "00700080": "CS", "00700082": "DA", "00700083": "TM", "00700084": "PN", "3004000A": "CS", "30060002": "SH",
    "30060008": "DA", "30060009": "TM", "300A0002": "SH", "300A0006": "DA", "300A0007": "TM", "30040004": "CS",
    "0040A043": "SQ", "00081115": "SQ",
}  # fmt: skip


def _item(record: _Record, following: int, below: int) -> bytes:
    """A record with its links: offsets of the next one and of its first child (PS3.3 §F.3.2.2)."""
    links = _number(0x00041400, "UL", following) + _number(0x00041410, "US", _IN_USE)
    content = links + _number(0x00041420, "UL", below) + record.keys
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def _front(first: int, size: int) -> bytes:
    """The data set up to the first record; one root entity, so the first record of it is the last too."""
    name = _FILE_SET_ID.encode("ascii")
    return b"".join(
        [
            explicit_header(0x00041130, "CS", len(name)) + name,
            _number(0x00041200, "UL", first),
            _number(0x00041202, "UL", first),
            _number(0x00041212, "US", 0),
            explicit_header(0x00041220, "SQ", size),
        ]
    )


def _number(tag: int, vr: str, value: int) -> bytes:
    packed = struct.pack("<I" if vr == "UL" else "<H", value)
    return explicit_header(tag, vr, len(packed)) + packed
