"""THE table of what an instance is when it is shown: image, video, report, document, waveform, presentation state.

PS3.18 §8.7.2 has the resource categories, Table 8.7.4-1 the media types of each. Pure, decided by SOP class, transfer
syntax and whether there are pixel data.
"""

from __future__ import annotations

from enum import StrEnum

from bridge.syntaxes import lookup


class Kind(StrEnum):
    """What can be shown of an instance. The word is for a person."""

    IMAGE = "image"
    VIDEO = "video"
    REPORT = "report"
    DOCUMENT = "document"
    WAVEFORM = "waveform"
    PRESENTATION_STATE = "presentation state"
    OTHER = "object without a picture or text"


_STORAGE = "1.2.840.10008.5.1.4.1.1."
REPORT_CLASSES = _STORAGE + "88."  # structured reports of every kind, key object selections among them (PS3.4 B.5)

# Encapsulated documents (PS3.3 §A.45, §A.85): SOP class -> media type. What the object itself says its type is does not
# count: a stranger's text/html must not run as a page of ours.
DOCUMENT_TYPES = {
    _STORAGE + "104.1": "application/pdf",
    _STORAGE + "104.2": "text/xml",  # CDA
    _STORAGE + "104.3": "model/stl",
    _STORAGE + "104.4": "model/obj",
    _STORAGE + "104.5": "model/mtl",
}

ECG_CLASSES = frozenset(_STORAGE + suffix for suffix in ("9.1.1", "9.1.2", "9.1.3", "9.1.4"))  # drawn at 10 mm/mV

# Waveforms that are drawn (PS3.3 §A.34); sound is not: a voice has no useful picture.
WAVEFORM_CLASSES = frozenset(
    _STORAGE + suffix
    for suffix in (
        "9.1.1",  # 12-lead ECG
        "9.1.2",  # General ECG
        "9.1.3",  # Ambulatory ECG
        "9.1.4",  # General 32-bit ECG
        "9.2.1",  # Hemodynamic
        "9.3.1",  # Cardiac Electrophysiology
        "9.5.1",  # Arterial Pulse
        "9.6.1",  # Respiratory
        "9.6.2",  # Multi-channel Respiratory
        "9.7.1",  # Routine Scalp EEG
        "9.7.2",  # Electromyogram
        "9.7.3",  # Electrooculogram
        "9.7.4",  # Sleep EEG
        "9.8.1",  # Body Position
    )
)

# Softcopy presentation states of two-dimensional images (PS3.3 §A.33).
PRESENTATION_CLASSES = frozenset(
    _STORAGE + suffix
    for suffix in (
        "11.1",  # Grayscale
        "11.2",  # Color
        "11.3",  # Pseudo-Color
        "11.5",  # XA/XRF Grayscale
    )
)

# Video as it lies in the object (Table 8.7.4-1), the default first.
_VIDEO_TYPES = {"video/mpeg2": ("video/mpeg",), "video/mp4": ("video/mp4",), "video/H265": ("video/mp4", "video/H265")}


def kind_of(sop_class_uid: str, transfer_syntax_uid: str, *, has_pixels: bool) -> Kind:
    """What an instance is when it is shown."""
    if sop_class_uid in PRESENTATION_CLASSES:
        return Kind.PRESENTATION_STATE
    if sop_class_uid.startswith(REPORT_CLASSES):
        return Kind.REPORT
    if sop_class_uid in DOCUMENT_TYPES:
        return Kind.DOCUMENT
    if sop_class_uid in WAVEFORM_CLASSES:
        return Kind.WAVEFORM
    if not has_pixels:
        return Kind.OTHER
    syntax = lookup(transfer_syntax_uid)
    return Kind.VIDEO if syntax is not None and syntax.video else Kind.IMAGE


def stored_types(sop_class_uid: str, transfer_syntax_uid: str) -> tuple[str, ...]:
    """The media types of a document or video that is shown as it was stored, the default first."""
    if sop_class_uid in DOCUMENT_TYPES:
        return (DOCUMENT_TYPES[sop_class_uid],)
    syntax = lookup(transfer_syntax_uid)
    return _VIDEO_TYPES.get(syntax.media_type, ()) if syntax is not None else ()
