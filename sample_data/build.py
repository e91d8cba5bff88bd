"""What all made-up objects share: patient, study, series and equipment, UIDs from a seed, the file itself."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import PersonName


@dataclass(slots=True)
class Uids:
    """UIDs that are the same for the same seed (PS3.5 §B.2: 2.25 and 128 bits)."""

    seed: int
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def new(self) -> str:
        """The next one."""
        return f"2.25.{self._random.getrandbits(128) | 1 << 127}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A patient and one visit. `character_set` is Specific Character Set (PS3.3 §C.12.1.1.2)."""

    patient_name: str | bytes
    patient_id: str
    study_uid: str
    accession_number: str
    description: str
    date: str = "20260105"
    time: str = "093000"
    birth_date: str = "19700415"
    sex: str = "O"
    referring_physician: str = "Demo^Doctor"
    character_set: str | list[str] = "ISO_IR 192"


def data_set(study: Study, sop_class_uid: str, modality: str, series_uid: str, series_number: int, uid: str) -> Dataset:
    """Patient, General Study, General Series, General Equipment, SOP Common (PS3.3 §C.7, §C.12.1)."""
    made = Dataset()
    made.SpecificCharacterSet = study.character_set
    made.SOPClassUID, made.SOPInstanceUID = sop_class_uid, uid
    made.StudyInstanceUID, made.SeriesInstanceUID = study.study_uid, series_uid
    made.StudyDate = made.SeriesDate = made.ContentDate = made.AcquisitionDate = study.date
    made.StudyTime = made.SeriesTime = made.ContentTime = made.AcquisitionTime = study.time
    made.AccessionNumber, made.StudyID, made.StudyDescription = study.accession_number, "1", study.description
    made.Modality, made.SeriesNumber, made.SeriesDescription = modality, series_number, f"{modality} {series_number}"
    made.Manufacturer, made.ManufacturerModelName = "Made up", "Phantom"
    made.DeviceSerialNumber, made.SoftwareVersions = "1", "1"
    made.InstitutionName = "Demonstration"
    name = study.patient_name
    made.PatientName = PersonName(name, convert_encodings(study.character_set)) if isinstance(name, bytes) else name
    made.PatientID = study.patient_id
    made.PatientBirthDate, made.PatientSex = study.birth_date, study.sex
    made.ReferringPhysicianName = study.referring_physician
    return made


def set_pixels(made: Dataset, pixels: NDArray[np.generic], *, bits_stored: int | None = None) -> None:
    """Image Pixel (PS3.3 §C.7.6.3) from (rows, columns), (frames, rows, columns) or (frames, rows, columns, 3)."""
    colour = pixels.ndim == 4
    rows, columns = pixels.shape[1:3] if pixels.ndim > 2 else pixels.shape
    bits = pixels.dtype.itemsize * 8
    made.SamplesPerPixel = 3 if colour else 1
    if colour:
        made.PhotometricInterpretation, made.PlanarConfiguration = "RGB", 0
    elif "PhotometricInterpretation" not in made:
        made.PhotometricInterpretation = "MONOCHROME2"
    if pixels.ndim > 2:
        made.NumberOfFrames = pixels.shape[0]
    made.Rows, made.Columns = rows, columns
    made.BitsAllocated, made.BitsStored = bits, bits_stored or bits
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    raw = np.ascontiguousarray(pixels).tobytes()
    made.add_new("PixelData", "OW" if bits > 8 else "OB", raw + b"\0" * (len(raw) % 2))


def item(**values: object) -> Dataset:
    """An item of a sequence."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def code(value: str, scheme: str, meaning: str) -> Sequence:
    """A code sequence of one item (PS3.3 §8)."""
    return Sequence([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def set_transfer_syntax(made: Dataset, uid: str) -> None:
    """What `write` shall say instead of Explicit VR Little Endian."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid


def write(made: Dataset, path: Path) -> Path:
    """Save as Part 10, Explicit VR Little Endian unless `set_transfer_syntax` said otherwise."""
    if not hasattr(made, "file_meta"):
        set_transfer_syntax(made, ExplicitVRLittleEndian)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def name_in_iso_ir_58(alphabetic: str, ideographic: str) -> bytes:
    """A person name that switches to GB 2312 by escape sequence, anew in each component (PS3.5 §K.2)."""
    components = [b"\x1b$)A" + component.encode("gb2312") for component in ideographic.split("^")]
    return alphabetic.encode("ascii") + b"=" + b"^".join(components)
