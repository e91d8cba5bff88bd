"""What an annotation says: who the patient is, how the image was made (PS3.18 §8.3.5.1.1)."""

from __future__ import annotations

from bridge.attributes import Attributes

PATIENT, TECHNIQUE = "patient", "technique"

# Each row is one line: keywords joined by blanks, with a word before and one after.
_LINES: dict[str, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    PATIENT: (
        ("", ("PatientName",), ""),
        ("", ("PatientID",), ""),
        ("", ("PatientBirthDate", "PatientSex", "PatientAge"), ""),
        ("", ("InstitutionName",), ""),
        ("", ("StudyDate", "StudyTime"), ""),
        ("", ("StudyDescription",), ""),
    ),
    TECHNIQUE: (
        ("", ("Modality", "SeriesDescription"), ""),
        ("Se ", ("SeriesNumber",), ""),
        ("Im ", ("InstanceNumber",), ""),
        ("", ("KVP",), " kV"),
        ("", ("XRayTubeCurrent",), " mA"),
        ("TR ", ("RepetitionTime",), " ms"),
        ("TE ", ("EchoTime",), " ms"),
        ("ST ", ("SliceThickness",), " mm"),
        ("SL ", ("SliceLocation",), " mm"),
        ("", ("ImageLaterality", "ViewPosition"), ""),
    ),
}
KEYWORDS = tuple(keyword for lines in _LINES.values() for _, keywords, _ in lines for keyword in keywords)


def annotation_lines(about: Attributes, kind: str) -> tuple[str, ...]:
    """The lines of one kind of annotation, those without a value left out."""
    found = []
    for before, keywords, after in _LINES[kind]:
        text = " ".join(filter(None, (_shown(about, keyword) for keyword in keywords)))
        if text:
            found.append(f"{before}{text}{after}")
    return tuple(found)


def _shown(about: Attributes, keyword: str) -> str:
    text = " ".join(about.text(keyword).split())
    if keyword == "PatientName":
        return " ".join(text.replace("^", " ").replace("=", " ").split())
    if keyword.endswith("Date") and len(text) == 8:
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    if keyword == "StudyTime" and len(text) >= 6:
        return f"{text[:2]}:{text[2:4]}:{text[4:6]}"
    return text
