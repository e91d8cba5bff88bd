"""Objects to send: one real CT slice as template, every copy with fresh UIDs, thousands a second.

A template is encoded once with placeholders of fixed length (UIDs, name, id, date); a copy is the same bytes with the
placeholders replaced, so that making test data never limits a bench. Values carry no needless padding: DCMTK's
senders would strip it. A UID is `2.25.` and 39 digits, 44 characters, even as DICOM wants it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from sample_data.build import Study, Uids
from sample_data.images import ct_slice, new_series

PHANTOM = Path(__file__).parents[1] / "../shared/data/ct-head-phantom"
_PLACEHOLDERS = {
    "study": "2.25." + "1" * 39, "series": "2.25." + "2" * 39, "instance": "2.25." + "3" * 39, "name": "N" * 64,
    "id": "I" * 16, "date": "19010101", "accession": "A" * 16, "number": "987654",
    "comment": "C" * 12,
}  # fmt: skip
SURNAMES = ("Wang", "Li", "Zhang", "Liu", "Chen", "Yang", "Huang", "Zhao", "Wu", "Zhou", "Smith", "Jansen")
GIVEN_CHINESE = "明芳伟静磊丽强敏军洋艳勇杰娟涛超秀霞平刚桂英华玉兰红建国文"
SURNAMES_CHINESE = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"


def uid(number: int) -> str:
    """A UID of 44 characters, distinct for distinct numbers below 10**38."""
    return f"2.25.1{number:038d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What a search can find of one study."""

    number: int
    name: str  # alphabetic=ideographic
    patient_id: str
    study_date: str
    study_uid: str


