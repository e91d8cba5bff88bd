"""THE table of storage SOP classes, and which classes the archive takes (PS3.4 Table B.5-1, PS3.6 Table A-1).

One rule for both doors. The table is read once from pydicom's dictionary, and only when a class is not plain to see.
"""

from __future__ import annotations

import functools

_DICOM = "1.2.840.10008."
_STORAGE_BRANCH = _DICOM + "5.1.4.1.1."

# Named "Storage" in PS3.6 Table A-1, but without a study: directory, commitment, non-patient objects (PS3.4 Annex GG).
_NOT_INSTANCES = frozenset(
    _DICOM + suffix
    for suffix in (
        "1.3.10", "1.20.1", "1.20.2",
        "5.1.4.38.1", "5.1.4.39.1", "5.1.4.43.1", "5.1.4.44.1", "5.1.4.45.1",  # hanging protocol, palette, implants
        "5.1.4.1.1.200.1", "5.1.4.1.1.200.3", "5.1.4.1.1.200.7", "5.1.4.1.1.201.1",  # defined procedures, inventory
    )
)  # fmt: skip

# Newer than the dictionary.
_NEWER = {
    _STORAGE_BRANCH + "9.100.1": "Waveform Presentation State Storage",
    _STORAGE_BRANCH + "9.100.2": "Waveform Acquisition Presentation State Storage",
    _STORAGE_BRANCH + "66.7": "Label Map Segmentation Storage",
    _STORAGE_BRANCH + "66.8": "Height Map Segmentation Storage",
}


@functools.cache
def storage_classes() -> dict[str, str]:
    """SOP Class UID -> name of every class whose instances belong to a study, retired ones too."""
    return _NEWER | {
        uid: name
        for uid, (name, kind) in _dictionary().items()
        if kind == "SOP Class" and "Storage" in name and uid not in _NOT_INSTANCES
    }


def is_storable(sop_class_uid: str, *, unknown: bool) -> bool:
    """Whether instances of a class are taken; `unknown` ones are private, or newer than the table (DICOM.md D7)."""
    if sop_class_uid.startswith(_STORAGE_BRANCH) and unknown:
        return sop_class_uid not in _NOT_INSTANCES
    if not sop_class_uid.startswith(_DICOM):
        return unknown and bool(sop_class_uid)
    return sop_class_uid in storage_classes() or (unknown and sop_class_uid not in _dictionary())


@functools.cache
def _dictionary() -> dict[str, tuple[str, str]]:
    """UID -> name and kind."""
    from pydicom.uid import UID_dictionary

    return {uid: (row[0], row[1]) for uid, row in UID_dictionary.items()}
