"""Matches of C-FIND and QIDO-RS, both as DICOM JSON, read as what they name (PS3.18 Annex F). Pure.

What comes from outside is taken as it is meant to be, or left out: a match without its unique key is of no use.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bridge.pulling.remote import RemoteInstance, RemoteStudy
from bridge.pulling.selection import Selection
from storage.keys import is_uid

_LOG = logging.getLogger(__name__)
Match = Mapping[str, Any]  # "0020000D" -> {"vr": ..., "Value": [...]}

STUDY_DATE, MODALITY, MODALITIES, PATIENT_ID = "00080020", "00080060", "00080061", "00100020"
STUDY_UID, SERIES_UID, SOP_UID, SOP_CLASS, INSTANCES = "0020000D", "0020000E", "00080018", "00080016", "00201208"


def text(match: Match, tag: str) -> str:
    """The first value; "" when there is none."""
    return next(iter(_texts(match, tag)), "").strip()


def with_uid(found: Iterable[Match], tag: str) -> Iterator[Match]:
    """Those whose unique key is a UID, each once: there are archives that answer with one match an instance."""
    seen: set[str] = set()
    for match in found:
        uid = text(match, tag)
        if not is_uid(uid):
            _LOG.warning("a match without a usable %s is left out", tag)
        elif uid not in seen:
            seen.add(uid)
            yield match


def studies_in(found: Iterable[Match], selection: Selection) -> list[RemoteStudy]:
    """The studies; those that say they have none of the wanted modalities are left out."""
    wanted = set(selection.modalities)
    named = [_study(match) for match in with_uid(found, STUDY_UID)]
    return [one for one in named if not wanted or not one.modalities or wanted & set(one.modalities)]


def instance(match: Match) -> RemoteInstance:
    """An instance and its class."""
    return RemoteInstance(sop_instance_uid=text(match, SOP_UID), sop_class_uid=text(match, SOP_CLASS))


def _study(match: Match) -> RemoteStudy:
    count = text(match, INSTANCES)
    return RemoteStudy(
        study_instance_uid=text(match, STUDY_UID),
        study_date=text(match, STUDY_DATE),
        modalities=tuple(_texts(match, MODALITIES)),
        instances=int(count) if count.isdecimal() else 0,
    )


def _texts(match: Match, tag: str) -> list[str]:
    element = match.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return [str(value) for value in values if value is not None] if isinstance(values, list) else []