def person(number: int, studies: int) -> Person:
    """Study `number` of `studies`: 50 studies share a surname token, 4 a day, whatever the size of the archive."""
    group, place = number % max(1, studies // 50), number // max(1, studies // 50)
    surname = f"{SURNAMES[group % len(SURNAMES)]}{group:05d}"
    chinese = SURNAMES_CHINESE[group % 20] + GIVEN_CHINESE[group // 20 % 28] + GIVEN_CHINESE[group // 560 % 28]
    day = date(2026, 1, 1) - timedelta(days=number // 4 % 20000)
    return Person(
        number=number, name=f"{surname}^Given{place:03d}={chinese}^{GIVEN_CHINESE[place % 28]}",
        patient_id=f"BENCH{number:08d}", study_date=day.strftime("%Y%m%d"), study_uid=uid(10**30 + number),
    )  # fmt: skip


class Template:
    """One encoded Part 10 file whose UIDs and patient fields can be replaced without decoding it again."""

    def __init__(self, data_set: Dataset, *, implicit: bool = False, transfer_syntax_uid: str = "") -> None:
        data_set.SpecificCharacterSet = "ISO_IR 192"
        for keyword, key in (
            ("StudyInstanceUID", "study"), ("SeriesInstanceUID", "series"), ("SOPInstanceUID", "instance"),
            ("PatientName", "name"), ("PatientID", "id"), ("StudyDate", "date"), ("AccessionNumber", "accession"),
            ("InstanceNumber", "number"),
        ):  # fmt: skip
            setattr(data_set, keyword, _PLACEHOLDERS[key])
        data_set.file_meta = FileMetaDataset()
        data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
        data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        data_set.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid or plain)
        buffer = io.BytesIO()
        data_set.save_as(buffer, enforce_file_format=True)
        encoded = bytes(buffer.getbuffer())
        places = {digits: key for key, digits in _PLACEHOLDERS.items()}
        pattern = b"|".join(re.escape(text.encode()) for text in places)
        self.implicit = implicit
        self._pieces: list[bytes] = []
        self._keys: list[str] = []
        end = 0
        for found in re.finditer(pattern, encoded[:20000]):
            self._pieces.append(encoded[end : found.start()])
            self._keys.append(places[found.group().decode()])
            end = found.end()
        self._pieces.append(encoded[end:])
        self._length_bytes = 4 if implicit else 2

    def fill(self, who: Person, *, series: str, instance: str, number: int = 1) -> bytearray:
        """One file, with the given patient, study, series and instance; no value longer than its even length needs."""
        values = {
            "study": who.study_uid, "series": series, "instance": instance, "name": who.name, "id": who.patient_id,
            "date": who.study_date, "accession": f"ACC{who.number:010d}", "number": str(number),
            "comment": instance[-12:],
        }  # fmt: skip
        copy = bytearray()
        for piece, key in zip(self._pieces, self._keys, strict=False):
            value = values[key].encode()
            value += b" " * (len(value) % 2)
            copy += piece
            if len(value) != len(_PLACEHOLDERS[key]):
                copy[-self._length_bytes :] = len(value).to_bytes(self._length_bytes, "little")
            copy += value
        copy += self._pieces[-1]
        return copy


def ct_data_set() -> Dataset:
    """A real head slice when the shared data is there, else a synthetic one of the same shape."""
    files = sorted(PHANTOM.glob("I*.dcm"))
    if files:
        return dcmread(files[len(files) // 2])
    uids = Uids(1)
    study = Study(patient_name="", patient_id="", study_uid=uids.new(), accession_number="", description="CT head")
    return ct_slice(study, *new_series(uids), uids.new(), 30, 60, 512)


def ct_template(*, implicit: bool = False) -> Template:
    """512x512x16 bit, about 528 KB."""
    return Template(ct_data_set(), implicit=implicit)


def compressed_template() -> Template:
    """The same slice in JPEG 2000 Lossless.

    Each instance has a comment of its own in the codestream (ISO 15444-1 A.9.2), so that no two are alike to who
    remembers what was decoded.
    """
    data_set = ct_data_set()
    stream = bytes(
        imagecodecs.jpeg2k_encode(
            data_set.pixel_array, level=0, codecformat="j2k", reversible=True, bitspersample=data_set.BitsStored
        )
    )
    comment = _PLACEHOLDERS["comment"].encode()
    size_end = 4 + int.from_bytes(stream[4:6], "big")  # SOC, then SIZ
    marker = b"\xff\x64" + (4 + len(comment)).to_bytes(2, "big") + b"\0\1" + comment
    data_set.PixelData = encapsulate([stream[:size_end] + marker + stream[size_end:]])
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    return Template(data_set, transfer_syntax_uid=JPEG2000Lossless)


def tiny_template() -> Template:
    """The header of a CT with 8x8 pixels: what an archive's index sees of a study, without its bytes."""
    data_set = ct_data_set()
    data_set.Rows = data_set.Columns = 8
    data_set.PixelData = np.arange(64, dtype=np.uint16).tobytes()
    return Template(data_set)


def multiframe_template(frames: int) -> Template:
    """`frames` frames of the CT in one object (Multi-frame Grayscale Word Secondary Capture)."""
    source = ct_data_set()
    data_set = Dataset()
    for keyword in (
        "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
        "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "StudyTime",
    ):  # fmt: skip
        data_set[keyword] = source[keyword]
    data_set.SOPClassUID, data_set.Modality = "1.2.840.10008.5.1.4.1.1.7.3", "OT"
    data_set.StudyID, data_set.SeriesNumber, data_set.ReferringPhysicianName = "1", "1", ""
    data_set.PatientBirthDate, data_set.PatientSex, data_set.ConversionType = "", "O", "SYN"
    data_set.NumberOfFrames = frames
    frame = bytes(source.PixelData)[: source.Rows * source.Columns * 2]
    data_set.PixelData = frame * frames
    return Template(data_set)


def ct_series(who: Person, count: int, series: str, first_instance: int, template: Template) -> Iterator[bytearray]:
    """`count` instances of one series."""
    for number in range(count):
        yield template.fill(who, series=series, instance=uid(first_instance + number), number=number + 1)
