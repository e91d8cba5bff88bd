"""Patients, which have no rows of their own: studies told apart by PatientID and its issuer (PS3.4 §C.6.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bridge.archive import Archive
from bridge.search import matches
from storage.query import Criterion, Found, Query, Single
from storage.records import Level

RELATED = {  # computed of a patient (PS3.4 §C.3.4): tag -> what each study adds; None counts the studies
    0x00201200: None,
    0x00201202: "NumberOfStudyRelatedSeries",
    0x00201204: "NumberOfStudyRelatedInstances",
}
_PATIENT_ID, _ISSUER = (0x00100020,), (0x00100021,)


def patients(archive: Archive, query: Query, utc_offset: timedelta | None = None) -> Iterator[Found]:
    """For each patient with a study that matches, the newest of these studies. Raises as `search` does."""
    seen: set[tuple[str, ...]] = set()
    for found in matches(archive, query, utc_offset):
        patient = identity(found)
        if patient not in seen:
            seen.add(patient)
            yield found


def identity(found: Found) -> tuple[str, ...]:
    """What tells a patient from others; without an ID the name and birth date must do."""
    attributes = found.attributes
    if attributes.get("PatientID"):
        return (attributes["PatientID"], attributes.get("IssuerOfPatientID", ""))
    return ("", attributes.get("PatientName", ""), attributes.get("PatientBirthDate", ""))


def related(archive: Archive, found: Found) -> dict[int, int]:
    """The RELATED numbers of the patient whose study this is."""
    keys = ((_PATIENT_ID, "LO", "PatientID"), (_ISSUER, "LO", "IssuerOfPatientID"))
    criteria = tuple(
        Criterion(path, vr, Single(found.attributes[keyword]))
        for path, vr, keyword in keys
        if keyword in found.attributes
    )
    numbers = dict.fromkeys(RELATED, 0)
    for study in matches(archive, Query(site=found.ref.site, level=Level.STUDY, criteria=criteria)):
        if identity(study) == identity(found):
            for tag, keyword in RELATED.items():
                numbers[tag] += 1 if keyword is None else int(study.attributes.get(keyword, "0"))
    return numbers
