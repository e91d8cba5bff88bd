"""What stands above a report's content: whose it is, its state, who vouches for it (PS3.3 §C.17.1, §C.17.2). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridge.attributes import Attributes
from bridge.documents import wording
from bridge.documents.coded import Links, Reference, code
from bridge.documents.content import ContentItem, content_items

_LANGUAGE_CONCEPTS = ("121049", "121045")  # Language of Content Item; of value (PS3.16 TID 1204)
_LANGUAGE = re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_UNTITLED = "Structured report"

Fact = tuple[str, str]  # label, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report ready to be written. `items` begins with the root and can be read once."""

    title: str
    language: str
    patient: tuple[Fact, ...]
    document: tuple[Fact, ...]
    references: tuple[tuple[str, Reference], ...]  # (what the list is, object)
    items: Iterator[ContentItem]


def read_report(data_set: Attributes, base: str) -> Report:
    """The report in a data set; `base` is the URL of the service root."""
    links = Links(data_set, base)
    return Report(
        title=wording.readable(code(data_set, "ConceptNameCodeSequence").label) or _UNTITLED,
        language=_language(data_set),
        patient=tuple(_facts(data_set, _PATIENT)),
        document=(*_facts(data_set, _DOCUMENT), *_verifications(data_set)),
        references=tuple(_listed(data_set, links)),
        items=content_items(data_set, links),
    )


def _text(keyword: str) -> Callable[[Attributes], str]:
    return lambda data_set: data_set.text(keyword)


def _name(keyword: str) -> Callable[[Attributes], str]:
    return lambda data_set: "; ".join(wording.name(text) for text in data_set.texts(keyword))


def _day(date_keyword: str, time_keyword: str) -> Callable[[Attributes], str]:
    def written(data_set: Attributes) -> str:
        return f"{wording.date(data_set.text(date_keyword))} {wording.time(data_set.text(time_keyword))}".strip()

    return written


def _state(keyword: str, description: str = "") -> Callable[[Attributes], str]:
    """A flag such as COMPLETE, with its explanation where there is one."""

    def written(data_set: Attributes) -> str:
        more = data_set.text(description) if description else ""
        flag = data_set.text(keyword).capitalize()
        return f"{flag} ({more})" if more else flag

    return written


_Row = tuple[str, Callable[[Attributes], str]]
_PATIENT: tuple[_Row, ...] = (
    ("Patient", _name("PatientName")),
    ("Patient ID", _text("PatientID")),
    ("Born", lambda data_set: wording.date(data_set.text("PatientBirthDate"))),
    ("Sex", _text("PatientSex")),
    ("Age", _text("PatientAge")),
)
_DOCUMENT: tuple[_Row, ...] = (
    ("Study", _text("StudyDescription")),
    ("Study date", _day("StudyDate", "StudyTime")),
    ("Accession number", _text("AccessionNumber")),
    ("Referring physician", _name("ReferringPhysicianName")),
    ("Series", _text("SeriesDescription")),
    ("Content date", _day("ContentDate", "ContentTime")),
    ("Institution", _text("InstitutionName")),
    ("Made with", lambda data_set: f"{data_set.text('Manufacturer')} {data_set.text('ManufacturerModelName')}".strip()),
    ("Completion", _state("CompletionFlag", "CompletionFlagDescription")),
    ("Preliminary", _state("PreliminaryFlag")),
    ("Verification", _state("VerificationFlag")),
)
# Lists of other objects (PS3.3 Table C.17-2): (sequence, what it is).
_LISTS = (
    ("CurrentRequestedProcedureEvidenceSequence", "Evidence"),
    ("PertinentOtherEvidenceSequence", "Other evidence"),
    ("PredecessorDocumentsSequence", "Earlier version"),
    ("IdenticalDocumentsSequence", "Identical document"),
)


def _facts(data_set: Attributes, rows: tuple[_Row, ...]) -> Iterator[Fact]:
    for label, read in rows:
        value = wording.readable(read(data_set))
        if value:
            yield label, value


def _verifications(data_set: Attributes) -> Iterator[Fact]:
    """Who verified the report, for which organization, when."""
    for observer in data_set.items("VerifyingObserverSequence"):
        parts = (
            wording.name(observer.text("VerifyingObserverName")),
            observer.text("VerifyingOrganization"),
            wording.moment(observer.text("VerificationDateTime")),
        )
        yield "Verified by", wording.readable(", ".join(filter(None, parts)))


def _listed(data_set: Attributes, links: Links) -> Iterator[tuple[str, Reference]]:
    for sequence, label in _LISTS:
        for study in data_set.items(sequence):
            for series in study.items("ReferencedSeriesSequence"):
                for instance in series.items("ReferencedSOPSequence"):
                    yield label, links.reference(instance)


def _language(data_set: Attributes) -> str:
    """The language of the whole tree as a tag of RFC 5646, "en" where the report does not say."""
    for child in data_set.items("ContentSequence"):
        said = code(child, "ConceptCodeSequence").value
        if code(child, "ConceptNameCodeSequence").value in _LANGUAGE_CONCEPTS and _LANGUAGE.fullmatch(said):
            return said
    return "en"
