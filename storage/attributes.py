"""THE table of indexed attributes: keyword, tag, VR, level, column, returned by default (PS3.18 §10.6.3, PS3.4 §C.6).

A new searchable attribute is one row here and one migration. `path` is the tag, or for an attribute inside a sequence
the tags from the outside in (PS3.18 §8.3.4.1). Patient attributes live at study level (Study Root, PS3.4 §C.6.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.records import Level

REQUIRED, OPTIONAL, ASKED = "R", "O", "A"  # always returned / returned when known / only with includefield


@dataclass(frozen=True, slots=True)
class IndexedAttribute:
    """One row: how an attribute is named, where it is kept, and when a search returns it."""

    keyword: str  # as in PS3.6; for a nested one "RequestAttributesSequence.ScheduledProcedureStepID"
    path: tuple[int, ...]
    vr: str
    level: Level
    column: str
    returned: str

    @property
    def tag(self) -> int:
        """The innermost tag."""
        return self.path[-1]


_STUDY, _SERIES, _INSTANCE = Level.STUDY, Level.SERIES, Level.INSTANCE
_REQUEST = 0x00400275  # Request Attributes Sequence

ATTRIBUTES: tuple[IndexedAttribute, ...] = (
    # PS3.18 Table 10.6.3-3, study
    IndexedAttribute("StudyDate", (0x00080020,), "DA", _STUDY, "study_date", REQUIRED),
    IndexedAttribute("StudyTime", (0x00080030,), "TM", _STUDY, "study_time", REQUIRED),
    IndexedAttribute("AccessionNumber", (0x00080050,), "SH", _STUDY, "accession_number", REQUIRED),
    IndexedAttribute("TimezoneOffsetFromUTC", (0x00080201,), "SH", _STUDY, "timezone_offset_from_utc", OPTIONAL),
    IndexedAttribute("ReferringPhysicianName", (0x00080090,), "PN", _STUDY, "referring_physician_name", REQUIRED),
    IndexedAttribute("StudyDescription", (0x00081030,), "LO", _STUDY, "study_description", OPTIONAL),
    IndexedAttribute("PatientName", (0x00100010,), "PN", _STUDY, "patient_name", REQUIRED),
    IndexedAttribute("PatientID", (0x00100020,), "LO", _STUDY, "patient_id", REQUIRED),
    IndexedAttribute("IssuerOfPatientID", (0x00100021,), "LO", _STUDY, "issuer_of_patient_id", OPTIONAL),
    IndexedAttribute("PatientBirthDate", (0x00100030,), "DA", _STUDY, "patient_birth_date", REQUIRED),
    IndexedAttribute("PatientSex", (0x00100040,), "CS", _STUDY, "patient_sex", REQUIRED),
    IndexedAttribute("PatientAge", (0x00101010,), "AS", _STUDY, "patient_age", ASKED),
    IndexedAttribute("StudyInstanceUID", (0x0020000D,), "UI", _STUDY, "study_instance_uid", REQUIRED),
    IndexedAttribute("StudyID", (0x00200010,), "SH", _STUDY, "study_id", REQUIRED),
    # PS3.18 Table 10.6.3-4, series
    IndexedAttribute("SeriesDate", (0x00080021,), "DA", _SERIES, "series_date", ASKED),
    IndexedAttribute("SeriesTime", (0x00080031,), "TM", _SERIES, "series_time", ASKED),
    IndexedAttribute("Modality", (0x00080060,), "CS", _SERIES, "modality", REQUIRED),
    IndexedAttribute("Manufacturer", (0x00080070,), "LO", _SERIES, "manufacturer", ASKED),
    IndexedAttribute("InstitutionName", (0x00080080,), "LO", _SERIES, "institution_name", ASKED),
    IndexedAttribute("StationName", (0x00081010,), "SH", _SERIES, "station_name", ASKED),
    IndexedAttribute("SeriesDescription", (0x0008103E,), "LO", _SERIES, "series_description", OPTIONAL),
    IndexedAttribute("BodyPartExamined", (0x00180015,), "CS", _SERIES, "body_part_examined", ASKED),
    IndexedAttribute("ProtocolName", (0x00181030,), "LO", _SERIES, "protocol_name", ASKED),
    IndexedAttribute("SeriesInstanceUID", (0x0020000E,), "UI", _SERIES, "series_instance_uid", REQUIRED),
    IndexedAttribute("SeriesNumber", (0x00200011,), "IS", _SERIES, "series_number", REQUIRED),
    IndexedAttribute("Laterality", (0x00200060,), "CS", _SERIES, "laterality", ASKED),
    IndexedAttribute("PerformedProcedureStepStartDate", (0x00400244,), "DA", _SERIES, "performed_start_date", OPTIONAL),
    IndexedAttribute("PerformedProcedureStepStartTime", (0x00400245,), "TM", _SERIES, "performed_start_time", OPTIONAL),
    IndexedAttribute(
        "RequestAttributesSequence.ScheduledProcedureStepID",
        (_REQUEST, 0x00400009),
        "SH",
        _SERIES,
        "scheduled_procedure_step_id",
        OPTIONAL,
    ),
    IndexedAttribute(
        "RequestAttributesSequence.RequestedProcedureID",
        (_REQUEST, 0x00401001),
        "SH",
        _SERIES,
        "requested_procedure_id",
        OPTIONAL,
    ),
    # PS3.18 Table 10.6.3-5, instance
    IndexedAttribute("SOPClassUID", (0x00080016,), "UI", _INSTANCE, "sop_class_uid", REQUIRED),
    IndexedAttribute("SOPInstanceUID", (0x00080018,), "UI", _INSTANCE, "sop_instance_uid", REQUIRED),
    IndexedAttribute("ContentDate", (0x00080023,), "DA", _INSTANCE, "content_date", ASKED),
    IndexedAttribute("ContentTime", (0x00080033,), "TM", _INSTANCE, "content_time", ASKED),
    IndexedAttribute("InstanceNumber", (0x00200013,), "IS", _INSTANCE, "instance_number", REQUIRED),
    IndexedAttribute("NumberOfFrames", (0x00280008,), "IS", _INSTANCE, "number_of_frames", OPTIONAL),
    IndexedAttribute("Rows", (0x00280010,), "US", _INSTANCE, "rows", OPTIONAL),
    IndexedAttribute("Columns", (0x00280011,), "US", _INSTANCE, "columns", OPTIONAL),
    IndexedAttribute("BitsAllocated", (0x00280100,), "US", _INSTANCE, "bits_allocated", OPTIONAL),
)

# Computed from rows, never read from an instance (PS3.4 §C.3.4): keyword -> (tag, VR, level).
COMPUTED: dict[str, tuple[int, str, Level]] = {
    "ModalitiesInStudy": (0x00080061, "CS", _STUDY),
    "SOPClassesInStudy": (0x00080062, "UI", _STUDY),
    "NumberOfStudyRelatedSeries": (0x00201206, "IS", _STUDY),
    "NumberOfStudyRelatedInstances": (0x00201208, "IS", _STUDY),
    "NumberOfSeriesRelatedInstances": (0x00201209, "IS", _SERIES),
    "InstanceAvailability": (0x00080056, "CS", _STUDY),
    "AvailableTransferSyntaxUID": (0x00083002, "UI", _INSTANCE),
}
MATCHABLE_COMPUTED = ("ModalitiesInStudy", "SOPClassesInStudy")

BY_KEYWORD = {attribute.keyword: attribute for attribute in ATTRIBUTES}
BY_PATH = {attribute.path: attribute for attribute in ATTRIBUTES}


def at_level(level: Level) -> tuple[IndexedAttribute, ...]:
    """The attributes whose column is in the table of `level`."""
    return tuple(attribute for attribute in ATTRIBUTES if attribute.level is level)
