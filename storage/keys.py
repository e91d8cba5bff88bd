"""Object keys: `<site>/<study>/<series>/<sop>.<ingest id>.dcm` (DESIGN law 2). Pure.

Every segment is checked before it becomes part of a key, so nothing from the wire can climb out of a store.
A key is used once, ever: the ingest id makes it so.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from storage.errors import InvalidKey
from storage.records import ResourceRef

SITE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
LENIENT_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")  # leading zeros kept: real devices send them
STRICT_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")  # PS3.5 §9.1
UID_LENGTH = 64
INGEST_ID = re.compile(r"[0-9a-z]{8,40}")
SEGMENT = re.compile(r"[A-Za-z0-9._@-]+")
_REMEMBERED = 1024  # UIDs: on its way in an instance's are looked at several times
SEGMENT_BYTES = 255  # MinIO's limit for one segment of a key


@dataclass(frozen=True, slots=True)
class InstanceKey:
    """The parts of an instance object's key."""

    ref: ResourceRef
    ingest_id: str


@lru_cache(maxsize=_REMEMBERED)
def is_uid(text: str, *, strict: bool = False) -> bool:
    """True for a usable UID: digits and dots, no empty component, at most 64 characters (PS3.5 §9.1 when strict)."""
    pattern = STRICT_UID if strict else LENIENT_UID
    return len(text) <= UID_LENGTH and pattern.fullmatch(text) is not None


def ingest_id(at: datetime) -> str:
    """A new ingest id: sorts by time and never repeats (milliseconds in hex and 40 random bits)."""
    return f"{int(at.timestamp() * 1000):011x}{secrets.token_hex(5)}"


def instance_key(ref: ResourceRef, unique: str) -> str:
    """The key of a new instance object; `unique` is its ingest id. Raises InvalidKey for an unusable segment."""
    parts = (ref.study_instance_uid, ref.series_instance_uid, ref.sop_instance_uid)
    if not SITE.fullmatch(ref.site) or not INGEST_ID.fullmatch(unique):
        raise InvalidKey("site or ingest id is not usable in a key")
    if not all(part is not None and is_uid(part) for part in parts):
        raise InvalidKey("study, series or SOP instance UID is not usable in a key")
    return f"{ref.site}/{parts[0]}/{parts[1]}/{parts[2]}.{unique}.dcm"


def parse_instance_key(key: str) -> InstanceKey:
    """The inverse of `instance_key`. Raises InvalidKey for anything else."""
    segments = key.split("/")
    if len(segments) != 4 or not segments[3].endswith(".dcm"):
        raise InvalidKey("not the key of an instance object")
    sop, _, unique = segments[3][:-4].rpartition(".")
    parsed = InstanceKey(ResourceRef(segments[0], segments[1], segments[2], sop), unique)
    if instance_key(parsed.ref, unique) != key:
        raise InvalidKey("not the key of an instance object")
    return parsed


def is_key_of(key: str, ref: ResourceRef) -> bool:
    """True when `instance_key` made `key` for this instance; `parse_instance_key` tells the same, but slower."""
    start = f"{ref.site}/{ref.study_instance_uid}/{ref.series_instance_uid}/{ref.sop_instance_uid}."
    named = key.startswith(start) and key.endswith(".dcm")
    return named and INGEST_ID.fullmatch(key, len(start), len(key) - 4) is not None


def check_key(key: str) -> str:
    """Return `key` if a store may see it, else raise InvalidKey. Backends call this first in every verb that writes."""
    if len(key) <= SEGMENT_BYTES and ".." not in key and _PLAIN_KEY.fullmatch(key):
        return key
    segments = key.split("/")
    if len(key.encode()) > 1024 or not all(_safe(segment) for segment in segments):
        raise InvalidKey("a key segment is empty, hidden, too long or has characters outside [A-Za-z0-9._@-]")
    return key


_SEGMENT = r"[A-Za-z0-9_@-][A-Za-z0-9._@-]*"
_PLAIN_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


def _safe(segment: str) -> bool:
    return (
        0 < len(segment) <= SEGMENT_BYTES
        and segment[0] != "."
        and ".." not in segment
        and SEGMENT.fullmatch(segment) is not None
    )
