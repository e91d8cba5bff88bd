"""What an instance's object carries besides its bytes: tags, user metadata, lock (LIFECYCLE §2.5), and the way back.

Tags are what a store's rules may match, and can be changed later; user metadata never changes and is what
`scrub --rebuild` restores a record from. No patient data; ASCII only, anything else percent-encoded; within the limits
of every S3.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import quote, unquote

from storage.keys import parse_instance_key
from storage.objects.base import ObjectInfo, ObjectMeta
from storage.records import InstanceRecord, Origin, Retention

_TAG_UNSAFE = re.compile(r"[^A-Za-z0-9 _.:/=+@-]")
_TAG_VALUE_LENGTH = 42
_NAME_LENGTH = 96  # of the sender's name, percent-encoded
_USER_SAFE = " !#$&'()*+,/:;=?@[]^_`{|}~."  # printable ASCII stays readable; "%" itself is encoded
_NEVER = "never"
_REMEMBERED = 1024  # names, classes and dates, which most instances share
_ASSUMED = {"issuer": "IssuerOfPatientID", "tz": "TimezoneOffsetFromUTC"}  # what a peer's entry may have added

try:
    _BRIDGE = version("dicom-bridge")
except PackageNotFoundError:
    _BRIDGE = "0"


def instance_meta(record: InstanceRecord, *, origin: Origin, lock: bool, now: datetime) -> ObjectMeta:
    """Tags, user metadata and, with `lock`, the retention lock of a new instance object.

    A term that is over already is never sent as a lock: stores refuse it.
    """
    until = record.retention.until if record.retention else None
    return ObjectMeta(
        tags=_tags(record),
        user=_user(record, origin),
        retain_until=until if lock and until is not None and until > now else None,
        legal_hold=lock and record.legal_hold,
    )


def record_from_meta(key: str, info: ObjectInfo, meta: ObjectMeta) -> dict[str, Any]:
    """The fields of an InstanceRecord that the object itself knows; those only its data set can tell are left out.

    Raises InvalidKey when `key` is not that of an instance, ValueError or KeyError when the metadata is not ours.
    """
    user = meta.user
    ref = parse_instance_key(key).ref
    if (user["study"], user["series"], user["sop"]) != (
        ref.study_instance_uid,
        ref.series_instance_uid,
        ref.sop_instance_uid,
    ):
        raise ValueError("key and user metadata name different instances")
    if int(user["len"]) != info.size_bytes:
        raise ValueError("the object is not as long as it was when it was stored")
    return {
        "ref": ref,
        "sop_class_uid": unquote(user["cls"]),
        "transfer_syntax_uid": unquote(user["ts"]),
        "size_bytes": info.size_bytes,
        "sha256": user["sha256"],
        "data_set_sha256": user["ds-sha256"],
        "data_set_offset": int(user["ds-offset"]),
        "received_at": datetime.fromisoformat(user["recv"]),
        "retention": _retention_from(user, meta),
        "legal_hold": meta.legal_hold or meta.tags.get("hold") == "1",
        "state": meta.tags.get("st", "live"),
        "origin_name": unquote(user["aet"]),
    }


def assumed_from(meta: ObjectMeta) -> dict[str, str]:
    """Index attributes that the data set itself may lack, because they came from its sender's entry."""
    return {keyword: unquote(meta.user[name]) for name, keyword in _ASSUMED.items() if name in meta.user}


def quarter(at: datetime | None) -> str:
    """The quarter a term ends in, as the tag `ru` has it: "2041Q1"; "never" without a term."""
    if at is None:
        return _NEVER
    at = at.astimezone(UTC)
    return f"{at.year}Q{(at.month + 2) // 3}"


def _tags(record: InstanceRecord) -> dict[str, str]:
    retention = record.retention
    return {
        "rc": _tag(retention.retention_class if retention else "none"),
        "ru": quarter(retention.until if retention else None),
        "hold": "1" if record.legal_hold else "0",
        "tier": "cold" if record.location.store == "cold" else "hot",
        "site": _tag(record.ref.site),
        "mod": _tag(record.attributes.get("Modality", "")),
        "st": _tag(record.state),
    }


def _user(record: InstanceRecord, origin: Origin) -> dict[str, str]:
    ref, retention = record.ref, record.retention
    user = {
        "sop": ref.sop_instance_uid or "",
        "series": ref.series_instance_uid or "",
        "study": ref.study_instance_uid,
        "cls": _user_value(record.sop_class_uid),
        "ts": _user_value(record.transfer_syntax_uid),
        "sha256": record.sha256,
        "ds-sha256": record.data_set_sha256,
        "ds-offset": str(record.data_set_offset),
        "len": str(record.size_bytes),
        "recv": record.received_at.astimezone(UTC).isoformat(),
        "aet": _user_value(record.origin_name or origin.name),
        "src-ip-hash": _address_hash(ref.site, origin.address),
        "bridge": _BRIDGE,
        **{name: _user_value(record.attributes.get(keyword, "")) for name, keyword in _ASSUMED.items()},
    }
    if retention:
        user |= {
            "rclass": retention.retention_class,
            "pol": retention.policy,
            "rstart": _instant(retention.start),
            "runtil": _instant(retention.until) if retention.until else _NEVER,
            "rflags": ",".join(retention.flags),
        }
    return {name: value for name, value in user.items() if value or name in ("aet", "cls", "ts")}


def _retention_from(user: Any, meta: ObjectMeta) -> Retention | None:
    """The term as it was at ingest, or as long as the lock says now: a term is only ever extended."""
    if "pol" not in user:
        return None
    until = None if user["runtil"] == _NEVER else datetime.fromisoformat(user["runtil"])
    if until is not None and meta.retain_until is not None:
        until = max(until, meta.retain_until)
    return Retention(
        retention_class=user["rclass"],
        policy=user["pol"],
        start=datetime.fromisoformat(user["rstart"]),
        until=until,
        flags=tuple(flag for flag in user.get("rflags", "").split(",") if flag),
    )


@lru_cache(maxsize=_REMEMBERED)
def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


@lru_cache(maxsize=_REMEMBERED)
def _tag(value: str) -> str:
    """A value every S3 takes: unusual characters dropped, cut to 42."""
    return _TAG_UNSAFE.sub("", value)[:_TAG_VALUE_LENGTH].strip()


@lru_cache(maxsize=_REMEMBERED)
def _user_value(value: str) -> str:
    """Printable ASCII, anything else percent-encoded and cut between two characters."""
    encoded = quote(value.strip(), safe=_USER_SAFE, errors="replace")
    while len(encoded) > _NAME_LENGTH:
        value = value[:-1]
        encoded = quote(value.strip(), safe=_USER_SAFE, errors="replace")
    return encoded


@lru_cache(maxsize=_REMEMBERED)
def _address_hash(site: str, address: str) -> str:
    """Tells two senders apart without naming either."""
    return hashlib.sha256(f"{site}|{address}".encode()).hexdigest()[:16]
